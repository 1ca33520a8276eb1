"""The service: all use-cases over one store, one host and the machines that run on it.

The daemon makes one; the front doors call it from the event loop. Reads answer from memory; the database is asked in a
worker thread, one hop a unit of work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

from domicile.base.errors import INTERNAL_ERROR, WrongState
from domicile.devices.channel import Channel
from domicile.domain import document
from domicile.domain import migratable as elsewhere
from domicile.domain.complete import complete
from domicile.domain.domain import Domain
from domicile.host.fulfil import Host as HostResources
from domicile.plan.host import Host
from domicile.runtime.console import Console, Consoles
from domicile.service import snapshot_settling
from domicile.service.agents import Agents
from domicile.service.applying import Applying
from domicile.service.backups import Backups
from domicile.service.block_jobs import BlockJobs
from domicile.service.changes import Changes
from domicile.service.checkpoints import Checkpoints
from domicile.service.controls import Controls
from domicile.service.definitions import Definitions
from domicile.service.emulators import Emulators
from domicile.service.entry import Entry
from domicile.service.filters import Filters
from domicile.service.fleet import Fleet
from domicile.service.guest import Guest
from domicile.service.host_devices import HostDevices
from domicile.service.images_in_use import ImagesInUse
from domicile.service.machines import Machines
from domicile.service.migration.arriving import Arrivals
from domicile.service.migration.leaving import Departures
from domicile.service.native import Native
from domicile.service.networks import Networks
from domicile.service.past import Past
from domicile.service.paths import Paths
from domicile.service.pools import Pools
from domicile.service.registry import Registry
from domicile.service.saves import Saves
from domicile.service.secrets import Secrets
from domicile.service.snapshots import Snapshots
from domicile.service.standing import Standing
from domicile.service.store_work import StoreWork
from domicile.service.takeover import Takeover
from domicile.service.texts import Texts
from domicile.service.volumes import Volumes
from domicile.store.store import Store
from domicile.store.values import Action, Author, Match, Revision

P = ParamSpec("P")
R = TypeVar("R")
#: More than all documents that a daemon may have to do with.
_ALL = 1 << 62


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """A lifecycle event, with libvirt's numbers."""

    uuid: str
    name: str
    id: int
    event: int
    detail: int


@dataclass(frozen=True, slots=True)
class Happening:
    """Anything else that happened to a domain: the event's name in the wire's procedures, its arguments after the domain.

    What QEMU said by itself is called ``qemu``: its name, when, its data.
    """

    uuid: str
    name: str
    id: int
    kind: str
    args: tuple[Any, ...] = ()


