"""What a disk gets when its owner left it open, and what a disk may not be. Used by this slice's FAMILY."""

from __future__ import annotations

import re

from domicile.base.errors import NO_SOURCE, XML_ERROR
from domicile.devices.disk.model import BUSES, Disk, DiskDriver
from domicile.devices.parts.bus import want_virtio
from domicile.devices.parts.device import CcwAddress, DriveAddress, PciAddress, UsbAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.place import Want, WantDrive, WantUsb

_NAME = re.compile(r"(fd|hd|vd|sd|xvd|ubd)([a-z]+)([0-9]*)\Z")
_WWN = re.compile(r"[0-9a-fA-F]{16}\Z")
_PREFIX_BUS = {"fd": "fdc", "hd": "ide", "vd": "virtio", "sd": "scsi", "xvd": "xen", "ubd": "uml"}
UNITS = {"ide": (2, 2), "sata": (1, 6), "scsi": (1, 7), "fdc": (1, 2)}


def index_of(dev: str) -> int | None:
    """Count a target name in the order of disks: hda is 0, hdz 25, hdaa 26; None where the name is none."""
    found = _NAME.match(dev)
    if found is None:
        return None
    index = 0
    for letter in found[2]:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index - 1


def defaults(disk: Disk, c: Completion) -> None:
    """Fill in bus, format, read-only and the place on the controller, as libvirt does."""
    target = disk.target
    if target is None or target.dev is None:
        return
    if target.bus is None:
        found = _NAME.match(target.dev)
        bus = "fdc" if disk.device == "floppy" else _PREFIX_BUS.get(found[1]) if found else None
        if bus is not None:
            c.default(target, "bus", bus, f"the name {target.dev} says so", f"由名称 {target.dev} 得出")
    if disk.driver is None:
        disk.driver = DiskDriver()
        c.add(disk.driver, "every disk has a driver", "每个磁盘都有驱动选项")
    driver = disk.driver
    if driver.name is None and disk.type != "vhostuser":
        c.default(driver, "name", "qemu", "the only backend there is", "唯一的后端")
    if driver.type in (None, "auto") and disk.type not in ("vhostuser", "volume"):
        c.default(
            driver,
            "type",
            "raw",
            "no format was given, and guessing one would let a guest choose it",
            "未指定格式；猜测会让客户机有机会更改格式",
        )
    if disk.device == "cdrom" and not disk.readonly:
        c.default(disk, "readonly", True, "a CD cannot be written", "光盘不可写")
    if disk.address is None and target.bus in UNITS:
        _drive_address(disk, target.bus, target.dev, c)


