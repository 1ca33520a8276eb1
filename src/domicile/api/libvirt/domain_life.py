"""Handlers of a domain's life: create, start, pause, shut down, end.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import Create, known
from domicile.api.libvirt.reference import entry_of, machine_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.base import tasks
from domicile.base.errors import DomicileError, WrongState
from domicile.rpc.calls import domain
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.entry import Entry
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
log = structlog.get_logger(__name__)
_START = Create.PAUSED | Create.AUTODESTROY | Create.BYPASS_CACHE | Create.FORCE_BOOT | Create.RESET_NVRAM
_TRANSIENT = Create.PAUSED | Create.AUTODESTROY | Create.VALIDATE | Create.RESET_NVRAM
_GRACEFUL = 1
# Source: virDomainShutdownFlagValues and virDomainRebootFlagValues, which agree; the others are for containers.
_ACPI, _AGENT = 1, 2


@handlers.handle(domain.domain_create_with_flags)
async def create_with_flags(conn: Session[Service], dom: Domain, flags: int) -> Domain:
    """Start a defined domain."""
    known(flags, _START, "domain_create_with_flags")
    return await _start(conn, dom, flags)


@handlers.handle(domain.domain_create)
async def create(conn: Session[Service], dom: Domain) -> None:
    """Start a defined domain."""
    await _start(conn, dom, 0)


async def _start(conn: Session[Service], dom: Domain, flags: int) -> Domain:
    entry = entry_of(conn, dom)
    if entry.id != -1:
        raise WrongState("domain is already running")
    await conn.context.start(
        entry, author(conn, "start"), paused=bool(flags & Create.PAUSED), fresh=bool(flags & Create.FORCE_BOOT),
        reset_variables=bool(flags & Create.RESET_NVRAM),
        autodestroy=bool(flags & Create.AUTODESTROY),
    )  # fmt: skip
    if flags & Create.AUTODESTROY:
        _bind(conn, entry)
    return reference(entry)


@handlers.handle(domain.domain_create_xml)
async def create_xml(conn: Session[Service], xml: str, flags: int) -> Domain:
    """Start a domain that is forgotten when it ends."""
    known(flags, _TRANSIENT, "domain_create_xml")
    paused, strict = bool(flags & Create.PAUSED), bool(flags & Create.VALIDATE)
    entry = await conn.context.create(
        xml, author(conn, "create"), paused=paused, strict=strict, reset_variables=bool(flags & Create.RESET_NVRAM),
        autodestroy=bool(flags & Create.AUTODESTROY),
    )  # fmt: skip
    if flags & Create.AUTODESTROY:
        _bind(conn, entry)
    return reference(entry)


def _bind(conn: Session[Service], entry: Entry) -> None:
    """Let a machine end with the connection that started it."""
    id = entry.id
    conn.on_close(lambda: tasks.spawn("autodestroy", _end_with(conn, entry, id)))


async def _end_with(conn: Session[Service], entry: Entry, id: int) -> None:
    if entry.id != id:
        return
    try:
        await conn.context.destroy(entry, author(conn, "autodestroy"))
    except DomicileError as fault:
        log.warning("autodestroy failed", domain=entry.name, why=fault.message)


@handlers.handle(domain.domain_shutdown_flags)
async def shutdown_flags(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Ask the guest to power off."""
    known(flags, _ACPI | _AGENT, "domain_shutdown_flags")
    await _shutdown(conn, dom, flags)


@handlers.handle(domain.domain_shutdown)
async def shutdown(conn: Session[Service], dom: Domain) -> None:
    """Ask the guest to power off."""
    await _shutdown(conn, dom, 0)


async def _shutdown(conn: Session[Service], dom: Domain, flags: int) -> None:
    await _power(conn, dom, flags, reboot=False)


@handlers.handle(domain.domain_reboot)
async def reboot(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Ask the guest to restart."""
    known(flags, _ACPI | _AGENT, "domain_reboot")
    await _power(conn, dom, flags, reboot=True)


async def _power(conn: Session[Service], dom: Domain, flags: int, *, reboot: bool) -> None:
    """Ask through the agent where that is said or nothing is and it answers, else by the button."""
    entry, _ = machine_of(conn, dom)
    service, who = conn.context, author(conn, "reboot" if reboot else "shutdown")
    if flags & _AGENT or (not flags and service.agents.available(entry)):
        try:
            await service.guest.power(entry, who, reboot=reboot)
        except DomicileError:
            if flags == _AGENT:
                raise
        else:
            return
    await (service.reboot if reboot else service.shutdown)(entry, who)


@handlers.handle(domain.domain_reset)
async def reset(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Press the reset button."""
    known(flags, 0, "domain_reset")
    entry, _ = machine_of(conn, dom)
    await conn.context.reset(entry, author(conn, "reset"))


@handlers.handle(domain.domain_destroy_flags)
async def destroy_flags(conn: Session[Service], dom: Domain, flags: int) -> None:
    """End a machine at once; graceful means not by force."""
    known(flags, _GRACEFUL, "domain_destroy_flags")
    await _destroy(conn, dom, graceful=bool(flags & _GRACEFUL))


@handlers.handle(domain.domain_destroy)
async def destroy(conn: Session[Service], dom: Domain) -> None:
    """End a machine at once."""
    await _destroy(conn, dom, graceful=False)


async def _destroy(conn: Session[Service], dom: Domain, *, graceful: bool) -> None:
    entry, _ = machine_of(conn, dom)
    await conn.context.destroy(entry, author(conn, "destroy"), graceful=graceful)


@handlers.handle(domain.domain_suspend)
async def suspend(conn: Session[Service], dom: Domain) -> None:
    """Stop a machine's CPUs."""
    entry, _ = machine_of(conn, dom)
    await conn.context.suspend(entry, author(conn, "suspend"))


@handlers.handle(domain.domain_resume)
async def resume(conn: Session[Service], dom: Domain) -> None:
    """Let a machine's CPUs go on."""
    entry, _ = machine_of(conn, dom)
    await conn.context.resume(entry, author(conn, "resume"))
