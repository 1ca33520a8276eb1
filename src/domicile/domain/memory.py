"""Memory and virtual CPUs: how much of each. Part of `domain.Domain`."""

from __future__ import annotations

from domicile.schema import field as f
from domicile.schema.scalar import NUMBERS, ON_OFF, STR, UINT, ULONG, YES_NO, enum
from domicile.schema.shape import Element, element

# Source: libvirt's documentation of the memory element; KB and friends are powers of 1000.
UNITS = {
    "b": 1, "bytes": 1, "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6, "M": 2**20, "MiB": 2**20, "GB": 10**9,
    "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40, "PB": 10**15, "P": 2**50, "PiB": 2**50, "EB": 10**18, "E": 2**60, "EiB": 2**60,
}  # fmt: skip
_FOLDED = {name.lower(): factor for name, factor in UNITS.items()}
MAX_KIB = 2**63 // 1024


@element("memory", "内存大小")
class Memory(Element):
    """An amount of memory."""

    unit: str | None = f.attr(
        "The unit of the amount; libvirt keeps KiB.", "数量的单位，libvirt 统一为 KiB。", guest=True
    )
    slots: int | None = f.attr("How many modules can be plugged in.", "可插入的内存条数。", UINT, guest=True, order=-1)
    dumpCore: bool | None = f.attr(
        "Whether a core dump of QEMU holds the guest's memory.", "QEMU 的核心转储是否包含客户机内存。", ON_OFF, order=-1
    )
    value: int | None = f.text("The amount.", "数量。", ULONG, guest=True)

    def normalise(self) -> str | None:
        """Turn the amount into KiB, rounded up; returns what is wrong, if anything."""
        factor = _FOLDED.get((self.unit or "KiB").lower())
        if factor is None:
            return f"unit '{self.unit}'"
        if self.value is not None:
            kib = -(-self.value * factor // 1024)
            if kib > MAX_KIB:
                return f"size '{self.value}' {self.unit or 'KiB'}"
            self.value = kib
        self.unit = "KiB"
        return None


@element("vcpu", "虚拟 CPU 数量")
class Vcpu(Element):
    """How many virtual CPUs the guest may have."""

    placement: str | None = f.attr(
        "Who chooses the host CPUs they run on.", "由谁选择所用的主机 CPU。", enum("static", "auto")
    )
    cpuset: str | None = f.attr("The host CPUs they may run on.", "可使用的主机 CPU。", NUMBERS, effect="live")
    current: int | None = f.attr(
        "How many are plugged in at start; the rest can be added.",
        "启动时可用的数量，其余可稍后添加。",
        UINT,
        guest=True,
    )
    value: int | None = f.text("The most there can be.", "最大数量。", UINT, guest=True)


@element("vcpu", "单个虚拟 CPU")
class VcpuState(Element):
    """One virtual CPU."""

    id: int | None = f.attr("Its number.", "编号。", UINT, effect="never", guest=True)
    enabled: bool | None = f.attr("Whether it is plugged in.", "是否可用。", YES_NO, guest=True)
    hotpluggable: bool | None = f.attr(
        "Whether it can be added and removed while running.", "运行时可否增减。", YES_NO, guest=True
    )
    order: int | None = f.attr("Its turn of being added.", "添加的次序。", UINT, guest=True)


@element("vcpus", "各虚拟 CPU")
class Vcpus(Element):
    """The virtual CPUs one by one."""

    vcpu: list[VcpuState] = f.children("One virtual CPU.", "单个虚拟 CPU。", VcpuState)


__all__ = ["MAX_KIB", "STR", "UNITS", "Memory", "Vcpu", "Vcpus"]
