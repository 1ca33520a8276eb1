"""Handlers of snapshots. `doors` merges them with the others."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, ClassVar

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest, NotFound
from domicile.domain.lineage import Lineage, Moment
from domicile.rpc.calls import domain_snapshot as calls
from domicile.rpc.types import Domain, Snapshot
from domicile.service import snapshot_revert
from domicile.service.snapshot_making import Manner
from domicile.service.snapshots import LOCATION, PLACE, STATUS

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.entry import Entry
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
NO_DOMAIN_SNAPSHOT = 72


class MissingFlag(InvalidRequest):
    """A flag was given without another that it needs; clients get these words without others in front."""

    opening: ClassVar[str] = ""


class Create(IntFlag):
    """How to make one. Source: virDomainSnapshotCreateFlags."""

    REDEFINE = 1
    CURRENT = 2
    NO_METADATA = 4
    HALT = 8
    DISK_ONLY = 16
    REUSE_EXT = 32
    QUIESCE = 64
    ATOMIC = 128
    LIVE = 256
    VALIDATE = 512


class List(IntFlag):
    """Which ones to list. Source: virDomainSnapshotListFlags; the first bit depends on where the list begins."""

    BEGIN = 1
    METADATA = 2
    LEAVES = 4
    NO_LEAVES = 8
    NO_METADATA = 16
    INACTIVE = 32
    ACTIVE = 64
    DISK_ONLY = 128
    INTERNAL = 256
    EXTERNAL = 512
    TOPOLOGICAL = 1024


class Delete(IntFlag):
    """What to delete. Source: virDomainSnapshotDeleteFlags."""

    CHILDREN = 1
    METADATA_ONLY = 2
    CHILDREN_ONLY = 4


class Revert(IntFlag):
    """How to go back. Source: virDomainSnapshotRevertFlags."""

    RUNNING = 1
    PAUSED = 2
    FORCE = 4
    RESET_NVRAM = 8


_LIST, _CREATE = 0x7FF, 0x3FF
_SECURE = 1
_GROUPS = (
    ((List.LEAVES, PLACE["leaves"]), (List.NO_LEAVES, PLACE["no_leaves"])),
    ((List.INACTIVE, STATUS["inactive"]), (List.ACTIVE, STATUS["active"]), (List.DISK_ONLY, STATUS["disk_only"])),
    ((List.INTERNAL, LOCATION["internal"]), (List.EXTERNAL, LOCATION["external"])),
    ((List.METADATA, lambda lineage, moment: True), (List.NO_METADATA, lambda lineage, moment: False)),
)


def exclusive(flags: int, names: type[IntFlag], prefix: str, *pairs: tuple[int, int]) -> None:
    """Refuse flags that exclude each other. Raises: InvalidRequest."""
    for one, other in pairs:
        if flags & one and flags & other:
            words = f"Flags '{prefix}_{names(one).name}' and '{prefix}_{names(other).name}' are mutually exclusive"
            raise InvalidRequest(words)


def _listed(conn: Session[Service], entry: Entry, flags: int, call: str, name: str = "") -> list[Moment]:
    """List the snapshots that pass the filters: a domain's (its roots alone), or those that came from one (or all below it)."""
    known(flags, _LIST, call)
    lineage: Lineage = conn.context.snapshots.of(entry)
    if name:
        lineage.find(name)
        found = lineage.descendants(name) if flags & List.BEGIN else lineage.children(name)
    else:
        found = lineage.children("") if flags & List.BEGIN else lineage.descendants("")
    if flags & List.LEAVES and flags & List.NO_LEAVES:
        return []  # what both ask of each one, none has
    for group in _GROUPS:
        tests = [test for flag, test in group if flags & flag]
        if tests and len(tests) < len(group):
            found = [moment for moment in found if any(test(lineage, moment) for test in tests)]
    return found


def _reference(entry: Entry, name: str) -> Snapshot:
    return Snapshot(name, reference(entry))


