"""A port of a network: what one interface is plugged into, and what it takes over from its group and its network. Pure.

Clients read and write ports as documents of their own; `service/ports` keeps them while their owners run.
Source: libvirt's networkport format; what is chosen and refused was observed with libvirt 9.0.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from domicile.base.errors import INTERNAL_ERROR, Conflict, Unsupported, WrongState
from domicile.devices.interface.model import Bandwidth, PortIsolation, Rate
from domicile.devices.interface.port import VirtualPort, Vlan
from domicile.networks.document import FROM_NETWORK
from domicile.networks.model import BridgeMac, ForwardAddress, ForwardDriver, Network, PortGroup
from domicile.schema import field as f
from domicile.schema import tree
from domicile.schema.scalar import FILLED, UINT, UUID, YES_NO, enum
from domicile.schema.shape import Element, element

NO_OPERATION = 84
PLUGS = ("none", "network", "bridge", "direct", "hostdev-pci")
#: The first class of a network's bridge that is one interface's; those before are the network's own.
FIRST_CLASS = 3
_LAST_CLASS = 0xFFFF
#: Modes in which a device of the host serves one guest alone.
_ALONE = ("passthrough",)


@element("owner", "端口所有者")
class Owner(Element):
    """Who has the port: a virtual machine."""

    name: str | None = f.leaf("Its name.", "名称。", FILLED)
    uuid: str | None = f.leaf("Its identity.", "标识。", UUID)


@element("bandwidth", "带宽限制")
class PortBandwidth(Element):
    """Limits on the port's traffic."""

    classID: int | None = f.attr("Its class on the network's bridge.", "在网桥上的类别编号。", UINT)
    inbound: Rate | None = f.child("To the guest.", "发往客户机。", Rate)
    outbound: Rate | None = f.child("From the guest.", "来自客户机。", Rate)


@element("rxfilters", "接收过滤")
class RxFilters(Element):
    """Whose filters count."""

    trustGuest: bool | None = f.attr("Whether the guest's do.", "是否信任客户机的过滤。", YES_NO)


@element("plug", "接入点")
class Plug(Element):
    """What the port is plugged into."""

    type: str | None = f.attr("The kind.", "种类。", enum(*PLUGS))
    bridge: str | None = f.attr("The bridge.", "网桥。", FILLED)
    macTableManager: str | None = f.attr(
        "Who fills its table of addresses.", "由谁维护地址表。", enum("kernel", "libvirt")
    )
    dev: str | None = f.attr("The device of the host.", "主机设备。", FILLED)
    mode: str | None = f.attr("How it is shared.", "共享方式。", enum("bridge", "private", "vepa", "passthrough"))
    managed: bool | None = f.attr("Whether it is taken from the host by itself.", "是否自动从主机取下。", YES_NO)
    driver: ForwardDriver | None = f.child("Who hands it over.", "移交它的驱动。", ForwardDriver)
    address: ForwardAddress | None = f.child("Where the host has it.", "在主机上的位置。", ForwardAddress)


@element("networkport", "网络端口", identity=("uuid",))
class NetworkPort(Element):
    """A port of a virtual network."""

    uuid: str | None = f.leaf("Its identity.", "标识。", UUID)
    owner: Owner | None = f.child("Who has it.", "所有者。", Owner)
    group: str | None = f.leaf("The network's group of settings.", "网络的设置分组。")
    mac: BridgeMac | None = f.child("The guest's hardware address.", "客户机的 MAC 地址。", BridgeMac)
    virtualport: VirtualPort | None = f.child("The switch port.", "交换机端口。", VirtualPort)
    bandwidth: PortBandwidth | None = f.child("Limits.", "带宽限制。", PortBandwidth, keep_empty=False)
    vlan: Vlan | None = f.child("VLANs.", "VLAN。", Vlan)
    rxfilters: RxFilters | None = f.child("Whose filters count.", "以谁的过滤为准。", RxFilters, keep_empty=False)
    port: PortIsolation | None = f.child("Isolation from other ports.", "端口隔离。", PortIsolation)
    plug: Plug | None = f.child("What it is plugged into.", "接入点。", Plug)


@dataclass(slots=True)
class Occupied:
    """What the other ports of a network take: guests by device, devices on the PCI bus, classes and promised KiB a second."""

    devices: Mapping[str, int] = field(default_factory=dict)
    addresses: Collection[str] = ()
    classes: Collection[int] = ()
    floor: int = 0


def connect(network: Network, port: NetworkPort, occupied: Occupied) -> None:
    """Settle what a port is plugged into, and give it what its group and network say for all.

    Raises:
        Unsupported: this kind of network cannot do what the interface wants.
        Conflict, WrongState: nothing is free for it.
    """
    group = group_of(network, port.group)
    _inherit(network, group, port)
    port.plug = _plug(network, occupied)
    _reserve(network, port, occupied)


def group_of(network: Network, name: str | None) -> PortGroup | None:
    """Find the group of settings by name, or the one for those who name none."""
    if name:
        return next((group for group in network.portgroup if group.name == name), None)
    return next((group for group in network.portgroup if group.default), None)


