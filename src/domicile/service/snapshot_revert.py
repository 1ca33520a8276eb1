"""Going back to a snapshot: the images as they were, the definition as it was, and the machine as it was or as one wishes.

The front doors' handlers call `revert`. All that can be wrong is looked at before a running machine is ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import DomicileError, HostFailure, InvalidRequest, Unsupported, WrongState
from domicile.domain import document
from domicile.domain.complete import complete
from domicile.domain.domain import Domain
from domicile.domain.snapshot import DomainSnapshot
from domicile.runtime.start import FromSnapshot
from domicile.runtime.states import Kind as Event
from domicile.runtime.states import Shutoff
from domicile.schema import tree
from domicile.service import drafts, launching, snapshot_making
from domicile.storage import snapshots as images

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)
_DEFINED_FROM_SNAPSHOT = 3
_WITH_MEMORY = ("running", "paused")


class Risky(DomicileError):
    """Going back could do harm; `force` says that it shall be done all the same."""

    code, status = 77, 409


async def revert(
    service: Service, entry: Entry, name: str, author: Author, *, running: bool | None = None, force: bool = False,
    reset_variables: bool = False,
) -> None:  # fmt: skip
    """Bring a domain back to a snapshot. `running` says how it shall be then, otherwise as it was in the snapshot.

    A state that was saved for the next start is given up: it belongs to other contents of the disks.

    Raises:
        NotFound: there is no such snapshot.
        Risky: the domain's definition then is not known, or a state saved for the next start would not fit the disks.
        Unsupported: the snapshot has files of its own.
        DomicileError: it failed; where the guest was ended already, the domain is off.
    """
    async with entry.changes():
        snapshots = service.snapshots
        moment = snapshots.of(entry).find(name)
        snapshot = await snapshots.document(entry, name)
        with_memory = snapshot.state in _WITH_MEMORY
        if not entry.persistent and not with_memory and running is None:
            raise WrongState("transient domain needs to request run or pause to revert to inactive snapshot")
        if snapshot.external or moment.facts.get("external"):
            raise Unsupported("revert to external snapshot not supported yet")
        if not force:
            if snapshot.domain is None:
                raise Risky(f"snapshot '{name}' lacks domain '{entry.name}' rollback info")
            if entry.saved and not with_memory:
                words = "removal of existing managed saved state strongly recommended to avoid corruption"
                raise Risky(f"snapshot without memory state, {words}")
        if not with_memory and snapshot.state != "shutoff":
            raise InvalidRequest(
                f"snapshot '{name}' is of state '{snapshot.state}'; running, paused and shutoff can be gone back to"
            )
        domain, stored = await _documents(service, entry, snapshot)
        await _look(snapshot, domain, name)
        await _go_back(service, entry, snapshot, domain, stored, author, running, reset_variables=reset_variables)
    service.machines.done("snapshot-revert", entry, author, snapshot=name)


async def _documents(service: Service, entry: Entry, snapshot: DomainSnapshot) -> tuple[Domain, Domain]:
    """Give the machine's document and the definition to be stored, both completed."""
    domain = snapshot.domain or service.domain(entry, inactive=entry.persistent)
    stored = snapshot.inactiveDomain or tree.copy(domain)
    for each in (domain, stored):
        each.name = entry.name
        await service.emulators.ensure_for(each)
        complete(each, service.host, service.emulators.find)
    return domain, stored


async def _look(snapshot: DomainSnapshot, domain: Domain, name: str) -> None:
    """Make sure that the images are there and hold the snapshot. Raises: HostFailure."""
    for dev, path in snapshot_making.kept(snapshot, domain):
        if name not in await images.names(path):
            raise HostFailure(f"the image '{path}' of disk '{dev}' holds no snapshot '{name}'")


async def _go_back(
    service: Service, entry: Entry, snapshot: DomainSnapshot, domain: Domain, stored: Domain, author: Author,
    running: bool | None, *, reset_variables: bool,
) -> None:  # fmt: skip
    name = snapshot.name or ""
    with_memory = snapshot.state in _WITH_MEMORY
    persistent, before = entry.persistent, entry.head
    await _ended(service, entry)
    if entry.saved:
        service.saves.forget(entry)
    if not with_memory:
        await apply(service, entry, snapshot, domain)
    if persistent:
        await _define(service, entry, stored, author)
    if reset_variables and launching.variables(domain) is not None:
        await asyncio.to_thread(launching.reset_variables, domain)
    if with_memory or running is not None:
        paused = not running if running is not None else snapshot.state == "paused"
        kept = [dev for dev, _ in snapshot_making.kept(snapshot, domain)]
        incoming = FromSnapshot(name, kept) if with_memory else FromSnapshot("", ())
        try:
            if not persistent:
                service.registry.add(entry)
            revision = entry.head if persistent else 0
            await service.machines.launch(entry, domain, revision, author, paused=paused, incoming=incoming)
        except BaseException:
            await _take_back(service, entry, before if persistent else 0, author)
            raise
    await service.snapshots.lineages.choose(entry, name)
    if persistent:
        service.tell(entry, Event.DEFINED, _DEFINED_FROM_SNAPSHOT)


async def _ended(service: Service, entry: Entry) -> None:
    """End the machine, if one runs."""
    machine = entry.machine
    if machine is not None:
        entry.reverting = True
        try:
            await machine.end(Shutoff.FROM_SNAPSHOT)
        finally:
            entry.reverting = False
    if entry.ending is not None:
        await asyncio.shield(entry.ending)


async def apply(service: Service, entry: Entry, snapshot: DomainSnapshot, domain: Domain) -> None:
    """Bring the images of a domain that is off back; a later daemon goes on where this one ends."""
    name, lineages = snapshot.name or "", service.snapshots.lineages
    await lineages.mark(entry, name, {"reverting": True})
    for _, path in snapshot_making.kept(snapshot, domain):
        await images.apply(path, name)
    await lineages.mark(entry, name, {})


async def _define(service: Service, entry: Entry, stored: Domain, author: Author) -> None:
    text = document.write(stored)
    if text == service.xml(entry, inactive=True, secrets=True):
        return
    done = complete(stored, service.host, service.emulators.find)
    await service.definitions.put(drafts.draft(text, done), done, author)


async def _take_back(service: Service, entry: Entry, before: int, author: Author) -> None:
    """Give a domain that could not be started the definition that it had."""
    if not before:
        service.registry.remove(entry)
        return
    if entry.head != before:
        try:
            await service.definitions.rollback(entry, before, author, "the snapshot's machine could not be started")
        except DomicileError as error:
            log.error("definition not taken back", domain=entry.name, revision=before, reason=error.message)
