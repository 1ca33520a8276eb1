"""PCI addresses for all devices that want one, in libvirt's order, so that guests find the same slots.

Called by domain/complete. A first pass on copies of the buses finds how many bridges or ports are needed; a second pass,
with these added, gives out the addresses. Existing addresses are kept, never moved.
"""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base.errors import XML_ERROR
from domicile.devices import BY_TAG, FAMILIES
from domicile.devices.console import Console
from domicile.devices.controller import Controller, pci_want
from domicile.devices.interface import Interface
from domicile.devices.parts.device import Device, PciAddress
from domicile.domain.address import builtin, isolation
from domicile.domain.address.buses import Bus, Buses
from domicile.domain.domain import DeviceLists
from domicile.domain.rules.controllers import join
from domicile.plan.facts import Completion
from domicile.plan.place import Pci, Want, WantPci

# The order in which families ask. Observed with libvirt 9.0.
ORDER = (
    "filesystem", "interface", "sound", "controller", "disk", "hostdev", "memballoon", "rng", "watchdog", "video", "shmem",
    "input", "serial", "memory", "vsock", "iommu", "panic", "crypto", "pstore",
)  # fmt: skip
_FAMILIES = (*(BY_TAG[tag] for tag in ORDER), *(family for family in FAMILIES if family.tag not in ORDER))
_USB2 = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}


def assign(devices: DeviceLists, c: Completion) -> None:
    """Give every device that wants a PCI address one."""
    controllers = devices.of(Controller)
    if not c.board.pci_placed:
        return
    top = max((k.index or 0 for k in controllers if k.type == "pci"), default=-1)
    if top < 0:
        for device, want in wanting(devices, c):
            if not want.optional:
                what = f"machine type '{c.machine}' has no PCI bus for this '{device.shape.tag}'"
                c.problem(device, what, "another machine type or model", code=XML_ERROR)
        return
    count = len(controllers)
    tried = _dry_run(devices, top, c)
    if tried is None or any(problem for _, _, problem in c.found):
        return
    buses, trial = tried
    if len(controllers) == count and c.pcie:  # no bus was missing: what was tried is what would be found again
        trial.keep(c)
    else:
        buses, trial = _create(devices, c, growing=False), _Trial(dry=False)
        builtin.reserve(devices, buses, c, trial.given)
        _give(devices, buses, c, trial)
    _multifunction(devices, buses)
    _details(devices, c)
    for controller in controllers:
        address = controller.address
        if (
            controller.type == "pci"
            and isinstance(address, PciAddress)
            and (address.bus or 0) >= (controller.index or 0)
        ):
            what = f"the PCI controller with index '{controller.index}' is on bus '0x{address.bus or 0:02x}'"
            c.problem(controller, what, "an index above that of its bus", "@index")


class _Trial:
    """Where addresses go in a pass: into the devices, or (dry) only into a list of its own."""

    def __init__(self, *, dry: bool) -> None:
        self.dry = dry
        self._tried: dict[int, tuple[Device, PciAddress]] = {}

    def given(self, device: Device) -> PciAddress | None:
        """Return the device's address as this pass sees it."""
        tried = self._tried.get(id(device))
        if tried is not None:
            return tried[1]
        return device.address if isinstance(device.address, PciAddress) and device.address.given else None

    def put(self, device: Device, address: PciAddress, c: Completion) -> None:
        """Keep an address that was found."""
        if self.dry:
            self._tried[id(device)] = device, address
            return
        if isinstance(device.address, PciAddress):  # its owner said something of it, though not where
            address.multifunction = address.multifunction or device.address.multifunction
            address.zpci = device.address.zpci
        c.allocate(device, "address", address, "the first free place of that kind", "同类中第一个空闲位置")

    def keep(self, c: Completion) -> None:
        """Put the addresses of a dry pass into the devices."""
        self.dry = False
        for device, address in self._tried.values():
            self.put(device, address, c)


def wanting(devices: DeviceLists, c: Completion) -> Iterator[tuple[Device, WantPci]]:
    """Walk the devices that want a PCI slot and have none, in the order in which they are served."""
    for controller in devices.of(Controller):
        if controller.type == "pci":
            own = pci_want(controller.model or "")
            if own is not None and not _has(controller):
                yield controller, own
    for family in _FAMILIES:
        for device in _asking(family.tag, devices):
            address = device.address
            if address is not None and _has(device):
                continue
            if isinstance(device, Controller) and device.type == "pci":
                continue
            want = family.place(device, c)
            if isinstance(want, WantPci):
                yield device, want


