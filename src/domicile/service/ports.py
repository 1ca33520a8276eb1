"""Ports of networks: machines' interfaces plugged in and out, and those that clients make themselves. Part of the service.

A machine's ports stand in its running document, from which a later daemon knows them again; a client's are kept with the
network. All of it is answered from memory.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

import structlog

from domicile.base import ids
from domicile.base.errors import INTERNAL_ERROR, INVALID_ARG, Conflict, DomicileError, InvalidRequest, NotFound
from domicile.devices.interface import Interface
from domicile.devices.interface.model import (
    Bandwidth,
    InterfaceDriver,
    InterfaceSource,
    PortIsolation,
    SourceAddress,
)
from domicile.domain.domain import Domain
from domicile.host import shaper
from domicile.networks import document, driver
from domicile.networks.document import FROM_NETWORK
from domicile.networks.model import BridgeMac, ForwardAddress, ForwardDriver, Network
from domicile.networks.port import (
    NetworkPort,
    Owner,
    Plug,
    PortBandwidth,
    RxFilters,
    connect,
    limits,
    occupied_by,
    pci_name,
)
from domicile.schema import tree

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.networks import Net, Networks
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
#: libvirt's numbers of "no such port" and "there is such a port".
NO_PORT, PORT_EXISTS = 106, 107


def mark_of(host: str, uuid: str = "") -> str:
    """Give the mark that a machine's devices carry on the host, where they outlive it; without a machine, how all begin."""
    return f"domicile-machine:{host}:{uuid}"


class _Starting(Protocol):
    """What starts machines."""

    _service: Service


S = TypeVar("S", bound=_Starting)
P = ParamSpec("P")
R = TypeVar("R")


