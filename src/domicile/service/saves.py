"""Saving machines and letting them go on: into files of the caller's choice, and into managed ones for the next start.

Part of the service. A machine never runs twice: a managed image is used up by the start that took it, and an image stands
under its name only once it is whole.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import DomicileError, InvalidRequest, Unsupported, WrongState
from domicile.domain import block_chain, compare, document
from domicile.domain.complete import complete
from domicile.domain.domain import Domain
from domicile.runtime.image import Image
from domicile.runtime.job import Operation
from domicile.runtime.record import Record
from domicile.runtime.start import Incoming
from domicile.runtime.states import Paused, Running, Shutoff
from domicile.schema import tree
from domicile.service import disk_sources
from domicile.service.entry import Entry
from domicile.service.outfile import forget_cached, opened, rewritten
from domicile.service.ports import withdraw_all
from domicile.service.states import settle_left, writing

if TYPE_CHECKING:
    from domicile.runtime.machine import Machine
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)


class Saves:
    """The use-cases about saved machines."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def begin(self) -> None:
        """Take note of the managed images there are."""
        # One look at the directory: few domains have one.
        kept = {path.stem for path in self._service.paths.saves.glob("*.save")}
        for entry in self._service.registry:
            entry.saved = entry.uuid in kept and self.place_of(entry).exists()

    def place_of(self, entry: Entry) -> Path:
        """Name the managed image of a domain."""
        return self._service.paths.saves / f"{entry.uuid}.save"

    # Saving.

    async def save(
        self, entry: Entry, path: str, author: Author, *, xml: str | None = None, running: bool | None = None,
        uncached: bool = False,
    ) -> None:  # fmt: skip
        """Write a machine's state into a file and end it. `running` says how it shall go on, otherwise as it was.

        With `uncached` the host's cache keeps nothing of the file.

        Raises:
            WrongState: it does not run.
            Unsupported: the document given describes other hardware.
            HostFailure, QemuRefused, DeadlineExceeded, Aborted: it failed, and the machine is as it was.
        """
        await self._save(entry, path, author, xml, running, uncached=uncached)
        self._service.machines.done("save", entry, author, path=path)

    async def save_managed(
        self, entry: Entry, author: Author, *, running: bool | None = None, uncached: bool = False
    ) -> None:
        """Write a machine's state where its next start finds it, and end it. Raises: as `save` does."""
        if not entry.persistent:
            raise WrongState("cannot do managed save for transient domain")
        await self._save(entry, str(self.place_of(entry)), author, None, running, managed=True, uncached=uncached)
        self._service.machines.done("managedsave", entry, author)

    async def _save(
        self, entry: Entry, path: str, author: Author, xml: str | None, running: bool | None, *, managed: bool = False,
        uncached: bool = False,
    ) -> None:  # fmt: skip
        service = self._service
        async with entry.changes():
            machine = service.machines.running(entry)
            async with machine.working(Operation.SAVE) as job:
                domain = await self.dormant(entry)
                if xml is not None:
                    wished = (await service.definitions.complete(xml)).domain
                    domain = agreed(service.domain(entry, inactive=True), domain, wished)
                text = document.write(domain)
                live = entry.live
                revision = live.revision if live is not None and xml is None and entry.persistent else 0

                def head(ran: bool) -> Image:
                    return Image(text, ran if running is None else running, revision)

                await writing(
                    machine, path, job, Paused.SAVE, Running.SAVE_CANCELED, head=head, ends=True, uncached=uncached
                )
                if managed:
                    entry.saved = True
                await machine.end(Shutoff.SAVED)
            if entry.ending is not None:
                await asyncio.shield(entry.ending)

    async def dormant(self, entry: Entry) -> Domain:
        """Give the machine's document without what belongs to this run alone."""
        service = self._service
        assert entry.live is not None
        domain = document.read_stored(entry.live.xml)
        for disk in disk_sources.disks(domain):
            block_chain.hide(disk, entry.live.detected)
        withdraw_all(domain)
        await service.emulators.ensure_for(domain)
        return complete(domain, service.host, service.emulators.find).domain

    # Going on.

    async def restore(
        self, path: str, author: Author, *, xml: str | None = None, running: bool | None = None, uncached: bool = False
    ) -> Entry:
        """Let a saved machine go on; a domain that is not defined is forgotten when it stops.

        Raises:
            BadImage: the file is no whole image.
            WrongState: the domain runs.
            Unsupported: the document given describes other hardware than was saved.
        """
        service = self._service
        async with opened(path) as (fd, image, state):
            domain = await self._complete(image.xml)
            if xml is not None:
                wished = (await service.definitions.complete(xml)).domain
                same_hardware(domain, wished)
                domain = wished
            entry = service.machines.room_for(domain)
            async with entry.changes():
                if entry.active:
                    raise WrongState(f"domain '{entry.name}' is already active")
                try:
                    paused = not (image.running if running is None else running)
                    async with state(fd, image) as source:
                        await service.machines.launch(
                            entry, domain, _revision(entry, image), author, paused=paused, incoming=Incoming(source)
                        )
                    if uncached:
                        await asyncio.to_thread(forget_cached, fd)
                except BaseException:
                    if not entry.persistent:
                        service.registry.remove(entry)
                    raise
        return entry

    async def go_on(self, entry: Entry, author: Author, *, paused: bool, autodestroy: bool = False) -> None:
        """Let a machine go on from its managed image, which is used up; the caller holds the entry's lock."""
        service, place = self._service, self.place_of(entry)
        async with opened(str(place)) as (fd, image, state):
            domain = await self._complete(image.xml)
            if domain.uuid != entry.uuid:
                raise WrongState(f"the managed image of '{entry.name}' is of another domain, {domain.uuid}")
            async with state(fd, image) as source:
                incoming = Incoming(source, str(place))
                paused = paused or not image.running
                await service.machines.launch(
                    entry,
                    domain,
                    _revision(entry, image),
                    author,
                    paused=paused,
                    incoming=incoming,
                    autodestroy=autodestroy,
                )
        await asyncio.to_thread(place.unlink, missing_ok=True)
        entry.saved = False
        if entry.machine is not None and not entry.machine.over:
            entry.machine.note(restored="")
            await service.machines.keep(entry)

    async def _complete(self, xml: str) -> Domain:
        return (await self._service.definitions.complete(xml)).domain

    # Images.

    async def image_xml(self, path: str, *, secrets: bool) -> str:
        """Give the document in an image. Raises: BadImage, HostFailure."""
        async with opened(path) as (_, image, _state):
            if secrets or "passwd=" not in image.xml:
                return image.xml
            return document.write(document.read_stored(image.xml), secrets=False)

    async def image_define(self, path: str, xml: str, author: Author, *, running: bool | None = None) -> None:
        """Give an image another document, of the same hardware. Raises: BadImage, Unsupported, InvalidDocument."""
        async with opened(path) as (_, image, _state):
            wished = (await self._service.definitions.complete(xml)).domain
            same_hardware(await self._complete(image.xml), wished)
            text = document.write(wished)
            if text == image.xml and running in (None, image.running):
                return
            image.xml, image.revision, image.cookie = text, 0, "" if image.revision else image.cookie
            if running is not None:
                image.running = running
            await asyncio.to_thread(rewritten, path, image)

    def managed(self, entry: Entry) -> str:
        """Name the managed image of a domain. Raises: WrongState where it has none."""
        if not entry.saved:
            raise WrongState(f"domain '{entry.name}' does not have managed save image")
        return str(self.place_of(entry))

    async def remove(self, entry: Entry, author: Author) -> None:
        """Throw a managed image away."""
        async with entry.changes():
            if entry.saved:
                self.forget(entry)
                self._service.machines.done("managedsave-remove", entry, author)

    def forget(self, entry: Entry) -> None:
        """Throw a managed image away; the caller holds the entry's lock."""
        self.place_of(entry).unlink(missing_ok=True)
        entry.saved = False

    # Dumps.

    async def dump(
        self, entry: Entry, path: str, author: Author, *, memory_only: bool, format: str | None, live: bool,
        crash: bool, reset: bool, uncached: bool = False,
    ) -> None:  # fmt: skip
        """Write a machine's state, or its memory alone, into a file for debuggers; it goes on, unless it is to `crash`.

        Raises: WrongState, Unsupported, HostFailure, QemuRefused, DeadlineExceeded, Aborted
        """
        service = self._service
        async with entry.changes():
            machine = service.machines.running(entry)
            async with machine.working(Operation.DUMP) as job:
                if memory_only and format is not None:
                    able = await machine.qmp("query-dump-guest-memory-capability")
                    if format not in able["formats"]:
                        known = ", ".join(able["formats"])
                        raise InvalidRequest(f"dump format '{format}' is not known to this QEMU; {known} are")
                ran = await writing(
                    machine,
                    path,
                    job,
                    Paused.DUMP,
                    Running.UNPAUSED,
                    live=live,
                    memory=memory_only,
                    format=format,
                    uncached=uncached,
                )
                if crash:
                    await machine.end(Shutoff.CRASHED)
                else:
                    if reset:
                        await machine.reset()
                    if ran:
                        await machine.go_on(Running.UNPAUSED)
                    machine.note(unfinished=None)
        service.machines.done("dump", entry, author, path=path)

    async def dump_crashed(self, machine: Machine) -> None:
        """Write the memory of a guest that has crashed where its owner will look for it. Raises: as `dump` does."""
        when = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
        directory = self._service.paths.dumps
        await asyncio.to_thread(directory.mkdir, mode=0o700, parents=True, exist_ok=True)
        name = f"{machine.id}-{machine.name.replace('/', '_')[:80]}-{when}"
        path = await asyncio.to_thread(_unused, directory / name)
        async with machine.working(Operation.DUMP) as job:
            await writing(machine, str(path), job, Paused.DUMP, Running.UNPAUSED, live=True, memory=True)
            machine.note(unfinished=None)
        log.warning("the memory of a crashed guest was written down", domain=machine.name, path=str(path))

    def abort(self, entry: Entry) -> None:
        """End the long operation under way. Raises: WrongState where there is none."""
        job = self._service.machines.running(entry).job
        if job is None:
            raise WrongState("no job is active on the domain")
        job.cancelled.set()

    # After the daemon was away.

    async def tidy(self, entry: Entry, machine: Machine, record: Record) -> None:
        """Bring to an end what an earlier daemon began: a save that was finished ends its machine, another is given up."""
        if record.restored:
            await asyncio.to_thread(Path(record.restored).unlink, missing_ok=True)
            entry.saved = False
            machine.note(restored="")
        try:
            if record.autodestroy:
                # The client that it was to end with went with the earlier daemon.
                await machine.destroy()
                return
            if record.unfinished is None:
                return
            finished = await settle_left(machine, record.unfinished)
        except DomicileError as error:
            log.error("what an earlier daemon began cannot be settled", domain=entry.name, reason=error.message)
            return
        entry.saved = entry.saved or self.place_of(entry).exists()
        log.warning("an earlier daemon's save was settled", domain=entry.name, finished=finished)

    def tidy_gone(self, record: Record) -> None:
        """Clean up after a machine that ended while no daemon watched."""
        if record.unfinished is not None and record.unfinished.temporary != record.unfinished.path:
            with suppress(OSError):
                Path(record.unfinished.temporary).unlink(missing_ok=True)
        used = Path(record.restored) if record.restored else None
        entry = self._service.registry.get(record.uuid)
        if used is not None and used.exists():
            # It had begun to go on from this image: its disks may be newer by now.
            aside = used.with_suffix(".used")
            used.replace(aside)
            log.warning("a managed image was used and stands aside now", domain=record.name, path=str(aside))
        if entry is not None:
            entry.saved = self.place_of(entry).exists()


