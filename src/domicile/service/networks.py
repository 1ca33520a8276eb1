"""Virtual networks: define, start, stop, change, who has which address. Part of the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog

from domicile.base.errors import OPERATION_INVALID, DomicileError, WrongState
from domicile.domain import metadata
from domicile.networks import document, driver, leases, update
from domicile.networks.complete import Surroundings, complete_text
from domicile.networks.dnsmasq import Files
from domicile.networks.document import FROM_NETWORK
from domicile.networks.driver import Running
from domicile.networks.leases import DhcpLease
from domicile.networks.model import Network
from domicile.schema import tree
from domicile.service.objects import InStore, Kind, Object, Objects
from domicile.service.ports import Ports
from domicile.store.store import Store
from domicile.store.values import Author

log = structlog.get_logger(__name__)
#: libvirt's number of "no such network".
_MISSING = 43
DEFINED, UNDEFINED, STARTED, STOPPED = 0, 1, 2, 3
_LIVE, _CONFIG = 1, 2
_STARTING, _PORTS = "starting", "ports"
Net = Object[Network]


class Networks:
    """All networks of this daemon."""

    def __init__(self, store: Store, in_store: InStore, folder: Path) -> None:
        kind = Kind("network", "network", _MISSING, FROM_NETWORK, document.read_stored, document.write)
        self.all: Objects[Network] = Objects(kind, store, in_store)
        self._store, self._in_store, self._folder = store, in_store, folder
        self.ports = Ports(self)

    # Definitions.

    async def define(self, xml: str, author: Author, *, strict: bool = False) -> Net:
        """Store a definition; an active network goes on as it is. Raises: InvalidDocument, Conflict."""
        made = await self._completed(xml, strict)
        self._same_identity(made)
        found = await self.all.define(made, made.uuid or "", made.name or "", xml, author)
        self.all.tell(found, DEFINED)
        return found

    async def create(self, xml: str, author: Author, *, strict: bool = False) -> Net:
        """Start a network that is gone when it stops. Raises: InvalidDocument, Conflict, HostFailure."""
        made = await self._completed(xml, strict)
        self._same_identity(made)
        uuid, name = made.uuid or "", made.name or ""
        self.all.unclaimed(uuid, name, active=True)
        found = self.all.get(uuid) or self.all.take_in(Object(uuid, name))
        try:
            async with found.lock:
                await self._raise(found, made)
        except BaseException:
            if not found.persistent:
                self.all.let_go(found)
            raise
        return found

    async def _completed(self, xml: str, strict: bool) -> Network:
        """Complete a document; one that has no uuid is its name's next definition."""
        network, _ = document.read(xml)
        known = self.all.named(network.name or "")
        bridges = {
            driver.bridge_of(other.definition)
            for other in self.all
            if other.definition.own_bridge and other.name != network.name and other.uuid != network.uuid
        }
        around = Surroundings(bridges, taken=await asyncio.to_thread(_devices))
        if network.uuid is None and known is not None and known.persistent:
            around = Surroundings(bridges, around.taken, new_uuid=lambda: known.uuid)
        made, _ = complete_text(xml, around, strict=strict)
        return made

    def _same_identity(self, made: Network) -> None:
        self.all.unclaimed(made.uuid or "", made.name or "")

    async def undefine(self, found: Net, author: Author) -> None:
        """Take a definition out of service; its history stays. Raises: WrongState."""
        async with found.lock:
            await self.all.undefine(found, author)
        self.all.tell(found, UNDEFINED)

    # Starting and stopping.

    async def start(self, found: Net) -> None:
        """Make a network active.

        Raises:
            WrongState: it is active already.
            HostFailure: the host refused; nothing is left behind.
        """
        async with found.lock:
            if found.active:
                raise WrongState("network is already active", code=OPERATION_INVALID, domain=FROM_NETWORK)
            await self._raise(found, tree.copy(found.definition))

    async def _raise(self, found: Net, live: Network) -> None:
        await self.all.intend(found, live, {_STARTING: True})
        work = asyncio.ensure_future(asyncio.to_thread(driver.start, live, self._files(found)))
        try:
            running = await asyncio.shield(work)
        except BaseException as error:
            if not work.done():  # the caller went away, not the work
                await asyncio.wait([work])
            if not work.cancelled() and work.exception() is None:
                await asyncio.to_thread(driver.stop, live, self._files(found), work.result())
            await self.all.drop_active(found)
            if isinstance(error, DomicileError):
                error.wire_domain = FROM_NETWORK
            raise
        await self.all.keep_active(found, live, _facts(running))
        self.all.tell(found, STARTED)

    async def stop(self, found: Net) -> None:
        """Make a network inactive; a transient one is gone. Raises: WrongState, HostFailure."""
        async with found.lock:
            live = self._active(found)
            await asyncio.to_thread(driver.stop, live, self._files(found), _running(found.facts))
            self.ports.forget(found.uuid)
            await self.all.drop_active(found)
        self.all.tell(found, STOPPED)

    def _active(self, found: Net) -> Network:
        if found.live is None:
            raise WrongState(f"network '{found.name}' is not active", domain=FROM_NETWORK)
        return found.live

    # Changes.

    async def update(
        self, found: Net, command: int, section: int, index: int, xml: str, flags: int, author: Author
    ) -> None:
        """Change one part, of the active network, of the definition, or of both.

        Raises:
            WrongState, Unsupported, InvalidDocument: it cannot be; nothing changed.
        """
        await self.edit(found, lambda network: update.apply(network, command, section, index, xml), flags, author)

    async def set_metadata(self, found: Net, change: Callable[[Any], None], flags: int, author: Author) -> None:
        """Change what programs note at a network."""
        await self.edit(found, change, flags, author, reload=False)

    async def edit(
        self, found: Net, change: Callable[[Network], Any], flags: int, author: Author, *, reload: bool = True
    ) -> None:
        """Change the active network's document, the definition, or both."""
        live, config = bool(flags & _LIVE), bool(flags & _CONFIG)
        if not live and not config:
            live, config = found.active, not found.active
        async with found.lock:
            if live and not found.active:
                raise WrongState("network is not running", domain=FROM_NETWORK)
            if config and not found.persistent:
                raise WrongState("cannot change persistent config of a transient network", domain=FROM_NETWORK)
            stored = running = None
            if config:
                stored = tree.copy(found.definition)
                change(stored)
            if live:
                running = tree.copy(self._active(found))
                change(running)
            if running is not None:
                facts = found.facts
                if reload:
                    work = asyncio.to_thread(driver.reload, running, self._files(found), _running(facts))
                    facts = {**found.facts, **_facts(await work)}
                await self.all.keep_active(found, running, facts)
            if stored is not None:
                await self.all.define(stored, found.uuid, found.name, document.write(stored), author)

    # Looking.

    def xml(self, found: Net, *, inactive: bool = False) -> str:
        """Give a network's document."""
        if inactive or not found.active:
            return document.write(found.definition if inactive else found.document)
        return document.write(self.ports.shown(found))

    def metadata(self, found: Net, uri: str, *, inactive: bool) -> str | None:
        """Give one program's notes."""
        return metadata.get(found.definition if inactive else found.document, uri)

    async def leases(self, found: Net, mac: str | None = None) -> list[DhcpLease]:
        """List the addresses that are given away. Raises: WrongState."""
        self._active(found)
        every = await asyncio.to_thread(leases.read, self._files(found).at("leases"))
        return [one for one in every if mac is None or one.mac.lower() == mac.lower()]

    def reach(self, found: Net, lease: DhcpLease) -> tuple[int, int]:
        """Say of which kind (libvirt's number: 0 IPv4, 1 IPv6) a lease's address is, and how long its network's prefix."""
        if lease.version == 6:
            return 1, 128
        four = (place for place in driver.places(found.document) if place.version == 4)
        return 0, next((place.network.prefixlen for place in four), 0)

    def active(self, name: str) -> tuple[Net, Network]:
        """Find an active network that a machine is to be connected to, with its document. Raises: NotFound, WrongState."""
        found = self.all.by_name(name)
        return found, self.live(found)

    def live(self, found: Net) -> Network:
        """Give an active network's document. Raises: WrongState."""
        return self._active(found)

    async def keep_ports(self, found: Net) -> None:
        """Keep the ports that clients made, for a later daemon."""
        made = [document.write_part(port) for port in self.ports.clients(found)]
        await self.all.keep_active(found, self._active(found), {**found.facts, _PORTS: made})

    # The daemon's life.

    async def begin(self) -> None:
        """Take in all networks; adopt what still stands, remove what was only half made."""
        await self.all.begin()
        for found in self.all:
            if found.active:
                try:
                    await self._adopt(found)
                except DomicileError as error:
                    log.warning("a network could not be taken over", network=found.name, reason=error.message)

    async def _adopt(self, found: Net) -> None:
        live, files = self._active(found), self._files(found)
        if found.facts.get(_STARTING) or not await asyncio.to_thread(driver.stands, live):
            await asyncio.to_thread(driver.stop, live, files, await asyncio.to_thread(driver.left, files))
            await self.all.drop_active(found)
            return
        running = await asyncio.to_thread(driver.renew, live, files, _running(found.facts))
        await self.all.keep_active(found, live, {**found.facts, **_facts(running)})
        await self.ports.adopt_clients(found, found.facts.get(_PORTS, ()))

    async def autostart(self) -> None:
        """Start the networks that are to be active from the daemon's start."""
        for found in self.all:
            if found.autostart and not found.active:
                try:
                    await self.start(found)
                except DomicileError as error:
                    log.warning("a network could not be started", network=found.name, reason=error.message)

    def _files(self, found: Net) -> Files:
        return Files(self._folder, found.uuid)


def _facts(running: Running) -> Mapping[str, Any]:
    return {"pid": running.pid, "start_time": running.start_time}


def _running(facts: Mapping[str, Any]) -> Running:
    return Running(int(facts.get("pid", 0)), int(facts.get("start_time", 0)))


def _devices() -> Callable[[str], bool]:
    """Look once which network devices the host has."""
    there = set(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else set()  # noqa: PTH112, PTH208
    return lambda name: name in there
