"""How the host treats a domain: scheduling, memory limits, NUMA placement, memory backing. Part of `domain.Domain`."""

from __future__ import annotations

from typing import Any

from domicile.domain.memory import Memory
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, INT, NUMBERS, UINT, ULONG, enum, integer
from domicile.schema.shape import Element, element
from domicile.schema.verbatim import VERBATIM

PERIOD = integer(0, 2**64 - 1)
QUOTA = integer(-(2**63), 2**63 - 1)


@element("memtune", "内存限额")
class MemTune(Element):
    """Limits on the host memory that QEMU as a whole may take."""

    hard_limit: Memory | None = f.child("The most it may ever take.", "绝对上限。", Memory, effect="live")
    soft_limit: Memory | None = f.child(
        "The most it may keep when memory is short.", "内存紧张时的上限。", Memory, effect="live"
    )
    min_guarantee: Memory | None = f.child("What it always gets.", "保证的最小值。", Memory, effect="live")
    swap_hard_limit: Memory | None = f.child(
        "The most of memory and swap together.", "内存与交换的总上限。", Memory, effect="live"
    )


@element("device", "单个磁盘设备的限额")
class BlkioDevice(Element):
    """Limits on one block device of the host."""

    path: str | None = f.leaf("The device.", "设备路径。", FILLED)
    weight: int | None = f.leaf("Its share.", "权重。", UINT, effect="live")
    read_iops_sec: int | None = f.leaf("Reads a second.", "每秒读请求数。", UINT, effect="live")
    write_iops_sec: int | None = f.leaf("Writes a second.", "每秒写请求数。", UINT, effect="live")
    read_bytes_sec: int | None = f.leaf("Bytes read a second.", "每秒读取字节数。", ULONG, effect="live")
    write_bytes_sec: int | None = f.leaf("Bytes written a second.", "每秒写入字节数。", ULONG, effect="live")


@element("blkiotune", "磁盘流量调度")
class BlkioTune(Element):
    """The host's scheduling of the domain's disk traffic."""

    weight: int | None = f.leaf("Its share of the disks, 100 to 1000.", "磁盘份额，100 至 1000。", UINT, effect="live")
    device: list[BlkioDevice] = f.children("Limits on one device.", "单个设备的限额。", BlkioDevice, effect="live")


@element("vcpupin", "虚拟 CPU 绑定", identity=("vcpu",))
class VcpuPin(Element):
    """Which host CPUs one virtual CPU may run on."""

    vcpu: int | None = f.attr("The virtual CPU.", "虚拟 CPU。", UINT, effect="never")
    cpuset: str | None = f.attr("The host CPUs.", "主机 CPU。", NUMBERS, effect="live")


@element("emulatorpin", "模拟器线程绑定")
class EmulatorPin(Element):
    """Which host CPUs QEMU's own threads may run on."""

    cpuset: str | None = f.attr("The host CPUs.", "主机 CPU。", NUMBERS, effect="live")


@element("iothreadpin", "I/O 线程绑定", identity=("iothread",))
class IoThreadPin(Element):
    """Which host CPUs one I/O thread may run on."""

    iothread: int | None = f.attr("The I/O thread.", "I/O 线程。", UINT, effect="never")
    cpuset: str | None = f.attr("The host CPUs.", "主机 CPU。", NUMBERS, effect="live")


@element("vcpusched", "线程调度策略")
class Sched(Element):
    """The scheduling policy of some threads."""

    vcpus: str | None = f.attr("The virtual CPUs.", "虚拟 CPU。", NUMBERS, effect="live")
    iothreads: str | None = f.attr("The I/O threads.", "I/O 线程。", NUMBERS, effect="live")
    scheduler: str | None = f.attr("The policy.", "策略。", enum("batch", "idle", "fifo", "rr"), effect="live")
    priority: int | None = f.attr("The priority of a real-time policy.", "实时策略的优先级。", INT, effect="live")


