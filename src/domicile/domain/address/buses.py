"""PCI buses with their slots and functions: what is taken, what is free, what fits. Used by `pci`."""

from __future__ import annotations

from dataclasses import dataclass, field

from domicile.plan.place import Pci

# model → (what its slots offer, first slot, last slot). Source: QEMU's docs/pcie.txt; observed with libvirt 9.0.
MODELS: dict[str, tuple[int, int, int]] = {
    "pci-root": (Pci.HOTPLUG | Pci.PCI | Pci.PCI_BRIDGE | Pci.PCI_EXPANDER, 1, 31),
    "pci-bridge": (Pci.HOTPLUG | Pci.PCI | Pci.PCI_BRIDGE, 1, 31),
    "pci-expander-bus": (Pci.HOTPLUG | Pci.PCI | Pci.PCI_BRIDGE, 0, 31),
    "pcie-root": (
        Pci.PCIE | Pci.ROOT_PORT | Pci.DMI_BRIDGE | Pci.PCIE_EXPANDER,
        1,
        31,
    ),
    "dmi-to-pci-bridge": (Pci.PCI | Pci.PCI_BRIDGE, 0, 31),
    "pcie-to-pci-bridge": (Pci.HOTPLUG | Pci.PCI | Pci.PCI_BRIDGE, 1, 31),
    "pcie-root-port": (Pci.HOTPLUG | Pci.PCIE | Pci.UPSTREAM | Pci.PCIE_TO_PCI, 0, 0),
    "pcie-switch-upstream-port": (Pci.DOWNSTREAM, 0, 31),
    "pcie-switch-downstream-port": (Pci.HOTPLUG | Pci.PCIE | Pci.UPSTREAM | Pci.PCIE_TO_PCI, 0, 0),
    "pcie-expander-bus": (Pci.ROOT_PORT | Pci.DMI_BRIDGE | Pci.PCIE, 0, 31),
}
KINDS = (
    Pci.PCI | Pci.PCIE | Pci.ROOT_PORT | Pci.UPSTREAM | Pci.DOWNSTREAM | Pci.DMI_BRIDGE | Pci.PCI_EXPANDER
    | Pci.PCIE_EXPANDER | Pci.PCI_BRIDGE | Pci.PCIE_TO_PCI
)  # fmt: skip
_ENDPOINTS = Pci.PCI | Pci.PCIE


def _plugged(wants: int) -> int:
    """Say what a bus must offer beside the kind of slot: devices that may be plugged in go where that works."""
    return Pci.HOTPLUG if wants & Pci.HOTPLUG and wants & _ENDPOINTS else 0


@dataclass(slots=True)
class Slot:
    """One slot: a bit for each function taken, whether further ports may share it, whether the chipset takes all of it."""

    functions: int = 0
    aggregate: bool = False
    whole: bool = False


