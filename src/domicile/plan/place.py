"""The addresses a device may want, as values.

Device slices return these from `place`; domain/address gives them out.
"""

from __future__ import annotations

from dataclasses import dataclass


class Pci:
    """What a PCI slot offers or a PCI device asks for: bits of a plain number, since they are compared often."""

    PCI = 1
    PCIE = 2
    ROOT_PORT = 4
    UPSTREAM = 8
    DOWNSTREAM = 16
    DMI_BRIDGE = 32
    PCI_EXPANDER = 64
    PCIE_EXPANDER = 128
    PCI_BRIDGE = 256
    PCIE_TO_PCI = 512
    HOTPLUG = 1024
    AGGREGATE = 2048


@dataclass(frozen=True, slots=True)
class WantPci:
    """A PCI address on a bus that offers `flags`; an `optional` one may stay without."""

    flags: int
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


@dataclass(frozen=True, slots=True)
class WantCcw:
    """A device number of a channel subsystem."""


@dataclass(frozen=True, slots=True)
class WantMmio:
    """A memory-mapped slot of a virtio device."""


@dataclass(frozen=True, slots=True)
class WantSpaprVio:
    """A register of the virtual I/O bus of pSeries."""


Want = WantPci | WantUsb | WantDrive | WantVirtioSerial | WantCcw | WantMmio | WantSpaprVio
