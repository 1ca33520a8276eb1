"""The chipset in QEMU's words: keys of ``-machine`` and globals of its chips. Called by domain/machine_options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from domicile.devices.controller import Controller
from domicile.devices.iommu import Iommu
from domicile.domain.domain import Domain
from domicile.domain.features import Features
from domicile.domain.memory import Memory
from domicile.plan.facts import Planning
from domicile.plan.qemu import Item, Keyed

# What pSeries can be told, by the slot of <features>; the value is on or off, or the element's own.
_SWITCHES = {"htm": "cap-htm", "nested_hv": "cap-nested-hv", "ccf_assist": "cap-ccf-assist"}
_CHOICES = {"cfpc": "cap-cfpc", "sbbc": "cap-sbbc", "ibs": "cap-ibs"}


def translation(units: Iterable[Iommu]) -> Iterator[tuple[str, Any]]:
    """Yield the key of ``-machine`` for an IOMMU that is part of the board."""
    if any(unit.model == "smmuv3" for unit in units):
        yield "iommu", "smmuv3"


def keys(features: Features, p: Planning) -> Iterator[tuple[str, Any]]:
    """Yield the keys of ``-machine`` that features ask for."""
    if features.vmport is not None:
        yield "vmport", features.vmport.state
    if features.smm is not None:
        yield "smm", features.smm.state is not False
    if features.ps2 is not None and features.ps2.state is not None:
        yield "i8042", features.ps2.state
    if features.ioapic is not None and features.ioapic.driver is not None:
        yield "kernel_irqchip", {"kvm": "on", "qemu": "split"}[features.ioapic.driver]
    gic = features.gic.version if features.gic is not None else None
    # The emulator of 32-bit ARM has nothing but the second version.
    if gic is not None and (gic != "2" or p.caps.arch == "aarch64"):
        yield "gic-version", gic
    if features.ras is not None and p.arm_virt:
        yield "ras", features.ras.state
    if features.aia is not None and p.riscv_virt:
        yield "aia", features.aia.value
    if p.pseries:
        yield from _pseries(features)


def _pseries(features: Features) -> Iterator[tuple[str, Any]]:
    if features.hpt is not None:
        yield "resize-hpt", features.hpt.resizing
        page = features.hpt.maxpagesize
        if page is not None and page.value:
            yield "cap-hpt-max-page-size", f"{page.value}k"
    for slot, key in _SWITCHES.items():
        switch = getattr(features, slot)
        if switch is not None:
            yield key, switch.state
    for slot, key in _CHOICES.items():
        choice = getattr(features, slot)
        if choice is not None:
            yield key, choice.value


def chips(domain: Domain, p: Planning) -> Iterator[Item]:
    """Yield what single chips are told: room for 64-bit addresses, hot-plug at the root, hidden memory."""
    for controller in domain.devices.of(Controller) if domain.devices is not None else ():
        hole, target = controller.pcihole64, controller.target
        if controller.type != "pci" or controller.index or not (p.q35 or p.i440fx):
            continue
        if hole is not None and hole.value is not None:
            chip = "q35-pcihost" if p.q35 else "i440FX-pcihost"
            yield Keyed("-global", ((f"{chip}.pci-hole64-size", f"{hole.value}K"),), origin=p.origin(controller))
        if p.i440fx and target is not None and target.hotplug is not None:
            pairs = (("PIIX4_PM.acpi-root-pci-hotplug", target.hotplug),)
            yield Keyed("-global", pairs, origin=p.origin(controller))
    smm = domain.features.smm if domain.features is not None else None
    if p.q35 and smm is not None and smm.tseg is not None and smm.tseg.value is not None:
        size = Memory(unit=smm.tseg.unit or "MiB", value=smm.tseg.value)
        if size.normalise() is None:
            size_of: tuple[tuple[str, Any], ...] = (("mch.extended-tseg-mbytes", (size.value or 0) // 1024),)
            yield Keyed("-global", size_of, origin="features/smm/tseg")