def _revision(entry: Entry, image: Image) -> int:
    return image.revision if 0 < image.revision <= entry.head else 0


def agreed(asked: Domain, running: Domain, wished: Domain) -> Domain:
    """Give the document in a running machine's place that its owner wished for; its guest must see the same hardware.

    The owner's may have the CPU as the running machine's document shows it, or as it was `asked` for: then it gets what the
    guest has. Raises: Unsupported
    """
    plain: Domain = tree.copy(running)
    plain.cpu, plain.seclabel = asked.cpu, asked.seclabel
    try:
        same_hardware(plain, wished)
    except Unsupported:
        same_hardware(running, wished)
    else:
        wished.cpu = running.cpu
    return wished


def same_hardware(old: Domain, new: Domain) -> None:
    """Refuse a document whose guest would see another machine than the one that was saved. Raises: Unsupported."""
    for what, before, after in (("name", old.name, new.name), ("uuid", old.uuid, new.uuid)):
        if before != after:
            raise Unsupported(f"Target domain {what} '{after}' does not match source '{before}'")
    for change in compare.compare(old, new):
        if change.guest:
            now = f"'{change.new}'" if change.new else "nothing"
            raise Unsupported(
                f"{change.path}: the guest would see {now} instead of '{change.old}'; its hardware must stay as it was saved"
            )


def _unused(path: Path) -> Path:
    """Give a path that nothing has: a guest may crash twice within a second, and neither dump is lost."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
