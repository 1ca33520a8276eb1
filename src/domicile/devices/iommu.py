"""The IOMMU the guest sees. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.device import Device, PciAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Pci, Want, WantPci
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, UINT, enum
from domicile.schema.shape import Element, element


@element("driver", "IOMMU 选项")
class IommuDriver(Element):
    """What Intel's IOMMU lets its owner choose."""

    intremap: bool | None = f.attr("Whether interrupts are translated, too.", "是否同时转换中断。", ON_OFF, guest=True)
    caching_mode: bool | None = f.attr(
        "Whether the guest announces each change of a mapping, which host devices need.",
        "客户机是否通告每次映射变化；直通设备需要。",
        ON_OFF,
        guest=True,
    )
    eim: bool | None = f.attr(
        "Whether more than 255 CPUs get interrupts.", "是否支持超过 255 个 CPU 的中断。", ON_OFF, guest=True
    )
    iotlb: bool | None = f.attr("Whether devices may cache translations.", "设备可否缓存地址转换。", ON_OFF, guest=True)
    aw_bits: int | None = f.attr("The width of addresses in bits.", "地址宽度（位）。", UINT, guest=True)
    dma_translation: bool | None = f.attr("Whether DMA is translated.", "是否转换 DMA 地址。", ON_OFF, guest=True)


@element("iommu", "IOMMU 设备")
class Iommu(Device):
    """The unit that translates the addresses devices use."""

    model: str | None = f.attr("The kind.", "种类。", enum("intel", "smmuv3", "virtio"), guest=True)
    driver: IommuDriver | None = f.child("Its options.", "选项。", IommuDriver, keep_empty=False)


def check(iommu: Iommu, c: Completion) -> None:
    """Find what cannot be."""
    model, driver = iommu.model, iommu.driver
    if model is None:
        c.problem(iommu, "element 'iommu' has no attribute 'model'", "intel, smmuv3, virtio", "@model")
        return
    here = {"intel": c.q35, "smmuv3": c.arm_virt, "virtio": c.q35 or c.arm_virt}[model]
    if not here:
        message = f"IOMMU model '{model}' does not exist on machine type '{c.machine}' of '{c.arch}'"
        c.problem(iommu, message, "q35 for intel, ARM virt for smmuv3, either for virtio", "@model")
    if (
        driver is not None
        and model != "intel"
        and any(getattr(driver, fd.slot) is not None for fd in driver.shape.fields)
    ):
        c.problem(driver, f"IOMMU model '{model}' has no options", "no <driver>")
    elif (
        driver is not None
        and driver.dma_translation is not None
        and not c.caps.has_property("intel-iommu", "dma-translation")
    ):
        message = "this QEMU knows no 'dma_translation' of an IOMMU"
        c.problem(driver, message, "no dma_translation", "@dma_translation")
    elif driver is not None and driver.eim and not driver.intremap:
        c.problem(driver, "IOMMU option 'eim' needs 'intremap'", "intremap='on'", "@eim")
    if iommu.address is not None and not (model == "virtio" and isinstance(iommu.address, PciAddress)):
        c.problem(iommu.address, f"IOMMU model '{model}' has an address of type '{iommu.address.type}'", "no <address>")


def place(iommu: Iommu, facts: Facts) -> Want | None:
    """Ask for a slot of the root bus, where virtio's must be."""
    return WantPci(Pci.PCIE) if iommu.model == "virtio" else None


def plan(iommu: Iommu, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device; ARM's is an option of the machine."""
    origin, name = p.origin(iommu), alias_of(iommu)
    if iommu.model == "virtio":
        yield Structured("device", {"driver": "virtio-iommu", "id": name, **where(iommu, p)}, origin=origin)
    elif iommu.model == "intel":
        driver = iommu.driver or IommuDriver()
        props: dict[str, Any] = {
            "driver": "intel-iommu",
            "id": name,
            "intremap": _switch(driver.intremap),
            "caching-mode": driver.caching_mode,
            "eim": _switch(driver.eim),
            "device-iotlb": driver.iotlb,
            "aw-bits": driver.aw_bits or None,
            "dma-translation": driver.dma_translation,
        }
        yield Structured("device", props, origin=origin)


def _switch(value: bool | None) -> str | None:
    return None if value is None else "on" if value else "off"


FAMILY = Family(element=Iommu, check=check, place=place, plan=plan)