def plugged(
    start: Callable[Concatenate[S, Entry, P], Awaitable[R]],
) -> Callable[Concatenate[S, Entry, P], Coroutine[Any, Any, R]]:
    """Let a start that fails let go of the ports it took."""

    @functools.wraps(start)
    async def started(self: S, entry: Entry, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await start(self, entry, *args, **kwargs)
        except BaseException:
            if entry.machine is None:
                self._service.networks.ports.unplug_all(entry.uuid)
            raise

    return started


class Ports:
    """All ports of this daemon's networks."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._of: dict[str, dict[str, NetworkPort]] = {}
        self._own: set[str] = set()
        #: Bridges that the configuration names for networks this daemon does not keep.
        self.given: Mapping[str, str] = {}

    # Looking.

    def of(self, network: str) -> list[NetworkPort]:
        """List the ports of a network, known by its uuid."""
        return list(self._of.get(network, {}).values())

    def find(self, found: Net, uuid: str) -> NetworkPort:
        """Find a port. Raises: NotFound."""
        port = self._of.get(found.uuid, {}).get(uuid)
        if port is None:
            raise NotFound(f"network port with UUID {uuid} does not exist", code=NO_PORT, domain=FROM_NETWORK)
        return port

    def shown(self, found: Net) -> Network:
        """Give an active network's document with how many are connected."""
        network: Network = tree.copy(found.document)
        ports = self.of(found.uuid)
        network.connections = len(ports) or None
        taken = occupied_by(ports)
        for device in network.forward.interface if network.forward is not None else ():
            device.connections = taken.devices.get(device.dev or "") or None
        for address in network.forward.address if network.forward is not None else ():
            address.connections = int(pci_name(address) in taken.addresses) or None
        return network

    # Machines.

    def plug_all(self, domain: Domain, given: Mapping[str, str]) -> Domain:
        """Give a domain that starts what its interfaces are plugged into; the document given stays as it is.

        `given` are the bridges that the configuration names for networks this daemon does not keep.

        Raises: NotFound, WrongState, Conflict, Unsupported; `plugged` takes back what was plugged in already.
        """
        self.given = given
        wanted = [each for each in _interfaces(domain) if each.source is not None and each.source.network is not None]
        if not wanted:
            return domain
        made: Domain = tree.copy(domain)
        for interface in _interfaces(made):
            self.plug(interface, made)
        return made

    def plug(self, interface: Interface, domain: Domain) -> None:
        """Plug one interface into its network; others are left alone. Raises: NotFound, WrongState, Conflict, Unsupported."""
        source = interface.source
        if source is None or source.network is None:
            return
        withdraw(interface)
        bridge = self.given.get(source.network)
        if bridge:
            source.bridge = bridge
            return
        found, network = self._networks.active(source.network)
        port = _wanted(interface, domain)
        connect(network, port, occupied_by(self.of(found.uuid)))
        self._of.setdefault(found.uuid, {})[port.uuid or ""] = port
        _show(interface, port)

    def unplug_all(self, owner: str) -> None:
        """Let go of all ports of a machine, known by its uuid."""
        for network, ports in list(self._of.items()):
            for port in list(ports.values()):
                if port.owner is not None and port.owner.uuid == owner:
                    self._drop(network, port)

    def unplug(self, interface: Interface) -> None:
        """Let go of the port of one interface, if it has one."""
        uuid = interface.source.portid if interface.source is not None else None
        for network, ports in list(self._of.items()):
            if uuid in ports:
                self._drop(network, ports[uuid])

    def _drop(self, network: str, port: NetworkPort) -> None:
        self._of.get(network, {}).pop(port.uuid or "", None)
        if port.bandwidth is not None and port.bandwidth.classID is not None:
            found = self._networks.all.get(network)
            if found is not None and found.active:
                asyncio.get_running_loop().run_in_executor(None, self._give_back, found, port)

    def _give_back(self, found: Net, port: NetworkPort) -> None:
        try:
            shaper.drop_class(driver.bridge_of(found.document), class_of(port), self._rest(found))
        except DomicileError as fault:
            log.warning("a class of traffic was not removed", network=found.name, reason=fault.message)

    def adopt(self, domain: Domain) -> None:
        """Know again the ports of a machine that an earlier daemon started, from its running document."""
        for interface in _interfaces(domain):
            source = interface.source
            if source is None or source.network is None or not source.portid:
                continue
            found = self._networks.all.named(source.network)
            if found is None or not found.active:
                continue
            port = _wanted(interface, domain)
            port.uuid, port.plug = source.portid, _plug_of(interface)
            if port.bandwidth is not None and port.bandwidth.inbound is not None and port.bandwidth.inbound.floor:
                taken = occupied_by(self.of(found.uuid)).classes
                port.bandwidth.classID = next(n for n in range(3, 0xFFFF) if n not in taken)
            self._of.setdefault(found.uuid, {})[source.portid] = port

    def limit(self, interface: Interface) -> None:
        """Note the limits that an interface was given while it runs. Raises: Unsupported, WrongState."""
        source = interface.source
        found = self._networks.all.named(source.network or "") if source is not None else None
        port = self._of.get(found.uuid, {}).get((source.portid if source is not None else "") or "") if found else None
        if found is None or port is None:
            return
        self._limit(found, port, limits(interface.bandwidth) if interface.bandwidth is not None else None)

    def _limit(self, found: Net, port: NetworkPort, wanted: PortBandwidth | None) -> None:
        trial: NetworkPort = tree.copy(port)
        trial.bandwidth = wanted or PortBandwidth()
        others = [each for each in self.of(found.uuid) if each is not port]
        connect(found.document, trial, occupied_by(others))
        had = port.bandwidth.classID if port.bandwidth is not None else None
        before: NetworkPort = tree.copy(port)
        port.bandwidth = trial.bandwidth if wanted is not None else None
        if had is not None and class_of(port) is None:
            shaper.drop_class(driver.bridge_of(found.document), class_of(before), self._rest(found))

    def shape(self, interface: Interface) -> None:
        """Promise an interface its floor on its network's bridge. Blocks. Raises: HostFailure."""
        source = interface.source
        found = self._networks.all.named(source.network or "") if source is not None else None
        port = self._of.get(found.uuid, {}).get((source.portid if source is not None else "") or "") if found else None
        if found is not None and port is not None:
            self._promise(found, port)

    def _promise(self, found: Net, port: NetworkPort) -> None:
        mine = class_of(port)
        if mine is not None:
            shaper.add_class(driver.bridge_of(found.document), mine, self._rest(found))

    def promise_all(self, found: Net) -> None:
        """Make the classes of all floors anew, on a bridge whose limits were set anew. Blocks. Raises: HostFailure."""
        for port in self.of(found.uuid):
            self._promise(found, port)

    def _rest(self, found: Net) -> shaper.Rest:
        """Say what is left of a network's bandwidth for those who were promised nothing."""
        network = found.document
        whole = network.bandwidth.inbound if network.bandwidth is not None else None
        floor = occupied_by(self.of(found.uuid)).floor
        most = (whole.peak or whole.average or 0) if whole is not None else 0
        usual = (whole.average or 0) if whole is not None else 0
        return shaper.Rest(most - floor if floor else usual, most)

    # Clients' own.

    async def create(self, found: Net, xml: str, *, reclaim: bool) -> NetworkPort:
        """Make a port for a client. Raises: InvalidDocument, InvalidRequest, Conflict."""
        network = self._networks.live(found)
        port = document.part(NetworkPort, xml)
        for slot in ("uuid", "owner", "mac"):
            if getattr(port, slot) is None:
                raise InvalidRequest(f"network port has no {slot}", code=INTERNAL_ERROR, domain=FROM_NETWORK)
        if not reclaim and port.plug is not None and port.plug.type not in (None, "none"):
            what = "Port reclaim not requested but plug type is not none"
            raise InvalidRequest(what, code=INVALID_ARG, domain=FROM_NETWORK)
        if port.uuid in self._of.get(found.uuid, {}):
            what = f"network port with UUID {port.uuid} exists already"
            raise Conflict(what, code=PORT_EXISTS, domain=FROM_NETWORK)
        if not reclaim or port.plug is None:
            connect(network, port, occupied_by(self.of(found.uuid)))
        self._of.setdefault(found.uuid, {})[port.uuid or ""] = port
        self._own.add(port.uuid or "")
        await asyncio.to_thread(self._promise, found, port)
        await self._networks.keep_ports(found)
        return port

    async def delete(self, found: Net, uuid: str) -> None:
        """Let go of a port. Raises: NotFound."""
        self._drop(found.uuid, self.find(found, uuid))
        if uuid in self._own:
            self._own.discard(uuid)
            await self._networks.keep_ports(found)

    def clients(self, found: Net) -> list[NetworkPort]:
        """List the ports of a network that clients made."""
        return [port for port in self.of(found.uuid) if port.uuid in self._own]

    async def adopt_clients(self, found: Net, texts: Sequence[str]) -> None:
        """Know again the ports that clients made while an earlier daemon ran."""
        for text in texts:
            port = document.part(NetworkPort, text)
            self._of.setdefault(found.uuid, {})[port.uuid or ""] = port
            self._own.add(port.uuid or "")

    async def set_limits(self, found: Net, uuid: str, wanted: PortBandwidth) -> None:
        """Change the limits of a port. Raises: NotFound, Unsupported, WrongState."""
        port = self.find(found, uuid)
        self._limit(found, port, wanted if wanted.inbound is not None or wanted.outbound is not None else None)
        await asyncio.to_thread(self._promise, found, port)
        if uuid in self._own:
            await self._networks.keep_ports(found)

    def forget(self, network: str) -> None:
        """Forget the ports of a network that has stopped."""
        self._own -= set(self._of.pop(network, {}))


def class_of(port: NetworkPort) -> shaper.Promise | None:
    """Give the class that a port has on its network's bridge; None where it was promised nothing."""
    limit = port.bandwidth
    if limit is None or limit.classID is None or limit.inbound is None or port.mac is None:
        return None
    return shaper.Promise(limit.classID, limit.inbound.floor or 0, port.mac.address or "")


def _interfaces(domain: Domain) -> Iterator[Interface]:
    if domain.devices is not None:
        yield from domain.devices.of(Interface)


def withdraw(interface: Interface) -> None:
    """Take back what an interface of a network was shown with while it ran."""
    source = interface.source
    if source is None or source.network is None:
        return
    interface.type = "network"
    source.portid = source.bridge = source.dev = source.mode = source.hostaddress = None


def withdraw_all(domain: Domain) -> None:
    """Take back what all interfaces of networks were shown with."""
    for interface in _interfaces(domain):
        withdraw(interface)


def _wanted(interface: Interface, domain: Domain) -> NetworkPort:
    """Write down what an interface wants of its network."""
    source = interface.source or InterfaceSource()
    return NetworkPort(
        uuid=ids.new_uuid(),
        owner=Owner(name=domain.name, uuid=domain.uuid),
        group=source.portgroup,
        mac=BridgeMac(address=interface.mac.address) if interface.mac is not None else None,
        virtualport=tree.copy(interface.virtualport) if interface.virtualport is not None else None,
        bandwidth=limits(interface.bandwidth) if interface.bandwidth is not None else None,
        vlan=tree.copy(interface.vlan) if interface.vlan is not None else None,
        rxfilters=RxFilters(trustGuest=True) if interface.trustGuestRxFilters else None,
        port=PortIsolation(isolated=interface.port.isolated) if interface.port is not None else None,
    )


def _show(interface: Interface, port: NetworkPort) -> None:
    """Show in a running machine's document what its interface was given."""
    source, plug = interface.source, port.plug
    assert source is not None
    assert plug is not None
    source.portid = port.uuid
    limit = port.bandwidth
    interface.bandwidth = (
        Bandwidth(inbound=tree.copy(limit.inbound) if limit.inbound else None, outbound=tree.copy(limit.outbound) if limit.outbound else None)
        if limit is not None
        else None
    )  # fmt: skip
    interface.vlan = tree.copy(port.vlan) if port.vlan is not None else None
    interface.virtualport = tree.copy(port.virtualport) if port.virtualport is not None else None
    interface.port = PortIsolation(isolated=port.port.isolated) if port.port is not None else None
    if port.rxfilters is not None:
        interface.trustGuestRxFilters = port.rxfilters.trustGuest
    if plug.type in ("network", "bridge"):
        interface.type, source.bridge = plug.type, plug.bridge
    elif plug.type == "direct":
        interface.type, source.dev, source.mode = "direct", plug.dev, plug.mode
    elif plug.address is not None:
        a = plug.address
        interface.type, interface.managed = "hostdev", plug.managed or None
        source.hostaddress = SourceAddress(type="pci", domain=a.domain, bus=a.bus, slot=a.slot, function=a.function)
        interface.driver = InterfaceDriver(name=(plug.driver.name if plug.driver is not None else None) or "vfio")


def _plug_of(interface: Interface) -> Plug:
    """Give what a running machine's interface is plugged into, from its document."""
    source = interface.source or InterfaceSource()
    if interface.type == "direct":
        return Plug(type="direct", dev=source.dev, mode=source.mode)
    if interface.type == "hostdev" and source.hostaddress is not None:
        a = source.hostaddress
        address = ForwardAddress(domain=a.domain, bus=a.bus, slot=a.slot, function=a.function)
        return Plug(
            type="hostdev-pci", managed=bool(interface.managed), driver=ForwardDriver(name="vfio"), address=address
        )
    return Plug(type="network" if interface.type == "network" else "bridge", bridge=source.bridge)
