"""What an interface gets when its owner left it open. Used by this slice's FAMILY."""

from __future__ import annotations

from domicile.devices.interface.filterref import FilterRef
from domicile.devices.interface.ip import canonical
from domicile.devices.interface.model import BUILT_IN, Interface, InterfaceModel, InterfaceSource, Mac, is_virtio
from domicile.devices.interface.port import PortParameters, VirtualPort, Vlan
from domicile.devices.parts.bus import want_card, want_legacy, want_virtio
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.place import Want, WantSpaprVio, WantUsb

#: The kinds of interfaces whose host's end can have a filter.
FILTERED = ("bridge", "network", "ethernet")


def defaults(interface: Interface, c: Completion) -> None:
    """Give it an address and a model."""
    if interface.mac is None or interface.mac.address is None:
        c.allocate(
            interface,
            "mac",
            Mac(address=c.host.new_mac()),
            "a random address below QEMU's prefix",
            "在 QEMU 前缀下随机生成的地址",
        )
    if interface.model is not None and interface.model.type is None:
        interface.model = None
    if interface.model is None and interface.type == "vdpa":
        c.default(
            interface,
            "model",
            InterfaceModel(type="virtio"),
            "a vDPA device is a virtio card",
            "vDPA 设备即 virtio 网卡",
        )
    elif interface.type != "hostdev" and (interface.model is None or interface.model.type is None):
        model = default_model(c)
        if model is not None:
            c.default(
                interface,
                "model",
                InterfaceModel(type=model),
                "the card this machine type's guests know",
                "此机型的客户机认识的网卡",
            )
    if interface.type == "direct" and interface.source is not None and interface.source.mode is None:
        c.default(interface.source, "mode", "vepa", "frames go over the switch outside", "帧经由外部交换机转发")
    if interface.virtualport is not None:
        _port(interface.virtualport, c)
    if interface.vlan is not None:
        _vlan(interface.vlan)
    source = interface.source or InterfaceSource()
    for slot in ("domain", "bus", "slot", "function") if source.hostaddress is not None else ():
        if getattr(source.hostaddress, slot) is None:
            setattr(source.hostaddress, slot, 0)
    for ip in (*interface.ip, *source.ip):
        canonical(ip)
    for route in (*interface.route, *source.route):
        canonical(route)
    if interface.filterref is not None:
        _filter(interface, interface.filterref, c)
    _forget(interface, c)


def _filter(interface: Interface, ref: FilterRef, c: Completion) -> None:
    """Keep a filter where there is something on the host that it can be put on, and what are values of its variables."""
    if interface.type not in FILTERED:
        kinds = ", ".join(FILTERED)
        omit(interface, ("filterref",), c, f"only interfaces of type {kinds} pass a filter", f"仅 {kinds} 类型的接口支持过滤器")
        return
    for dropped in ref.settle():
        en = f"'{dropped.name}={dropped.value}' is no value of a filter's variable"
        c.notes.append((ref, "parameter", "ignored", en, f"“{dropped.name}={dropped.value}”不是有效的过滤器参数"))


def _forget(interface: Interface, c: Completion) -> None:
    """Leave out words that say what is so anyway, what only a virtio card has, and what only a run is given."""
    driver, source = interface.driver, interface.source
    if driver is not None and driver.queues is not None and driver.queues < 2:
        driver.queues = None
    if source is not None:
        source.portid = None
        if interface.type == "network":
            source.bridge = source.dev = source.mode = None
    if interface.type != "hostdev" and not is_virtio(interface):
        why = "only a virtio card has it", "只有 virtio 网卡具备此项"
        omit(interface, ("driver",), c, *why)
        if interface.backend is not None:
            omit(interface.backend, ("vhost",), c, *why)
    if not interface.managed:
        interface.managed = None
    if interface.backend is not None and interface.backend.type == "default":
        interface.backend.type = None
    target = interface.target
    if (
        target is not None
        and target.dev is not None
        and target.managed is None
        and target.dev.startswith(("vnet", "macvtap", "macvlan"))
    ):
        interface.target = None


def _port(port: VirtualPort, c: Completion) -> None:
    """Give a port the identity it is known by at its switch."""
    slot = {"openvswitch": "interfaceid", "802.1Qbg": "instanceid"}.get(port.type or "")
    if slot is None:
        return
    if port.parameters is None:
        port.parameters = PortParameters()
    if getattr(port.parameters, slot) is None:
        c.allocate(port.parameters, slot, c.host.new_uuid(), "a random identity", "随机生成的标识")


def _vlan(vlan: Vlan) -> None:
    if not vlan.tag:
        return
    many = len(vlan.tag) > 1 or any(tag.nativeMode is not None for tag in vlan.tag)
    if many:
        vlan.trunk = vlan.trunk is not False
    else:
        vlan.trunk = vlan.trunk or None


# Cards of plain PCI; one that nobody knows takes a place of PCI Express. Observed with libvirt 9.0.
_LEGACY = (
    "netfront", "rtl8139", "e1000", "spapr-vlan", "lan9118", "smc91c111", "vlance", "vmxnet", "vmxnet2", "vmxnet3", "Am79C970A",
    "Am79C973", "82540EM", "82545EM", "82543GC",
)  # fmt: skip


def default_model(facts: Facts) -> str | None:
    """Name the card for a machine whose owner named none."""
    return facts.usual(facts.board.network)


def place(interface: Interface, facts: Facts) -> Want | None:
    """Ask for a PCI slot or a USB port."""
    model = interface.model.type if interface.model is not None else None
    if interface.type == "hostdev":
        return want_card(facts)
    if model == "usb-net":
        return WantUsb()
    if model in BUILT_IN:
        return None
    if model == "spapr-vlan":
        return WantSpaprVio()
    if model is not None and model.startswith("virtio"):
        return want_virtio(interface, facts, model)
    return want_legacy() if model is None or model in _LEGACY else want_card(facts)


def alias(interface: Interface, index: int, p: Planning) -> str:
    """Name the card; one that is a device of the host counts among those."""
    return f"hostdev{index}" if interface.type == "hostdev" else f"net{index}"