def _inherit(network: Network, group: PortGroup | None, port: NetworkPort) -> None:
    if group is not None:
        if port.bandwidth is None and group.bandwidth is not None:
            port.bandwidth = limits(group.bandwidth)
        if port.vlan is None and group.vlan is not None:
            port.vlan = tree.copy(group.vlan)
    if port.vlan is None and network.vlan is not None:
        port.vlan = tree.copy(network.vlan)
    if port.virtualport is None:
        given = next((v for v in (group.virtualport if group else None, network.virtualport) if v is not None), None)
        port.virtualport = tree.copy(given) if given is not None else None
    if port.rxfilters is None and ((group is not None and group.trustGuestRxFilters) or network.trustGuestRxFilters):
        port.rxfilters = RxFilters(trustGuest=True)
    if port.port is None and network.port is not None and network.port.isolated is not None:
        port.port = PortIsolation(isolated=network.port.isolated)


def limits(given: Bandwidth) -> PortBandwidth:
    """Give an interface's limits as a port's."""
    copied: Bandwidth = tree.copy(given)
    return PortBandwidth(inbound=copied.inbound, outbound=copied.outbound)


def _plug(network: Network, occupied: Occupied) -> Plug:
    forward, mode = network.forward, network.mode
    bridge = network.bridge
    if network.own_bridge or (mode == "bridge" and bridge is not None and bridge.name):
        kind = "network" if network.own_bridge else "bridge"
        assert bridge is not None
        return Plug(type=kind, bridge=bridge.name, macTableManager=bridge.macTableManager)
    assert forward is not None
    if mode == "hostdev":
        free = next((a for a in forward.address if pci_name(a) not in occupied.addresses), None)
        if free is None:
            raise _none_left(network)
        address = ForwardAddress(domain=free.domain, bus=free.bus, slot=free.slot, function=free.function)
        driver = tree.copy(forward.driver) if forward.driver is not None else None
        return Plug(type="hostdev-pci", managed=bool(forward.managed), driver=driver, address=address)
    devices = [device.dev or "" for device in forward.interface]
    if not devices:
        what = f"network '{network.name}' uses a direct mode, but has no forward dev and no interface pool"
        raise Conflict(what, code=INTERNAL_ERROR, domain=FROM_NETWORK)
    least = min(devices, key=lambda dev: occupied.devices.get(dev, 0))
    if mode in _ALONE and occupied.devices.get(least, 0):
        raise _none_left(network)
    return Plug(type="direct", dev=least, mode=mode)


def _none_left(network: Network) -> Conflict:
    what = f"network '{network.name}' requires exclusive access to interfaces, but none are available"
    return Conflict(what, code=INTERNAL_ERROR, domain=FROM_NETWORK)


def _reserve(network: Network, port: NetworkPort, occupied: Occupied) -> None:
    """Promise a port its floor, and choose its class. Raises: Unsupported, WrongState."""
    if port.bandwidth is None:
        return
    port.bandwidth.classID = None
    floor = port.bandwidth.inbound.floor if port.bandwidth.inbound is not None else None
    if not floor:
        return
    mac = port.mac.address if port.mac is not None else ""
    whole = network.bandwidth.inbound if network.bandwidth is not None else None
    if whole is None or not whole.average or port.plug is None or port.plug.type != "network":
        what = f"Invalid use of 'floor' on interface with MAC address {mac} - network '{network.name}' has no inbound QoS set"
        raise Unsupported(what, code=NO_OPERATION, domain=FROM_NETWORK)
    most = whole.peak or whole.average
    if occupied.floor + floor > most:
        what = (
            f"Cannot plug '{mac}' interface into '{port.plug.bridge}' because new combined inbound "
            f"floor={occupied.floor + floor} would overcommit {'peak' if whole.peak else 'average'}={most} "
            f"on network '{network.name}'"
        )
        raise WrongState(what, domain=FROM_NETWORK)
    port.bandwidth.classID = next(n for n in range(FIRST_CLASS, _LAST_CLASS) if n not in occupied.classes)


def pci_name(address: ForwardAddress) -> str:
    """Name a PCI device as the kernel does: 0000:06:12.5."""
    return f"{address.domain or 0:04x}:{address.bus or 0:02x}:{address.slot or 0:02x}.{address.function or 0:x}"


def occupied_by(ports: Collection[NetworkPort]) -> Occupied:
    """Add up what ports take."""
    devices: dict[str, int] = {}
    addresses, classes, floor = set(), set(), 0
    for port in ports:
        plug, limit = port.plug, port.bandwidth
        if plug is not None and plug.dev:
            devices[plug.dev] = devices.get(plug.dev, 0) + 1
        if plug is not None and plug.address is not None:
            addresses.add(pci_name(plug.address))
        if limit is not None and limit.classID is not None:
            classes.add(limit.classID)
            floor += (limit.inbound.floor or 0) if limit.inbound is not None else 0
    return Occupied(devices, addresses, classes, floor)
