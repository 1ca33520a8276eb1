"""USB ports for the devices that want one. Called by domain/complete after the controllers are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.devices import BY_TAG
from domicile.devices.controller import Controller
from domicile.devices.hub import Hub
from domicile.devices.parts.device import Device, UsbAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion
from domicile.plan.place import WantUsb

# Ports of a controller by model; companions have none of their own. Source: QEMU's hw/usb; observed with libvirt 9.0.
PORTS = {
    "piix3-uhci": 2, "piix4-uhci": 2, "ehci": 6, "ich9-ehci1": 6, "ich9-uhci1": 0, "ich9-uhci2": 0, "ich9-uhci3": 0,
    "vt82c686b-uhci": 2, "pci-ohci": 3, "nec-xhci": 4, "qemu-xhci": 4, "qusb1": 8, "qusb2": 8,
}  # fmt: skip
_CHOSEN_PORTS = ("nec-xhci", "qemu-xhci", "qusb1", "qusb2")
HUB_PORTS = 8
#: How many hubs may stand in a row before a device: a port is a path of so many numbers.
MAX_DEPTH = 4
# The order in which families are given ports. Observed with libvirt 9.0.
_ORDER = ("hub", "hostdev", "disk", "interface", "controller", "input", "serial", "sound", "redirdev")


@dataclass(slots=True)
class Node:
    """A controller or a hub: how many ports it has, which are taken (from 1), and the hubs on them."""

    ports: int
    taken: set[int] = field(default_factory=set)
    hubs: dict[int, Node] = field(default_factory=dict)

    def find(self, path: list[int]) -> Node | None:
        """Follow a path of ports through hubs."""
        node: Node | None = self
        for port in path:
            node = node.hubs.get(port) if node is not None else None
        return node

    def free(self, depth: int = MAX_DEPTH) -> list[int] | None:
        """Find a free port: here, else behind the first hub that has one."""
        for port in range(1, self.ports + 1):
            if port not in self.taken:
                return [port]
        for port, hub in sorted(self.hubs.items()) if depth > 1 else ():
            found = hub.free(depth - 1)
            if found is not None:
                return [port, *found]
        return None


def check(devices: DeviceLists, c: Completion) -> None:
    """Find USB devices on a machine without USB, companions without their controller, and ports that cannot be."""
    controllers = [k for k in devices.of(Controller) if k.type == "usb"]
    models = [k.model for k in controllers]
    if "none" in models and len(models) > 1:
        what = "USB is off (a controller of type 'usb' has model 'none'), but there is another USB controller"
        c.problem(controllers[1], what, "one of the two", "@model")
    leaders = {k.index for k in controllers if k.master is None}
    for controller in controllers:
        if controller.master is not None and controller.index not in leaders:
            what = f"there is no master for the '{controller.model}' at index '{controller.index}'"
            accepted = f"<controller type='usb' index='{controller.index}' model='ich9-ehci1'/> beside it"
            c.problem(controller, what, accepted, "@index", INTERNAL_ERROR)
    for device, _ in _users(devices, c):
        address = device.address
        if models and all(model == "none" for model in models):
            what = f"USB is off (a controller of type 'usb' has model 'none'), but here is a USB '{device.shape.tag}'"
            c.problem(device, what, "another bus, or no controller of model 'none'")
        if isinstance(address, UsbAddress) and address.port and _path(address.port) is None:
            what = f"attribute 'port' of <address> has the value '{address.port}'"
            c.problem(address, what, f"up to {MAX_DEPTH} numbers with dots between, such as 1.2", "@port", XML_ERROR)


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every USB device a port, adding hubs where there are more devices than ports.

    A document that was kept before USB devices got ports stays as it is, unless all of them have one.
    """
    users = list(_users(devices, c))
    if not c.host.fresh and any(_given(device) is None for device, _ in users):
        return
    buses: dict[int, Node] = {}
    for controller in devices.of(Controller):
        if controller.type == "usb" and controller.model != "none" and controller.master is None:
            chosen = controller.ports if controller.model in _CHOSEN_PORTS else None
            buses.setdefault(controller.index or 0, Node(chosen or PORTS.get(controller.model or "", 2)))
    if _add_hubs(devices, sum(bus.ports for bus in buses.values()), len(users), c):
        users = list(_users(devices, c))
    for device, want in users:
        if want.hub and _given(device) is not None:
            _take(device, want, buses, c)
    for device, want in users:
        if not want.hub and _given(device) is not None:
            _take(device, want, buses, c)
    for device, want in sorted(users, key=lambda user: not user[1].hub):
        if _given(device) is None:
            _give(device, want, buses, c)


