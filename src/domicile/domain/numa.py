"""The guest's NUMA nodes: CPUs, memory, distances, memory-side caches, speeds. Part of `domain.cpu`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import NUMBERS, UINT, ULONG, YES_NO, enum
from domicile.schema.shape import Element, element

_KINDS = enum("access", "read", "write")


@element("sibling", "节点距离", identity=("id",))
class Distance(Element):
    """How far another node is."""

    id: int | None = f.attr("The other node.", "另一节点。", UINT, effect="never", guest=True)
    value: int | None = f.attr("The distance; 10 is the node itself.", "距离，10 表示自身。", UINT, guest=True)


@element("distances", "节点间距离")
class Distances(Element):
    """How far the other nodes are."""

    sibling: list[Distance] = f.children("One other node.", "一个其他节点。", Distance)


@element("size", "缓存大小")
class CacheSize(Element):
    """An amount of a memory-side cache."""

    value: int | None = f.attr("The amount.", "数量。", ULONG, guest=True)
    unit: str | None = f.attr("The unit of the amount.", "数量的单位。", guest=True)


@element("cache", "内存侧缓存", identity=("level",))
class MemoryCache(Element):
    """A cache that stands before a node's memory."""

    level: int | None = f.attr("Which one; 1 is nearest to the CPUs.", "级别，1 最靠近 CPU。", UINT, guest=True)
    associativity: str | None = f.attr(
        "How addresses share its places.", "相联方式。", enum("none", "direct", "full"), guest=True
    )
    policy: str | None = f.attr(
        "When writes reach the memory.", "写入策略。", enum("none", "writeback", "writethrough"), guest=True
    )
    size: CacheSize | None = f.child("Its size.", "大小。", CacheSize, guest=True)
    line: CacheSize | None = f.child("The size of a line.", "缓存行大小。", CacheSize, guest=True)


@element("cell", "客户机 NUMA 节点", identity=("id",))
class Cell(Element):
    """One NUMA node of the guest."""

    id: int | None = f.attr("Its number.", "编号。", UINT, effect="never", guest=True)
    cpus: str | None = f.attr("Its virtual CPUs.", "所含虚拟 CPU。", NUMBERS, guest=True)
    memory: int | None = f.attr("Its memory.", "内存数量。", ULONG, guest=True)
    unit: str | None = f.attr(
        "The unit of the memory; libvirt keeps KiB.", "内存的单位，libvirt 统一为 KiB。", guest=True
    )
    memAccess: str | None = f.attr(
        "Whether other processes may see it.", "是否允许其他进程共享。", enum("shared", "private")
    )
    discard: bool | None = f.attr(
        "Whether its contents are dropped when QEMU ends.", "QEMU 结束时是否丢弃内容。", YES_NO
    )
    distances: Distances | None = f.child("How far the other nodes are.", "与其他节点的距离。", Distances)
    cache: list[MemoryCache] = f.children("A cache before its memory.", "内存侧缓存。", MemoryCache, guest=True)


@element("latency", "访问延迟")
class Latency(Element):
    """How long the CPUs of one node wait for the memory of another."""

    initiator: int | None = f.attr("The node of the CPUs.", "CPU 所在节点。", UINT, guest=True)
    target: int | None = f.attr("The node of the memory.", "内存所在节点。", UINT, guest=True)
    cache: int | None = f.attr("The cache that answers, instead of the memory.", "应答的缓存级别。", UINT, guest=True)
    type: str | None = f.attr("Reading, writing or both.", "读、写或两者。", _KINDS, guest=True)
    value: int | None = f.attr("Nanoseconds.", "纳秒数。", ULONG, guest=True)


@element("bandwidth", "访问带宽")
class NodeBandwidth(Element):
    """How much the CPUs of one node get from the memory of another in a second."""

    initiator: int | None = f.attr("The node of the CPUs.", "CPU 所在节点。", UINT, guest=True)
    target: int | None = f.attr("The node of the memory.", "内存所在节点。", UINT, guest=True)
    cache: int | None = f.attr("The cache that answers, instead of the memory.", "应答的缓存级别。", UINT, guest=True)
    type: str | None = f.attr("Reading, writing or both.", "读、写或两者。", _KINDS, guest=True)
    value: int | None = f.attr("The amount in a second.", "每秒的数量。", ULONG, guest=True)
    unit: str | None = f.attr("The unit of the amount.", "数量的单位。", guest=True)


@element("interconnects", "节点间速度")
class Interconnects(Element):
    """How fast the nodes reach each other."""

    latency: list[Latency] = f.children("One way's delay.", "一条路径的延迟。", Latency)
    bandwidth: list[NodeBandwidth] = f.children("One way's throughput.", "一条路径的带宽。", NodeBandwidth)


@element("numa", "客户机 NUMA 拓扑")
class Numa(Element):
    """The NUMA nodes the guest sees."""

    cell: list[Cell] = f.children("One node.", "一个节点。", Cell)
    interconnects: Interconnects | None = f.child(
        "How fast the nodes reach each other.", "节点间的带宽与延迟。", Interconnects, guest=True
    )

    @property
    def described(self) -> bool:
        """Whether caches or speeds are told, for which the guest needs a table of their own."""
        return self.interconnects is not None or any(cell.cache for cell in self.cell)