@element("cputune", "CPU 调度")
class CpuTune(Element):
    """The host's scheduling of the domain's threads."""

    shares: int | None = f.leaf("Its share of the CPUs.", "CPU 份额。", ULONG, effect="live")
    period: int | None = f.leaf(
        "The accounting period of one virtual CPU, in microseconds.",
        "虚拟 CPU 的计量周期（微秒）。",
        PERIOD,
        effect="live",
    )
    quota: int | None = f.leaf(
        "Microseconds of each period it may use; negative is no limit.",
        "每周期可用微秒数，负数不限。",
        QUOTA,
        effect="live",
    )
    global_period: int | None = f.leaf(
        "The accounting period of the whole domain.", "整个域的计量周期。", PERIOD, effect="live"
    )
    global_quota: int | None = f.leaf(
        "Microseconds the whole domain may use.", "整个域每周期可用微秒数。", QUOTA, effect="live"
    )
    emulator_period: int | None = f.leaf(
        "The accounting period of QEMU's own threads.", "QEMU 自身线程的计量周期。", PERIOD, effect="live"
    )
    emulator_quota: int | None = f.leaf(
        "Microseconds QEMU's own threads may use.", "QEMU 自身线程每周期可用微秒数。", QUOTA, effect="live"
    )
    iothread_period: int | None = f.leaf(
        "The accounting period of I/O threads.", "I/O 线程的计量周期。", PERIOD, effect="live"
    )
    iothread_quota: int | None = f.leaf(
        "Microseconds I/O threads may use.", "I/O 线程每周期可用微秒数。", QUOTA, effect="live"
    )
    vcpupin: list[VcpuPin] = f.children("Where one virtual CPU runs.", "单个虚拟 CPU 的绑定。", VcpuPin, effect="live")
    emulatorpin: EmulatorPin | None = f.child(
        "Where QEMU's own threads run.", "QEMU 自身线程的绑定。", EmulatorPin, effect="live"
    )
    iothreadpin: list[IoThreadPin] = f.children(
        "Where one I/O thread runs.", "单个 I/O 线程的绑定。", IoThreadPin, effect="live"
    )
    emulatorsched: Sched | None = f.child(
        "A policy for QEMU's own threads.", "QEMU 自身线程的调度策略。", Sched, effect="live"
    )
    vcpusched: list[Sched] = f.children("A scheduling policy.", "调度策略。", Sched, effect="live")
    iothreadsched: list[Sched] = f.children("A policy for I/O threads.", "I/O 线程的调度策略。", Sched, effect="live")
    cachetune: list[Any] = f.children(
        "Shares of the processors' caches.", "处理器缓存的份额。", VERBATIM, effect="live"
    )
    memorytune: list[Any] = f.children("Shares of the way to memory.", "内存带宽的份额。", VERBATIM, effect="live")


_MODES = enum("strict", "preferred", "interleave", "restrictive")


@element("memory", "内存所在节点")
class NumaMemory(Element):
    """Which NUMA nodes of the host the memory comes from."""

    mode: str | None = f.attr("How firmly.", "约束的强度。", _MODES)
    nodeset: str | None = f.attr("The nodes.", "节点集合。", NUMBERS, effect="live")
    placement: str | None = f.attr("Who chooses them.", "由谁选择。", enum("static", "auto"))


@element("memnode", "客户机节点的内存位置", identity=("cellid",))
class NumaMemNode(Element):
    """Which nodes of the host one node of the guest has its memory from."""

    cellid: int | None = f.attr("The guest's node.", "客户机节点。", UINT, effect="never")
    mode: str | None = f.attr("How firmly.", "约束的强度。", _MODES)
    nodeset: str | None = f.attr("The host's nodes.", "主机节点。", NUMBERS)


@element("numatune", "NUMA 位置")
class NumaTune(Element):
    """Where on the host the memory comes from."""

    memory: NumaMemory | None = f.child("For all memory.", "全部内存。", NumaMemory)
    memnode: list[NumaMemNode] = f.children("For one node of the guest.", "客户机的单个节点。", NumaMemNode)


@element("page", "大页")
class Page(Element):
    """Huge pages of one size."""

    size: int | None = f.attr("The size.", "大小。", ULONG)
    unit: str | None = f.attr("The unit of the size.", "大小的单位。")
    nodeset: str | None = f.attr("The guest's nodes that use it.", "使用它的客户机节点。", NUMBERS)


@element("hugepages", "大页内存")
class HugePages(Element):
    """Memory in huge pages."""

    page: list[Page] = f.children("Pages of one size.", "一种大小的页。", Page)


@element("source", "内存来源")
class MemorySource(Element):
    """What kind of memory it is on the host."""

    type: str | None = f.attr(
        "A file, anonymous memory or a memfd.", "文件、匿名内存或 memfd。", enum("file", "anonymous", "memfd")
    )


@element("access", "内存共享方式")
class MemoryAccess(Element):
    """Whether other processes may see it."""

    mode: str | None = f.attr("Shared or private.", "共享或私有。", enum("shared", "private"))


@element("allocation", "内存分配方式")
class MemoryAllocation(Element):
    """When the host hands it out."""

    mode: str | None = f.attr(
        "At once, or when it is first touched.", "立即分配或首次使用时分配。", enum("immediate", "ondemand")
    )
    threads: int | None = f.attr("How many threads touch it at start.", "启动时用多少线程触碰内存。", UINT)


@element("memoryBacking", "内存后端")
class MemoryBacking(Element):
    """How the guest's memory is held on the host."""

    hugepages: HugePages | None = f.child("Huge pages.", "大页。", HugePages)
    nosharepages: bool = f.flag("Equal pages are not merged with other guests'.", "不与其他客户机合并相同页。")
    locked: bool = f.flag("It is never swapped out.", "不被换出。")
    source: MemorySource | None = f.child("What kind of memory it is.", "内存的种类。", MemorySource)
    access: MemoryAccess | None = f.child("Whether others may see it.", "是否共享。", MemoryAccess)
    allocation: MemoryAllocation | None = f.child("When it is handed out.", "何时分配。", MemoryAllocation)
    discard: bool = f.flag("Its contents are dropped when QEMU ends.", "QEMU 结束时丢弃内容。")


@element("resource", "资源分区")
class Resource(Element):
    """The control group it is in."""

    partition: str | None = f.leaf("The group's path.", "分区路径。", FILLED)
    fibrechannel: object | None = f.raw("The name its traffic carries in a storage network.", "存储网络流量的标识。")