def _asking(tag: str, devices: DeviceLists) -> list[Device]:
    """List the devices of a family; interfaces that are devices of the host ask beside those."""
    found: list[Device] = getattr(devices, tag)
    if tag == "interface":
        return [card for card in devices.of(Interface) if card.type != "hostdev"]
    if tag == "hostdev":
        return [*(card for card in devices.of(Interface) if card.type == "hostdev"), *found]
    return found


def _has(device: Device) -> bool:
    address = device.address
    return address is not None and not (isinstance(address, PciAddress) and not address.given)


def _create(devices: DeviceLists, c: Completion, *, growing: bool) -> Buses:
    """Make the buses of the controllers there are, with all given addresses taken."""
    top = max(k.index or 0 for k in devices.of(Controller) if k.type == "pci")
    buses = Buses([Bus.of("pcie-root" if c.pcie else "pci-root")], growing, c.board.pci_roots)
    # Devices of the host stay away from the first of several host bridges.
    buses.buses[0].locked = c.board.pci_roots
    models = [buses.filler()] * top
    for controller in devices.of(Controller):
        if controller.type == "pci" and controller.index and controller.model in builtin.MODELS:
            models[controller.index - 1] = controller.model
    buses.buses += [Bus.of(model) for model in models]
    for device in devices.every():
        address = device.address
        # A console that stands for a serial port may show that one's address; it has none of its own.
        if isinstance(address, PciAddress) and address.given and not isinstance(device, Console):
            _whole(address)
            _take_given(device, address, buses, c)
    return buses


def _whole(address: PciAddress) -> None:
    """Write out what an owner left out of a place: it is 0."""
    for slot in ("domain", "bus", "slot", "function"):
        if getattr(address, slot) is None:
            setattr(address, slot, 0)


def _take_given(device: Device, address: PciAddress, buses: Buses, c: Completion) -> None:
    number, slot, function = address.bus or 0, address.slot or 0, address.function or 0
    text = f"{address.domain or 0:04x}:{number:02x}:{slot:02x}.{function:x}"
    family = BY_TAG[device.shape.tag]
    want: Want | None = (
        pci_want(device.model or "")
        if isinstance(device, Controller) and device.type == "pci"
        else family.place(device, c)
    )
    flags = want.flags if isinstance(want, WantPci) else Pci.PCI | Pci.PCIE
    if function > 7:
        c.problem(address, f"PCI address '{text}' has function {function}", "0 to 7", "@function", code=XML_ERROR)
        return
    if slot > 31:
        c.problem(
            address,
            f"PCI address '{text}' has slot {slot:#x}, greater than 0x1f",
            "0x00 to 0x1f",
            "@slot",
            code=XML_ERROR,
        )
        return
    if number >= len(buses.buses) and buses.growing:
        while len(buses.buses) <= number < 256:
            buses.buses.append(Bus.of(buses.filler()))
    if address.domain:
        c.problem(
            address,
            f"PCI address '{text}' is in domain {address.domain:#x}",
            "domain='0x0000'",
            "@domain",
            code=XML_ERROR,
        )
        return
    if number >= len(buses.buses):
        c.problem(
            address,
            f"PCI address '{text}' is on bus {number:#x}, which no controller makes",
            "the index of a PCI controller",
            "@bus",
            code=XML_ERROR,
        )
        return
    bus = buses.buses[number]
    if not bus.first <= slot <= bus.last:
        c.problem(
            address,
            f"PCI address '{text}' has slot {slot:#x}, which '{bus.model}' has not",
            f"{bus.first:#x} to {bus.last:#x}",
            "@slot",
            code=XML_ERROR,
        )
        return
    if not bus.fits(flags, True):
        c.problem(
            address,
            f"a {device.shape.tag} cannot be plugged into '{bus.model}' at PCI address '{text}'",
            "another bus",
            "@bus",
            code=XML_ERROR,
        )
        return
    if bus.taken(slot, function):
        c.problem(address, f"PCI address '{text}' is used twice", "a free slot or function", "", code=XML_ERROR)
        return
    bus.join(isolation.group(device, c))
    bus.take(slot, function, bool(flags & Pci.AGGREGATE))