def _drive_address(disk: Disk, bus: str, dev: str, c: Completion) -> None:
    index = index_of(dev)
    if index is None:
        return
    buses, units = UNITS[bus]
    controller, rest = divmod(index, buses * units)
    place = DriveAddress(controller=controller, bus=rest // units, unit=rest % units)
    c.allocate(
        disk,
        "address",
        place,
        f"{dev} is the {index + 1}. place on its kind of controller",
        f"{dev} 是该类控制器上的第 {index + 1} 个位置",
    )


def check(disk: Disk, c: Completion) -> None:
    """Find what cannot be."""
    target = disk.target
    if target is None or target.dev is None:
        c.problem(
            disk,
            "element 'disk' has no <target> with an attribute 'dev'",
            "a name such as hda, sda or vda",
            "target/@dev",
            code=XML_ERROR,
        )
        return
    if index_of(target.dev) is None:
        c.problem(
            target,
            f"attribute 'dev' of element 'target' has the value '{target.dev}'",
            "fd, hd, sd, vd, xvd or ubd with a letter, such as vda",
            "@dev",
            code=XML_ERROR,
        )
        return
    if target.bus is None:
        c.problem(target, f"the bus of disk '{target.dev}' cannot be told from its name", ", ".join(BUSES), "@bus")
        return
    _check_source(disk, target.dev, c)
    _check_bus(disk, target.dev, target.bus, c)
    _check_driver(disk, target.dev, target.bus, c)


def _check_source(disk: Disk, dev: str, c: Completion) -> None:
    source = disk.source
    given = {
        "file": lambda: source and source.file,
        "block": lambda: source and source.dev,
        "dir": lambda: source and source.dir,
        "network": lambda: source and source.protocol,
        "volume": lambda: source and source.pool and source.volume,
    }.get(disk.type or "file")
    if given is not None and not given() and disk.device in ("disk", "lun"):
        word = {"block": "dev", "network": "protocol", "volume": "pool"}.get(disk.type or "", disk.type or "file")
        c.problem(disk, f"disk '{dev}' has no source", f"<source {word}='…'/>", "source", code=NO_SOURCE)
    if disk.device == "lun" and disk.type not in ("block", "network", "volume"):
        c.problem(disk, f"disk '{dev}' with device 'lun' has type '{disk.type}'", "block, network, volume", "@type")


def _check_bus(disk: Disk, dev: str, bus: str, c: Completion) -> None:
    target = disk.target
    if disk.device == "floppy" and bus != "fdc":
        c.problem(target, f"floppy '{dev}' is on bus '{bus}'", "fdc", "@bus")
    if disk.device != "floppy" and bus == "fdc":
        c.problem(target, f"disk '{dev}' with device '{disk.device}' is on bus 'fdc'", "device='floppy'", "@bus")
    if disk.device == "cdrom" and bus == "virtio":
        c.problem(target, f"CD-ROM '{dev}' is on bus 'virtio', which has none", "ide, sata, scsi, usb", "@bus")
    if bus in ("xen", "uml", "sd"):
        c.problem(
            target,
            f"bus '{bus}' of disk '{dev}' does not exist on QEMU's machines",
            "ide, fdc, scsi, virtio, usb, sata",
            "@bus",
        )
    if bus == "ide" and (c.pcie or c.s390 or c.pseries):
        c.problem(
            target,
            f"machine type '{c.machine}' has no IDE bus for disk '{dev}' (bus 'ide')",
            "sata, scsi, virtio, usb",
            "@bus",
        )
    if disk.device == "lun" and bus not in ("scsi", "virtio"):
        c.problem(target, f"disk device='lun' is not possible for bus='{bus}'", "scsi, virtio", "@bus")
    address = disk.address
    kind = address.type if address is not None else None
    if kind is None:
        return
    drive = bus in UNITS
    if drive and not isinstance(address, DriveAddress):
        c.problem(address, f"disk '{dev}' on bus '{bus}' has an address of type '{kind}'", "drive", "@type")
    elif bus == "virtio" and isinstance(address, DriveAddress | UsbAddress):
        c.problem(
            address, f"disk '{dev}' on bus 'virtio' has an address of type '{kind}'", "pci, ccw, virtio-mmio", "@type"
        )
    elif bus == "usb" and not isinstance(address, UsbAddress):
        c.problem(address, f"disk '{dev}' on bus 'usb' has an address of type '{kind}'", "usb", "@type")
    elif drive and isinstance(address, DriveAddress):
        _check_drive(disk, dev, bus, address, c)


def _check_drive(disk: Disk, dev: str, bus: str, address: DriveAddress, c: Completion) -> None:
    limits = {"ide": (0, 1, 0, 1), "fdc": (0, 0, 0, 1), "sata": (None, 0, 0, 5)}.get(bus)
    if limits is None:
        return
    for slot, limit in zip(("controller", "bus", "target", "unit"), limits, strict=True):
        value = getattr(address, slot)
        if limit is not None and value > limit:
            name = "IDE" if bus == "ide" else bus
            c.problem(
                address, f"disk '{dev}' asks for {slot} {value} on a {name} controller", f"0 to {limit}", f"@{slot}"
            )


def _check_driver(disk: Disk, dev: str, bus: str, c: Completion) -> None:
    driver = disk.driver
    if driver is None:
        return
    if driver.name not in (None, "qemu") and disk.type != "vhostuser":
        c.problem(driver, f"driver '{driver.name}' of disk '{dev}' does not exist here", "qemu", "@name")
    if driver.type == "iso":
        c.problem(driver, f"format 'iso' of disk '{dev}' has no driver of its own", "raw", "@type")
    if driver.io == "native" and driver.cache not in ("none", "directsync"):
        c.problem(
            driver,
            f"disk '{dev}' has io 'native', which needs a cache mode without the host's page cache",
            "cache='none' or cache='directsync'",
            "@io",
        )
    if bus != "virtio":
        for slot in ("queues", "queue_size", "event_idx", "ioeventfd"):
            if getattr(driver, slot) is not None and not (slot == "ioeventfd" and bus == "scsi"):
                c.problem(
                    driver, f"attribute '{slot}' of disk '{dev}' is only for bus 'virtio'", "bus='virtio'", f"@{slot}"
                )
    if disk.serial is not None and disk.device == "lun":
        c.problem(disk, f"disk '{dev}' with device 'lun' has a serial number of its own", "no <serial>", "serial")
    if disk.wwn is not None and not _WWN.match(disk.wwn):
        c.problem(disk, f"element 'wwn' of disk '{dev}' has the value '{disk.wwn}'", "16 hexadecimal digits", "wwn")
    if disk.transient and disk.shareable:
        c.problem(disk, f"disk '{dev}' is both 'transient' and 'shareable'", "one of them", "transient")


def place(disk: Disk, facts: Facts) -> Want | None:
    """Ask for a PCI slot, a USB port or a place on a controller."""
    bus = disk.target.bus if disk.target is not None else None
    if bus == "virtio" and not isinstance(disk.address, CcwAddress):
        return want_virtio(facts, disk.model) if disk.address is None or isinstance(disk.address, PciAddress) else None
    if bus == "usb":
        return WantUsb()
    return WantDrive(bus) if bus in UNITS else None


def alias(disk: Disk, index: int, p: Planning) -> str:
    """Name the disk by its bus and place; virtio and USB disks by where their target's name stands in the alphabet."""
    bus = disk.target.bus if disk.target is not None else ""
    dev = disk.target.dev if disk.target is not None else None
    address = disk.address
    if bus in ("virtio", "usb"):
        turn = index_of(dev) if dev else None
        return f"{bus}-disk{index if turn is None else turn}"
    if isinstance(address, DriveAddress):
        if bus == "scsi" and p.controller_model("scsi", address.controller) == "lsilogic":
            return f"scsi{address.controller}-{address.bus}-{address.unit}"
        if bus == "scsi":
            return f"scsi{address.controller}-{address.bus}-{address.target}-{address.unit}"
        return f"{bus}{address.controller}-{address.bus}-{address.unit}"
    return f"{bus}-disk{index}"
