"""What a disk may not be. Used by this slice's FAMILY."""

from __future__ import annotations

import re

from domicile.base.errors import NO_SOURCE, XML_ERROR
from domicile.devices.disk.complete import UNITS, index_of
from domicile.devices.disk.model import BUSES, Disk
from domicile.devices.disk.plan import has_medium
from domicile.devices.disk.source_checks import check_sources
from domicile.devices.disk.tuning_checks import check_tuning
from domicile.devices.parts.bus import refuse_virtio
from domicile.devices.parts.device import DriveAddress, UsbAddress
from domicile.plan.facts import Completion

_WWN = re.compile(r"(0x)?[0-9a-fA-F]{16}\Z")
_NUMBERED = re.compile(r"[a-z]+[0-9]+\Z")


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
    if _NUMBERED.match(target.dev):
        c.problem(target, f"target '{target.dev}' is a partition, and a guest gets whole disks", "vda", "@dev")
    _check_source(disk, target.dev, c)
    _check_bus(disk, target.dev, target.bus, c)
    _check_driver(disk, target.dev, target.bus, c)
    _check_identity(disk, target.dev, target.bus, c)
    check_sources(disk, target.dev, c)
    check_tuning(disk, target.dev, target.bus, c)


# What a source says at least, by the type of its disk.
_NEEDED = {
    "file": ("file",),
    "block": ("dev",),
    "dir": ("dir",),
    "network": ("protocol",),
    "volume": ("pool", "volume"),
}


def _check_source(disk: Disk, dev: str, c: Completion) -> None:
    source = disk.source
    needed = _NEEDED.get(disk.type or "file", ())
    lacking = source is None or any(not getattr(source, slot) for slot in needed)
    if needed and lacking and disk.device in ("disk", "lun"):
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
    if bus == "sd" and disk.device != "disk":
        c.problem(disk, f"disk '{dev}' with device '{disk.device}' is on bus 'sd'", "device='disk'", "@device")
    if bus == "sd" and disk.serial is not None:
        c.problem(disk, f"disk '{dev}' on bus 'sd' has a <serial>, which no SD card shows", "no <serial>", "serial")
    if bus in ("xen", "uml") or (bus == "sd" and (c.x86 or c.s390)):
        c.problem(
            target,
            f"bus '{bus}' of disk '{dev}' does not exist on QEMU's machines",
            "ide, fdc, scsi, virtio, usb, sata",
            "@bus",
        )
    if bus == "fdc" and (c.pseries or c.s390 or (c.pcie and not c.x86)):
        c.problem(target, f"machine type '{c.machine}' has no floppy drive for disk '{dev}'", "usb, scsi", "@bus")
    if bus == "ide" and not c.board.ide:
        c.problem(
            target,
            f"machine type '{c.machine}' has no IDE bus for disk '{dev}' (bus 'ide')",
            "scsi, virtio, usb" if c.s390 else "sata, scsi, virtio, usb",
            "@bus",
        )
    if bus == "usb" and (disk.source is None or not has_medium(disk)) and disk.type != "volume":
        c.problem(disk, f"disk '{dev}' on bus 'usb' is an empty drive, which that bus does not have", "a <source>")
    if disk.readonly and disk.device == "disk" and bus in ("ide", "sata"):
        c.problem(disk, f"disk '{dev}' on bus '{bus}' is 'readonly', which such disks cannot be", "a cdrom", "readonly")
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
    limits = {
        "ide": (0, None, 0, None),
        "fdc": (0, 0, 0, 1),
        "sata": (None, 0, 0, None),
        "scsi": (None, 0, None, None),
    }.get(bus)
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
    if driver.io == "native" and driver.cache not in ("none", "directsync"):
        c.problem(
            driver,
            f"disk '{dev}' has io 'native', which needs a cache mode without the host's page cache",
            "cache='none' or cache='directsync'",
            "@io",
        )
    if bus != "virtio":
        refuse_virtio(driver, f"disk '{dev}'", c)
        for slot in ("queues", "queue_size", "event_idx", "ioeventfd"):
            if getattr(driver, slot) is not None and not (slot == "ioeventfd" and bus == "scsi"):
                c.problem(
                    driver, f"attribute '{slot}' of disk '{dev}' is only for bus 'virtio'", "bus='virtio'", f"@{slot}"
                )
    _check_format(disk, dev, c)


