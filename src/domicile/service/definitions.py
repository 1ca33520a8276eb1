"""Definitions: define, undefine, undelete, rollback, rename, autostart, texts. Part of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from domicile.base import ids
from domicile.base.errors import (
    OPERATION_INVALID,
    XML_ERROR,
    Conflict,
    InvalidDocument,
    InvalidRequest,
    NotFound,
    WrongState,
)
from domicile.domain import document, metadata
from domicile.domain.complete import Completed, complete_text
from domicile.domain.domain import Domain
from domicile.domain.keep import Former
from domicile.domain.report import Entry as ReportEntry
from domicile.runtime.states import Kind as Event
from domicile.schema import read
from domicile.service import drafts, launching
from domicile.service.entry import Entry
from domicile.store.values import Author, Draft, Kind, Revision

if TYPE_CHECKING:
    from domicile.service.service import Service

#: What a document that leaves it open keeps of the revision before: the devices' MAC addresses and places, its UUID as well, or
#: nothing, as libvirt does.
Keep = Literal["devices", "all", "nothing"]
_ADDED, _UPDATED, _RENAMED = 0, 1, 2
# Source: virDomainMetadataType; the position is the number.
_METADATA = ("description", "title", "element")


@dataclass(frozen=True, slots=True)
class Defined:
    """What a definition became: its domain, its revision's number, and what was completed (None for an old revision)."""

    entry: Entry
    revision: int
    completed: Completed | None = None
    created: bool = False

    @property
    def report(self) -> list[ReportEntry]:
        """What completion did."""
        return self.completed.report if self.completed is not None else []