def _dry_run(devices: DeviceLists, top: int, c: Completion) -> tuple[Buses, _Trial] | None:
    """Find which buses are missing and add their controllers; returns what was tried, None where something is wrong."""
    buses = _create(devices, c, growing=True)
    if any(problem for _, _, problem in c.found):
        return None
    trial = _Trial(dry=True)
    builtin.reserve(devices, buses, c, trial.given)
    legacy = Pci.HOTPLUG | Pci.PCI
    if not c.pcie and not all(bus.full() for bus in buses.buses):
        _next(buses, legacy)
    _give(devices, buses, c, trial)
    if top <= 0 and len(buses.buses) > top + 1 and c.pcie:
        _next(buses, Pci.HOTPLUG | Pci.PCIE)
    index, present = 1, {k.index for k in devices.of(Controller) if k.type == "pci"}
    while index < len(buses.buses):
        if index not in present:
            controller = Controller(type="pci", index=index, model=buses.buses[index].model)
            join(devices.of(Controller), controller, c)
            c.add(controller, "the devices need one more bus", "设备需要更多总线")
            want = pci_want(controller.model or "")
            if want is not None and _next(buses, want.flags) is None:
                c.problem(None, f"no PCI slot is free for a '{controller.model}'", "fewer devices", code=XML_ERROR)
                return None
        index += 1
    return buses, trial


def _next(buses: Buses, flags: int, group: int = 0) -> tuple[int, int, int] | None:
    found = buses.next(flags, group)
    if found is not None:
        buses.buses[found[0]].take(found[1], found[2], bool(flags & Pci.AGGREGATE))
    return found


def _give(devices: DeviceLists, buses: Buses, c: Completion, trial: _Trial) -> None:
    builtin.give(devices, buses, c, trial)
    grouped = c.board.pci_roots
    for device, want in list(wanting(devices, c)):
        if trial.given(device) is not None:
            continue
        if isinstance(device, Controller) and device.model in _USB2:
            _companions(device, devices, buses, c, trial)
            continue
        found = _next(buses, want.flags, isolation.group(device, c) if grouped else 0)
        if found is None:
            if not want.optional:
                c.problem(device, f"no PCI slot is free for this '{device.shape.tag}'", "fewer devices or one more bus")
            continue
        trial.put(device, PciAddress(domain=0, bus=found[0], slot=found[1], function=found[2]), c)


def _companions(device: Controller, devices: DeviceLists, buses: Buses, c: Completion, trial: _Trial) -> None:
    """Put a USB 2 controller and its companions into one slot, each on the function real hardware has it on."""
    function = _USB2[device.model or ""]
    shared = None
    for other in devices.of(Controller):
        if other.type == "usb" and other.index == device.index and other.model in _USB2:
            shared = shared or trial.given(other)
    if shared is not None:
        number, slot = shared.bus or 0, shared.slot or 0
    else:
        found = buses.next(Pci.PCI | Pci.HOTPLUG)
        if found is None:
            c.problem(device, "no PCI slot is free for this 'controller'", "fewer devices")
            return
        number, slot = found[0], found[1]
    if buses.buses[number].taken(slot, function):
        c.problem(device, f"PCI address '0000:{number:02x}:{slot:02x}.{function:x}' is used twice", "a free function")
        return
    buses.buses[number].take(slot, function, False)
    address = PciAddress(domain=0, bus=number, slot=slot, function=function)
    if function == 0:
        address.multifunction = True
    trial.put(device, address, c)


def _multifunction(devices: DeviceLists, buses: Buses) -> None:
    """Say on function 0 that there are more functions, where there are."""
    for device in devices.every():
        address = device.address
        if isinstance(address, PciAddress) and not address.function and address.multifunction is None and address.given:
            bus = buses.buses[address.bus or 0] if (address.bus or 0) < len(buses.buses) else None
            slot = bus.slots.get(address.slot or 0) if bus is not None else None
            if slot is not None and slot.functions & 0xFE and not slot.whole:
                address.multifunction = True


def _details(devices: DeviceLists, c: Completion) -> None:
    """Fill in chassis and port numbers of the PCI controllers."""
    from domicile.domain.address.topology import details

    for controller in devices.of(Controller):
        if controller.type == "pci":
            details(controller, devices.of(Controller), c)
