"""Making snapshots: in the images of a machine that runs or not, or as new layers, with its memory in a file or without.

`service/snapshots` calls `make` while it holds the domain. What is half done is taken back; what the daemon's own death
leaves is in the database, for `service/snapshot_settling`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import DomicileError, OutcomeUnknown
from domicile.base.undo import Undo
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.domain.snapshot import DomainSnapshot
from domicile.domain.snapshot_plan import Overlay, Wish, disk_of, overlays
from domicile.runtime import snapshot as jobs
from domicile.runtime.image import Image
from domicile.runtime.job import Job, Operation
from domicile.runtime.states import Paused, Running, Shutoff, State
from domicile.service import overlays as layers
from domicile.service.changes import Running as RunningState
from domicile.service.states import writing
from domicile.storage import snapshots as images

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Manner(Wish):
    """How a snapshot is made: the guest ends with it, or its agent holds its file systems still."""

    halt: bool = False
    quiesce: bool = False


def kept(snapshot: DomainSnapshot, domain: Domain) -> list[tuple[str, str]]:
    """List target and file of every disk whose state a snapshot keeps in the image."""
    found = []
    for made in snapshot.disks_in("internal"):
        source = disk_of(domain, made.name or "").source
        found.append((made.name or "", (source.file or source.dev or "") if source is not None else ""))
    return found


async def make(service: Service, entry: Entry, snapshot: DomainSnapshot, manner: Manner, author: Author) -> None:
    """Make a snapshot that was settled and noted. Raises: DomicileError; nothing of it stays then."""
    new = overlays(snapshot, manner)
    if entry.machine is None:
        domain = service.domain(entry, inactive=True)
        await (_layered_offline(service, entry, domain, new, author) if new else _inside_offline(snapshot, domain))
        return
    machine = entry.machine
    async with machine.working(Operation.SNAPSHOT) as job:
        if new:
            await _layered(service, entry, snapshot, new, manner, author, job)
        else:
            await _inside(service.changes.running(entry), snapshot, halt=manner.halt)
        if manner.halt:
            await machine.end(Shutoff.FROM_SNAPSHOT)
    if manner.halt and entry.ending is not None:
        await asyncio.shield(entry.ending)


# In the images.


async def _inside_offline(snapshot: DomainSnapshot, domain: Domain) -> None:
    async with Undo() as undo:
        for _, path in kept(snapshot, domain):
            undo.push("delete what was kept", lambda path=path: images.delete(path, snapshot.name or ""))  # type: ignore[misc]
            await images.create(path, snapshot.name or "")
        undo.commit()


async def _inside(state: RunningState, snapshot: DomainSnapshot, *, halt: bool) -> None:
    machine, name = state.machine, snapshot.name or ""
    ran = machine.alive().state is State.RUNNING
    layers.check_idle(state, [made.name or "" for made in snapshot.disks_in("internal")])
    aliases = [layers.alias_of(disk_of(state.domain, made.name or "")) for made in snapshot.disks_in("internal")]
    nodes = await jobs.tops(state.qmp, aliases)
    try:
        if ran:
            await machine.suspend(why=Paused.SNAPSHOT)
        await jobs.save(state.qmp, name, nodes)
    except OutcomeUnknown:
        raise
    except BaseException:
        with suppress(DomicileError):
            await jobs.delete(state.qmp, name, nodes)
        if ran and not machine.over:
            await machine.go_on(Running.UNPAUSED)
        raise
    if ran and not halt:
        await machine.go_on(Running.UNPAUSED)


# As new layers.


async def _layered_offline(
    service: Service, entry: Entry, domain: Domain, new: Sequence[Overlay], author: Author
) -> None:
    await asyncio.to_thread(layers.check, new)
    async with Undo() as undo:
        await layers.make(domain, new, undo)
        await service.changes.store(entry, layers.stored_edit(new, domain, layers=False), author)
        undo.commit()


async def _layered(
    service: Service, entry: Entry, snapshot: DomainSnapshot, new: Sequence[Overlay], manner: Manner, author: Author,
    job: Job,
) -> None:  # fmt: skip
    state = service.changes.running(entry)
    machine = state.machine
    await asyncio.to_thread(layers.check, new)
    layers.check_idle(state, [overlay.target for overlay in new])
    ran = machine.alive().state is State.RUNNING
    frozen = False
    try:
        if manner.quiesce:
            await service.guest.freeze(entry, ())
            frozen = True
        async with Undo() as undo:
            if snapshot.memory_in == "external":
                await _memory(state, snapshot, job, undo, live=manner.live)
                state = service.changes.running(entry)
            await layers.make(state.domain, new, undo, await layers.sizes(state))
            actions = await layers.stack(state, new, undo)
            before = document.read_stored(document.write(state.domain))
            await machine.qmp("transaction", {"actions": actions})
            undo.commit()
        layers.show(state, new)
        await service.changes.keep(state)
        await service.changes.store(entry, layers.stored_edit(new, before, layers=True), author)
        await service.changes.keep(state)
    finally:
        if frozen:
            await _thaw(service, entry)
        if ran and not manner.halt and not machine.over and machine.state is State.PAUSED:
            await machine.go_on(Running.UNPAUSED)
        machine.note(unfinished=None)


async def _memory(state: RunningState, snapshot: DomainSnapshot, job: Job, undo: Undo, *, live: bool) -> None:
    """Write the memory into its file; the guest stands still afterwards."""
    path = (snapshot.memory.file if snapshot.memory is not None else None) or ""
    await asyncio.to_thread(images.check_free, path, "memory snapshot file")
    text = document.write(snapshot.domain) if snapshot.domain is not None else ""
    revision = state.live.revision if state.entry.persistent else 0

    def head(ran: bool) -> Image:
        return Image(text, ran, revision)

    await writing(state.machine, path, job, Paused.SNAPSHOT, Running.UNPAUSED, head=head, live=live)
    undo.push(f"remove {path}", lambda: asyncio.to_thread(Path(path).unlink, missing_ok=True))


async def _thaw(service: Service, entry: Entry) -> None:
    try:
        await service.guest.thaw(entry)
    except DomicileError as error:
        log.error("the guest's file systems stay frozen", domain=entry.name, reason=error.message)
