"""The addresses a device may want, as values.

Device slices return these from `place`; domain/address gives them out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, auto


class Pci(Flag):
    """What a PCI slot offers or a PCI device asks for."""

    PCI = auto()
    PCIE = auto()
    ROOT_PORT = auto()
    UPSTREAM = auto()
    DOWNSTREAM = auto()
    DMI_BRIDGE = auto()
    PCI_EXPANDER = auto()
    PCIE_EXPANDER = auto()
    PCI_BRIDGE = auto()
    PCIE_TO_PCI = auto()
    HOTPLUG = auto()
    AGGREGATE = auto()


@dataclass(frozen=True, slots=True)
class WantPci:
    """A PCI address on a bus that offers `flags`; an `optional` one may stay without."""

    flags: Pci
    optional: bool = False


@dataclass(frozen=True, slots=True)
class WantUsb:
    """A port of a USB controller; `hub` itself has that many ports."""

    hub: int = 0


@dataclass(frozen=True, slots=True)
class WantDrive:
    """A place on a disk controller of that type."""

    bus: str


@dataclass(frozen=True, slots=True)
class WantVirtioSerial:
    """A port of a virtio-serial controller."""

    console: bool = False


Want = WantPci | WantUsb | WantDrive | WantVirtioSerial
