"""How the daemon stands with its database: whether it answers, what is owed to it, and memory that follows it again.

Part of the service. Only a server can go away (PostgreSQL); machines run on meanwhile, and what their guests did is
written down once it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

import structlog

from domicile.base.errors import DomicileError, OutcomeUnknown, Unreachable
from domicile.runtime.states import Kind as Event
from domicile.service.entry import Entry

if TYPE_CHECKING:
    from domicile.service.service import Service
    from domicile.store.values import Head

log = structlog.get_logger(__name__)
P = ParamSpec("P")
_ADDED, _UPDATED, _RENAMED = 0, 1, 2
#: Seconds between two looks at a database that answers, and at one that does not.
_LOOK, _LOOK_LOST = 5.0, 1.0
#: More than this is owed only where something is very wrong; the oldest words of the log go first.
_MOST = 20_000


class Standing:
    """What is known of the database, and what waits for it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._owed: deque[tuple[str, Callable[[], Any]]] = deque()
        self._paying, self._settling = asyncio.Lock(), asyncio.Lock()
        self._losses = 0

    def demand(self) -> None:
        """Refuse at once what needs the database while it does not answer. Raises: Unreachable."""
        self._service.store.reach.demand()

    def answer(self) -> dict[str, Any]:
        """Say how it stands; times in seconds since the epoch."""
        store = self._service.store
        silence, now = store.reach.silence, time.time()
        return {
            "place": store.place,
            "answers": silence is None,
            "heard": store.reach.heard if store.remote else now,
            "age": max(0.0, now - store.reach.heard) if silence is not None else 0.0,
            "why": silence.why if silence is not None else "",
            "owed": len(self._owed),
        }

    # What must not be lost.

    async def owe(self, what: str, function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run a unit of work that may be done twice and must not be lost; where the database is gone, once it is back.

        What is owed is done in the order in which it came about.
        """
        if not self._owed:
            try:
                await self._service.in_store(function, *args, **kwargs)
            except (Unreachable, OutcomeUnknown) as fault:
                log.warning("owed to the database", what=what, reason=fault.message)
            else:
                return
        if len(self._owed) >= _MOST:
            forgotten, _ = self._owed.popleft()
            log.error("too much is owed to the database; given up", what=forgotten)
        self._owed.append((what, lambda: function(*args, **kwargs)))

    async def pay(self) -> None:
        """Do all that is owed. Raises: Unreachable, OutcomeUnknown where the database is still, or again, gone."""
        async with self._paying:
            while self._owed:
                what, work = self._owed[0]
                try:
                    await self._service.in_store(work)
                except (Unreachable, OutcomeUnknown):
                    raise
                except DomicileError as fault:
                    log.error("owed to the database, and refused", what=what, reason=fault.message)
                self._owed.popleft()

    async def settle(self) -> None:
        """Make memory and the database agree where it was gone meanwhile. Raises: Unreachable, OutcomeUnknown."""
        self.demand()
        if self._owed or self._losses != self._service.store.reach.losses:
            async with self._settling:
                if self._owed or self._losses != self._service.store.reach.losses:
                    await self._catch_up()

    # Looking.

    async def watch(self) -> None:
        """Look at the database from time to time, and follow it where it was gone. Runs until it is cancelled."""
        store = self._service.store
        if not store.remote:
            return
        while True:
            known = store.reach.silence
            await asyncio.sleep(_LOOK if known is None and not self._owed else _LOOK_LOST)
            try:
                await self._service.work.aside(store.ping)
                await self.settle()
            except DomicileError as fault:
                if known is None:
                    log.error("the database does not answer", reason=fault.message)

    async def _catch_up(self) -> None:
        losses, owed = self._service.store.reach.losses, len(self._owed)
        await self.pay()
        changed = await self.follow()
        await self._give_back()
        self._losses = losses
        log.info("the database answers again", written_down=owed, changed_meanwhile=changed)

    async def _give_back(self) -> None:
        """Give back claims that a start took without hearing so."""
        service, machines = self._service, self._service.machines
        for claim in await service.in_store(service.store.claims_held_by, machines.host):
            entry = service.registry.get(claim.uuid)
            busy = entry is not None and (entry.active or entry.changing().locked())
            if claim.uuid not in machines.claims and not busy:
                await service.in_store(service.store.release, claim)

    async def follow(self) -> int:
        """Make memory follow the database; returns how many domains were different.

        A change whose outcome was unknown is known with that.
        """
        service = self._service
        before = {entry.uuid: entry.head for entry in service.registry if entry.persistent}
        found = {head.uuid: head for head in await service.in_store(service.store.heads)}
        changed = 0
        for uuid, head in found.items():
            entry = service.registry.get(uuid)
            if entry is None or entry.head < head.n or entry.autostart != head.autostart:
                changed += await self._take_in(entry, head, before.get(uuid, 0))
        for uuid, known in before.items():
            entry = service.registry.get(uuid)
            if uuid not in found and entry is not None and entry.head == known:
                self._let_go(entry)
                changed += 1
        return changed

    async def _take_in(self, entry: Entry | None, head: Head, before: int) -> int:
        service = self._service
        if entry is not None and entry.head == head.n:
            if before == head.n:
                entry.autostart = head.autostart
            return 1
        known = await service.in_store(service.store.revision, head.uuid, head.n)
        if entry is None:
            other = service.registry.named(head.name)
            if other is not None:
                log.error("a domain of this name runs here without a definition", domain=head.name, other=other.uuid)
                return 0
            entry = service.registry.add(Entry(head.uuid, head.name))
        if entry.head >= head.n:
            return 0
        created = not entry.persistent
        if entry.name != head.name:
            service.registry.rename(entry, head.name)
        entry.head, entry.stored, entry.autostart = head.n, head.summary_json, head.autostart
        service.texts.put(entry.uuid, head.n, known.completed)
        service.tell(entry, Event.DEFINED, _ADDED if created else _UPDATED)
        return 1

    def _let_go(self, entry: Entry) -> None:
        service = self._service
        entry.head, entry.stored, entry.autostart = 0, None, False
        service.texts.drop(entry.uuid)
        if not entry.active:
            service.registry.remove(entry)
        service.tell(entry, Event.UNDEFINED, 0)
