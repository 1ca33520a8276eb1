"""Features of the machine: ACPI, APIC and their like. Part of `domain.Domain`."""

from __future__ import annotations

from typing import Any

from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, STR, enum
from domicile.schema.shape import Element, element


@element("apic", "APIC")
class Apic(Element):
    """The interrupt controller of multiprocessor PCs."""

    eoi: bool | None = f.attr(
        "Whether ends of interrupts are announced cheaply.", "是否使用低开销的中断结束通知。", ON_OFF, guest=True
    )


@element("feature", "可开关的特性")
class Switch(Element):
    """A feature that is on or off."""

    state: bool | None = f.attr("On or off.", "开或关。", ON_OFF, guest=True)


@element("gic", "GIC")
class Gic(Element):
    """ARM's interrupt controller."""

    version: str | None = f.attr("Its version.", "版本。", enum("2", "3", "host"), guest=True)


@element("ioapic", "IOAPIC")
class Ioapic(Element):
    """Who imitates the I/O APIC."""

    driver: str | None = f.attr("The kernel or QEMU.", "内核或 QEMU。", enum("kvm", "qemu"))


@element("capabilities", "能力")
class Policy(Element):
    """A policy for containers' capabilities."""

    policy: str | None = f.attr("Allowed, denied or by default.", "允许、拒绝或默认。", STR)


@element("features", "机器特性")
class Features(Element):
    """What the machine offers beside its devices."""

    acpi: bool = f.flag("ACPI: power button, tables of devices.", "ACPI：电源按钮与设备表。", guest=True)
    apic: Apic | None = f.child(
        "The interrupt controller of multiprocessor PCs.", "多处理器 PC 的中断控制器。", Apic, guest=True
    )
    pae: bool = f.flag("32-bit guests reach more than 4 GiB.", "32 位客户机可使用 4 GiB 以上内存。", guest=True)
    viridian: bool = f.flag("Kept for Xen.", "为 Xen 保留。")
    privnet: bool = f.flag("Kept for containers.", "为容器保留。")
    hap: Switch | None = f.child("Hardware assisted paging.", "硬件辅助分页。", Switch)
    hyperv: Any = f.raw("What Hyper-V offers Windows guests.", "提供给 Windows 的 Hyper-V 功能。", guest=True)
    kvm: Any = f.raw("What KVM offers or hides.", "KVM 提供或隐藏的功能。", guest=True)
    xen: Any = f.raw("What Xen guests find.", "供 Xen 客户机使用的功能。", guest=True)
    pvspinlock: Switch | None = f.child(
        "Spinlocks that know they are virtual.", "感知虚拟化的自旋锁。", Switch, guest=True
    )
    pmu: Switch | None = f.child("Performance counters.", "性能计数器。", Switch, guest=True)
    vmport: Switch | None = f.child("VMware's back door port.", "VMware 后门端口。", Switch, guest=True)
    gic: Gic | None = f.child("ARM's interrupt controller.", "ARM 中断控制器。", Gic, guest=True)
    smm: Any = f.raw("System management mode.", "系统管理模式。", guest=True)
    ioapic: Ioapic | None = f.child("Who imitates the I/O APIC.", "由谁模拟 I/O APIC。", Ioapic, guest=True)
    hpt: Any = f.raw("pSeries page tables.", "pSeries 页表。", guest=True)
    vmcoreinfo: Switch | None = f.child(
        "Where crash dumps find the kernel's notes.", "崩溃转储查找内核信息之处。", Switch, guest=True
    )
    htm: Switch | None = f.child("Transactional memory.", "事务内存。", Switch, guest=True)
    nested_hv: Switch | None = f.child("Guests inside the guest.", "嵌套虚拟化。", Switch, name="nested-hv", guest=True)
    msrs: Any = f.raw("What unknown registers do.", "未知 MSR 的处理。", guest=True)
    ccf_assist: Switch | None = f.child(
        "Count cache flush assist.", "计数缓存刷新辅助。", Switch, name="ccf-assist", guest=True
    )
    cfpc: Any = f.raw("Cache flush on privilege change.", "特权切换时刷新缓存。", guest=True)
    sbbc: Any = f.raw("Speculation barrier bounds checking.", "推测屏障边界检查。", guest=True)
    ibs: Any = f.raw("Indirect branch speculation.", "间接分支推测。", guest=True)
    tcg: Any = f.raw("Settings of QEMU's own emulation.", "QEMU 自身模拟的设置。")
    async_teardown: Any = f.raw(
        "Whether memory is given back in the background.", "内存是否后台释放。", name="async-teardown"
    )
    ras: Switch | None = f.child("Reporting of memory errors.", "内存错误报告。", Switch, guest=True)
    ps2: Switch | None = f.child("The PS/2 controller.", "PS/2 控制器。", Switch, guest=True)
    aia: Any = f.raw("RISC-V's advanced interrupts.", "RISC-V 高级中断架构。", guest=True)