@handlers.handle(calls.domain_snapshot_create_xml)
async def create(conn: Session[Service], dom: Domain, xml: str, flags: int) -> Snapshot:
    """Make a snapshot, or describe one that exists."""
    known(flags, _CREATE, "domain_snapshot_create_xml")
    pairs = ((Create.REDEFINE, Create.LIVE), (Create.REDEFINE, Create.NO_METADATA), (Create.REDEFINE, Create.HALT))
    exclusive(flags, Create, "VIR_DOMAIN_SNAPSHOT_CREATE", *pairs)
    if flags & Create.QUIESCE and not flags & Create.DISK_ONLY:
        raise MissingFlag(
            "Flag 'VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY' is required by flag 'VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE'"
        )
    entry, who = entry_of(conn, dom), author(conn, "snapshot-create")
    strict, disk_only = bool(flags & Create.VALIDATE), bool(flags & Create.DISK_ONLY)
    if flags & Create.REDEFINE:
        current = bool(flags & Create.CURRENT)
        name = await conn.context.snapshots.redefine(
            entry, xml, who, strict=strict, current=current, disk_only=disk_only
        )
        return _reference(entry, name)
    manner = Manner(
        disk_only, bool(flags & Create.REUSE_EXT), bool(flags & Create.LIVE), bool(flags & Create.HALT),
        bool(flags & Create.QUIESCE),
    )  # fmt: skip
    metadata = not flags & Create.NO_METADATA
    return _reference(
        entry, await conn.context.snapshots.create(entry, xml, who, manner, strict=strict, metadata=metadata)
    )


@handlers.handle(calls.domain_snapshot_get_xml_desc)
async def get_xml_desc(conn: Session[Service], snap: Snapshot, flags: int) -> str:
    """Give a snapshot's document."""
    known(flags, _SECURE, "domain_snapshot_get_xml_desc")
    return await conn.context.snapshots.xml(entry_of(conn, snap.dom), snap.name, secrets=bool(flags & _SECURE))


