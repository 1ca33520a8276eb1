"""Where a machine runs whose migration was not confirmed: asked of the database that both hosts share, else of the target.

`leaving` asks when a client says that a migration failed after all was handed over, `takeover` after the daemon was away.
The rule: a machine stands still here until it is certain that it runs nowhere else and never will.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from domicile.base import tasks
from domicile.base.errors import Conflict, DomicileError, HostFailure, WrongState
from domicile.runtime import migration
from domicile.runtime.states import Running, Shutoff, State
from domicile.service.migration.peer import Peer
from domicile.store.values import Author, Claim

if TYPE_CHECKING:
    from domicile.runtime.machine import Machine
    from domicile.runtime.record import Leaving, Record
    from domicile.service.entry import Entry
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_HANDED = ("handed", "postcopy")


class Doubts:
    """What is done where nobody has said how a migration ended."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ask(self, entry: Entry, note: Leaving) -> bool | None:
        """Say whether a machine runs at the target (or did); False means that it never will, None that nobody answers."""
        if note.generation:
            return await self._ask_database(entry, note)
        for uri in note.contacts:
            try:
                peer = await Peer.connect(uri)
            except DomicileError as error:
                log.info("target out of reach", domain=entry.name, uri=uri, reason=error.message)
                continue
            try:
                fate = await peer.fate(entry.uuid, note.token, abandon=True)
            except DomicileError as error:
                log.info("target does not say what became of a machine", domain=entry.name, reason=error.message)
                continue
            finally:
                peer.close()
            return fate == "arrived"
        return None

    async def _ask_database(self, entry: Entry, note: Leaving) -> bool | None:
        """Renew the claim, after which the target cannot take it; where that fails, it has."""
        service, host = self._service, self._service.machines.host
        held = service.machines.claims.get(entry.uuid) or Claim(entry.uuid, host, note.generation)
        try:
            service.machines.claims[entry.uuid] = await service.in_store(service.store.move_claim, held, host)
        except Conflict:
            try:
                now = await service.in_store(service.store.claim_of, entry.uuid)
            except DomicileError:
                return None
            if now is not None and now.host == host:
                service.machines.claims[entry.uuid] = now
                return False
            service.machines.claims.pop(entry.uuid, None)
            return True
        except DomicileError as error:
            log.info("the database does not say whose a machine is", domain=entry.name, reason=error.message)
            return None
        return False

    def watch(self, entry: Entry, machine: Machine, note: Leaving) -> None:
        """Go on asking in the background until it is known, or the machine is over."""
        tasks.spawn(f"doubt about {entry.name}", self._watch(entry, machine, note))

    async def _watch(self, entry: Entry, machine: Machine, note: Leaving) -> None:
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            await asyncio.sleep(pause)
            if machine.record().leaving != note:
                return
            there = await self.ask(entry, note)
            if there is None:
                continue
            await self.decide(entry, machine, note, there=there)
            return

    async def decide(self, entry: Entry, machine: Machine, note: Leaving, *, there: bool) -> None:
        """Act on what has become known."""
        log.warning("it is certain now where a machine runs", domain=entry.name, here=not there)
        if there:
            await self.end(entry, machine, note)
            await self.undefine(entry, note, Author(command="migrate"))
        elif note.phase == "postcopy":
            log.error("a machine was lost half way to its target", domain=entry.name)
        else:
            await self.go_on(entry, machine, ran=note.ran)

    async def end(self, entry: Entry, machine: Machine, note: Leaving | None) -> None:
        """End a machine here that runs at the target."""
        service = self._service
        if note is not None and note.generation:
            service.machines.claims.pop(entry.uuid, None)
        if machine.over:
            await service.machines.release(entry.uuid, settled=True)
            return
        if note is not None and not note.copied:
            service.resources.labels.hand_on(entry.uuid)
        await machine.end(Shutoff.MIGRATED)

    async def go_on(self, entry: Entry, machine: Machine, *, ran: bool) -> None:
        """Let a machine go on here that runs nowhere else."""
        if machine.over:
            await self._service.machines.release(entry.uuid, settled=True)
            return
        machine.expect_end(None)
        if ran and machine.state is State.PAUSED:
            await machine.go_on(Running.MIGRATION_CANCELED)
        # Not before: a daemon that ends in between leaves the rest to the next one.
        machine.note(leaving=None)

    async def undefine(self, entry: Entry, note: Leaving | None, author: Author) -> None:
        """Take the definition here out of service, where that was wished and the target has one of its own."""
        if note is None or not note.undefine or note.generation or not entry.persistent:
            return
        if self._service.registry.get(entry.uuid) is entry:
            await self._service.undefine(entry, author, "migrated away", nvram=False)

    async def before_resume(self, entry: Entry) -> None:
        """Refuse to let a machine go on that may run at another host. Raises: WrongState, HostFailure."""
        machine = entry.machine
        note = machine.record().leaving if machine is not None else None
        if machine is None or note is None or note.phase not in _HANDED:
            return
        if self._service.departures.of(entry) is not None:
            raise WrongState(f"domain '{entry.name}' is being migrated to another host")
        there = await self.ask(entry, note)
        if there:
            await self.end(entry, machine, note)
            raise WrongState(f"domain '{entry.name}' runs at the host that it was migrated to")
        if there is None and note.generation:
            raise HostFailure(f"the database does not say where '{entry.name}' runs; it stays paused until it does")
        if there is None:
            log.warning("a machine goes on by its owner's word, although its target does not answer", domain=entry.name)
        machine.expect_end(None)
        machine.note(leaving=None)

    async def settle_found(self, entry: Entry, machine: Machine, record: Record) -> None:
        """Settle what an earlier daemon was sending away."""
        note = record.leaving
        assert note is not None
        status = str((await machine.qmp("query-migrate")).get("status", "none"))
        if note.phase not in _HANDED and status != "completed" and not status.startswith("postcopy"):
            await migration.take_back(machine)
            await migration.drop_copies(machine)
            machine.note(leaving=None)
            log.warning("a migration that had not handed over was given up", domain=entry.name)
            return
        note = replace(note, phase="postcopy" if status.startswith("postcopy") else "handed")
        machine.note(leaving=note)
        machine.expect_end(Shutoff.MIGRATED)
        self.watch(entry, machine, note)
