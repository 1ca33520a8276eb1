"""Snapshots that an earlier daemon was making, deleting or going back to when it ended: brought to an end, one way or the other.

`service.Service.begin` calls `settle_all` once the machines that run are taken over.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base.errors import DomicileError
from domicile.domain import document
from domicile.domain import snapshot as documents
from domicile.domain.snapshot import DomainSnapshot
from domicile.domain.snapshot_plan import Overlay, Wish, disk_of, disks, overlays, target
from domicile.runtime import snapshot as jobs
from domicile.runtime.states import Running, Shutoff
from domicile.service import hotplug, snapshot_making, snapshot_revert
from domicile.service import overlays as layers
from domicile.service.lineages import PENDING
from domicile.storage import snapshots as images
from domicile.store.values import Author, SnapshotRow

if TYPE_CHECKING:
    from domicile.service.changes import Running as RunningState
    from domicile.service.entry import Entry
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
_AUTHOR = Author("root", "domiciled", "settle snapshots")


async def settle_all(service: Service) -> None:
    """Settle what is left of all domains; what cannot be settled now stays noted for the next daemon."""
    for row in service.snapshots.lineages.pending():
        entry = service.registry.get(row.domain)
        if entry is None:
            await service.in_store(service.store.forget_snapshots, row.domain)
            service.snapshots.lineages.forget(row.domain)
            continue
        try:
            async with entry.changes():
                outcome = await _settle(service, entry, row)
        except DomicileError as error:
            log.error("a snapshot cannot be settled", domain=entry.name, snapshot=row.name, reason=error.message)
        else:
            log.warning("a snapshot was settled", domain=entry.name, snapshot=row.name, outcome=outcome)


async def _settle(service: Service, entry: Entry, row: SnapshotRow) -> str:
    how = dict(row.facts.get(PENDING) or {})
    text = await service.in_store(service.store.snapshot_text, row.kind, row.domain, row.name)
    snapshot = documents.read_stored(text)
    if how.get("deleting"):
        await service.snapshots.delete_data(entry, row.name, _AUTHOR)
        current = row.parent if service.snapshots.of(entry).current == row.name else None
        await service.snapshots.lineages.drop(entry, [row.name], current)
        return "deleted"
    if how.get("reverting"):
        if entry.machine is None:
            await snapshot_revert.apply(
                service, entry, snapshot, snapshot.domain or service.domain(entry, inactive=True)
            )
            await service.snapshots.lineages.choose(entry, row.name)
        return "images brought back"
    done = await _made(service, entry, snapshot, how)
    if done:
        await service.snapshots.lineages.put(entry, row.name, row.parent, row.facts, text, current=True)
    else:
        await service.snapshots.lineages.drop(entry, [row.name])
    machine = entry.machine
    if machine is not None and how.get("frozen"):
        with suppress(DomicileError):
            await service.guest.thaw(entry)
    if machine is not None and done and how.get("halt"):
        await machine.end(Shutoff.FROM_SNAPSHOT)
    elif machine is not None and how.get("ran"):
        await machine.go_on(Running.UNPAUSED)
    return "kept" if done else "given up"


async def _made(service: Service, entry: Entry, snapshot: DomainSnapshot, how: dict[str, Any]) -> bool:
    """Say whether a snapshot was made after all; nothing stays of one that was not."""
    new = overlays(snapshot, Wish(reuse=bool(how.get("reuse"))))
    if entry.machine is None:
        return await _made_offline(service, entry, snapshot, new)
    state = service.changes.running(entry)
    if new:
        return await _stacked(state, snapshot, new)
    name = snapshot.name or ""
    aliases = [layers.alias_of(disk_of(state.domain, made.name or "")) for made in snapshot.disks_in("internal")]
    nodes = await jobs.tops(state.qmp, aliases)
    try:
        await jobs.ended(state.qmp, f"snapshot-save-{name}")
    except DomicileError:
        await jobs.delete(state.qmp, name, nodes)
        return False
    if await jobs.has(state.qmp, name, nodes):
        return True
    await jobs.delete(state.qmp, name, nodes)
    return False


async def _stacked(state: RunningState, snapshot: DomainSnapshot, new: list[Overlay]) -> bool:
    """Say whether QEMU writes into the new layers; the documents are made to say so then."""
    tops = {}
    for each in await state.qmp("query-block"):
        for disk in disks(state.domain) if each.get("inserted") else ():
            if jobs.is_of(str(each.get("qdev") or ""), layers.alias_of(disk)):
                tops[target(disk)] = str(each["inserted"].get("file") or "")
    shown = {target(disk): (disk.source.file or disk.source.dev) for disk in disks(state.domain) if disk.source}
    service, entry = state.service, state.entry
    if all(tops.get(overlay.target) == overlay.path for overlay in new):
        before = document.read_stored(document.write(snapshot.domain)) if snapshot.domain is not None else state.domain
        if any(shown.get(overlay.target) != overlay.path for overlay in new):
            state.live.numbers = hotplug.last_number(state) + len(new)
            layers.show(state, new)
            await service.changes.keep(state)
        await service.changes.store(entry, layers.stored_edit(new, before, layers=True), _AUTHOR)
        await service.changes.keep(state)
        return True
    for overlay in new:
        await _closed(state, overlay)
    await _removed(snapshot, new)
    return False


async def _closed(state: RunningState, overlay: Overlay) -> None:
    """Let QEMU close a layer that it opened and does not use."""
    for _ in range(3):
        for each in await state.qmp("query-named-block-nodes", {"flat": True}):
            if each.get("file") == overlay.path:
                with suppress(DomicileError):
                    await state.qmp("blockdev-del", {"node-name": each["node-name"]})


async def _removed(snapshot: DomainSnapshot, new: list[Overlay]) -> None:
    """Remove the files of a snapshot that was not made."""
    memory = snapshot.memory.file if snapshot.memory is not None else None
    for path in [*(overlay.path for overlay in new if not overlay.reused), *([memory] if memory else [])]:
        place = Path(path)
        if await asyncio.to_thread(place.is_file):
            await asyncio.to_thread(place.unlink, missing_ok=True)


async def _made_offline(service: Service, entry: Entry, snapshot: DomainSnapshot, new: list[Overlay]) -> bool:
    """Say whether a snapshot of a domain that is off now was made; nothing stays of one that was not."""
    domain = service.domain(entry, inactive=True) if entry.persistent else snapshot.domain
    if domain is None:
        return False
    if new:
        shown = {target(disk): (disk.source.file or disk.source.dev) for disk in disks(domain) if disk.source}
        if all(shown.get(overlay.target) == overlay.path for overlay in new):
            return True
        await _removed(snapshot, [each for each in new if shown.get(each.target) != each.path])
        return False
    for _, path in snapshot_making.kept(snapshot, snapshot.domain or domain):
        with suppress(DomicileError):
            await images.delete(path, snapshot.name or "")
    return False
