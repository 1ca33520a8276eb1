"""Features of the machine: ACPI, APIC and their like. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, STR, UINT, ULONG, YES_NO, enum
from domicile.schema.shape import Element, element


@element("apic", "APIC 中断控制器")
class Apic(Element):
    """The interrupt controller of multiprocessor PCs."""

    eoi: bool | None = f.attr(
        "Whether ends of interrupts are announced cheaply.", "是否使用低开销的中断结束通知。", ON_OFF, guest=True
    )


@element("feature", "可开关的特性")
class Switch(Element):
    """A feature that is on or off."""

    state: bool | None = f.attr("On or off.", "开或关。", ON_OFF, guest=True)


@element("feature", "须写明的特性")
class Decision(Element):
    """A feature that is on or off, and says which."""

    state: bool | None = f.attr("On or off.", "开或关。", ON_OFF, guest=True, required=True)


@element("gic", "GIC 中断控制器")
class Gic(Element):
    """ARM's interrupt controller."""

    version: str | None = f.attr("Its version.", "版本。", enum("2", "3", "host"), guest=True)


@element("ioapic", "I/O APIC 中断控制器")
class Ioapic(Element):
    """Who imitates the I/O APIC."""

    driver: str | None = f.attr("The kernel or QEMU.", "内核或 QEMU。", enum("kvm", "qemu"))


@element("capabilities", "能力")
class Policy(Element):
    """A policy for containers' capabilities."""

    policy: str | None = f.attr("Allowed, denied or by default.", "允许、拒绝或默认。", STR)


@element("feature", "带取值的特性")
class Enlightenment(Element):
    """One thing Hyper-V offers its guests."""

    state: bool | None = f.attr("On or off.", "开或关。", ON_OFF, guest=True)
    retries: int | None = f.attr(
        "How often a spinlock tries before it gives up the CPU.", "自旋锁让出前的尝试次数。", UINT, guest=True
    )
    value: str | None = f.attr("The name, twelve characters at most.", "名称，至多 12 个字符。", guest=True)
    direct: Switch | None = f.child("Straight from the nested guest.", "由嵌套客户机直接发起。", Switch)
    extended: Switch | None = f.child("Of part of the translations.", "仅刷新部分转换。", Switch)


@element("hyperv", "Hyper-V 功能", closed=True, spread=True)
class Hyperv(Element):
    """What Hyper-V offers Windows guests."""

    mode: str | None = f.attr(
        "Chosen one by one, or all the host has.",
        "逐项选择或直通全部。",
        enum("none", "custom", "passthrough"),
        guest=True,
    )
    relaxed: Enlightenment | None = f.child(
        "Timers are not taken too strictly.", "放宽定时器检查。", Enlightenment, guest=True
    )
    vapic: Enlightenment | None = f.child("A fast virtual APIC.", "快速虚拟 APIC。", Enlightenment, guest=True)
    spinlocks: Enlightenment | None = f.child(
        "Spinlocks that give up the CPU after some tries.", "若干次尝试后让出 CPU 的自旋锁。", Enlightenment, guest=True
    )
    vpindex: Enlightenment | None = f.child(
        "Virtual CPUs can read their number.", "虚拟 CPU 可读取编号。", Enlightenment, guest=True
    )
    runtime: Enlightenment | None = f.child(
        "Virtual CPUs can read their run time.", "虚拟 CPU 可读取运行时间。", Enlightenment, guest=True
    )
    synic: Enlightenment | None = f.child(
        "The synthetic interrupt controller.", "合成中断控制器。", Enlightenment, guest=True
    )
    stimer: Enlightenment | None = f.child("Synthetic timers.", "合成定时器。", Enlightenment, guest=True)
    reset: Enlightenment | None = f.child("Reset through a register.", "经寄存器复位。", Enlightenment, guest=True)
    vendor_id: Enlightenment | None = f.child(
        "The hypervisor's name the guest reads.", "客户机读到的虚拟机监控程序名称。", Enlightenment, guest=True
    )
    frequencies: Enlightenment | None = f.child(
        "Clock rates can be read from registers.", "可从寄存器读取时钟频率。", Enlightenment, guest=True
    )
    reenlightenment: Enlightenment | None = f.child(
        "News of a changed clock after migration.", "迁移后通知时钟变化。", Enlightenment, guest=True
    )
    tlbflush: Enlightenment | None = f.child(
        "Flushes of other CPUs' translations in one call.", "一次调用刷新其他 CPU 的 TLB。", Enlightenment, guest=True
    )
    ipi: Enlightenment | None = f.child(
        "Interrupts to many CPUs in one call.", "一次调用向多个 CPU 发送中断。", Enlightenment, guest=True
    )
    evmcs: Enlightenment | None = f.child("A faster way of nesting.", "更快的嵌套虚拟化。", Enlightenment, guest=True)
    avic: Enlightenment | None = f.child(
        "Works beside hardware interrupt virtualization.", "与硬件中断虚拟化并用。", Enlightenment, guest=True
    )
    emsr_bitmap: Enlightenment | None = f.child(
        "A faster look at registers when nested.", "嵌套时更快的 MSR 检查。", Enlightenment, guest=True
    )
    xmm_input: Enlightenment | None = f.child(
        "Call arguments in vector registers.", "以向量寄存器传递调用参数。", Enlightenment, guest=True
    )


