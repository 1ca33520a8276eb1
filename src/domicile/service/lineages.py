"""The snapshots or checkpoints of all domains in memory, and every change of them in the store. Part of the service.

Memory holds what lists ask for; the documents stay in the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from domicile.domain.lineage import Lineage, Moment
from domicile.store.values import SnapshotRow

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service

#: The fact that says that one is being made or taken away; a later daemon settles it.
PENDING = "pending"


class Lineages:
    """What is kept of domains' moments; `kind` is the root element of their documents, `missing` the error of an absent one."""

    def __init__(self, service: Service, kind: str, noun: str, missing: int) -> None:
        self._service, self._kind, self._noun, self.missing = service, kind, noun, missing
        self._of: dict[str, Lineage] = {}
        self._pending: dict[str, dict[str, SnapshotRow]] = {}

    def of(self, entry: Entry) -> Lineage:
        """Give a domain's lineage; one that has none gets an empty one."""
        found = self._of.get(entry.uuid)
        return found if found is not None else Lineage(self._noun, self.missing)

    def load(self, rows: Iterable[SnapshotRow]) -> None:
        """Take in what is stored."""
        for row in rows:
            if row.kind != self._kind:
                continue
            if row.facts.get(PENDING):
                self._pending.setdefault(row.domain, {})[row.name] = row
            if not (row.facts.get(PENDING) or {}).get("new"):
                lineage = self._own(row.domain)
                lineage.add(Moment(row.name, row.parent, row.facts))
                if row.current:
                    lineage.current = row.name
        for lineage in self._of.values():
            lineage.settle()

    def pending(self, uuid: str | None = None) -> Iterator[SnapshotRow]:
        """List what an earlier daemon did not finish, of one domain or of all."""
        for domain, rows in list(self._pending.items()):
            if uuid in (None, domain):
                yield from list(rows.values())

    def _own(self, uuid: str) -> Lineage:
        return self._of.setdefault(uuid, Lineage(self._noun, self.missing))

    # Changing. Memory follows the store.

    async def begin(
        self, entry: Entry, name: str, document: str, facts: Mapping[str, Any], how: Mapping[str, Any]
    ) -> None:
        """Note for a later daemon that one is being made, and how."""
        noted = {**facts, PENDING: {"new": True, **how}}
        row = SnapshotRow(self._kind, entry.uuid, name, self.of(entry).current, noted, document)
        await self._store(entry, [row])
        self._pending.setdefault(entry.uuid, {})[name] = row

    async def mark(self, entry: Entry, name: str, how: Mapping[str, Any]) -> None:
        """Note for a later daemon what is being done with one that is there; nothing says that it is done."""
        moment = self._own(entry.uuid).find(name)
        facts = {key: value for key, value in moment.facts.items() if key != PENDING}
        if how:
            facts[PENDING] = dict(how)
        row = SnapshotRow(self._kind, entry.uuid, name, moment.parent, facts)
        await self._store(entry, [row])
        moment.facts = facts
        rows = self._pending.setdefault(entry.uuid, {})
        rows.pop(name, None)
        if how:
            rows[name] = row

    async def put(
        self, entry: Entry, name: str, parent: str, facts: Mapping[str, Any], document: str | None, *, current: bool
    ) -> None:
        """Keep one, in place of one of its name."""
        clean = {key: value for key, value in facts.items() if key != PENDING}
        row = SnapshotRow(self._kind, entry.uuid, name, parent, clean, document)
        await self._store(entry, [row], current=name if current else None)
        lineage = self._own(entry.uuid)
        lineage.add(Moment(name, parent, clean))
        if current:
            lineage.current = name
        self._forget_pending(entry.uuid, name)
        self._count(entry)

    async def drop(self, entry: Entry, names: list[str], current: str | None = None) -> None:
        """Let some go, and say which is the current one then (None: as it was); their children become their parents'."""
        lineage = self._own(entry.uuid)
        gone = {name: lineage.find(name) for name in names if name in lineage}
        orphans: dict[str, SnapshotRow] = {}
        for moment in lineage:
            if moment.name in gone or moment.parent not in gone:
                continue
            parent = moment.parent
            while parent in gone:
                parent = gone[parent].parent
            orphans[moment.name] = SnapshotRow(self._kind, entry.uuid, moment.name, parent, moment.facts)
        await self._store(entry, list(orphans.values()), names, current)
        for name in names:
            if name in lineage:
                lineage.remove(name)
            self._forget_pending(entry.uuid, name)
        if current is not None:
            lineage.current = current
        self._count(entry)

    async def choose(self, entry: Entry, name: str) -> None:
        """Make one the current one."""
        await self._store(entry, [], current=name)
        self._own(entry.uuid).current = name

    async def _store(
        self, entry: Entry, puts: list[SnapshotRow], drops: list[str] | None = None, current: str | None = None
    ) -> None:
        store = self._service.store
        await self._service.in_store(store.change_snapshots, self._kind, entry.uuid, puts, drops or [], current)

    def _forget_pending(self, uuid: str, name: str) -> None:
        rows = self._pending.get(uuid)
        if rows is not None:
            rows.pop(name, None)
            if not rows:
                del self._pending[uuid]

    def _count(self, entry: Entry) -> None:
        number = len(self.of(entry))
        if self._kind == "domainsnapshot":
            entry.snapshots = number
        else:
            entry.checkpoints = number

    def count_all(self) -> None:
        """Tell every domain how many it has."""
        for uuid in self._of:
            entry = self._service.registry.get(uuid)
            if entry is not None:
                self._count(entry)

    def forget(self, uuid: str) -> None:
        """Know nothing of a domain any more; the store is told by who calls this."""
        self._of.pop(uuid, None)
        self._pending.pop(uuid, None)

    async def text(self, entry: Entry, name: str) -> str:
        """Give a document as it is stored, without its parent. Raises: NotFound."""
        self.of(entry).find(name)
        return await self._service.in_store(self._service.store.snapshot_text, self._kind, entry.uuid, name)
