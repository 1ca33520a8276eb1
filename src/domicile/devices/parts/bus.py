"""How an address stands in a QEMU device's properties, and which variant of a virtio device it makes.

Used by the `plan` of every family.
"""

from __future__ import annotations

from typing import Any

from domicile.devices.parts.device import (
    CcwAddress,
    Device,
    DriveAddress,
    IsaAddress,
    PciAddress,
    SpaprVioAddress,
    UsbAddress,
    VirtioOptions,
    VirtioSerialAddress,
)
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.place import Pci, Want, WantCcw, WantMmio, WantPci

#: SCSI controllers of plain SCSI: eight units, and nothing below them.
NARROW = ("lsilogic", "ncr53c90", "dc390", "am53c974")


def where(device: Device, planning: Planning) -> dict[str, Any]:
    """Say the device's address in QEMU's words; empty where QEMU chooses."""
    address = device.address
    found: dict[str, Any] = {}
    if isinstance(address, PciAddress):
        found["bus"] = planning.pci_bus(address.bus or 0)
        found["multifunction"] = address.multifunction
        slot, function = address.slot or 0, address.function or 0
        found["addr"] = f"{slot:#x}.{function:#x}" if function else f"{slot:#x}"
    elif isinstance(address, UsbAddress):
        found["bus"] = f"{planning.controller('usb', address.bus)}.0"
        found["port"] = address.port
    elif isinstance(address, VirtioSerialAddress):
        found["bus"] = f"{planning.controller('virtio-serial', address.controller)}.{address.bus}"
        found["nr"] = address.port
    elif isinstance(address, CcwAddress):
        found["devno"] = f"{address.cssid or 0:x}.{address.ssid or 0:x}.{address.devno or 0:04x}"
    elif isinstance(address, SpaprVioAddress):
        found["reg"] = address.reg
    elif isinstance(address, IsaAddress):
        found["iobase"] = address.iobase
        found["irq"] = address.irq
    if device.acpi is not None and device.acpi.index is not None:
        found["acpi-index"] = device.acpi.index
    if device.rom is not None:
        if device.rom.enabled is False:
            found["romfile"] = ""
        else:
            found["rombar"] = {True: 1, False: 0}.get(device.rom.bar) if device.rom.bar is not None else None
            found["romfile"] = device.rom.file
    return found


def loadparm(device: Device, facts: Facts) -> str | None:
    """Say what an s390 boot loader should load from this device, where each device is told by itself."""
    return device.boot.loadparm if device.boot is not None and each_is_told(facts) else None


def each_is_told(facts: Facts) -> bool:
    """Whether boot devices have their own load parameter; before QEMU 10 the machine had the only one."""
    return facts.caps.has_property("virtio-blk-ccw", "loadparm")


def alias_of(device: Device) -> str:
    """Name the device as QEMU knows it."""
    return device.alias.name if device.alias is not None else ""


def virtio_driver(stem: str, device: Device, model: str | None = None) -> str:
    """Choose the variant of a virtio device: PCI (with its transitional flavours), channel or memory-mapped."""
    if isinstance(device.address, CcwAddress):
        return f"{stem}-ccw"
    if isinstance(device.address, PciAddress) or device.address is None:
        flavour = (model or "").removeprefix("virtio")
        return f"{stem}-pci{flavour}" if flavour in ("-transitional", "-non-transitional") else f"{stem}-pci"
    return f"{stem}-device"


def virtio_props(options: VirtioOptions | None) -> dict[str, Any]:
    """Say the options every virtio device has."""
    if options is None:
        return {}
    return {
        "iommu_platform": options.iommu,
        "ats": options.ats,
        "packed": options.packed,
        "page-per-vq": options.page_per_vq,
    }


# Devices that follow the others where one is memory-mapped though there is PCI. Source: observed with libvirt 9.0.
_MAPPED = ("disk", "interface", "input", "controller", "memballoon", "rng", "sound", "video")
_CHANNEL = WantCcw()
_EXPRESS, _LEGACY = WantPci(Pci.PCIE | Pci.HOTPLUG), WantPci(Pci.PCI | Pci.HOTPLUG)


def refuse_virtio(options: VirtioOptions | None, what: str, c: Completion) -> None:
    """Find options that only virtio devices have on a device that is none."""
    for slot in ("iommu", "ats", "packed", "page_per_vq") if options is not None else ():
        if getattr(options, slot) is not None:
            message = f"attribute '{slot}' of {what} is only for virtio devices"
            c.problem(options, message, "no such attribute, or a virtio device", f"@{slot}")


def want_virtio(device: Device, facts: Facts, model: str | None = None) -> Want | None:
    """Ask for the place a virtio device takes: what its address begins with, else the usual bus of the machine.

    On PCI, that is an Express slot where there is one, unless it is a transitional device.
    """
    address = device.address
    if isinstance(address, CcwAddress) or (address is None and facts.board.virtio == "ccw"):
        return _CHANNEL
    if address is not None and not isinstance(address, PciAddress):
        return None
    mapped = facts.board.virtio == "virtio-mmio" or (facts.mapped and device.shape.tag in _MAPPED)
    if address is None and mapped:
        return WantMmio()
    if (facts.pcie and not (model or "").endswith("-transitional")) or (
        facts.pcie and (model or "").endswith("-non-transitional")
    ):
        return _EXPRESS
    return _LEGACY


def want_card(facts: Facts) -> WantPci:
    """Ask for the slot a card takes that is PCI Express where the machine is."""
    return _EXPRESS if facts.pcie else _LEGACY


def want_legacy() -> WantPci:
    """Ask for the slot a plain PCI device takes."""
    return _LEGACY


def is_given(device: Device) -> bool:
    """Whether the device's owner (or an earlier completion) already gave it a full address."""
    address = device.address
    return address is not None and not (isinstance(address, PciAddress) and not address.given)


def is_drive(device: Device) -> DriveAddress:
    """Return the device's drive address.

    Raises:
        TypeError: it has another kind of address; checks refuse that before a plan is made.
    """
    if not isinstance(device.address, DriveAddress):
        raise TypeError(f"{device.shape.tag} has no drive address")
    return device.address
