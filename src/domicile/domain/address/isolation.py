"""Which devices of the host may share a PCI host bridge: those of one IOMMU group. Called by `pci`.

On pSeries a bridge is what the guest's operating system isolates; on other machines all devices are of group 0.
"""

from __future__ import annotations

from domicile.devices.hostdev import Hostdev
from domicile.devices.interface import Interface
from domicile.devices.parts.device import Device
from domicile.plan.facts import Completion

_PARTS = ("domain", "bus", "slot", "function")


def group(device: Device, c: Completion) -> int:
    """Say which group a device is of: 0 for what QEMU makes itself, else one more than the host's number."""
    if not c.board.pci_roots:
        return 0
    parts: list[int | None] = []
    if isinstance(device, Hostdev) and device.type == "pci" and device.source is not None:
        address = device.source.address
        parts = [address.number(part) for part in _PARTS] if address is not None else []
    elif isinstance(device, Interface) and device.type == "hostdev" and device.source is not None:
        place = device.source.hostaddress
        parts = [getattr(place, part) for part in _PARTS] if place is not None else []
    if not parts:
        return 0
    domain, bus, slot, function = (part or 0 for part in parts)
    found = c.host.iommu_group(f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    return 0 if found is None else found + 1
