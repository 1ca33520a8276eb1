"""The target's half of a migration: a QEMU that waits, and the moment from which the machine is this host's.

Part of the service. Until `finish` has settled in the database that the machine runs here, it does not, and can be given
up at any time; from then on it is this host's, whatever becomes of the source or of the way between.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import structlog

from domicile.base import tasks
from domicile.base.errors import (
    Conflict,
    DeadlineExceeded,
    DomicileError,
    HostFailure,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    WrongState,
)
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.host import inspect, sharing
from domicile.runtime import migration
from domicile.runtime.record import Arriving
from domicile.runtime.states import Running, Shutoff
from domicile.service.migration import checking, copies, tls, waiting
from domicile.service.migration.cookie import Cookie, measured
from domicile.service.migration.waiting import Arrival
from domicile.service.migration.wish import How, Wish
from domicile.store.values import Action, Author, Claim, MachineRecord

if TYPE_CHECKING:
    from domicile.runtime.machine import Machine
    from domicile.runtime.record import Record
    from domicile.service.entry import Entry
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
Fate = Literal["arrived", "waiting", "never"]
#: The action by which the log of this host tells that a machine is its own from now on.
VERB = "migrate-in"
_OWN = frozenset({"events", "late-block-activate"})
_REMEMBERED = 1000
#: Seconds until a client hears that the database has not settled yet whose the machine is.
_DECISION = 90.0
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)


class Undone(DomicileError):
    """What a client wants to hear where it said that a migration was cancelled: not even this failed."""

    code = 93

    def __init__(self) -> None:
        super().__init__("migration successfully aborted")


class Arrivals:
    """The use-cases about machines that come from other hosts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: dict[str, Arrival] = {}
        self._definitions: dict[str, tuple[Cookie, Wish]] = {}

    # Making ready.

    async def prepare(self, wish: Wish, cookie: bytes, xml: str, author: Author) -> tuple[Cookie, str | None, str]:
        """Start a QEMU that waits for a machine; give the cookie for the source, the URI to come by, and the token.

        Raises:
            Unsupported: with all reasons why the machine cannot come up here.
            Conflict, WrongState: its name or uuid belong to another domain, or it runs here.
            HostFailure, QemuRefused, DeadlineExceeded: it could not be made ready; nothing of it stays.
        """
        service, source = self._service, Cookie.read(cookie)
        if source.host == service.machines.host:
            raise InvalidRequest(f"Attempt to migrate guest to the same host {source.host}", code=1)
        domain = await checking.complete_here(service, xml, wish.text("destination_name"))
        await checking.arriving(service, domain, source, offline=bool(wish.how & How.OFFLINE))
        mine = self._cookie(source.token)
        if wish.how & How.OFFLINE:
            service.registry.startable(domain.uuid or "", domain.name or "")
            self._definitions[domain.name or ""] = (source, wish)
            return (
                mine,
                f"tcp:{mine.hostname}",
                source.token,
            )  # nothing travels, yet libvirt's clients want to hear of a way
        shared = await self._same_claim(domain, source)
        entry = service.machines.room_for(domain)
        try:
            arrival, way, nbd = await waiting.start(service, entry, domain, source, wish, author, shared=shared)
        except BaseException:
            if not entry.persistent and not entry.active:
                service.registry.remove(entry)
            raise
        self._waiting[entry.uuid] = arrival
        tasks.spawn(f"watch over the arrival of {entry.name}", self._watch(arrival))
        port, socket = int(nbd.get("port", 0)), str(nbd.get("path", ""))
        return replace(mine, shared=shared, nbd_port=port, nbd_socket=socket), way.uri, source.token

    def _cookie(self, token: str) -> Cookie:
        service = self._service
        return Cookie(
            token, service.machines.host, inspect.hostname(), sharing.boot_id(), contacts=tuple(checking.contacts(service)),
            sent=time.time(),
        )  # fmt: skip

    async def _same_claim(self, domain: Domain, source: Cookie) -> bool:
        """Say whether the source's claim stands in this host's database, too: then they share it."""
        if not source.generation:
            return False
        service, uuid = self._service, domain.uuid or ""
        held = await service.in_store(service.store.claim_of, uuid)
        if held != Claim(uuid, source.holder, source.generation):
            return False
        await self._renew_head(uuid)
        return True

    async def _renew_head(self, uuid: str) -> None:
        """Get to know a definition that another daemon of the same database may have made or changed."""
        service = self._service
        try:
            head = await service.in_store(service.store.head, uuid)
        except NotFound:
            return
        service.registry.renew(head)

    async def _watch(self, arrival: Arrival) -> None:
        """Let go of what belongs to an arrival whose QEMU has ended before it was settled."""
        await arrival.machine.wait()
        async with arrival.deciding:
            if not arrival.outcome:
                arrival.outcome = "given up"
                await self._let_go(arrival, DomicileError("QEMU ended before the machine had arrived"))

    async def _let_go(self, arrival: Arrival, error: DomicileError | None) -> None:
        if self._waiting.get(arrival.entry.uuid) is arrival:
            del self._waiting[arrival.entry.uuid]
        kind = type(error) if error is not None else None
        await arrival.stack.__aexit__(kind, error, None)
        if error is not None:
            await asyncio.to_thread(copies.remove, arrival.made)

    # Giving up.

    async def client_gone(self, token: str) -> None:
        """Give a machine up whose client is gone before it was settled."""
        arrival = next((each for each in self._waiting.values() if each.source.token == token), None)
        if arrival is not None and await self.give_up(arrival):
            log.warning("the client of a migration is gone; what waited for it was ended", domain=arrival.entry.name)

    async def give_up(self, arrival: Arrival) -> bool:
        """End what waits; return False where it is settled that the machine runs here."""
        async with arrival.deciding:
            if arrival.outcome:
                return arrival.outcome == "given up"
            arrival.outcome = "given up"
            if not arrival.machine.over:
                await arrival.machine.end(Shutoff.FAILED)
            await self._let_go(arrival, DomicileError("the migration was given up"))
        if arrival.entry.ending is not None:
            await asyncio.shield(arrival.entry.ending)
        return True

    # Taking over.

    async def finish(
        self, name: str, cookie: bytes, wish: Wish, author: Author, *, cancelled: bool
    ) -> tuple[Entry, Cookie]:
        """Let the machine that has arrived be this host's, and run; or give it up where it was `cancelled`.

        Raises:
            NotFound: nothing of that name waits.
            Conflict: the source has kept it, or it was given up.
            QemuRefused, DeadlineExceeded, OutcomeUnknown: it did not arrive; nothing of it stays.
        """
        received = time.time()
        if wish.how & How.OFFLINE:
            return await self._offline(name, wish, author, cancelled=cancelled)
        arrival = next((each for each in self._waiting.values() if each.entry.name == name), None)
        if arrival is None:
            raise Undone() if cancelled else NotFound(f"no domain with matching name '{name}'")
        if cancelled:
            await self.give_up(arrival)
            raise Undone()
        told = Cookie.read(cookie) if cookie else arrival.source
        concluding = tasks.spawn(f"end of the migration of {name}", self._conclude(arrival, told, received, author))
        deciding = asyncio.ensure_future(arrival.decided.wait())
        try:
            await asyncio.wait({concluding, deciding}, timeout=_DECISION, return_when=asyncio.FIRST_COMPLETED)
            if not (concluding.done() or arrival.decided.is_set()):
                raise OutcomeUnknown(
                    f"it is not settled yet whether '{name}' runs here; it will be once the database answers"
                )
        finally:
            deciding.cancel()
        return await asyncio.shield(concluding)

    async def _conclude(self, arrival: Arrival, told: Cookie, received: float, author: Author) -> tuple[Entry, Cookie]:
        try:
            status = await migration.arrived(arrival.machine)
            await self._take(arrival, author, Running.POSTCOPY if status == "postcopy-active" else Running.MIGRATED)
        except BaseException:
            if not await self.give_up(arrival):
                await self._let_go(arrival, None)
            raise
        resumed = time.time()
        if status == "postcopy-active":
            await self._rest(arrival)
        figures = measured(told, received, resumed)
        arrival.job.told, arrival.job.took = figures, None
        arrival.job.began = time.monotonic() - figures.pop("time_elapsed", 0) / 1000
        await self._settle_in(arrival, told, author)
        return arrival.entry, replace(
            self._cookie(told.token), figures={**figures, "time_elapsed": arrival.job.elapsed_ms}
        )

    async def _take(self, arrival: Arrival, author: Author, why: Running) -> None:
        """Make the machine this host's, for good, and let it run."""
        service, entry, machine = self._service, arrival.entry, arrival.machine
        async with arrival.deciding:
            if arrival.outcome or machine.over:
                raise Conflict(f"the migration of '{entry.name}' was given up")
            if arrival.source.disks:
                await machine.qmp("nbd-server-stop")
            note = replace(_note(machine), phase="taken")
            done = Action(
                VERB, author, entry.uuid, entry.name, detail={"token": note.token, "from": arrival.source.hostname}
            )
            if arrival.shared:
                assert entry.live is not None
                held = Claim(entry.uuid, note.holder, note.generation)
                record = service.machines.stored(entry, replace(machine.record(), arriving=note), entry.live.xml)
                service.machines.claims[entry.uuid] = await self._move(machine, held, record, done)
            else:
                await service.work.brief(service.store.log, done)
            arrival.outcome = "taken"
            arrival.decided.set()
            machine.note(arriving=note)
        if note.running:
            await self.run(entry, machine, why)
        else:
            machine.settled_paused()

    async def _move(self, machine: Machine, held: Claim, record: MachineRecord, done: Action) -> Claim:
        """Move the claim here; a database that does not answer is asked until it says whether it moved. Raises: Conflict."""
        service = self._service
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            try:
                try:
                    return await service.work.brief(service.store.move_claim, held, service.machines.host, record, done)
                except Conflict:
                    now = await service.in_store(service.store.claim_of, held.uuid)
                    if now == Claim(held.uuid, service.machines.host, held.generation + 1):
                        return now
                    raise
            except (HostFailure, OutcomeUnknown, DeadlineExceeded) as error:
                log.warning("the database does not say whose a machine is", domain=machine.name, reason=error.message)
                await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")

    async def run(self, entry: Entry, machine: Machine, why: Running = Running.MIGRATED) -> None:
        """Let a machine that is this host's go on. Raises: QemuRefused where it cannot, and then it is the source's again."""
        try:
            await machine.go_on(why)
        except migration.NEVER_RAN as error:
            log.error("what has arrived cannot run", domain=entry.name, reason=error.message)
            await self._hand_back(entry, machine)
            raise

    async def _hand_back(self, entry: Entry, machine: Machine) -> None:
        """Give the machine back to its source: not one instruction of it was run here."""
        service, note = self._service, _note(machine)
        claim = service.machines.claims.get(entry.uuid)
        done = Action(VERB, Author(), entry.uuid, entry.name, "failed", {"token": note.token})
        if note.holder and claim is not None:
            await service.in_store(service.store.move_claim, claim, note.holder, None, done)
            service.machines.claims.pop(entry.uuid, None)
        else:
            await service.in_store(service.store.log, done)
        machine.note(arriving=replace(note, phase="waiting"))
        arrival = self._waiting.get(entry.uuid)
        if arrival is not None:
            arrival.outcome = ""

    async def _rest(self, arrival: Arrival) -> None:
        """Wait for what a machine that runs already has not got yet."""
        try:
            await migration.arrived(arrival.machine, whole=True)
            arrival.machine.settled_running()
        except DomicileError:
            await self._let_go(arrival, None)
            raise

    async def _settle_in(self, arrival: Arrival, told: Cookie, author: Author) -> None:
        """Store what a machine that runs here needs, and let its job end."""
        service, entry, machine = self._service, arrival.entry, arrival.machine
        try:
            service.resources.labels.remember(entry.uuid, dict(told.owners))
            if not machine.over:
                await self._forget_credentials(machine, arrival.wish)
                machine.note(arriving=None, lent=service.resources.labels.lent_to(entry.uuid))
                await service.machines.keep(entry)
        finally:
            await self._let_go(arrival, None)
        if arrival.wish.how & How.PERSIST_DEST and not arrival.shared:
            xml = arrival.wish.text("persistent_xml") or arrival.source.persistent
            if xml:
                await self._define(xml, entry.name, author)
        if not machine.over:
            await service.agents.look(entry)

    async def _forget_credentials(self, machine: Machine, wish: Wish) -> None:
        try:
            await tls.forget(machine.qmp, wish)
        except DomicileError as error:
            log.warning("credentials of a migration stay in QEMU", domain=machine.name, reason=error.message)

    async def _define(self, xml: str, name: str, author: Author) -> None:
        domain = document.read_stored(xml)
        if domain.name != name:
            domain.name = name
            xml = document.write(domain)
        await self._service.define(xml, author, why="migrated here")

    async def _offline(self, name: str, wish: Wish, author: Author, *, cancelled: bool) -> tuple[Entry, Cookie]:
        """Define what was migrated as a definition alone."""
        source, prepared = self._definitions.pop(name, (None, wish))
        if cancelled or source is None:
            raise Undone()
        await self._define(prepared.text("persistent_xml") or source.persistent, name, author)
        return self._service.by_name(name), self._cookie(source.token)

    # Asked later.

    async def fate(self, uuid: str, token: str, *, abandon: bool) -> Fate:
        """Say what became of a migration to this host; with `abandon`, what waits is given up, and never runs.

        Raises: HostFailure where the database cannot be asked.
        """
        arrival = self._waiting.get(uuid)
        if arrival is not None and arrival.source.token == token:
            if arrival.outcome == "taken":
                return "arrived"
            if not abandon:
                return "waiting"
            return "never" if await self.give_up(arrival) else "arrived"
        return "arrived" if await self._logged(uuid, token) else "never"

    async def _logged(self, uuid: str, token: str) -> bool:
        """Look in the log whether a machine became this host's with that migration."""
        service = self._service
        for action in await service.in_store(service.store.actions, uuid, _REMEMBERED):
            if action.verb == VERB and action.detail.get("token") == token:
                return action.outcome == "done"
        return False

    async def settle_found(self, entry: Entry, machine: Machine, record: Record) -> None:
        """Settle what an earlier daemon was taking in: it is this host's, and runs, or it ends."""
        service, note = self._service, record.arriving
        assert note is not None
        if note.holder:
            held = await service.in_store(service.store.claim_of, entry.uuid)
            mine = held is not None and held.host == service.machines.host and held.generation > note.generation
        else:
            mine = await self._logged(entry.uuid, note.token)
        if not mine:
            log.warning("a migration that had not finished was given up", domain=entry.name)
            await machine.end(Shutoff.FAILED)
            return
        machine.note(arriving=replace(note, phase="taken"))
        state = str((await machine.qmp("query-status")).get("status", ""))
        if note.running and state in ("paused", "prelaunch", "inmigrate", "postmigrate", "finish-migrate"):
            await self.run(entry, machine)
        machine.note(arriving=None)
        log.warning("a migration was brought to its end", domain=entry.name)


def _note(machine: Machine) -> Arriving:
    note = machine.record().arriving
    if note is None:
        raise WrongState(f"domain {machine.name} is not on its way here")
    return note