@dataclass(slots=True)
class Bus:
    """One bus; its number is its place in the list of buses."""

    model: str
    offers: int
    first: int
    last: int
    #: Which isolation group may be plugged in; the first device decides, unless it is `locked`.
    group: int = 0
    locked: bool = False
    slots: dict[int, Slot] = field(default_factory=dict)

    @classmethod
    def of(cls, model: str) -> Bus:
        """Make the bus behind a controller of that model."""
        return cls(model, *MODELS[model])

    def fits(self, wants: int, by_owner: bool) -> bool:
        """Say whether a device may be here; its owner may mix PCI and PCI Express and forgo hot-plugging."""
        if by_owner:
            if wants & _ENDPOINTS and (self.offers & _ENDPOINTS or self.model == "pcie-root"):
                return True
            return bool(self.offers & wants & KINDS) or bool(
                self.model == "pcie-root" and wants & (Pci.PCIE_TO_PCI | Pci.PCI_BRIDGE)
            )
        plugged = _plugged(wants)
        return bool(self.offers & wants & KINDS) and self.offers & plugged == plugged

    def empty(self) -> bool:
        """Say whether no slot is taken."""
        return not any(slot.functions for slot in self.slots.values())

    def join(self, group: int) -> None:
        """Let a device of an isolation group in by its owner's word: the first decides, one of another ends the isolation."""
        if self.empty() and not self.locked:
            self.group = group
        elif self.group != group:
            self.group = 0

    def full(self) -> bool:
        """Say whether every slot is taken."""
        return all(self.slots.get(n) is not None and self.slots[n].functions for n in range(self.first, self.last + 1))

    def taken(self, slot: int, function: int | None = None) -> bool:
        """Say whether a slot, or one function of it, is taken."""
        found = self.slots.get(slot)
        if found is None:
            return False
        return bool(found.functions if function is None else found.functions >> function & 1)

    def take(self, slot: int, function: int, aggregate: bool) -> None:
        """Mark a function as taken."""
        found = self.slots.get(slot)
        if found is None:
            found = self.slots[slot] = Slot()
        if not found.functions:
            found.aggregate = aggregate
        found.functions |= 1 << function

    def take_slot(self, slot: int) -> None:
        """Mark a whole slot as taken."""
        found = self.slots.get(slot)
        if found is None:
            found = self.slots[slot] = Slot()
        found.functions, found.whole = 0xFF, True

    def free(self, wants: int) -> tuple[int, int] | None:
        """Find the first free (slot, function)."""
        slots = self.slots
        if not slots:
            return self.first, 0
        for slot in range(self.first, self.last + 1):
            found = slots.get(slot)
            if found is None:
                return slot, 0
            functions = found.functions
            if not functions:
                return slot, 0
            if wants & Pci.AGGREGATE and found.aggregate and functions != 0xFF:
                return slot, (~functions & (functions + 1)).bit_length() - 1  # the lowest bit that is not set
        return None


@dataclass(slots=True)
class Buses:
    """All buses of a machine; `growing` ones get a new bus where nothing fits any more, another root if there may be `roots`."""

    buses: list[Bus]
    growing: bool = False
    roots: bool = False
    fits_from: dict[tuple[int, int], int] = field(default_factory=dict)

    def next(self, wants: int, group: int = 0) -> tuple[int, int, int] | None:
        """Find the next free (bus, slot, function) for an isolation group, growing if allowed."""
        key = wants, group
        kinds, plugged = wants & KINDS, _plugged(wants)
        for number in range(self.fits_from.get(key, 0), len(self.buses)):
            bus = self.buses[number]
            if bus.group == group and bus.offers & kinds and bus.offers & plugged == plugged:  # as `fits` says
                found = bus.free(wants)
                if found is not None:
                    self.fits_from[key] = number
                    return number, *found
        for number, bus in enumerate(self.buses if self.roots else ()):
            if not bus.locked and bus.empty() and bus.fits(wants, False):
                bus.group = group
                return number, bus.first, 0
        if not self.growing or len(self.buses) > 255:
            return None
        grown = self._grow(wants)
        if grown is None:
            return None
        self.buses[grown].group = group
        return grown, self.buses[grown].first, 0

    def filler(self) -> str:
        """Name the controller of a bus that an address names and nobody described."""
        if self.roots:
            return "pci-root"
        return "pcie-root-port" if self.buses[0].model == "pcie-root" else "pci-bridge"

    def _grow(self, wants: int) -> int | None:
        """Add the bus (and what it needs above it) where such a device can be; returns its number."""
        if wants & Pci.PCI:
            if self.roots:
                self.buses.append(Bus.of("pci-root"))
            elif any(bus.offers & Pci.PCI_BRIDGE for bus in self.buses):
                self.buses.append(Bus.of("pci-bridge"))
            else:
                self.buses.append(Bus.of("pcie-root-port"))
                self.buses.append(Bus.of("pcie-to-pci-bridge"))
        elif wants & (Pci.PCIE | Pci.UPSTREAM | Pci.PCIE_TO_PCI):
            self.buses.append(Bus.of("pcie-root-port"))
        else:
            return None
        return len(self.buses) - 1
