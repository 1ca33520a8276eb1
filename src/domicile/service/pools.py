"""Storage pools: what is defined, which are active, what is in them. Part of the service.

Lists answer from memory; the host is looked at when a pool is started or refreshed, and a volume when somebody asks of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from domicile.base import tasks
from domicile.base.errors import INTERNAL_ERROR, OPERATION_FAILED, DeadlineExceeded, DomicileError, WrongState
from domicile.devices.disk.secret import SecretRef
from domicile.service.objects import Kind, Object, Objects
from domicile.storage import pool as document
from domicile.storage.driver import Driver, View, lacking, undefinable
from domicile.storage.drivers import drivers
from domicile.storage.failure import FROM_STORAGE, NO_POOL, broken, conflict, no_pool, unsupported, wrong_state
from domicile.storage.parts import Permissions, bytes_of, sane
from domicile.storage.pool import FreeExtent, Pool, PoolTarget
from domicile.storage.volume import Volume
from domicile.store.values import Action, Author

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
#: Seconds that looking through a pool may take, and at the daemon's start.
_LOOK, _AT_START = 600.0, 20.0
#: Seconds within which what was done is written into the log together.
_GATHERED = 0.05
DEFINED, UNDEFINED, STARTED, STOPPED, CREATED, DELETED = range(6)
"""Source: virStoragePoolEventLifecycleType."""
KIND = Kind("pool", "storage pool", NO_POOL, FROM_STORAGE, document.read_stored, document.write)


@dataclass(slots=True, eq=False)
class Held:
    """What is known of a pool beside its document; it stays when the pool stops, as libvirt shows it then.

    `works` counts the long works under way, `names` those of volumes that are being made, `used` those being read or written.
    """

    view: View = field(default_factory=View)
    works: int = 0
    names: set[str] = field(default_factory=set)
    used: dict[str, int] = field(default_factory=dict)

    @property
    def volumes(self) -> dict[str, Volume]:
        """Its volumes by name."""
        return self.view.volumes

    @contextmanager
    def work(self) -> Iterator[None]:
        """Do something during which the pool must stay as it is."""
        self.works += 1
        try:
            yield
        finally:
            self.works -= 1

    @contextmanager
    def use(self, volume: str) -> Iterator[None]:
        """Do something during which a volume must stay."""
        self.used[volume] = self.used.get(volume, 0) + 1
        try:
            with self.work():
                yield
        finally:
            self.used[volume] -= 1
            if not self.used[volume]:
                del self.used[volume]


class Pools:
    """The use-cases about pools."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.objects: Objects[Pool] = Objects(KIND, service.store, service.in_store)
        self.drivers = drivers(service.secrets.passphrase)
        self._notes: list[Action] = []
        self._held: dict[str, Held] = {}
        self._refreshed: list[Callable[[Object[Pool]], None]] = []

    # Finding.

    def held(self, found: Object[Pool]) -> Held:
        """Give what is known of a pool beside its document."""
        return self._held.setdefault(found.uuid, Held())

    def driver(self, found: Object[Pool]) -> Driver:
        """Give the driver of a pool's type."""
        return self.drivers[found.document.type or ""]

    def by_target(self, path: str) -> Object[Pool]:
        """Find an active pool by where it is on the host. Raises: NotFound."""
        wanted = sane(path)
        for found in self.objects:
            if found.active and found.document.path == wanted:
                return found
        raise no_pool(f"no storage pool with matching target path '{path}'")

    def active(self, found: Object[Pool]) -> Held:
        """Give what is known of a pool that must be active. Raises: WrongState."""
        if not found.active:
            raise wrong_state(f"storage pool '{found.name}' is not active")
        return self.held(found)

    def xml(self, found: Object[Pool], *, inactive: bool = False) -> str:
        """Write a pool's document, with what was last seen of it."""
        shown = copy(found.definition if inactive else found.document)
        view = self.held(found).view
        shown.capacity, shown.allocation = bytes_of(view.capacity), bytes_of(view.allocation)
        shown.available = bytes_of(view.available)
        if view.free and shown.source is not None and shown.source.device:
            shown.source = copy(shown.source)
            first, *rest = shown.source.device
            shown.source.device = [copy(first), *rest]
            shown.source.device[0].freeExtent = [FreeExtent(start=start, end=end) for start, end in view.free]
        if view.permissions is not None and shown.target is not None:
            said = shown.target.permissions
            label = said.label if said is not None else None
            seen = view.permissions
            rights = Permissions(mode=seen.mode, owner=seen.owner, group=seen.group, label=label)
            shown.target = PoolTarget(path=shown.target.path, permissions=rights)
        return document.write(shown)

    # What is stored.

    async def define(self, xml: str, author: Author, *, strict: bool = False) -> Object[Pool]:
        """Store a definition. Raises: StorageDocument, Conflict, Unsupported."""
        made = self._read(xml, strict)
        found = await self.objects.define(made, made.uuid or "", made.name or "", xml, author)
        self.objects.tell(found, DEFINED)
        self._note("pool-define", found, author)
        return found

    def _read(self, xml: str, strict: bool) -> Pool:
        made = document.read(xml, strict=strict)
        kind = made.type or ""
        why = undefinable(kind)
        if why:
            raise unsupported(why, INTERNAL_ERROR)
        self.objects.unclaimed(made.uuid or "", made.name or "")
        place = _place(made)
        for other in self.objects:
            if other.uuid != made.uuid and place in (_place(other.definition), _place(other.document)):
                raise conflict(f"Storage source conflict with pool: '{other.name}'", OPERATION_FAILED)
        return made

    async def undefine(self, found: Object[Pool], author: Author) -> None:
        """Take a definition out of service. Raises: WrongState."""
        async with found.lock:
            if found.active:
                raise wrong_state(f"storage pool '{found.name}' is still active")
            self._idle(found)
            await self.objects.undefine(found, author)
            self._held.pop(found.uuid, None)
            self.objects.tell(found, UNDEFINED)
            self._note("pool-undefine", found, author)

    async def set_autostart(self, found: Object[Pool], on: bool, author: Author) -> None:
        """Say whether the daemon starts it. Raises: WrongState."""
        if not found.persistent:
            raise WrongState("pool has no config file", code=INTERNAL_ERROR, domain=FROM_STORAGE)
        await self.objects.set_autostart(found, on)
        self._note("pool-autostart", found, author)

    # What is active.

    async def create(
        self, xml: str, author: Author, *, build: bool = False, overwrite: bool | None = None, strict: bool = False
    ) -> Object[Pool]:
        """Start a pool that is forgotten when it stops, unless it is defined. Raises: StorageDocument, Conflict, HostFailure."""
        made = self._read(xml, strict)
        self.objects.unclaimed(made.uuid or "", made.name or "", active=True)
        found = self.objects.get(made.uuid or "")
        if found is None:
            found = self.objects.take_in(Object(made.uuid or "", made.name or ""))
            found.stored = made  # until it is active there is no other document of it
        async with found.lock:
            try:
                if found.active:
                    raise wrong_state(f"pool is already active as '{found.name}'")
                await self._start(found, made, build=build, overwrite=overwrite)
            finally:
                if not found.persistent:
                    found.stored = None
                    if not found.active:
                        self.objects.let_go(found)
        self._note("pool-create", found, author)
        return found

    async def start(
        self, found: Object[Pool], author: Author, *, build: bool = False, overwrite: bool | None = None
    ) -> None:
        """Make a pool active. Raises: WrongState, HostFailure, Unsupported."""
        async with found.lock:
            if found.active:
                raise wrong_state(f"storage pool '{found.name}' is already active")
            await self._start(found, found.definition, build=build, overwrite=overwrite)
        self._note("pool-start", found, author)

    async def _start(self, found: Object[Pool], made: Pool, *, build: bool, overwrite: bool | None) -> None:
        driver = self.drivers[made.type or ""]
        self._possible(made)
        if build or overwrite is not None:
            await driver.build(made, overwrite)
        if made.type == "dir" or not await driver.active(made):
            await driver.start(made)
        try:
            await self._look(found, made)
            await self.objects.keep_active(found, made, {})
        except BaseException:
            await self._let_go(driver, made)
            raise
        self.objects.tell(found, STARTED)

    def _possible(self, made: Pool) -> None:
        why = lacking(made.type or "")
        if why:
            raise unsupported(why, INTERNAL_ERROR)

    async def _let_go(self, driver: Driver, made: Pool) -> None:
        try:
            await driver.stop(made)
        except DomicileError as error:
            log.warning("pool not stopped after a failed start", pool=made.name, reason=error.message)

    async def _look(self, found: Object[Pool], made: Pool, deadline: float = _LOOK) -> None:
        try:
            async with asyncio.timeout(deadline):
                view = await self.drivers[made.type or ""].look(made, sweep=True)
        except TimeoutError:
            words = f"storage pool '{made.name}' could not be looked through within {deadline:g} s; does its storage answer?"
            raise DeadlineExceeded(words, domain=FROM_STORAGE) from None
        secrets = self._service.secrets
        for volume in view.volumes.values():
            encryption = volume.encryption
            if encryption is not None and not encryption.secret:
                known = secrets.of_volume(volume.path)
                if known is not None:
                    encryption.secret.append(SecretRef(type="passphrase", uuid=known))
            if (
                made.refresh is not None
                and made.refresh.volume is not None
                and made.refresh.volume.allocation == "capacity"
            ):
                volume.allocation = volume.capacity
        self.held(found).view = view

    async def stop(self, found: Object[Pool], author: Author) -> None:
        """Let a pool go; what is in it stays. Raises: WrongState, HostFailure."""
        async with found.lock:
            self.active(found)
            self._idle(found)
            await self.driver(found).stop(found.document)
            self.held(found).view.volumes = {}
            await self.objects.drop_active(found)
            if not found.persistent:
                self._held.pop(found.uuid, None)
            self.objects.tell(found, STOPPED)
        self._note("pool-destroy", found, author)

    async def build(self, found: Object[Pool], author: Author, overwrite: bool | None) -> None:
        """Make what a pool is on. Raises: WrongState, HostFailure, Unsupported."""
        async with found.lock:
            if found.active:
                raise wrong_state(f"storage pool '{found.name}' is already active")
            self._possible(found.document)
            await self.driver(found).build(found.document, overwrite)
            self.objects.tell(found, CREATED)
        self._note("pool-build", found, author)

    async def delete(self, found: Object[Pool], author: Author) -> None:
        """Remove what a pool is on. Raises: WrongState, HostFailure."""
        async with found.lock:
            if found.active:
                raise wrong_state(f"storage pool '{found.name}' is still active")
            self._idle(found)
            await self.driver(found).delete(found.document)
            self.objects.tell(found, DELETED)
        self._note("pool-delete", found, author)

    async def refresh(self, found: Object[Pool]) -> None:
        """Look through a pool again. Raises: WrongState, HostFailure."""
        async with found.lock:
            self.active(found)
            self._idle(found)
            try:
                await self._look(found, found.document)
            except DomicileError:
                await self._let_go(self.driver(found), found.document)
                self.held(found).view.volumes = {}
                await self.objects.drop_active(found)
                self.objects.tell(found, STOPPED)
                raise
            self.refreshed(found)

    async def recount(self, found: Object[Pool], figures: tuple[int, int, int] | None = None) -> None:
        """Count a pool's bytes again, unless that was done."""
        view = self.held(found).view
        figures = figures or await self.driver(found).figures(found.document)
        view.capacity, view.allocation, view.available = figures

    def _idle(self, found: Object[Pool]) -> None:
        if self.held(found).works:
            raise broken(f"pool '{found.name}' has asynchronous jobs running.")

    # Telling.

    def on_refresh(self, listener: Callable[[Object[Pool]], None]) -> None:
        """Call `listener` whenever a pool was looked through."""
        self._refreshed.append(listener)

    def refreshed(self, found: Object[Pool]) -> None:
        """Tell that a pool was looked through."""
        for listener in self._refreshed:
            listener(found)

    def _note(self, verb: str, found: Object[Pool], author: Author) -> None:
        self.note(verb, author, found.uuid, found.name)

    def note(self, verb: str, author: Author, uuid: str, name: str) -> None:
        """Write into the log what was done, without waiting for it."""
        self._notes.append(Action(verb, author, uuid, name, "done", {}, at=datetime.now(UTC)))
        if len(self._notes) == 1:
            tasks.spawn("log of what was done to pools", self._write_notes())

    async def _write_notes(self) -> None:
        """Write what came within a moment at once: each write waits for the disk."""
        await asyncio.sleep(_GATHERED)
        await self.flush()

    async def flush(self) -> None:
        """Write what is not yet in the log."""
        done, self._notes = self._notes, []
        if done:
            await self._service.in_store(self._service.store.log, *done)

    # The daemon's life.

    async def begin(self) -> None:
        """Take in all definitions, and look again at what an earlier daemon left active."""
        await self.objects.begin()
        await asyncio.gather(*(self._again(found) for found in self.objects if found.active))

    async def _again(self, found: Object[Pool]) -> None:
        """Look at a pool that was active; a server that does not answer must not hold up the daemon."""
        made = found.document
        try:
            async with asyncio.timeout(_AT_START):
                if not await self.driver(found).active(made):
                    raise wrong_state("the host does not have it ready")
            await self._look(found, made, _AT_START)
        except (DomicileError, TimeoutError) as error:
            log.warning(
                "pool is not active any more", pool=found.name, reason=str(error) or "its storage does not answer"
            )
            await self.objects.drop_active(found)

    async def autostart(self, author: Author) -> None:
        """Start the pools that are to be started; one that cannot be does not hold up the others."""
        wanted = [found for found in self.objects if found.autostart and not found.active]
        done = await asyncio.gather(*(self.start(found, author) for found in wanted), return_exceptions=True)
        for found, outcome in zip(wanted, done, strict=True):
            if isinstance(outcome, DomicileError):
                log.warning("pool not started", pool=found.name, reason=outcome.message)
            elif isinstance(outcome, BaseException):
                raise outcome


def _place(pool: Pool) -> tuple[str, ...]:
    """Say where a pool's storage is, so that two on the same are known."""
    source = pool.source
    kind = pool.type or ""
    host = source.host[0].name or "" if source is not None and source.host else ""
    if kind == "dir" or source is None:
        return kind, pool.path
    if kind == "netfs":
        return kind, host, (source.dir.path or "") if source.dir is not None else ""
    if kind in ("logical", "zfs", "rbd", "gluster", "sheepdog", "vstorage"):
        return kind, host, source.name or ""
    if kind == "scsi":
        adapter = source.adapter
        known = (adapter.name or adapter.wwpn or repr(adapter.parentaddr)) if adapter is not None else ""
        return kind, known
    if kind == "mpath":
        return (kind,)
    return (kind, host, *pool.device_paths)
