"""The virtual CPU: model, features, topology. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.domain.numa import Numa
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, ON_OFF, PUINT, UINT, enum
from domicile.schema.shape import Element, element


@element("model", "CPU 型号")
class CpuModelName(Element):
    """The CPU the guest sees."""

    fallback: str | None = f.attr(
        "Whether a similar model may stand in.", "是否允许用近似型号替代。", enum("allow", "forbid")
    )
    vendor_id: str | None = f.attr(
        "Twelve letters the guest reads as the vendor.", "客户机读到的 12 字符厂商标识。", guest=True
    )
    name: str | None = f.text("The model's name.", "型号名称。", FILLED, guest=True)


@element("topology", "CPU 拓扑")
class Topology(Element):
    """How the virtual CPUs are grouped."""

    sockets: int | None = f.attr("Sockets.", "插槽数。", PUINT, guest=True)
    dies: int | None = f.attr("Dies in a socket.", "每插槽的晶粒数。", PUINT, guest=True)
    clusters: int | None = f.attr("Clusters in a die.", "每晶粒的簇数。", PUINT, guest=True)
    cores: int | None = f.attr("Cores in a cluster.", "每簇的核心数。", PUINT, guest=True)
    threads: int | None = f.attr("Threads of a core.", "每核心的线程数。", PUINT, guest=True)


@element("cache", "CPU 缓存")
class Cache(Element):
    """The caches the guest is told of."""

    level: int | None = f.attr("Which level.", "级别。", UINT, guest=True)
    mode: str | None = f.attr(
        "Made up, the host's, or none.", "模拟、直通或禁用。", enum("emulate", "passthrough", "disable"), guest=True
    )


@element("maxphysaddr", "物理地址宽度")
class MaxPhysAddr(Element):
    """How many bits a guest's physical address has."""

    mode: str | None = f.attr("Made up or the host's.", "模拟或直通。", enum("emulate", "passthrough"), guest=True)
    bits: int | None = f.attr("The number of bits.", "位数。", UINT, guest=True)
    limit: int | None = f.attr("The most bits to pass through.", "直通位数的上限。", UINT, guest=True)


@element("feature", "CPU 特性", identity=("name",))
class CpuFeature(Element):
    """One feature of the CPU."""

    policy: str | None = f.attr(
        "Whether the guest gets it: always, if the host has it, or never.", "客户机是否获得：强制、必需、可选、禁用或禁止。",
        enum("force", "require", "optional", "disable", "forbid"), guest=True, code=CONFIG_UNSUPPORTED,
    )  # fmt: skip
    name: str | None = f.attr("The feature's name.", "特性名称。", FILLED, effect="never", guest=True)


@element("cpu", "虚拟 CPU")
class Cpu(Element):
    """The CPU the guest sees."""

    mode: str | None = f.attr(
        "A named model, the nearest model to the host's, the host's itself, or all QEMU has.",
        "指定型号、最接近主机的型号、主机本身或 QEMU 的全部能力。",
        enum("custom", "host-model", "host-passthrough", "maximum"), guest=True, code=CONFIG_UNSUPPORTED,
    )  # fmt: skip
    match: str | None = f.attr(
        "How closely the host must fit.", "主机须符合的程度。", enum("minimum", "exact", "strict")
    )
    check: str | None = f.attr(
        "How the CPU given is compared with the one asked for.",
        "如何核对所得 CPU 与所求。",
        enum("none", "partial", "full"),
    )
    migratable: bool | None = f.attr(
        "Whether features that stop migration are left out.", "是否去除妨碍迁移的特性。", ON_OFF, guest=True
    )
    deprecated_features: bool | None = f.attr(
        "Whether features on their way out stay.", "是否保留将淘汰的特性。", ON_OFF, guest=True
    )
    model: CpuModelName | None = f.child("The model.", "型号。", CpuModelName)
    vendor: str | None = f.leaf("The host CPU's vendor that is asked for.", "要求的主机 CPU 厂商。", FILLED)
    topology: Topology | None = f.child("How the CPUs are grouped.", "拓扑。", Topology)
    cache: Cache | None = f.child("The caches.", "缓存。", Cache)
    maxphysaddr: MaxPhysAddr | None = f.child("The width of addresses.", "地址宽度。", MaxPhysAddr)
    feature: list[CpuFeature] = f.children(
        "A feature more or less than the model's.", "在型号之外增减的特性。", CpuFeature
    )
    numa: Numa | None = f.child("The guest's NUMA nodes.", "客户机的 NUMA 节点。", Numa, guest=True)