def _check_format(disk: Disk, dev: str, c: Completion) -> None:
    driver = disk.driver
    if driver is None:
        return
    fmt = driver.type
    if disk.shareable and fmt not in (None, "raw", "luks"):
        c.problem(disk, f"disk '{dev}' is shareable, which its format '{fmt}' cannot be", "raw", "shareable")
    if driver.copy_on_read and disk.readonly:
        c.problem(driver, f"disk '{dev}' is read-only, so 'copy_on_read' can keep nothing", "off", "@copy_on_read")
    if driver.discard_no_unref is not None:
        if fmt != "qcow2":
            c.problem(driver, f"'discard_no_unref' of disk '{dev}' is only for 'qcow2'", "type='qcow2'", "@type")
        elif not c.caps.has_schema("blockdev-add/arg-type/+qcow2/discard-no-unref"):
            c.problem(driver, f"this QEMU knows no 'discard_no_unref' of disk '{dev}'", "none", "@discard_no_unref")
        elif disk.readonly:
            c.problem(driver, f"'discard_no_unref' has no use on the read-only disk '{dev}'", "", "@discard_no_unref")
    if driver.metadata_cache is not None and fmt != "qcow2":
        c.problem(driver, f"<metadata_cache> of disk '{dev}' is only for 'qcow2'", "type='qcow2'", "metadata_cache")
    if disk.device == "lun" and fmt not in (None, "raw"):
        c.problem(driver, f"disk '{dev}' with device 'lun' has the format '{fmt}'", "raw", "@type")


_LENGTHS = {"scsi": 16, "sata": 40, "ide": 40}


def _check_identity(disk: Disk, dev: str, bus: str, c: Completion) -> None:
    target = disk.target
    if disk.vendor is not None:
        if bus != "scsi":
            c.problem(disk, f"'vendor' of disk '{dev}' is only for bus 'scsi'", "bus='scsi'", "vendor")
        elif len(disk.vendor) > 8 or not disk.vendor.isprintable():
            c.problem(disk, f"vendor '{disk.vendor}' of disk '{dev}' is too long", "8 characters", "vendor")
    if disk.product is not None:
        most = _LENGTHS.get(bus)
        if most is None:
            c.problem(disk, f"'product' of disk '{dev}' is only for 'scsi', 'sata' and 'ide'", "bus='scsi'", "product")
        elif len(disk.product) > most or not disk.product.isprintable():
            c.problem(disk, f"product '{disk.product}' of disk '{dev}' is too long", f"{most} characters", "product")
    if disk.wwn is not None and bus not in ("ide", "scsi", "sata"):
        c.problem(disk, f"<wwn> of disk '{dev}' is only for bus 'ide' and 'scsi'", "bus='scsi'", "wwn")
    if target is not None and target.rotation_rate is not None and bus not in ("ide", "scsi", "sata"):
        c.problem(
            target,
            f"'rotation_rate' of disk '{dev}' has no meaning on bus '{bus}'",
            "ide, scsi, sata",
            "@rotation_rate",
        )
    if target is not None and target.removable is not None and bus not in ("usb", "scsi"):
        c.problem(target, f"'removable' of disk '{dev}' is only for bus 'usb' and 'scsi'", "usb, scsi", "@removable")
    if target is not None and target.dpofua is not None and bus != "scsi":
        c.problem(target, f"'dpofua' of disk '{dev}' is only for bus 'scsi'", "bus='scsi'", "@dpofua")
    if target is not None and target.tray is not None and disk.device not in ("cdrom", "floppy"):
        c.problem(target, f"'tray' of disk '{dev}' is only for a 'cdrom' or 'floppy'", "no tray", "@tray")
    if (disk.rawio is not None or disk.sgio is not None) and disk.device != "lun":
        c.problem(disk, f"'rawio' and 'sgio' of disk '{dev}' are only for device='lun'", "device='lun'", "@device")
    if disk.serial is not None and disk.device == "lun":
        c.problem(disk, f"disk '{dev}' with device 'lun' has a serial number of its own", "no <serial>", "serial")
    if disk.wwn is not None and not _WWN.match(disk.wwn):
        c.problem(disk, f"element 'wwn' of disk '{dev}' has the value '{disk.wwn}'", "16 hexadecimal digits", "wwn")
    if disk.transient and disk.shareable:
        c.problem(disk, f"disk '{dev}' is both 'transient' and 'shareable'", "one of them", "transient")
