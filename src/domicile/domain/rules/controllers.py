"""Controllers: their numbers, their order, and those that the devices need though nobody wrote them."""

from __future__ import annotations

from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.hostdev import Hostdev
from domicile.devices.parts.device import CcidAddress, DriveAddress, VirtioSerialAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion


def insert(controllers: list[Controller], controller: Controller) -> None:
    """Put a controller among its kind in order of index, masters before companions; a new kind comes last."""
    place = None
    for position in range(len(controllers) - 1, -1, -1):
        other = controllers[position]
        if other.type != controller.type:
            continue
        if controller.index is None:
            place = position + 1
            break
        if (other.index or 0) > controller.index or (
            not controller.companion and other.companion and other.index == controller.index
        ):
            place = position
        else:
            place = position + 1 if place is None else place
            if (other.index or 0) < controller.index:
                break
    controllers.insert(len(controllers) if place is None else place, controller)


def join(controllers: list[Controller], controller: Controller, c: Completion) -> None:
    """Put a controller that nobody wrote among its kind; at the end, as libvirt did before 10.0."""
    if c.host.libvirt >= (10, 0):
        insert(controllers, controller)
    else:
        controllers.append(controller)


def number(devices: DeviceLists, c: Completion) -> None:
    """Give every controller without an index the first one that is free among its kind."""
    controllers = devices.of(Controller)
    for controller in controllers:
        if controller.type is None:
            c.default(
                controller,
                "type",
                "ide",
                "what libvirt takes a controller without a type for",
                "libvirt 对未注明类型的控制器的理解",
            )
    taken: dict[str, set[int]] = {}
    for controller in controllers:
        if controller.type is not None and controller.index is not None:
            taken.setdefault(controller.type, set()).add(controller.index)
    before: Controller | None = None
    lowest: dict[str, int] = {}  # below which every number of a kind is used
    for controller in controllers:
        if controller.type is not None and controller.index is None:
            used = taken.setdefault(controller.type, set())
            index = _companion_index(controller, before, controllers)
            if index is None:
                index = lowest.get(controller.type, 0)
                while index in used:
                    index += 1
                lowest[controller.type] = index
            used.add(index)
            c.allocate(controller, "index", index, "the first free number of its kind", "同类中第一个空闲序号")
        if controller.type == "usb":
            before = controller


_USB2 = ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")


def _companion_index(new: Controller, before: Controller | None, controllers: list[Controller]) -> int | None:
    """Give a part of an ICH9's USB the index of the part before it, unless that index has such a part already."""
    if new.type != "usb" or new.model not in _USB2 or before is None or before.model not in _USB2:
        return None
    same = [k for k in controllers if k.type == "usb" and k.index == before.index and k.model == new.model]
    return None if same else before.index


def arrange(devices: DeviceLists) -> None:
    """Put the controllers in order, as documents are written."""
    controllers = devices.of(Controller)
    given = list(controllers)
    controllers.clear()
    for controller in given:
        insert(controllers, controller)


def built_in(devices: DeviceLists, c: Completion) -> None:
    """Add the controllers the machine type itself brings."""
    controllers = devices.of(Controller)

    there = {k.type for k in controllers if k.index == 0}

    def add(**values: object) -> None:
        controller = Controller(**values)
        join(controllers, controller, c)
        c.add(controller, "the machine type has it built in or by default", "该机型内建或默认带有")

    if "usb" not in there:
        added = c.board.usb_added
        model = c.usual(added if c.host.modern else (added and c.board.usb_of_old) or added)
        if model is not None:
            add(type="usb", index=0, model=model)
    if c.q35 and "sata" not in there:
        add(type="sata", index=0)
    if c.pci and "pci" not in there:
        add(type="pci", index=0, model=c.board.pci_root)


def for_lent(devices: DeviceLists, c: Completion) -> None:
    """Add the controllers that SCSI devices of the host name, or the first one; they come before the built-in ones."""
    lent = [device for device in devices.of(Hostdev) if device.type == "scsi"]
    places = [device.address.controller if isinstance(device.address, DriveAddress) else 0 for device in lent]
    _up_to(devices, "scsi", min(max(places, default=-1), 1000), c)


def for_devices(devices: DeviceLists, c: Completion) -> None:
    """Add the controllers that disks and channels are on."""
    needed = {"scsi": -1, "fdc": -1, "ide": -1, "sata": -1}
    for disk in devices.of(Disk):
        bus = disk.target.bus if disk.target is not None else None
        if bus in needed and isinstance(disk.address, DriveAddress):
            needed[bus] = max(needed[bus], disk.address.controller)
    for hostdev in devices.of(Hostdev):
        if hostdev.type == "scsi" and isinstance(hostdev.address, DriveAddress):
            needed["scsi"] = max(needed["scsi"], hostdev.address.controller)
    for kind, highest in needed.items():
        _up_to(devices, kind, min(highest, 1000), c)
    for tag in ("channel", "console"):
        for device in getattr(devices, tag, ()):
            target = device.target
            if target is not None and target.type == "virtio":
                number = device.address.controller if isinstance(device.address, VirtioSerialAddress) else 0
                _add(devices, "virtio-serial", number, c)
    for card in getattr(devices, "smartcard", ()):
        _add(devices, "ccid", card.address.controller if isinstance(card.address, CcidAddress) else 0, c)


def _up_to(devices: DeviceLists, kind: str, highest: int, c: Completion) -> None:
    for index in range(highest + 1):
        _add(devices, kind, index, c)


def _add(devices: DeviceLists, kind: str, index: int, c: Completion) -> None:
    """Add a controller unless it is there."""
    controllers = devices.of(Controller)
    for known in controllers:
        if known.type == kind and known.index == index:
            return
    controller = Controller(type=kind, index=index)
    if kind == "scsi":
        controller.model = next((k.model for k in controllers if k.type == "scsi"), None)
    join(controllers, controller, c)
    c.add(controller, "devices are plugged into it", "有设备接在它上面")