@element("dirty-ring", "脏页环")
class DirtyRing(Element):
    """The ring in which KVM notes written pages."""

    state: bool | None = f.attr("On or off.", "开或关。", ON_OFF)
    size: int | None = f.attr("How many pages it holds.", "容纳的页数。", UINT)


@element("kvm", "KVM 功能", closed=True)
class Kvm(Element):
    """What KVM offers or hides."""

    hidden: Switch | None = f.child("The guest is not told that it runs on KVM.", "对客户机隐藏 KVM。", Switch)
    hint_dedicated: Switch | None = f.child(
        "The guest may count on CPUs of its own.", "客户机可认为 CPU 为其独占。", Switch, name="hint-dedicated"
    )
    poll_control: Switch | None = f.child(
        "The guest decides whether the host polls.", "由客户机决定主机是否轮询。", Switch, name="poll-control"
    )
    pv_ipi: Switch | None = f.child(
        "Interrupts to many CPUs in one call.", "一次调用向多个 CPU 发送中断。", Switch, name="pv-ipi"
    )
    dirty_ring: DirtyRing | None = f.child(
        "How written pages are noted.", "记录脏页的方式。", DirtyRing, name="dirty-ring"
    )


@element("xen", "Xen 功能", closed=True)
class Xen(Element):
    """What Xen guests find."""

    e820_host: Switch | None = f.child("The host's memory map.", "主机的内存映射。", Switch)
    passthrough: Switch | None = f.child("Devices of the host.", "主机设备直通。", Switch)


@element("tseg", "SMM 内存")
class Tseg(Element):
    """The memory that only system management mode sees."""

    unit: str | None = f.attr("The unit of the amount.", "数量的单位。", guest=True)
    value: int | None = f.text("The amount.", "数量。", ULONG, guest=True)


@element("smm", "系统管理模式")
class Smm(Element):
    """System management mode."""

    state: bool | None = f.attr("On or off.", "开或关。", ON_OFF, guest=True)
    tseg: Tseg | None = f.child("The memory that only it sees.", "仅其可见的内存。", Tseg)


@element("value", "按值设定的特性")
class Guard(Element):
    """A guard of POWER against spying by speculation."""

    value: str | None = f.attr(
        "None, an emulated one, or the hardware's.", "无、以软件绕行或由硬件修复。", enum("broken", "workaround", "fixed"), guest=True, required=True,
    )  # fmt: skip


@element("ibs", "间接分支推测")
class Ibs(Element):
    """What POWER does about indirect branches."""

    value: str | None = f.attr(
        "None, an emulated guard, serialized branches, or a cache that is off.", "无、以软件绕行、串行化分支或关闭计数缓存。",
        enum("broken", "workaround", "fixed-ibs", "fixed-ccd", "fixed-na"), guest=True, required=True,
    )  # fmt: skip


@element("aia", "RISC-V 高级中断架构")
class Aia(Element):
    """RISC-V's advanced interrupt architecture."""

    value: str | None = f.attr(
        "None, controllers for wires, or also such for messages.", "无、仅有线中断控制器，或另有消息中断控制器。",
        enum("none", "aplic", "aplic-imsic"), guest=True, required=True,
    )  # fmt: skip


@element("msrs", "未知寄存器")
class Msrs(Element):
    """What becomes of registers nobody knows."""

    unknown: str | None = f.attr(
        "Ignored, or a fault in the guest.", "忽略或在客户机内产生异常。", enum("ignore", "fault"), guest=True
    )


@element("maxpagesize", "最大页")
class MaxPageSize(Element):
    """The largest page."""

    unit: str | None = f.attr("The unit.", "单位。", guest=True)
    value: int | None = f.text("The size.", "大小。", ULONG, guest=True)


@element("hpt", "pSeries 页表")
class Hpt(Element):
    """The page table of a pSeries guest."""

    resizing: str | None = f.attr(
        "Whether it may grow.", "是否可扩展。", enum("enabled", "disabled", "required"), guest=True
    )
    maxpagesize: MaxPageSize | None = f.child("The largest page.", "最大页。", MaxPageSize)


