"""Memory-mapped slots of virtio devices, on boards that have them in place of PCI or beside it. Called by domain/complete.

There is nothing to count: QEMU itself chooses a slot.
"""

from __future__ import annotations

from domicile.devices import FAMILIES
from domicile.devices.parts.device import VirtioMmioAddress
from domicile.domain.domain import DeviceLists
from domicile.plan.facts import Completion
from domicile.plan.place import WantMmio

_BESIDE = ("arm-virt", "arm32-virt", "riscv-virt")


def settle(devices: DeviceLists, c: Completion) -> bool:
    """Say whether all virtio devices are memory-mapped: where there is nothing else, or one of them already is.

    Source: observed with libvirt 9.0.
    """
    c.mapped = c.board.name in _BESIDE and any(isinstance(d.address, VirtioMmioAddress) for d in devices.every())
    return c.mapped or c.board.virtio == "virtio-mmio"


def assign(devices: DeviceLists, c: Completion) -> None:
    """Say of every virtio device without an address that it is memory-mapped."""
    if not settle(devices, c):
        return
    for family in FAMILIES:
        for device in getattr(devices, family.tag):
            if device.address is None and isinstance(family.place(device, c), WantMmio):
                why = "the bus of virtio devices on this board", "该主板上 virtio 设备的总线"
                c.allocate(device, "address", VirtioMmioAddress(), *why)
