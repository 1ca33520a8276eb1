"""Snapshots of domains: made, listed, described anew, deleted. Part of the service.

Lists answer from memory; documents are read from the store. Going back to one is in `service/snapshot_revert`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base.errors import (
    OPERATION_FAILED,
    Conflict,
    DomicileError,
    InvalidRequest,
    NotFound,
    WrongState,
)
from domicile.domain import snapshot as documents
from domicile.domain import snapshot_plan
from domicile.domain.lineage import Lineage, Moment
from domicile.domain.snapshot import DISK_SNAPSHOT, DomainSnapshot
from domicile.runtime import snapshot as jobs
from domicile.runtime.states import State
from domicile.service import overlays as layers
from domicile.service import snapshot_making, snapshot_merging
from domicile.service.lineages import Lineages
from domicile.service.snapshot_making import Manner
from domicile.storage import snapshots as images

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)
KIND = documents.DomainSnapshot.shape.tag
NO_DOMAIN_SNAPSHOT = 72
_STATES = {State.RUNNING: "running", State.PAUSED: "paused", State.SHUTOFF: "shutoff", State.PMSUSPENDED: "pmsuspended"}
Test = Callable[[Lineage, Moment], bool]


class Snapshots:
    """The use-cases about snapshots."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.lineages = Lineages(service, KIND, "snapshot", NO_DOMAIN_SNAPSHOT)

    # Looking.

    def of(self, entry: Entry) -> Lineage:
        """Give a domain's snapshots by their names."""
        return self.lineages.of(entry)

    async def xml(self, entry: Entry, name: str, *, secrets: bool = False) -> str:
        """Give a snapshot's document. Raises: NotFound."""
        moment = self.of(entry).find(name)
        text = await self.lineages.text(entry, name)
        if not secrets and "passwd=" in text:
            text = documents.write(documents.read_stored(text), secrets=False)
        return with_parent(text, moment.parent)

    async def document(self, entry: Entry, name: str) -> DomainSnapshot:
        """Give a snapshot's document, read. Raises: NotFound."""
        return documents.read_stored(await self.lineages.text(entry, name))

    def current(self, entry: Entry) -> str:
        """Name the current snapshot. Raises: NotFound where there is none."""
        name = self.of(entry).current
        if not name:
            raise NotFound("the domain does not have a current snapshot", code=NO_DOMAIN_SNAPSHOT)
        return name

    # Making.

    async def create(
        self, entry: Entry, xml: str, author: Author, manner: Manner, *, strict: bool = False, metadata: bool = True
    ) -> str:
        """Make a snapshot and return its name.

        Raises:
            InvalidDocument, BadSnapshot, Unsupported: it cannot be made; nothing was done.
            DomicileError: it failed; nothing of it stays.
        """
        service = self._service
        snapshot = documents.read(xml, strict=strict)
        async with entry.changes():
            if manner.halt and not entry.persistent:
                raise WrongState("cannot halt after transient domain snapshot")
            active = entry.active
            if active and entry.machine is None:
                raise WrongState("domain is not running")
            state = _STATES.get(State(entry.state), "running") if active else "shutoff"
            domain = service.domain(entry, inactive=not active)
            snapshot_plan.settle(snapshot, domain, manner, state=state, now=int(time.time()))
            name = snapshot.name or ""
            lineage = self.of(entry)
            if name in lineage:
                raise Conflict(f"domain snapshot {name} already exists", code=OPERATION_FAILED)
            if active:
                snapshot.domain = await service.saves.dormant(entry)
                snapshot.inactiveDomain = service.domain(entry, inactive=True) if entry.persistent else None
            else:
                snapshot.domain = domain
            text, facts = documents.write(snapshot), _facts(snapshot)
            await self.lineages.begin(entry, name, text, facts, self._how(entry, manner))
            try:
                await snapshot_making.make(service, entry, snapshot, manner, author)
            except BaseException:
                if entry.machine is None or entry.machine.responsive:
                    await asyncio.shield(self.lineages.drop(entry, [name]))
                raise
            if metadata:
                await self.lineages.put(entry, name, lineage.current, facts, text, current=True)
            else:
                await self.lineages.drop(entry, [name])
        service.machines.done("snapshot-create", entry, author, snapshot=name)
        return name

    def _how(self, entry: Entry, manner: Manner) -> dict[str, Any]:
        """Say what a later daemon must know to settle a snapshot that is being made."""
        ran = entry.machine is not None and entry.machine.state is State.RUNNING
        return {"ran": ran, "frozen": manner.quiesce, "reuse": manner.reuse, "halt": manner.halt}

    async def redefine(
        self,
        entry: Entry,
        xml: str,
        author: Author,
        *,
        strict: bool = False,
        current: bool = False,
        disk_only: bool = False,
    ) -> str:
        """Describe a snapshot that exists, anew or for the first time, and return its name.

        Raises: InvalidDocument, BadSnapshot, InvalidRequest, NotFound, Conflict
        """
        snapshot = documents.read(xml, strict=strict)
        async with entry.changes():
            lineage, name = self.of(entry), snapshot.name or ""
            old = await self.document(entry, name) if name in lineage else None
            snapshot_plan.redefined(snapshot, entry.uuid, old, disk_only=disk_only)
            parent = snapshot.parent_name
            if parent and parent not in lineage:
                raise InvalidRequest(f"parent {parent} for snapshot {name} not found")
            lineage.may_descend(name, parent)
            snapshot.parent = None
            text = documents.write(snapshot)
            await self.lineages.put(entry, name, parent, _facts(snapshot), text, current=current)
        self._service.machines.done("snapshot-redefine", entry, author, snapshot=name)
        return name

    # Deleting.

    async def delete(
        self, entry: Entry, name: str, author: Author, *, children: bool = False, only_children: bool = False,
        metadata_only: bool = False,
    ) -> None:  # fmt: skip
        """Delete a snapshot, all that came from it, or both; or only what is known of them.

        Raises: NotFound, Unsupported, QemuRefused, HostFailure
        """
        async with entry.changes():
            lineage = self.of(entry)
            moment = lineage.find(name)
            below = [each.name for each in lineage.descendants(name)] if children or only_children else []
            gone = [*reversed(below), *([] if only_children else [name])]
            if not metadata_only:
                snapshot_merging.check(lineage, gone)
                for each in gone:
                    await snapshot_merging.in_use(self._service, entry, await self.document(entry, each))
            for each in gone:
                if not metadata_only:
                    await self.lineages.mark(entry, each, {"deleting": True})
                    await self.delete_data(entry, each, author)
                await self.lineages.drop(entry, [each], self._next_current(lineage, each, gone, moment))
        self._service.machines.done("snapshot-delete", entry, author, snapshot=name)

    @staticmethod
    def _next_current(lineage: Lineage, each: str, gone: list[str], moment: Moment) -> str | None:
        """Say which snapshot is the current one once another is gone: the nearest that stays; None where nothing changes."""
        if lineage.current != each:
            return None
        parent = lineage.find(each).parent
        while parent in gone:
            parent = lineage.find(parent).parent
        return parent

    async def delete_data(self, entry: Entry, name: str, author: Author) -> None:
        """Delete what a snapshot keeps in the disks' images or as layers; what is not there any more counts as deleted."""
        snapshot = await self.document(entry, name)
        service = self._service
        if snapshot.external:
            await snapshot_merging.merge(service, entry, snapshot, author)
            return
        if entry.machine is not None:
            state = service.changes.running(entry)
            wanted = {made.name for made in snapshot.disks_in("internal")}
            aliases = [
                layers.alias_of(disk)
                for disk in snapshot_plan.disks(state.domain)
                if snapshot_plan.target(disk) in wanted and not snapshot_plan.empty(disk)
            ]
            await jobs.delete(state.qmp, name, await jobs.tops(state.qmp, aliases))
            return
        domain = snapshot.domain or service.domain(entry, inactive=True)
        for _, path in snapshot_making.kept(snapshot, domain):
            try:
                await images.delete(path, name)
            except DomicileError as error:
                log.warning("not deleted from an image", domain=entry.name, snapshot=name, reason=error.message)

    # The domain's own life.

    async def forget(self, entry: Entry) -> None:
        """Forget all snapshots and checkpoints of a domain; what they keep in images stays there."""
        service = self._service
        await service.in_store(service.store.forget_snapshots, entry.uuid)
        for lineages in (self.lineages, service.checkpoints.lineages):
            lineages.forget(entry.uuid)
        entry.snapshots = entry.checkpoints = 0