def _users(devices: DeviceLists, c: Completion) -> Iterator[tuple[Device, WantUsb]]:
    """Walk the devices that are on USB."""
    for tag in _ORDER:
        place = BY_TAG[tag].place
        for device in getattr(devices, tag, ()):
            if isinstance(device, Controller) and device.type != "ccid":  # the only one that is plugged into USB itself
                continue
            want = place(device, c)
            if isinstance(want, WantUsb) and isinstance(device.address, UsbAddress | None):
                yield device, want


def _given(device: Device) -> UsbAddress | None:
    address = device.address
    return address if isinstance(address, UsbAddress) and address.port else None


def _path(port: str) -> list[int] | None:
    """Read a port such as 1.2.3; None where it is none."""
    words = port.split(".")
    if len(words) > MAX_DEPTH or not all(word.isascii() and word.isdigit() and int(word) < 256 for word in words):
        return None
    return [int(word) for word in words]


def _add_hubs(devices: DeviceLists, ports: int, users: int, c: Completion) -> bool:
    """Add as many hubs as the devices need; each takes one port and brings eight."""
    hubs: list[Hub] = devices.of(Hub)
    lacking = users - ports - HUB_PORTS * len(hubs)
    if lacking <= 0 or not ports:
        return False
    for _ in range(-(-(lacking + 1) // (HUB_PORTS - 1))):
        hub = Hub(type="usb")
        hubs.append(hub)
        c.add(hub, "there are more USB devices than ports", "USB 设备多于端口")
    return True


def _take(device: Device, want: WantUsb, buses: dict[int, Node], c: Completion) -> None:
    """Reserve the port that a device names."""
    address = _given(device)
    path = _path(address.port or "") if address is not None else None
    if address is None or path is None:
        return
    root = buses.get(address.bus)
    node = root.find(path[:-1]) if root is not None else None
    if node is None or not 1 <= path[-1] <= node.ports:
        what = f"USB port '{address.port}' of bus '{address.bus}' does not exist"
        c.problem(address, what, "a port of a USB controller or hub", "@port", XML_ERROR)
    elif path[-1] in node.taken:
        what = f"USB port '{address.port}' of bus '{address.bus}' is used twice"
        c.problem(address, what, "a free port", "@port", XML_ERROR)
    else:
        node.taken.add(path[-1])
        if want.hub:
            node.hubs[path[-1]] = Node(want.hub)


def _give(device: Device, want: WantUsb, buses: dict[int, Node], c: Completion) -> None:
    """Give a device the first free port, of the bus it names if it names one."""
    bus = device.address.bus if isinstance(device.address, UsbAddress) else None
    for number, root in sorted(buses.items()):
        path = root.free() if bus in (None, number) else None
        if path is None:
            continue
        node = root.find(path[:-1])
        assert node is not None
        node.taken.add(path[-1])
        if want.hub and len(path) < MAX_DEPTH:
            node.hubs[path[-1]] = Node(want.hub)
        address = UsbAddress(bus=number, port=".".join(map(str, path)))
        c.allocate(device, "address", address, "the first free USB port", "第一个空闲的 USB 端口")
        return
    what = f"no USB port is free for this '{device.shape.tag}'"
    c.problem(device, what, "a USB controller or hub with free ports")
