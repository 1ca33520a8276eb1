"""A new definition looked at before anything happens, and then brought about as a whole: live parts included, or nothing.

Part of the service. `plan` says what `apply` would do; the digest of a plan makes sure that what was looked at is what happens.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base import ids, tasks
from domicile.base.errors import Conflict, DomicileError, OutcomeUnknown
from domicile.base.undo import Undo
from domicile.schema import read, tree
from domicile.service import answers, drafts
from domicile.service.forecast import Forecast, forecast, shown

if TYPE_CHECKING:
    from domicile.domain.complete import Completed
    from domicile.service.changes import Running
    from domicile.service.definitions import Keep
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)
Answer = dict[str, Any]
#: Seconds after a change until it is looked at what waits for the next start.
_SOON = 0.5


class Applying:
    """The use-cases about a change as a whole."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._looking: set[str] = set()

    async def plan(self, xml: str, keep: Keep, *, strict: bool = False) -> Answer:
        """Say what a new definition would do, without doing any of it. Raises: InvalidDocument, Conflict."""
        entry = self._entry(xml)
        done = await self._complete(xml, keep, strict)
        if entry is None:
            self._unclaimed(done)
            return {
                "name": done.domain.name,
                "new": True,
                "digest": _digest(None, xml),
                "differences": [],
                **_report(done),
            }
        found = await self._forecast(entry, done)
        return {
            **answers.brief(entry), "new": False, "digest": _digest(entry, xml), "differences": list(shown(found.items)),
            **_report(done),
        }  # fmt: skip

    async def pending(self, entry: Entry) -> list[Answer]:
        """Say what the stored definition has that the running machine has not; found out once for each change of either."""
        live = entry.live
        if live is None or entry.machine is None or not entry.persistent:
            return []
        if live.waiting is None or live.waiting[0] != entry.head or live.waiting[1] is not live.xml:
            head, text = entry.head, live.xml
            stored = self._service.domain(entry, inactive=True)
            found = await forecast(self._service.changes.running(entry), stored, stored)
            live.waiting = head, text, list(shown(found.items))
        return live.waiting[2]

    def look(self, entry: Entry) -> None:
        """Find out soon what waits, so that lists can tell; changes that follow one another are looked at once."""
        if entry.live is not None and entry.uuid not in self._looking:
            self._looking.add(entry.uuid)
            tasks.spawn(f"pending changes of {entry.name}", self._look(entry))

    async def _look(self, entry: Entry) -> None:
        try:
            await asyncio.sleep(_SOON)
        finally:
            self._looking.discard(entry.uuid)
        await self.pending(entry)

    async def apply(
        self, xml: str, author: Author, keep: Keep, *, digest: str = "", why: str = "", strict: bool = False
    ) -> Answer:
        """Store a definition and bring about at once what can be, all of it or nothing; the rest counts at the next start.

        With the `digest` of a plan, only where that still holds.

        Raises:
            InvalidDocument: with all problems.
            Conflict: it is not what was planned any more, or name or UUID belong to another domain.
            DomicileError: whatever QEMU or the host refuse with; everything is as it was then.
        """
        entry = self._entry(xml)
        async with AsyncExitStack() as held:
            if entry is not None:
                await held.enter_async_context(entry.changes())
            if digest and digest != _digest(entry, xml):
                raise Conflict(
                    "this is not what was planned: the document, the stored definition or the running machine is another "
                    "now; a new plan would be accepted"
                )
            done = await self._complete(xml, keep, strict)
            if entry is None:
                self._unclaimed(done)
                stored = await self._service.definitions.put(drafts.draft(xml, done), done, author, why, 0, "define")
                return {**self._told(stored), "done": [], "differences": []}
            return await self._bring_about(entry, xml, done, author, why)

    async def _bring_about(self, entry: Entry, xml: str, done: Completed, author: Author, why: str) -> Answer:
        service = self._service
        found = await self._forecast(entry, done)
        head = entry.head
        state = service.changes.running(entry) if found.steps else None
        async with Undo() as undo:
            if state is not None:
                undo.push("the document", lambda: self._keep(state))
                for step in found.steps:
                    await self._one(state, step, undo)
            stored = await service.definitions.put(drafts.draft(xml, done), done, author, why, head, "define")
            undo.commit()
        if entry.live is not None and not found.waiting:
            entry.live.revision = entry.head
        if state is not None:
            await service.changes.keep(state)
        elif entry.machine is not None and not found.waiting:
            await service.machines.keep(entry)
        await self.pending(entry)
        return {
            **self._told(stored), "done": [step.what for step in found.steps], "differences": list(shown(found.items)),
        }  # fmt: skip

    async def _one(self, state: Running, step: Any, undo: Undo) -> None:
        """Take one step; one that fails leaves the document as it was before it."""
        before = tree.copy(state.domain)
        try:
            back = await step.act(state)
        except OutcomeUnknown:
            raise
        except BaseException:
            state.domain = before
            raise
        if back is not None:
            undo.push(step.what, back)

    async def _keep(self, state: Running) -> None:
        try:
            await self._service.changes.keep(state)
        except DomicileError as fault:
            log.error("document not stored", domain=state.entry.name, reason=fault.message)

    async def _forecast(self, entry: Entry, done: Completed) -> Forecast:
        runs = entry.live is not None and entry.machine is not None
        state = self._service.changes.running(entry) if runs else None
        old = self._service.domain(entry, inactive=True)
        return await forecast(state, old, done.domain)

    async def _complete(self, xml: str, keep: Keep, strict: bool) -> Completed:
        return await self._service.definitions.complete(xml, strict=strict, keep=keep)

    def _entry(self, xml: str) -> Entry | None:
        """Find the domain that a document is about: by its UUID, else by its name."""
        root = read.parse(xml)
        registry = self._service.registry
        uuid = ids.parse_uuid((root.findtext("uuid") or "").strip())
        return registry.get(uuid) if uuid else registry.named((root.findtext("name") or "").strip())

    def _unclaimed(self, done: Completed) -> None:
        self._service.definitions.unclaimed(done.domain.uuid or "", done.domain.name or "")

    def _told(self, stored: Any) -> Answer:
        return answers.defined(self._service, stored.entry, stored.revision, stored.report, created=stored.created)


def _report(done: Completed) -> Answer:
    return {"report": answers.entries(done)}


def _digest(entry: Entry | None, xml: str) -> str:
    """Name what a plan rests on: the document given, the stored revision, the running machine and its document."""
    found = hashlib.blake2b(xml.encode("utf-8", "surrogatepass"), digest_size=8)
    if entry is not None:
        running = entry.live.xml if entry.live is not None else ""
        found.update(f"\0{entry.uuid}\0{entry.head}\0{entry.id}\0{_of_run(running)}".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def _of_run(text: str) -> str:
    """Leave out of a running machine's document what changes by itself: whether programs of the guest have channels open."""
    return text.replace(" state='connected'", "").replace(" state='disconnected'", "")