@element("tb-cache", "翻译缓存")
class TbCache(Element):
    """The room for translated code."""

    unit: str | None = f.attr("The unit.", "单位。")
    value: int | None = f.text("The size.", "大小。", ULONG)


@element("tcg", "TCG 设置")
class Tcg(Element):
    """Settings of QEMU's own emulation."""

    tb_cache: TbCache | None = f.child("The room for translated code.", "翻译缓存大小。", TbCache, name="tb-cache")


@element("async-teardown", "后台释放内存")
class AsyncTeardown(Element):
    """Whether memory is given back in the background."""

    enabled: bool | None = f.attr("Whether it is.", "是否启用。", YES_NO)


@element("features", "机器特性", closed=True)
class Features(Element):
    """What the machine offers beside its devices."""

    acpi: bool = f.flag("ACPI: power button, tables of devices.", "ACPI：电源按钮与设备表。", guest=True)
    apic: Apic | None = f.child(
        "The interrupt controller of multiprocessor PCs.", "多处理器 PC 的中断控制器。", Apic, guest=True
    )
    pae: bool = f.flag("32-bit guests reach more than 4 GiB.", "32 位客户机可使用 4 GiB 以上内存。", guest=True)
    viridian: bool = f.flag("Kept for Xen.", "为 Xen 保留。")
    hap: Switch | None = f.child("Hardware assisted paging.", "硬件辅助分页。", Switch)
    privnet: bool = f.flag("Kept for containers.", "为容器保留。")
    hyperv: Hyperv | None = f.child(
        "What Hyper-V offers Windows guests.", "提供给 Windows 的 Hyper-V 功能。", Hyperv, guest=True
    )
    kvm: Kvm | None = f.child("What KVM offers or hides.", "KVM 提供或隐藏的功能。", Kvm, guest=True)
    xen: Xen | None = f.child("What Xen guests find.", "供 Xen 客户机使用的功能。", Xen, guest=True)
    pvspinlock: Switch | None = f.child(
        "Spinlocks that know they are virtual.", "感知虚拟化的自旋锁。", Switch, guest=True
    )
    pmu: Switch | None = f.child("Performance counters.", "性能计数器。", Switch, guest=True)
    vmport: Switch | None = f.child("VMware's back door port.", "VMware 后门端口。", Switch, guest=True)
    gic: Gic | None = f.child("ARM's interrupt controller.", "ARM 中断控制器。", Gic, guest=True)
    smm: Smm | None = f.child("System management mode.", "系统管理模式。", Smm, guest=True)
    ioapic: Ioapic | None = f.child("Who imitates the I/O APIC.", "由谁模拟 I/O APIC。", Ioapic, guest=True)
    hpt: Hpt | None = f.child("pSeries page tables.", "pSeries 页表。", Hpt, guest=True)
    vmcoreinfo: Switch | None = f.child(
        "Where crash dumps find the kernel's notes.", "崩溃转储查找内核信息之处。", Switch, guest=True
    )
    htm: Decision | None = f.child("Transactional memory.", "事务内存。", Decision, guest=True)
    nested_hv: Decision | None = f.child(
        "Guests inside the guest.", "嵌套虚拟化。", Decision, name="nested-hv", guest=True
    )
    msrs: Msrs | None = f.child("What unknown registers do.", "未知 MSR 的处理。", Msrs, guest=True)
    ccf_assist: Decision | None = f.child(
        "Count cache flush assist.", "计数缓存刷新辅助。", Decision, name="ccf-assist", guest=True
    )
    cfpc: Guard | None = f.child("Cache flush on privilege change.", "特权切换时刷新缓存。", Guard, guest=True)
    sbbc: Guard | None = f.child("Speculation barrier bounds checking.", "推测屏障边界检查。", Guard, guest=True)
    ibs: Ibs | None = f.child("Indirect branch speculation.", "间接分支推测。", Ibs, guest=True)
    tcg: Tcg | None = f.child("Settings of QEMU's own emulation.", "QEMU 自身模拟的设置。", Tcg)
    async_teardown: AsyncTeardown | None = f.child(
        "Whether memory is given back in the background.", "内存是否后台释放。", AsyncTeardown, name="async-teardown"
    )
    ras: Decision | None = f.child("Reporting of memory errors.", "内存错误报告。", Decision, guest=True)
    ps2: Switch | None = f.child("The PS/2 controller.", "PS/2 控制器。", Switch, guest=True)
    aia: Aia | None = f.child("RISC-V's advanced interrupts.", "RISC-V 高级中断架构。", Aia, guest=True)