class Service:
    """Everything the daemon can do for its clients."""

    def __init__(self, store: Store, host: Host, resources: HostResources, paths: Paths, emulators: Emulators) -> None:
        self.store, self.host, self.resources, self.paths, self.emulators = store, host, resources, paths, emulators
        self.registry = Registry()
        self.consoles = Consoles()
        self.work = StoreWork(remote=store.remote)
        self.in_store, self.when_idle = self.work.run, self.work.when_idle
        # A server may go away: then the documents are asked of memory, and reading never waits for it.
        self.texts = Texts(_ALL) if store.remote else Texts()
        self.standing = Standing(self)
        self._listeners: list[Callable[[ServiceEvent], None]] = []
        self._hearers: list[Callable[[Happening], None]] = []
        definitions, machines = Definitions(self), Machines(self)
        self.saves, self.controls, self.native = Saves(self), Controls(self), Native(self)
        self.agents, self.guest, self.takeover = Agents(self), Guest(self), Takeover(self)
        self.networks = Networks(store, self.in_store, paths.networks)
        self.filters, self.secrets, self.host_devices = Filters(self), Secrets(self), HostDevices()
        self.pools, self.images = Pools(self), ImagesInUse(self)
        self.volumes, self.past, self.backups = Volumes(self), Past(self), Backups(self)
        self.snapshots, self.checkpoints, self.block_jobs = Snapshots(self), Checkpoints(self), BlockJobs(self)
        self.applying = Applying(self)
        self.arrivals, self.departures, self.fleet = Arrivals(self), Departures(self), Fleet(self)
        #: URIs under which other hosts reach this daemon, beside its socket.
        self.reachable: list[str] = []
        self.definitions, self.machines, self.changes = definitions, machines, Changes(self)
        self.define, self.create = definitions.define, machines.create
        self.undefine, self.undelete, self.rollback = definitions.undefine, definitions.undelete, definitions.rollback
        self.rename, self.set_autostart = definitions.rename, definitions.set_autostart
        self.set_text, self.set_metadata, self.get_metadata = (
            definitions.set_text,
            definitions.set_metadata,
            definitions.get_metadata,
        )
        self.start, self.shutdown, self.reboot, self.reset = (
            machines.start,
            machines.shutdown,
            machines.reboot,
            machines.reset,
        )
        self.destroy, self.suspend, self.resume, self.argv = (
            machines.destroy,
            machines.suspend,
            machines.resume,
            machines.argv,
        )

    # What is there.

    def entries(self) -> Iterator[Entry]:
        """Walk all domains."""
        return iter(self.registry)

    def by_uuid(self, uuid: str) -> Entry:
        """Find a domain. Raises: NotFound."""
        return self.registry.by_uuid(uuid)

    def by_name(self, name: str) -> Entry:
        """Find a domain. Raises: NotFound."""
        return self.registry.by_name(name)

    def by_id(self, number: int) -> Entry:
        """Find a running domain. Raises: NotFound."""
        return self.registry.by_id(number)

    def find_entry(self, key: str) -> Entry:
        """Find a domain by name, uuid or id. Raises: NotFound."""
        return self.registry.find(key)

    def xml(self, entry: Entry, *, inactive: bool = False, secrets: bool = False, migratable: bool = False) -> str:
        """Give a domain's document: the running machine's own, or (inactive, or when it does not run) the stored one.

        Where it is `migratable`, that is the running machine's without what belongs to this run alone.
        """
        text = self._document(entry, inactive)
        if migratable:
            domain = document.read_stored(text)
            if not inactive and entry.live is not None:
                complete(domain, self.host, self.emulators.find)
                # The CPU and the labels that were asked for; the next host says itself what it gives.
                asked = self.domain(entry, inactive=True)
                domain.cpu, domain.seclabel = asked.cpu, asked.seclabel
            elsewhere.strip(domain)
            text = document.write(domain)
        if not secrets and "passwd=" in text:
            text = document.write(document.read_stored(text), secrets=False)
        return text

    def _document(self, entry: Entry, inactive: bool) -> str:
        running = entry.live
        if running is None or (inactive and entry.persistent):
            return self._stored(entry)
        return running.definition if inactive and running.definition else running.xml

    def domain(self, entry: Entry, *, inactive: bool = False) -> Domain:
        """Give a domain's document, read; it is a copy of its own."""
        return document.read_stored(self.xml(entry, inactive=inactive, secrets=True))

    def _stored(self, entry: Entry) -> str:
        if not entry.persistent:
            raise WrongState(f"domain '{entry.name}' has no stored definition")
        text = self.texts.get(entry.uuid, entry.head)
        if text is None:
            text = self.store.completed_text(entry.uuid)
            self.texts.put(entry.uuid, entry.head, text)
        return text

    # Events.

    def subscribe(self, listener: Callable[[ServiceEvent], None]) -> None:
        """Call `listener` for every lifecycle event, after the state changed."""
        self._listeners.append(listener)

    def tell(self, entry: Entry, event: int, detail: int, number: int | None = None) -> None:
        """Tell all listeners."""
        happened = ServiceEvent(entry.uuid, entry.name, entry.id if number is None else number, event, detail)
        for listener in self._listeners:
            listener(happened)

    def attend(self, hearer: Callable[[Happening], None]) -> None:
        """Call `hearer` for everything else that happens to domains."""
        self._hearers.append(hearer)

    def happened(self, entry: Entry, kind: str, *args: Any, number: int | None = None) -> None:
        """Tell all who attend."""
        if self._hearers:
            what = Happening(entry.uuid, entry.name, entry.id if number is None else number, kind, args)
            for hearer in self._hearers:
                hearer(what)

    @property
    def quiet(self) -> float:
        """For how many seconds the store had nothing to do."""
        return self.work.quiet

    # The store.

    async def log(self, verb: str, author: Author, entry: Entry, outcome: str = "done", **detail: Any) -> None:
        """Write an action into the log, once the database answers."""
        done = Action(verb, author, entry.uuid, entry.name, outcome, detail, at=datetime.now(UTC))
        await self.standing.owe("a line of the log", self.store.log, done)

    async def history(self, key: str) -> list[Revision]:
        """List a domain's revisions, also of one that is no longer defined. Raises: NotFound."""
        return await self.in_store(self.store.history, self._key(key))

    async def revision(self, key: str, n: int) -> Revision:
        """Give one revision. Raises: NotFound."""
        return await self.in_store(self.store.revision, self._key(key), n)

    async def find(self, kind: str, value: str) -> list[Match]:
        """Find domains by an indexed fact."""
        return await self.in_store(self.store.find, kind, value)

    async def find_leaf(self, path: str, op: Any, value: str) -> list[Match]:
        """Find domains by any value of their documents."""
        return await self.in_store(self.store.find_leaf, path, op, value)

    async def actions(self, uuid: str | None = None, limit: int = 100) -> list[Action]:
        """List the last actions."""
        return await self.in_store(self.store.actions, uuid, limit)

    def _key(self, key: str) -> str:
        if key.isdigit():
            return self.registry.find(key).uuid
        return key

    # Consoles.

    def open_console(self, entry: Entry, device: str | None = None, force: bool = False) -> Console:
        """Open a domain's serial console, or the named character device.

        Raises:
            WrongState: it does not run, or has no such device.
            Conflict: somebody else has it open.
        """
        machine = entry.machine
        if machine is None:
            raise WrongState("domain is not running")
        names = [f"char{device}"] if device else [f"charserial{0}", "charconsole0", *sorted(machine.ptys)]
        path = next((machine.ptys[name] for name in names if name in machine.ptys), None)
        if path is None:
            raise WrongState(f"cannot find character device {device or '(null)'}", code=INTERNAL_ERROR)
        return self.consoles.open(path, force=force)

    def open_channel(self, entry: Entry, name: str | None = None, force: bool = False) -> Console:
        """Open a domain's channel by its alias or its target's name, the first where none is named.

        Raises:
            WrongState: it does not run, or has no such channel.
            Conflict: somebody else has it open.
        """
        if entry.machine is None or entry.live is None:
            raise WrongState("domain is not running")
        devices = self.domain(entry).devices
        for channel in devices.of(Channel) if devices is not None else []:
            alias = channel.alias.name if channel.alias is not None else None
            if name is None or name in (alias, getattr(channel.target, "name", None)):
                path = channel.source[0].path if channel.source else None
                if channel.type not in ("unix", "pty") or path is None:
                    raise WrongState(
                        f"channel {alias} is of type '{channel.type}'; unix and pty can be opened", code=INTERNAL_ERROR
                    )
                return self.consoles.open(path, force=force)
        raise WrongState(f"cannot find channel {name or '(null)'}", code=INTERNAL_ERROR)

    # The daemon's life.

    async def begin(self) -> None:
        """Take in all definitions, and the machines an earlier daemon left running."""
        await self.in_store(self.store.register_host, self.machines.host)
        for head in await self.in_store(self.store.heads):
            self.registry.add(Entry(head.uuid, head.name, head.n, head.autostart, stored=head.summary_json))
        if self.store.remote:
            await self.in_store(self._remember)
        self.saves.begin()
        rows = await self.in_store(self.store.every_snapshot)
        for lineages in (self.snapshots.lineages, self.checkpoints.lineages):
            lineages.load(rows)
            lineages.count_all()
        await self.networks.begin()
        await self.filters.begin()
        await self.secrets.begin()
        await self.pools.begin()
        await self.takeover.reattach()
        await snapshot_settling.settle_all(self)
        await self.filters.adopt()
        await self.checkpoints.settle()

    def _remember(self) -> None:
        for uuid, n, text in self.store.documents():
            self.texts.put(uuid, n, text)

    async def close(self) -> None:
        """Let go of the machines (they go on) and of the store."""
        await self.takeover.detach()
        await self.pools.flush()
        await self.in_store(self.store.close)
        self.work.close()