@handlers.handle(calls.domain_snapshot_num)
def num(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Count snapshots."""
    return len(_listed(conn, entry_of(conn, dom), flags, "domain_snapshot_num"))


@handlers.handle(calls.domain_snapshot_list_names)
def list_names(conn: Session[Service], dom: Domain, maxnames: int, flags: int) -> list[str]:
    """Name snapshots."""
    found = _listed(conn, entry_of(conn, dom), flags, "domain_snapshot_list_names")
    return [moment.name for moment in found][: max(0, maxnames)]


@handlers.handle(calls.domain_list_all_snapshots)
def list_all(conn: Session[Service], dom: Domain, need_results: int, flags: int) -> tuple[list[Snapshot], int]:
    """List snapshots."""
    entry = entry_of(conn, dom)
    found = _listed(conn, entry, flags, "domain_list_all_snapshots")
    return [_reference(entry, moment.name) for moment in found if need_results], len(found)


@handlers.handle(calls.domain_snapshot_num_children)
def num_children(conn: Session[Service], snap: Snapshot, flags: int) -> int:
    """Count what came from a snapshot."""
    return len(_listed(conn, entry_of(conn, snap.dom), flags, "domain_snapshot_num_children", snap.name))


@handlers.handle(calls.domain_snapshot_list_children_names)
def list_children_names(conn: Session[Service], snap: Snapshot, maxnames: int, flags: int) -> list[str]:
    """Name what came from a snapshot."""
    found = _listed(conn, entry_of(conn, snap.dom), flags, "domain_snapshot_list_children_names", snap.name)
    return [moment.name for moment in found][: max(0, maxnames)]


@handlers.handle(calls.domain_snapshot_list_all_children)
def list_all_children(
    conn: Session[Service], snap: Snapshot, need_results: int, flags: int
) -> tuple[list[Snapshot], int]:
    """List what came from a snapshot."""
    entry = entry_of(conn, snap.dom)
    found = _listed(conn, entry, flags, "domain_snapshot_list_all_children", snap.name)
    return [_reference(entry, moment.name) for moment in found if need_results], len(found)


@handlers.handle(calls.domain_snapshot_lookup_by_name)
def lookup(conn: Session[Service], dom: Domain, name: str, flags: int) -> Snapshot:
    """Find a snapshot."""
    known(flags, 0, "domain_snapshot_lookup_by_name")
    entry = entry_of(conn, dom)
    return _reference(entry, conn.context.snapshots.of(entry).find(name).name)


@handlers.handle(calls.domain_snapshot_get_parent)
def get_parent(conn: Session[Service], snap: Snapshot, flags: int) -> Snapshot:
    """Find the snapshot that another came from."""
    known(flags, 0, "domain_snapshot_get_parent")
    entry = entry_of(conn, snap.dom)
    parent = conn.context.snapshots.of(entry).find(snap.name).parent
    if not parent:
        raise NotFound(f"snapshot '{snap.name}' does not have a parent", code=NO_DOMAIN_SNAPSHOT)
    return _reference(entry, parent)


@handlers.handle(calls.domain_has_current_snapshot)
def has_current(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Say whether there is a current snapshot."""
    known(flags, 0, "domain_has_current_snapshot")
    return int(bool(conn.context.snapshots.of(entry_of(conn, dom)).current))


@handlers.handle(calls.domain_snapshot_current)
def current(conn: Session[Service], dom: Domain, flags: int) -> Snapshot:
    """Find the current snapshot."""
    known(flags, 0, "domain_snapshot_current")
    entry = entry_of(conn, dom)
    return _reference(entry, conn.context.snapshots.current(entry))


@handlers.handle(calls.domain_snapshot_is_current)
def is_current(conn: Session[Service], snap: Snapshot, flags: int) -> int:
    """Say whether a snapshot is the current one."""
    known(flags, 0, "domain_snapshot_is_current")
    lineage = conn.context.snapshots.of(entry_of(conn, snap.dom))
    return int(lineage.find(snap.name).name == lineage.current)


@handlers.handle(calls.domain_snapshot_has_metadata)
def has_metadata(conn: Session[Service], snap: Snapshot, flags: int) -> int:
    """Say that a snapshot is known here: all that are found are."""
    known(flags, 0, "domain_snapshot_has_metadata")
    conn.context.snapshots.of(entry_of(conn, snap.dom)).find(snap.name)
    return 1


@handlers.handle(calls.domain_snapshot_delete)
async def delete(conn: Session[Service], snap: Snapshot, flags: int) -> None:
    """Delete a snapshot, what came from it, or both."""
    known(flags, 7, "domain_snapshot_delete")
    exclusive(flags, Delete, "VIR_DOMAIN_SNAPSHOT_DELETE", (Delete.CHILDREN, Delete.CHILDREN_ONLY))
    await conn.context.snapshots.delete(
        entry_of(conn, snap.dom), snap.name, author(conn, "snapshot-delete"), children=bool(flags & Delete.CHILDREN),
        only_children=bool(flags & Delete.CHILDREN_ONLY), metadata_only=bool(flags & Delete.METADATA_ONLY),
    )  # fmt: skip


@handlers.handle(calls.domain_revert_to_snapshot)
async def revert(conn: Session[Service], snap: Snapshot, flags: int) -> None:
    """Go back to a snapshot."""
    known(flags, 15, "domain_revert_to_snapshot")
    exclusive(flags, Revert, "VIR_DOMAIN_SNAPSHOT_REVERT", (Revert.RUNNING, Revert.PAUSED))
    wish = bool(flags & Revert.RUNNING) if flags & (Revert.RUNNING | Revert.PAUSED) else None
    await snapshot_revert.revert(
        conn.context, entry_of(conn, snap.dom), snap.name, author(conn, "snapshot-revert"), running=wish,
        force=bool(flags & Revert.FORCE), reset_variables=bool(flags & Revert.RESET_NVRAM),
    )  # fmt: skip
