"""USB ports for the devices that want one. Called by domain/complete after the controllers are known."""

from __future__ import annotations

from domicile.devices import BY_TAG, FAMILIES
from domicile.devices.controller import Controller
from domicile.devices.parts.device import Device, UsbAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion
from domicile.plan.place import WantUsb

# Ports of a controller by model. Source: QEMU's hw/usb documentation; observed with libvirt 9.0.
PORTS = {
    "piix3-uhci": 2, "piix4-uhci": 2, "ehci": 6, "ich9-ehci1": 6, "vt82c686b-uhci": 2, "pci-ohci": 3, "nec-xhci": 4,
    "qemu-xhci": 4, "qusb1": 4, "qusb2": 4,
}  # fmt: skip
HUB_PORTS = 8


class Ports:
    """The ports of all controllers and hubs: for each path, which ports are taken."""

    def __init__(self) -> None:
        self.hubs: dict[tuple[int, str], list[bool]] = {}

    def add(self, bus: int, path: str, ports: int) -> None:
        """Add a controller (with an empty path) or a hub."""
        self.hubs.setdefault((bus, path), [False] * ports)

    def take(self, bus: int, port: str) -> bool:
        """Mark a port as taken; False where it does not exist or is taken."""
        path, _, last = port.rpartition(".")
        hub = self.hubs.get((bus, path))
        if hub is None or not last.isdigit() or not 1 <= int(last) <= len(hub) or hub[int(last) - 1]:
            return False
        hub[int(last) - 1] = True
        return True

    def next(self, bus: int | None = None) -> tuple[int, str] | None:
        """Find the first free port, the controller's own before those of its hubs."""
        for (number, path), hub in sorted(
            self.hubs.items(), key=lambda item: (item[0][0], item[0][1].count(".") + bool(item[0][1]), item[0][1])
        ):
            if bus is None or number == bus:
                for index, taken in enumerate(hub):
                    if not taken:
                        return number, f"{path}.{index + 1}" if path else str(index + 1)
        return None


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every USB device a port."""
    ports = Ports()
    for controller in devices.of(Controller):
        if controller.type == "usb" and controller.model != "none" and controller.master is None:
            count = controller.ports if controller.ports and controller.model in ("nec-xhci", "qemu-xhci") else None
            ports.add(controller.index or 0, "", count or PORTS.get(controller.model or "", 4))
    wanting: list[tuple[Device, WantUsb]] = []
    for hub in sorted(
        getattr(devices, "hub", ()),
        key=lambda h: len(h.address.port or "") if isinstance(h.address, UsbAddress) else 99,
    ):
        if isinstance(hub.address, UsbAddress) and hub.address.port:
            ports.add(hub.address.bus, hub.address.port, HUB_PORTS)
    for family in FAMILIES:
        for device in getattr(devices, family.tag):
            address = device.address
            if isinstance(address, UsbAddress) and address.port:
                if not ports.take(address.bus, address.port):
                    c.problem(
                        address,
                        f"USB port '{address.port}' of bus '{address.bus}' does not exist or is used twice",
                        "a free port",
                        "@port",
                    )
                continue
            want = BY_TAG[family.tag].place(device, c)
            if isinstance(want, WantUsb) and (address is None or isinstance(address, UsbAddress)):
                wanting.append((device, want))
    wanting.sort(key=lambda item: not item[1].hub)
    for device, want in wanting:
        _give(device, want, ports, c)


def _give(device: Device, want: WantUsb, ports: Ports, c: Completion) -> None:
    bus = device.address.bus if isinstance(device.address, UsbAddress) else None
    found = ports.next(bus)
    if found is None:
        c.problem(
            device, f"no USB port is free for this '{device.shape.tag}'", "a USB controller or hub with free ports"
        )
        return
    ports.take(*found)
    if want.hub:
        ports.add(found[0], found[1], want.hub)
    c.allocate(
        device, "address", UsbAddress(bus=found[0], port=found[1]), "the first free USB port", "第一个空闲的 USB 端口"
    )
