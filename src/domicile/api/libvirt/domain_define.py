"""Handlers that change what is stored of a domain: define, undefine, rename, autostart.

`doors` merges them with the others.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import FROM_DOMAIN, InvalidRequest, WrongState
from domicile.rpc.calls import domain
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_VALIDATE = 1


class Undefine(IntFlag):
    """What goes with a definition. Source: virDomainUndefineFlagsValues."""

    MANAGED_SAVE = 1
    SNAPSHOTS_METADATA = 2
    NVRAM = 4
    KEEP_NVRAM = 8
    CHECKPOINTS_METADATA = 16
    TPM = 32
    KEEP_TPM = 64


_UNDEFINE = 0x7F


@handlers.handle(domain.domain_define_xml_flags)
async def define_flags(conn: Session[Service], xml: str, flags: int) -> Domain:
    """Store a definition, its next revision; with VALIDATE nothing in it may be unknown."""
    known(flags, _VALIDATE, "domain_define_xml_flags")
    return await _define(conn, xml, strict=bool(flags & _VALIDATE))


@handlers.handle(domain.domain_define_xml)
async def define(conn: Session[Service], xml: str) -> Domain:
    """Store a definition."""
    return await _define(conn, xml, strict=False)


async def _define(conn: Session[Service], xml: str, *, strict: bool) -> Domain:
    defined = await conn.context.define(xml, author(conn, "define"), strict=strict)
    return reference(defined.entry)


@handlers.handle(domain.domain_undefine_flags)
async def undefine_flags(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Take a definition out of service; its history stays, so that it can be brought back."""
    known(flags, _UNDEFINE, "domain_undefine_flags")
    for one, other in ((Undefine.NVRAM, Undefine.KEEP_NVRAM), (Undefine.TPM, Undefine.KEEP_TPM)):
        if flags & one and flags & other:
            raise InvalidRequest(f"Flags 'VIR_DOMAIN_UNDEFINE_{one.name}' and '…_{other.name}' are mutually exclusive")
    await _undefine(conn, dom, flags)


@handlers.handle(domain.domain_undefine)
async def undefine(conn: Session[Service], dom: Domain) -> None:
    """Take a definition out of service."""
    await _undefine(conn, dom, 0)


async def _undefine(conn: Session[Service], dom: Domain, flags: int) -> None:
    entry = entry_of(conn, dom)
    if not entry.persistent:
        raise WrongState("cannot undefine transient domain")
    nvram = True if flags & Undefine.NVRAM else False if flags & Undefine.KEEP_NVRAM else None
    await conn.context.undefine(
        entry, author(conn, "undefine"), saved=bool(flags & Undefine.MANAGED_SAVE), nvram=nvram,
        snapshots=bool(flags & Undefine.SNAPSHOTS_METADATA), checkpoints=bool(flags & Undefine.CHECKPOINTS_METADATA),
    )  # fmt: skip


@handlers.handle(domain.domain_rename)
async def rename(conn: Session[Service], dom: Domain, new_name: str | None, flags: int) -> int:
    """Give a domain that is off another name."""
    known(flags, 0, "domain_rename")
    entry = entry_of(conn, dom)
    if not new_name:
        raise InvalidRequest("the new name must not be empty", domain=FROM_DOMAIN)
    if new_name == entry.name:
        raise WrongState("the domain has this name already", domain=FROM_DOMAIN)
    await conn.context.rename(entry, new_name, author(conn, "rename"))
    return 0


@handlers.handle(domain.domain_set_autostart)
async def set_autostart(conn: Session[Service], dom: Domain, autostart: int) -> None:
    """Say whether the daemon shall start it by itself."""
    entry = entry_of(conn, dom)
    if not entry.persistent:
        raise WrongState("cannot set autostart for transient domain")
    await conn.context.set_autostart(entry, bool(autostart), author(conn, "autostart"))


@handlers.handle(domain.domain_get_autostart_once)
def get_autostart_once(conn: Session[Service], dom: Domain) -> int:
    """Say whether the daemon starts it by itself at the host's next boot alone."""
    return int(entry_of(conn, dom).autostart_once)


@handlers.handle(domain.domain_set_autostart_once)
async def set_autostart_once(conn: Session[Service], dom: Domain, autostart: int) -> None:
    """Say whether the daemon shall start it by itself at the host's next boot alone."""
    entry = entry_of(conn, dom)
    who = author(conn, "autostart --once")
    await conn.context.definitions.set_autostart_once(entry, bool(autostart), who)
