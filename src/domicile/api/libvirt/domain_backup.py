"""Handlers of backups. `doors` merges them with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.rpc.calls import domain_block as calls
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_REUSE_EXTERNAL = 1


@handlers.handle(calls.domain_backup_begin)
async def begin(conn: Session[Service], dom: Domain, backup_xml: str, checkpoint_xml: str | None, flags: int) -> None:
    """Begin a backup and, in the same instant, a checkpoint."""
    known(flags, _REUSE_EXTERNAL, "domain_backup_begin")
    entry, _ = machine_of(conn, dom)
    who = author(conn, "backup-begin")
    await conn.context.backups.begin(entry, backup_xml, checkpoint_xml, who, reuse=bool(flags & _REUSE_EXTERNAL))


@handlers.handle(calls.domain_backup_get_xml_desc)
def get_xml_desc(conn: Session[Service], dom: Domain, flags: int) -> str:
    """Give the document of the backup under way."""
    known(flags, 0, "domain_backup_get_xml_desc")
    return conn.context.backups.xml(entry_of(conn, dom))