class Definitions:
    """The use-cases about what is stored."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.keep: Keep = "devices"

    async def complete(self, xml: str, *, strict: bool = False, keep: Keep = "nothing") -> Completed:
        """Read and complete a document, getting to know its emulator first; what it leaves open may be kept.

        Raises:
            InvalidDocument: with all problems.
        """
        root = read.parse(xml)
        emulator = root.findtext("devices/emulator")
        kind = root.find("os/type")
        arch = (kind.get("arch") if kind is not None else None) or self._service.host.arch
        await self._service.emulators.ensure(emulator, arch)
        host, find = self._service.host, self._service.emulators.find
        former, uuid = self._former(root, keep) if keep != "nothing" else (None, None)
        if former is not None:
            try:
                return complete_text(root, host, find, strict=strict, former=former, uuid=uuid)
            except InvalidDocument:
                # Perhaps the old places stand in the way of what is new: then they are given up.
                uuid_alone = Former(former.revision, Domain) if uuid is not None else None
                return complete_text(root, host, find, strict=strict, former=uuid_alone, uuid=uuid)
        return complete_text(root, host, find, strict=strict)

    def _former(self, root: Any, keep: Keep) -> tuple[Former | None, str | None]:
        """Find the definition that a document is the next one of, and its UUID where that is to be kept, too."""
        service = self._service
        said = (root.findtext("uuid") or "").strip()
        entry = service.registry.named((root.findtext("name") or "").strip())
        same = ids.parse_uuid(said) if said else entry.uuid if entry is not None and keep == "all" else None
        if entry is None or not entry.persistent or same != entry.uuid:
            return None, None
        former = Former(entry.head, lambda: document.read_stored(service.xml(entry, inactive=True, secrets=True)))
        return former, None if said else entry.uuid

    async def define(
        self,
        xml: str,
        author: Author,
        *,
        strict: bool = False,
        why: str = "",
        expect_head: int | None = None,
        kind: Kind = "define",
        keep: Keep | None = None,
    ) -> Defined:
        """Store a definition; a domain that runs goes on as it is until its next start.

        What it leaves open is kept from the revision before as `keep` says, or else as it is configured.

        Raises:
            InvalidDocument: with all problems; nothing is stored.
            Conflict: name or uuid belong to another domain, or the head is not the expected one.
        """
        done = await self.complete(xml, strict=strict, keep=self.keep if keep is None else keep)
        return await self._store(drafts.draft(xml, done), done, author, why, expect_head, kind)

    async def _store(
        self, draft: Draft, done: Completed | None, author: Author, why: str, expect_head: int | None, kind: Kind
    ) -> Defined:
        service = self._service
        self.unclaimed(draft.uuid, draft.name)
        revision = await service.work.brief(
            service.store.define, draft, author, why, expect_head=expect_head, kind=kind
        )
        entry, created = self._head(draft, revision)
        await self._still_the_same(entry, draft)
        service.applying.look(entry)
        if kind != "edit":  # a change of one part is told of as what it is
            service.tell(entry, Event.DEFINED, _ADDED if created else _UPDATED)
        return Defined(entry, revision.n, done, created)

    async def _still_the_same(self, entry: Entry, draft: Draft) -> None:
        """Where the new definition is the one that runs, nothing is pending."""
        running, service = entry.live, self._service
        if running is None or running.revision in (0, entry.head):
            return
        known = await service.in_store(service.store.revision, entry.uuid, running.revision)
        if known.completed == draft.completed:
            running.revision = entry.head
            await service.machines.keep(entry)

    def unclaimed(self, uuid: str, name: str) -> None:
        """Refuse a name or uuid that another domain has, a running one without definition included."""
        registry = self._service.registry
        other = registry.named(name)
        if other is not None and other.uuid != uuid:
            raise Conflict(f"domain '{name}' already exists with uuid {other.uuid}")
        same = registry.get(uuid)
        if same is not None and same.name != name:
            raise Conflict(f"domain '{same.name}' is already defined with uuid {uuid}")

    def _head(self, draft: Draft, revision: Revision) -> tuple[Entry, bool]:
        """Show the new head in memory."""
        registry = self._service.registry
        entry = registry.get(draft.uuid)
        created = entry is None or not entry.persistent
        if entry is None:
            entry = registry.add(Entry(draft.uuid, draft.name))
        if revision.n > entry.head:
            entry.head, entry.stored = revision.n, dict(draft.summary)
            self._service.texts.put_packed(entry.uuid, revision.n, revision.packed_completed)
        return entry, created

    async def undefine(
        self, entry: Entry, author: Author, why: str = "", *, saved: bool = False, nvram: bool | None = None,
        snapshots: bool = False, checkpoints: bool = False,
    ) -> None:  # fmt: skip
        """Take a definition out of service; its history stays, and a machine that runs goes on without it.

        A state that was `saved` goes with it if that is said, and so does the file of its firmware's variables (`nvram`,
        where False keeps it). What is known of its `snapshots` and `checkpoints` goes where that is said; while it runs, both stay.

        Raises:
            WrongState: it has no definition, or has one of these and nothing is said about that.
        """
        service = self._service
        async with entry.changing():
            if not entry.persistent:
                raise WrongState("cannot undefine transient domain")
            if entry.saved and not saved:
                raise WrongState("Refusing to undefine while domain managed save image exists")
            for kind, number, goes in (
                ("snapshots", entry.snapshots, snapshots),
                ("checkpoints", entry.checkpoints, checkpoints),
            ):
                if number and not entry.active and not goes:
                    raise WrongState(f"cannot delete inactive domain with {number} {kind}")
            # Few have firmware with variables: only their documents are read.
            named = "<nvram" in service.xml(entry, inactive=True, secrets=True)
            variables = launching.variables(service.domain(entry, inactive=True)) if named else None
            if variables is not None and nvram is None and await asyncio.to_thread(variables.exists):
                raise WrongState(
                    f"cannot undefine domain with nvram; say whether '{variables}' is to be removed or kept"
                )
            if entry.saved:
                service.saves.forget(entry)
            if variables is not None and nvram:
                await asyncio.to_thread(launching.remove_variables, variables)
            await service.work.brief(service.store.undefine, entry.uuid, author, why)
            entry.head, entry.stored, entry.autostart = 0, None, False
            if entry.autostart_once:
                await asyncio.to_thread(launching.mark, service.paths.starts_once, entry.uuid, on=False)
                entry.autostart_once = False
            service.texts.drop(entry.uuid)
            if not entry.active:
                service.registry.remove(entry)
                if entry.snapshots or entry.checkpoints:
                    await service.snapshots.forget(entry)
            service.tell(entry, Event.UNDEFINED, 0)

    async def undelete(self, key: str, author: Author, why: str = "", revision: int = 0) -> Entry:
        """Bring back a domain that was undefined, as it was last or as a given revision was.

        Raises:
            NotFound: no such domain was ever defined.
            Conflict: it is still there, or its name was taken.
        """
        service = self._service
        restored = await service.in_store(service.store.undelete, key, author, why)
        entry = service.registry.get(restored.uuid)
        if entry is None:
            entry = service.registry.add(Entry(restored.uuid, restored.name))
        entry.head = restored.n
        service.texts.put(restored.uuid, restored.n, restored.completed)
        head = await service.in_store(service.store.head, restored.uuid)
        entry.stored = head.summary_json
        service.tell(entry, Event.DEFINED, _ADDED)
        if revision:
            await self.rollback(entry, revision, author, why)
        return entry

    async def rollback(self, entry: Entry, revision: int, author: Author, why: str = "") -> Defined:
        """Make an old revision the newest again. Raises: NotFound, InvalidDocument, Conflict."""
        service = self._service
        old = await service.in_store(service.store.revision, entry.uuid, revision)
        if old.kind == "undefine":
            raise InvalidRequest(
                f"revision {revision} of '{entry.name}' took the definition out of service; it holds no document"
            )
        domain = document.read_stored(old.completed)
        draft = Draft(
            uuid=entry.uuid, name=domain.name or entry.name, authored=old.authored, completed=old.completed, report=old.report,
            summary=drafts.summary(domain), facts=tuple(drafts.facts(domain)),
        )  # fmt: skip
        if draft.name != entry.name:
            raise Conflict(f"revision {revision} was called '{draft.name}'; rename the domain first")
        return await self._store(draft, None, author, why or f"back to revision {revision}", None, "rollback")

    async def rename(self, entry: Entry, new: str, author: Author) -> None:
        """Give a domain that does not run another name. Raises: WrongState, Conflict, InvalidDocument."""
        service = self._service
        for sign, words in (("/", "'/'"), ("\n", "a line break")):
            if sign in new:
                raise InvalidRequest(f"name {new!r} cannot contain {words}", code=XML_ERROR)
        async with entry.changing():
            if entry.active:
                raise WrongState("cannot rename active domain")
            if entry.saved:
                raise WrongState("domain with a managed saved state can't be renamed")
            if service.registry.named(new) is not None:
                raise Conflict(f"domain with name '{new}' already exists", code=OPERATION_INVALID)
            domain = service.domain(entry, inactive=True)
            domain.name = new
            done = await self.complete(document.write(domain))
            draft = drafts.draft(document.write(domain), done)
            revision = await service.in_store(service.store.rename, draft, author, f"was {entry.name}")
            service.tell(entry, Event.UNDEFINED, _ADDED + 1)
            service.registry.rename(entry, new)
            entry.head, entry.stored = revision.n, dict(draft.summary)
            service.texts.put_packed(entry.uuid, revision.n, revision.packed_completed)
            service.tell(entry, Event.DEFINED, _RENAMED)

    async def set_autostart(self, entry: Entry, on: bool, author: Author) -> None:
        """Say whether a domain starts with the daemon. Raises: WrongState."""
        if not entry.persistent:
            raise WrongState("cannot set autostart for transient domain")
        service = self._service
        await service.in_store(service.store.set_autostart, entry.uuid, on)
        entry.autostart = on
        await service.log("autostart", author, entry, on=on)

    async def set_autostart_once(self, entry: Entry, on: bool, author: Author) -> None:
        """Say whether a domain starts with the host the next time it boots, and only then. Raises: WrongState, HostFailure."""
        if not entry.persistent:
            raise WrongState("cannot set autostart for transient domain")
        await asyncio.to_thread(launching.mark, self._service.paths.starts_once, entry.uuid, on=on)
        entry.autostart_once = on
        await self._service.log("autostart-once", author, entry, on=on)

    async def set_text(
        self, entry: Entry, kind: str, value: str | None, author: Author, *, live: bool, config: bool
    ) -> None:
        """Set the title or the description, of the running machine, of the definition, or of both."""
        if kind == "title" and value is not None and "\n" in value:
            raise InvalidRequest("the title has a line break; one line would be accepted")

        def change(domain: Domain) -> None:
            setattr(domain, kind, value or None)

        await self.edit(entry, change, author, live=live, config=config)
        self._service.happened(entry, "metadata_change", _METADATA.index(kind), None)

    async def set_metadata(
        self, entry: Entry, uri: str, key: str | None, xml: str | None, author: Author, *, live: bool, config: bool
    ) -> None:
        """Set or (with no XML) remove one program's notes. Raises: InvalidDocument, WrongState."""

        def change(domain: Domain) -> None:
            metadata.put(domain, uri, key, xml)

        await self.edit(entry, change, author, live=live, config=config)
        self._service.happened(entry, "metadata_change", _METADATA.index("element"), uri)

    def get_metadata(self, entry: Entry, uri: str, *, inactive: bool) -> str:
        """Give one program's notes. Raises: NotFound."""
        found = metadata.get(self._service.domain(entry, inactive=inactive), uri)
        if found is None:
            raise NotFound("Requested metadata element is not present", code=80)
        return found

    async def edit(
        self, entry: Entry, change: Callable[[Domain], None], author: Author, *, live: bool, config: bool
    ) -> None:
        """Change the running machine's document, the definition, or both."""
        await self._service.changes.apply(entry, author, live=live, config=config, stored=change)

    async def put(
        self, draft: Draft, done: Completed, author: Author, why: str = "", expect_head: int | None = None,
        kind: Kind = "edit",
    ) -> Defined:  # fmt: skip
        """Store a changed definition as the next revision. Raises: Conflict."""
        return await self._store(draft, done, author, why, expect_head, kind)