def _facts(snapshot: DomainSnapshot) -> dict[str, Any]:
    return {"state": snapshot.state, "external": snapshot.external, "at": snapshot.creationTime or 0}


def with_parent(text: str, parent: str, after: tuple[str, ...] = ("</state>\n",)) -> str:
    """Write the parent where libvirt has it: after the first of these ends that is in the head of a document."""
    if not parent:
        return text
    words = f"  <parent>\n    <name>{documents.escaped(parent)}</name>\n  </parent>\n"
    head, mark, rest = text.partition("  <creationTime>")
    for end in after:
        before, found, behind = head.rpartition(end)
        if found:
            return f"{before}{found}{words}{behind}{mark}{rest}"
    return text


#: What a list may ask of a snapshot. Within a group one of those asked for suffices, every group must hold.
STATUS: dict[str, Test] = {
    "inactive": lambda lineage, moment: moment.facts.get("state") == "shutoff",
    "active": lambda lineage, moment: moment.facts.get("state") not in ("shutoff", DISK_SNAPSHOT),
    "disk_only": lambda lineage, moment: moment.facts.get("state") == DISK_SNAPSHOT,
}
LOCATION: dict[str, Test] = {
    "internal": lambda lineage, moment: not moment.facts.get("external"),
    "external": lambda lineage, moment: bool(moment.facts.get("external")),
}
PLACE: dict[str, Test] = {
    "leaves": lambda lineage, moment: lineage.is_leaf(moment),
    "no_leaves": lambda lineage, moment: not lineage.is_leaf(moment),
}
