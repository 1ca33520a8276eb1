"""Handlers of checkpoints. `doors` merges them with the others."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.domain_snapshot import exclusive
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import NotFound
from domicile.domain.lineage import Moment
from domicile.rpc.calls import domain_snapshot as calls
from domicile.rpc.types import Checkpoint, Domain
from domicile.service.snapshots import PLACE

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.entry import Entry
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
NO_DOMAIN_CHECKPOINT = 103


class Create(IntFlag):
    """How to make one. Source: virDomainCheckpointCreateFlags."""

    REDEFINE = 1
    QUIESCE = 2
    REDEFINE_VALIDATE = 4


class Xml(IntFlag):
    """How to write the document. Source: virDomainCheckpointXMLFlags."""

    SECURE = 1
    NO_DOMAIN = 2
    SIZE = 4


class List(IntFlag):
    """Which ones to list. Source: virDomainCheckpointListFlags; the first bit depends on where the list begins."""

    BEGIN = 1
    TOPOLOGICAL = 2
    LEAVES = 4
    NO_LEAVES = 8


class Delete(IntFlag):
    """What to delete. Source: virDomainCheckpointDeleteFlags."""

    CHILDREN = 1
    METADATA_ONLY = 2
    CHILDREN_ONLY = 4


def _listed(conn: Session[Service], entry: Entry, flags: int, call: str, name: str = "") -> list[Moment]:
    known(flags, 15, call)
    lineage = conn.context.checkpoints.of(entry)
    if name:
        lineage.find(name)
        found = lineage.descendants(name) if flags & List.BEGIN else lineage.children(name)
    else:
        found = lineage.children("") if flags & List.BEGIN else lineage.descendants("")
    for flag, name_of in ((List.LEAVES, "leaves"), (List.NO_LEAVES, "no_leaves")):
        if flags & flag:
            found = [moment for moment in found if PLACE[name_of](lineage, moment)]
    return found


@handlers.handle(calls.domain_checkpoint_create_xml)
async def create(conn: Session[Service], dom: Domain, xml: str, flags: int) -> Checkpoint:
    """Begin to note changes, or describe a checkpoint that exists."""
    # Quiescing is declared, and libvirt 9.0 has it not either.
    known(flags, Create.REDEFINE | Create.REDEFINE_VALIDATE, "checkpoint_create_xml")
    entry, who = entry_of(conn, dom), author(conn, "checkpoint-create")
    if flags & Create.REDEFINE:
        validate = bool(flags & Create.REDEFINE_VALIDATE)
        name = await conn.context.checkpoints.redefine(entry, xml, who, validate=validate)
    else:
        name = await conn.context.checkpoints.create(entry, xml, who)
    return Checkpoint(name, reference(entry))


@handlers.handle(calls.domain_checkpoint_get_xml_desc)
async def get_xml_desc(conn: Session[Service], checkpoint: Checkpoint, flags: int) -> str:
    """Give a checkpoint's document."""
    known(flags, 7, "checkpoint_get_xml_desc")
    return await conn.context.checkpoints.xml(
        entry_of(conn, checkpoint.dom), checkpoint.name, secrets=bool(flags & Xml.SECURE), domain=not flags & Xml.NO_DOMAIN,
        sizes=bool(flags & Xml.SIZE),
    )  # fmt: skip


@handlers.handle(calls.domain_list_all_checkpoints)
def list_all(conn: Session[Service], dom: Domain, need_results: int, flags: int) -> tuple[list[Checkpoint], int]:
    """List checkpoints."""
    entry = entry_of(conn, dom)
    found = _listed(conn, entry, flags, "domain_list_all_checkpoints")
    return [Checkpoint(moment.name, reference(entry)) for moment in found if need_results], len(found)


@handlers.handle(calls.domain_checkpoint_list_all_children)
def list_all_children(
    conn: Session[Service], checkpoint: Checkpoint, need_results: int, flags: int
) -> tuple[list[Checkpoint], int]:
    """List what came after a checkpoint."""
    entry = entry_of(conn, checkpoint.dom)
    found = _listed(conn, entry, flags, "checkpoint_list_all_children", checkpoint.name)
    return [Checkpoint(moment.name, reference(entry)) for moment in found if need_results], len(found)


@handlers.handle(calls.domain_checkpoint_lookup_by_name)
def lookup(conn: Session[Service], dom: Domain, name: str, flags: int) -> Checkpoint:
    """Find a checkpoint."""
    known(flags, 0, "checkpoint_lookup_by_name")
    entry = entry_of(conn, dom)
    return Checkpoint(conn.context.checkpoints.of(entry).find(name).name, reference(entry))


@handlers.handle(calls.domain_checkpoint_get_parent)
def get_parent(conn: Session[Service], checkpoint: Checkpoint, flags: int) -> Checkpoint:
    """Find the checkpoint that another came after."""
    known(flags, 0, "checkpoint_get_parent")
    entry = entry_of(conn, checkpoint.dom)
    parent = conn.context.checkpoints.of(entry).find(checkpoint.name).parent
    if not parent:
        raise NotFound(f"checkpoint '{checkpoint.name}' does not have a parent", code=NO_DOMAIN_CHECKPOINT)
    return Checkpoint(parent, reference(entry))


@handlers.handle(calls.domain_checkpoint_delete)
async def delete(conn: Session[Service], checkpoint: Checkpoint, flags: int) -> None:
    """Delete a checkpoint, what came after it, or both."""
    known(flags, 7, "checkpoint_delete")
    exclusive(flags, Delete, "VIR_DOMAIN_CHECKPOINT_DELETE", (Delete.CHILDREN, Delete.CHILDREN_ONLY))
    await conn.context.checkpoints.delete(
        entry_of(conn, checkpoint.dom), checkpoint.name, author(conn, "checkpoint-delete"),
        children=bool(flags & Delete.CHILDREN), only_children=bool(flags & Delete.CHILDREN_ONLY),
        metadata_only=bool(flags & Delete.METADATA_ONLY),
    )  # fmt: skip
