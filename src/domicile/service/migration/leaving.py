"""The source's half of a migration: what is sent, what is held until it is settled, and the way back.

Part of the service. From `begin` to `confirm` the machine is held against other changes. Once QEMU has handed all over, the
guest stands still here until it is certain where it runs: the client's word, the target's or the database's (see `doubts`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from domicile.base import ids, tasks
from domicile.base.errors import DomicileError, InvalidRequest, OutcomeUnknown, WrongState
from domicile.domain import document
from domicile.domain.complete import complete
from domicile.domain.domain import Domain
from domicile.host import inspect, sharing
from domicile.runtime import migration
from domicile.runtime.job import Job, Kind, Operation
from domicile.runtime.record import Leaving
from domicile.runtime.save import STALL, Aborted
from domicile.runtime.states import Paused, Shutoff, State
from domicile.service.migration import checking, names, route, tls
from domicile.service.migration.cookie import Cookie, CopiedDisk
from domicile.service.migration.copies import Mirrors
from domicile.service.migration.doubts import Doubts
from domicile.service.migration.wish import How, Wish
from domicile.service.saves import agreed
from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.runtime.machine import Machine
    from domicile.service.entry import Entry
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
_OWN = frozenset({"events", "return-path"})
_SWITCH = frozenset({"pause-before-switchover"})
#: Seconds that a client may take from `begin` to `perform`.
_BEGUN = 300.0


@dataclass(slots=True)
class Departure:
    """A machine on its way out. `phase` is ``begun``, ``moving`` or ``handed``; `disks` are those whose content travels."""

    entry: Entry
    machine: Machine
    token: str
    wish: Wish
    job: Job
    stack: AsyncExitStack
    mirrors: Mirrors
    disks: tuple[CopiedDisk, ...]
    ran: bool
    phase: str = "begun"
    expiry: asyncio.TimerHandle | None = None
    target: Cookie | None = None
    contacts: tuple[str, ...] = ()
    postcopy: bool = False
    crossing: migration.Crossing | None = None
    settled: bool = False
    #: Set once all is handed over, or nothing moves any more.
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set where the way to the target is known to be cut.
    lost: asyncio.Event = field(default_factory=asyncio.Event)


class Departures:
    """The use-cases about machines that go to other hosts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._leaving: dict[str, Departure] = {}
        self.doubts = Doubts(service)

    def of(self, entry: Entry) -> Departure | None:
        """Give the departure under way; None where there is none."""
        return self._leaving.get(entry.uuid)

    def open(self, uuid: str) -> bool:
        """Say whether a machine has handed all over and it is not settled yet where it runs."""
        departure = self._leaving.get(uuid)
        return departure is not None and departure.phase == "handed" and not departure.settled

    # Beginning.

    async def begin(self, entry: Entry, wish: Wish, author: Author) -> tuple[Cookie, str, str]:
        """Hold a machine for its migration; give the cookie for the target, the document that travels, and the token.

        Raises:
            CannotMove: with all reasons that are seen from here.
            WrongState: it does not run, or has no definition where one is to travel.
        """
        service, token = self._service, ids.new_uuid()
        if wish.how & How.OFFLINE:
            return self._offline(entry, wish, token)
        machine = service.machines.running(entry)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(entry.changes())
            job = await stack.enter_async_context(machine.working(Operation.MIGRATION_OUT))
            assert entry.live is not None
            live = document.read_stored(entry.live.xml)
            await checking.leaving(service, entry, live, wish)
            mirrors = Mirrors(machine, live, wish, job)
            disks = await mirrors.look() if mirrors.disks else ()
            known = names.taken(live)
            await service.emulators.ensure_for(live)
            dormant = complete(live, service.host, service.emulators.find).domain
            places = names.by_place(dormant, known)
            xml = await self._wished(entry, dormant, wish)
            ran = machine.state is State.RUNNING
            kept = stack.pop_all()
        found = Departure(entry, machine, token, wish, job, kept, mirrors, disks, ran)
        self._leaving[entry.uuid] = found
        found.expiry = asyncio.get_running_loop().call_later(
            _BEGUN, lambda: tasks.spawn("departure that was not begun", self.client_gone(token))
        )
        tasks.spawn(f"watch over the departure of {entry.name}", self._watch(found))
        cookie = replace(self._cookie(entry, token, wish), ran=ran, names=places, disks=disks)
        return cookie, xml, token

    def _cookie(self, entry: Entry, token: str, wish: Wish) -> Cookie:
        service = self._service
        claim = service.machines.claims.get(entry.uuid)
        machine = entry.machine
        persistent = ""
        if wish.how & How.PERSIST_DEST:
            persistent = service.xml(entry, inactive=True, secrets=True)
        return Cookie(
            token, service.machines.host, inspect.hostname(), sharing.boot_id(), contacts=tuple(checking.contacts(service)),
            holder=claim.host if claim is not None else "", generation=claim.generation if claim is not None else 0,
            persistent=persistent, owners=tuple(machine.record().lent.items()) if machine is not None else (), sent=time.time(),
        )  # fmt: skip

    async def _wished(self, entry: Entry, dormant: Domain, wish: Wish) -> str:
        """Give the document that travels: the machine's own, or its owner's where the hardware is the same."""
        xml = wish.text("destination_xml")
        if xml is None:
            return document.write(dormant)
        wished = (await self._service.definitions.complete(xml)).domain
        asked = self._service.domain(entry, inactive=True)
        return document.write(agreed(asked, dormant, wished))

    def _offline(self, entry: Entry, wish: Wish, token: str) -> tuple[Cookie, str, str]:
        """Begin to migrate a definition alone."""
        if not entry.persistent:
            raise WrongState("cannot migrate a transient domain offline: it has no definition")
        if entry.active:
            raise WrongState(
                f"domain '{entry.name}' runs; offline migration is for those that do not, --live for those that do"
            )
        xml = self._service.xml(entry, inactive=True, secrets=True)
        return self._cookie(entry, token, wish), wish.text("destination_xml") or xml, token

    async def _watch(self, departure: Departure) -> None:
        """Let go of a machine whose QEMU has ended by itself on the way."""
        await departure.machine.wait()
        if self._leaving.get(departure.entry.uuid) is departure and departure.phase != "handed":
            departure.job.cancelled.set()
            if departure.phase == "begun":
                await self._let_go(departure, OutcomeUnknown("QEMU ended before the migration"))

    # Sending.

    async def perform(self, entry: Entry, wish: Wish, cookie: bytes, uri: str, token: str = "") -> Cookie:
        """Send a machine to the target that waits for it; it stands still here afterwards. Give the cookie for the target's end.

        Raises:
            Aborted, QemuRefused, DeadlineExceeded: it failed, and the guest goes on here.
            OutcomeUnknown: QEMU ended, or is out of reach.
        """
        target = Cookie.read(cookie)
        departure = self._leaving.get(entry.uuid)
        if wish.how & How.OFFLINE:
            return self._cookie(entry, target.token, wish)
        if departure is None or departure.token != target.token or departure.phase != "begun":
            raise WrongState(f"the migration of '{entry.name}' was not begun, or is under way")
        if departure.expiry is not None:
            departure.expiry.cancel()
        departure.phase, departure.target = "moving", target
        departure.contacts = tuple(dict.fromkeys((*departure.contacts, *target.contacts)))
        sending = tasks.spawn(f"migration of {entry.name}", self._send(departure, uri))
        return await asyncio.shield(sending)

    async def _send(self, departure: Departure, uri: str) -> Cookie:
        machine, wish, target = departure.machine, departure.wish, departure.target
        assert target is not None
        try:
            self._note(departure, "moving")
            credentials = await tls.client(machine.qmp, self._service, wish, uri)
            own = _OWN | _SWITCH if departure.disks else _OWN
            await migration.prepare(
                machine.qmp, wish.manner(machine.record().migration_speed, credentials), own=own, mine=True
            )
            if departure.disks:
                await self._copy(departure, target, uri, credentials[0] if credentials else "")
            crossing = departure.crossing = migration.Crossing(
                machine, departure.job, fragile=bool(wish.how & How.ABORT_ON_ERROR), lost=departure.lost,
                disks=departure.mirrors.progress if departure.disks else None,
            )  # fmt: skip
            if departure.ran and not wish.how & How.LIVE:
                crossing.stopped = time.time()
                await machine.suspend(why=Paused.MIGRATION)
            status = await crossing.send(route.to_qemu(uri), departure.mirrors.switch if departure.disks else None)
        except BaseException as error:
            await self._failed(departure, error)
            raise
        departure.postcopy, departure.phase = status == "postcopy-active", "handed"
        figures = {**departure.job.amounts(), "time_elapsed": departure.job.elapsed_ms}
        self._note(departure, "postcopy" if departure.postcopy else "handed")
        machine.expect_end(Shutoff.MIGRATED)
        departure.sent.set()
        return Cookie(
            departure.token, self._service.machines.host, boot=sharing.boot_id(), figures=figures,
            stopped=crossing.stopped or 0.0, sent=time.time(), ran=departure.ran,
        )  # fmt: skip

    def _note(self, departure: Departure, phase: str) -> None:
        claim = self._service.machines.claims.get(departure.entry.uuid)
        shared = departure.target is not None and departure.target.shared and claim is not None
        departure.machine.note(
            leaving=Leaving(
                departure.token, phase, departure.contacts, claim.generation if shared and claim is not None else 0,
                departure.ran, bool(departure.wish.how & How.UNDEFINE_SOURCE), bool(departure.disks),
            )
        )  # fmt: skip

    async def _copy(self, departure: Departure, target: Cookie, uri: str, credentials: str) -> None:
        """Copy the disks' content before the guest's state travels."""
        wish = departure.wish
        if target.nbd_socket:
            server = {"type": "unix", "path": target.nbd_socket}
        elif target.nbd_port:
            host = _host(wish.text("disks_uri")) or route.host_of(uri) or "127.0.0.1"
            server = {"type": "inet", "host": host, "port": str(target.nbd_port)}
        else:
            raise InvalidRequest("the target takes in no disks, although some are to be copied")
        speed = wish.number("bandwidth") or departure.machine.record().migration_speed
        await departure.mirrors.begin(server, credentials, speed)

    async def _failed(self, departure: Departure, error: BaseException) -> None:
        """Let the guest go on here, and nothing of the migration stay."""
        machine = departure.machine
        try:
            if not machine.over:
                await migration.take_back(machine)
                if departure.disks:
                    await departure.mirrors.give_up()
                await tls.forget(machine.qmp, departure.wish)
                machine.note(leaving=None)
        except DomicileError as fault:
            log.error("a migration that failed was not taken back whole", domain=machine.name, reason=fault.message)
        await self._let_go(departure, error)

    async def _let_go(self, departure: Departure, error: BaseException | None) -> None:
        if self._leaving.get(departure.entry.uuid) is departure:
            del self._leaving[departure.entry.uuid]
        departure.sent.set()
        if departure.expiry is not None:
            departure.expiry.cancel()
        kind = type(error) if error is not None else None
        await departure.stack.__aexit__(kind, error, None)

    # Settling.

    async def confirm(
        self, entry: Entry, wish: Wish, cookie: bytes, author: Author, *, cancelled: bool
    ) -> bool:  # fmt: skip
        """End the machine here once it runs at the target, or let it go on where the migration was `cancelled`.

        Return whether it runs at the target. Where a migration is said to be cancelled after all was handed over, that is
        asked for: the client may only have lost the way.

        Raises: DomicileError where QEMU does not do its part.
        """
        if wish.how & How.OFFLINE:
            if not cancelled and wish.how & How.UNDEFINE_SOURCE:
                await self._service.undefine(entry, author, "migrated away", nvram=False)
            return not cancelled
        departure = self._leaving.get(entry.uuid)
        if departure is None:
            return not cancelled
        if departure.phase != "handed":
            if cancelled:
                await self._failed(departure, Aborted("the migration was cancelled"))
                return False
            raise WrongState(f"the migration of '{entry.name}' has not handed over yet")
        if not cancelled:
            if cookie:
                departure.job.told = Cookie.read(cookie).figures or None
            await self._gone(departure, author)
            return True
        return await self.settle(departure, author)

    async def settle(self, departure: Departure, author: Author) -> bool:
        """Find out where a machine runs whose migration was not confirmed; it stays paused here until that is certain."""
        machine = departure.machine
        note = machine.record().leaving
        assert note is not None
        there = await self.doubts.ask(departure.entry, note)
        if there is None:
            log.error("it is not certain where a machine runs; it stays paused here", domain=machine.name)
            await self._let_go(departure, OutcomeUnknown("the outcome of the migration is unknown"))
            self.doubts.watch(departure.entry, machine, note)
            return False
        if there:
            await self._gone(departure, author)
            return True
        await self._stays(departure)
        return False

    async def _gone(self, departure: Departure, author: Author) -> None:
        """End the machine here: it runs at the target."""
        service, entry, machine = self._service, departure.entry, departure.machine
        note = machine.record().leaving
        departure.settled = True
        try:
            if departure.postcopy and departure.crossing is not None and not machine.over:
                await departure.crossing.follow_rest()
            if departure.job.told is not None:
                departure.job.took = departure.job.told.get("time_elapsed", departure.job.elapsed_ms) / 1000
                departure.job.kind = Kind.COMPLETED
                departure.job.told = {n: v for n, v in departure.job.told.items() if n != "time_elapsed"}
            await self.doubts.end(entry, machine, note)
        except BaseException as error:
            await self._let_go(departure, error)
            raise
        await self._let_go(departure, None)
        machine.tell_job(departure.job)
        if entry.ending is not None:
            await asyncio.shield(entry.ending)
        await self.doubts.undefine(entry, note, author)
        service.machines.done("migrate", entry, author, to=departure.target.hostname if departure.target else "")

    async def _stays(self, departure: Departure) -> None:
        """Let the guest go on here: it runs nowhere else, and never will."""
        machine = departure.machine
        departure.settled = True
        try:
            if machine.over:
                await self._service.machines.release(departure.entry.uuid, settled=True)
            else:
                if departure.postcopy:
                    log.error("a machine was lost half way to its target", domain=machine.name)
                    return
                await self.doubts.go_on(departure.entry, machine, ran=departure.ran)
                if departure.disks:
                    await departure.mirrors.give_up()
                await tls.forget(machine.qmp, departure.wish)
        finally:
            await self._let_go(departure, Aborted("the target did not take the machine"))

    async def client_gone(self, token: str) -> None:
        """Settle what a client has left behind: what was only begun is let go, what moves is cancelled, the rest is asked for."""
        departure = next((each for each in self._leaving.values() if each.token == token), None)
        if departure is None:
            return
        log.warning("the client of a migration is gone", domain=departure.entry.name, phase=departure.phase)
        if departure.phase == "begun":
            await self._let_go(departure, Aborted("the client of the migration is gone"))
        elif departure.phase == "moving":
            departure.job.cancelled.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(STALL):
                    await departure.sent.wait()
        if departure.phase == "handed" and self._leaving.get(departure.entry.uuid) is departure:
            await self.settle(departure, Author(command="migrate"))

    # While it moves.

    async def post_copy(self, entry: Entry) -> None:
        """Let the guest go on at the target at once, and the rest of its memory follow. Raises: WrongState."""
        departure = self._leaving.get(entry.uuid)
        if departure is None or departure.phase != "moving":
            raise WrongState("post-copy can only be started while outgoing migration is in progress")
        if not departure.wish.how & How.POSTCOPY:
            raise WrongState("switching to post-copy requires migration to be started with VIR_MIGRATE_POSTCOPY flag")
        departure.machine.expect_change(pause=Paused.POSTCOPY)
        await departure.machine.qmp("migrate-start-postcopy")


def _host(uri: str | None) -> str:
    return route.host_of(uri) if uri and not uri.startswith("unix:") else ""
