"""Handlers of a running domain's devices: consoles and channels as streams.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import machine_of
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.stream import Stream
from domicile.base import tasks
from domicile.base.errors import DomicileError
from domicile.rpc.calls import domain_device
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.runtime.console import Console
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_FORCE, _SAFE = 1, 2


@handlers.handle_stream(domain_device.domain_open_console)
def open_console(conn: Session[Service], stream: Stream, dom: Domain, device: str | None, flags: int) -> None:
    """Open a serial port or console; by force, whoever has it open loses it."""
    known(flags, _FORCE | _SAFE, "domain_open_console")
    entry, _ = machine_of(conn, dom)
    _carry(stream, conn.context.open_console(entry, device, force=bool(flags & _FORCE)))


@handlers.handle_stream(domain_device.domain_open_channel)
def open_channel(conn: Session[Service], stream: Stream, dom: Domain, name: str | None, flags: int) -> None:
    """Open a channel; by force, whoever has it open loses it."""
    known(flags, _FORCE, "domain_open_channel")
    entry, _ = machine_of(conn, dom)
    _carry(stream, conn.context.open_channel(entry, name, force=bool(flags & _FORCE)))


def _carry(stream: Stream, console: Console) -> None:
    stream.on_close(console.close)
    stream.serve(_to_client(stream, console))


async def _to_client(stream: Stream, console: Console) -> None:
    """Carry both ways until either side ends."""
    back = tasks.spawn(f"console {console.path}", _to_guest(stream, console))
    try:
        while data := await console.read():
            await stream.write(data)
    finally:
        back.cancel()
        console.close()


async def _to_guest(stream: Stream, console: Console) -> None:
    try:
        while data := await stream.read():
            await console.write(data)
    except DomicileError:
        pass  # the other side has gone, and the other direction says so
    console.close()
