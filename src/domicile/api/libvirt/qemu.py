"""Handlers of libvirt's QEMU program: words to the monitor and to the guest's agent, and what the monitor says by itself.

`doors` merges them with the others; `domain_event` publishes.
"""

from __future__ import annotations

import json
import re
from enum import IntFlag
from typing import TYPE_CHECKING, Any

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest, NotFound
from domicile.rpc.calls import qemu
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domicile.api.libvirt.server import Server
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_HMP = 1


class Names(IntFlag):
    """How events are named. Source: virConnectDomainQemuMonitorEventRegisterFlags."""

    REGEX = 1
    NOCASE = 2


@handlers.handle(qemu.qemu_domain_monitor_command)
async def monitor_command(conn: Session[Service], dom: Domain, command: str, flags: int) -> str:
    """Say something to QEMU's monitor, in JSON or in its words for people."""
    known(flags, _HMP, "qemu_domain_monitor_command")
    entry, _ = machine_of(conn, dom)
    who = author(conn, "qemu-monitor-command")
    return await conn.context.controls.monitor(entry, command, who, human=bool(flags & _HMP))


@handlers.handle(qemu.qemu_connect_domain_monitor_event_register)
def event_register(conn: Session[Service], dom: Domain | None, event: str | None, flags: int) -> int:
    """Tell a client what QEMU says by itself: of one domain or all, events of a name or all."""
    known(flags, Names.REGEX | Names.NOCASE, "qemu_connect_domain_monitor_event_register")
    if flags and event is None:
        raise InvalidRequest("flags say how an event is named, but none is")
    uuid = dom.uuid if dom is not None else None
    return conn.server.events.subscribe(conn, qemu.qemu_domain_monitor_event, uuid, accepts=_named(event, flags))


def _named(event: str | None, flags: int) -> Callable[..., bool] | None:
    if event is None:
        return None
    case = re.IGNORECASE if flags & Names.NOCASE else 0
    try:
        wanted = re.compile(event if flags & Names.REGEX else re.escape(event), case)
    except re.error as error:
        raise InvalidRequest(f"failed to compile regex {event}: {error}") from error
    match = wanted.search if flags & Names.REGEX else wanted.fullmatch

    def accepts(dom: Domain, name: str, *_: object) -> bool:
        return match(name) is not None

    return accepts


@handlers.handle(qemu.qemu_connect_domain_monitor_event_deregister)
def event_deregister(conn: Session[Service], callback_id: int) -> None:
    """Tell a client no more of it."""
    event = qemu.qemu_domain_monitor_event
    if not conn.server.events.unsubscribe(conn, lambda kind, wish: kind is event and wish.number == callback_id):
        raise NotFound(f"monitor event callback {callback_id} not registered", code=8)


def publish(server: Server[Service], dom: Domain, name: str, at: float, data: Mapping[str, Any]) -> None:
    """Tell the clients that asked for it what QEMU said by itself."""
    if not server.events.wanted(qemu.qemu_domain_monitor_event):
        return
    details = json.dumps(data, ensure_ascii=False, separators=(",", ":")) if data else None
    seconds = int(at)
    micros = round((at - seconds) * 1e6)
    server.events.publish(qemu.qemu_domain_monitor_event, dom, name, seconds, min(micros, 999_999), details)
