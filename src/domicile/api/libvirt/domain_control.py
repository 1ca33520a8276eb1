"""Handlers of what is done to a running machine: keys, pictures, interrupts, sleep, what follows its end.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import affected, known
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.stream import Stream
from domicile.base.errors import NO_SUPPORT, InvalidRequest, Unsupported
from domicile.rpc.calls import connect, domain, domain_device, domain_tune
from domicile.rpc.types import Domain, TypedParam

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.controls import Picture
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_MOST_KEYS = 16
# Source: VIR_TYPED_PARAM_STRING_OKAY.
_STRINGS_TOO = 4
# Source: virDomainDirtyRateCalcFlags; none of them means sampling.
_DIRTY_RATE = {0: "page-sampling", 1: "page-sampling", 2: "dirty-bitmap", 4: "dirty-ring"}


@handlers.handle(domain_device.domain_send_key)
async def send_key(
    conn: Session[Service], dom: Domain, codeset: int, holdtime: int, keycodes: list[int], flags: int
) -> None:
    """Press keys."""
    known(flags, 0, "domain_send_key")
    if not 0 < len(keycodes) <= _MOST_KEYS:
        raise InvalidRequest(f"{len(keycodes)} keys cannot be pressed at once; 1 to {_MOST_KEYS} can")
    entry, _ = machine_of(conn, dom)
    await conn.context.controls.send_keys(entry, codeset, keycodes, holdtime, author(conn, "send-key"))


@handlers.handle(domain_device.domain_inject_nmi)
async def inject_nmi(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Send the guest's CPUs a non-maskable interrupt."""
    known(flags, 0, "domain_inject_nmi")
    entry, _ = machine_of(conn, dom)
    await conn.context.controls.inject_nmi(entry, author(conn, "inject-nmi"))


@handlers.handle_stream(domain_device.domain_screenshot)
async def screenshot(conn: Session[Service], stream: Stream, dom: Domain, screen: int, flags: int) -> str | None:
    """Take a picture of a screen."""
    known(flags, 0, "domain_screenshot")
    entry, _ = machine_of(conn, dom)
    picture = await conn.context.controls.screenshot(entry, screen)
    stream.serve(_send(stream, picture))
    return picture.mime


async def _send(stream: Stream, picture: Picture) -> None:
    await stream.write(picture.data)


@handlers.handle(domain_device.domain_send_process_signal)
def send_process_signal(conn: Session[Service], dom: Domain, pid: int, signal: int, flags: int) -> None:
    """Refuse: a virtual machine's processes are its guest's own."""
    entry_of(conn, dom)
    raise Unsupported("virDomainSendProcessSignal: QEMU does not know its guest's processes", code=NO_SUPPORT)


@handlers.handle(domain.domain_pm_wakeup)
async def pm_wakeup(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Wake a guest that sleeps."""
    known(flags, 0, "domain_pm_wakeup")
    entry, _ = machine_of(conn, dom)
    await conn.context.controls.wake_up(entry, author(conn, "dompmwakeup"))


@handlers.handle(domain.domain_set_lifecycle_action)
async def set_lifecycle_action(conn: Session[Service], dom: Domain, type: int, action: int, flags: int) -> None:
    """Say what becomes of a machine whose guest powers off, reboots or crashes."""
    known(flags, 3, "domain_set_lifecycle_action")
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    await conn.context.controls.set_lifecycle_action(
        entry, type, action, author(conn, "set-lifecycle-action"), live=live, config=config
    )


@handlers.handle(domain_tune.domain_start_dirty_rate_calc)
async def start_dirty_rate_calc(conn: Session[Service], dom: Domain, seconds: int, flags: int) -> None:
    """Begin to measure how fast the guest writes to its memory."""
    known(flags, 7, "domain_start_dirty_rate_calc")
    if flags not in _DIRTY_RATE:
        raise InvalidRequest("a dirty rate is measured in one way: page-sampling, dirty-bitmap or dirty-ring")
    entry, _ = machine_of(conn, dom)
    await conn.context.controls.dirty_rate(entry, seconds, _DIRTY_RATE[flags])


@handlers.handle(connect.connect_domain_xml_to_native)
async def xml_to_native(conn: Session[Service], format: str, xml: str, flags: int) -> str:
    """Give the command line that a document stands for."""
    known(flags, 0, "connect_domain_xml_to_native")
    return await conn.context.native.command_line(xml, format)


@handlers.handle(connect.connect_domain_xml_from_native)
def xml_from_native(conn: Session[Service], format: str, config: str, flags: int) -> str:
    """Refuse, as libvirt does since 5.5: a command line says too little."""
    raise Unsupported("virConnectDomainXMLFromNative: a document cannot be made from a command line", code=NO_SUPPORT)


@handlers.handle(domain.domain_get_launch_security_info)
async def get_launch_security_info(conn: Session[Service], dom: Domain, flags: int) -> list[TypedParam]:
    """Give what proves how a guest that is protected from its host was launched; nothing for others."""
    known(flags, _STRINGS_TOO, "domain_get_launch_security_info")
    entry, _ = machine_of(conn, dom)
    return [TypedParam(*param) for param in await conn.context.controls.launch_security(entry)]


@handlers.handle(domain.domain_set_launch_security_state)
async def set_launch_security_state(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    """Give a guest that is protected from its host a secret before it runs."""
    known(flags, 0, "domain_set_launch_security_state")
    entry, _ = machine_of(conn, dom)
    given = {param.field: param.value for param in params}
    await conn.context.controls.set_launch_security(entry, given, author(conn, "domsetlaunchsecstate"))
