"""What a domain gets when its owner says nothing: identity, memory, CPUs, machine, clock, what happens at its end."""

from __future__ import annotations

from domicile.base.errors import CONFIG_UNSUPPORTED, INVALID_ARG, XML_ERROR
from domicile.devices.memory import MemoryDevice, size_kib
from domicile.devices.parts.device import Device
from domicile.domain.clock import Clock
from domicile.domain.cpu import Cpu, CpuModelName
from domicile.domain.domain import Domain
from domicile.domain.memory import Memory, Vcpu
from domicile.domain.os import Boot
from domicile.domain.rules import numa as numas
from domicile.plan import boards
from domicile.plan.facts import Completion

#: From here on a limit is none.
UNLIMITED_KIB = 2**53 - 1


def memory(domain: Domain, c: Completion) -> None:
    """Bring all amounts to KiB."""
    for slot in ("maxMemory", "memory", "currentMemory"):
        amount: Memory | None = getattr(domain, slot)
        if amount is None:
            continue
        wrong = amount.normalise()
        if wrong is not None:
            accepted = "an amount below 8 EiB in bytes, KiB, MiB, GiB, TiB…"
            c.problem(amount, f"element '{slot}' has the {wrong}", accepted, code=_kind(wrong))
            amount.value = None


def _kind(wrong: str) -> int:
    """Say of which kind a wrong amount is: a unit that nobody knows is libvirt's invalid argument."""
    return INVALID_ARG if wrong.startswith("unit") else CONFIG_UNSUPPORTED


def totals(domain: Domain, c: Completion) -> None:
    """Count the memory together once all modules are known, and let the balloon start at the whole."""
    nodes(domain, c)
    if domain.memory is None or domain.memory.value is None:
        return
    if domain.currentMemory is not None and (domain.currentMemory.value or 0) > domain.memory.value:
        domain.currentMemory.value = domain.memory.value
    if domain.currentMemory is None or not domain.currentMemory.value:
        amount = Memory(unit="KiB", value=domain.memory.value)
        c.default(domain, "currentMemory", amount, "all of the memory", "全部内存")


def labels(domain: Domain) -> None:
    """Say of a label that asks for none that no driver is meant."""
    for node in domain.seclabel:
        if node.get("type") == "none" and node.get("model") is None:
            node.set("model", "none")
        if node.get("type") == "dynamic":
            if node.get("relabel") is None and node.get("model") is not None:
                node.set("relabel", "yes")
            # What a run was given; the next one is given its own.
            for child in [n for n in node if n.tag in ("label", "imagelabel")]:
                node.remove(child)


def tuning(domain: Domain, c: Completion) -> None:
    """Bring limits to KiB and say how firmly memory is placed."""
    limits = domain.memtune
    if limits is not None:
        for slot in ("hard_limit", "soft_limit", "min_guarantee", "swap_hard_limit"):
            amount: Memory | None = getattr(limits, slot)
            wrong = amount.normalise() if amount is not None else None
            if amount is not None and wrong is None and (amount.value or 0) >= UNLIMITED_KIB:
                setattr(limits, slot, None)
            if wrong is not None:
                accepted = "an amount in bytes, KiB, MiB, GiB, TiB"
                c.problem(amount, f"element '{slot}' has the {wrong}", accepted, code=_kind(wrong))
    placement = domain.numatune.memory if domain.numatune is not None else None
    if placement is not None and placement.mode is None:
        c.default(placement, "mode", "strict", "the nodes named and no others", "只用所列节点")
    backing = domain.memoryBacking.hugepages if domain.memoryBacking is not None else None
    for page in backing.page if backing is not None else []:
        size = Memory(unit=page.unit, value=page.size)
        if size.normalise() is None:
            page.size, page.unit = size.value, "KiB"


def nodes(domain: Domain, c: Completion) -> None:
    """Number the guest's NUMA nodes and bring their memory to KiB; together they are the memory."""
    numa = domain.cpu.numa if domain.cpu is not None else None
    if numa is None:
        return
    numas.amounts(numa, c)
    total = sum(cell.memory or 0 for cell in numa.cell)
    given = domain.memory.value if domain.memory is not None else None
    if not total or (given and not c.host.fresh):
        return
    if domain.devices is not None:
        total += sum(size_kib(module) or 0 for module in domain.devices.of(MemoryDevice))
    if domain.memory is None:
        c.default(domain, "memory", Memory(unit="KiB", value=total), "what its NUMA nodes have", "其 NUMA 节点之和")
    elif given != total:
        c.default(domain.memory, "value", total, "what its NUMA nodes and modules have", "其 NUMA 节点与内存条之和")


def processors(domain: Domain, c: Completion) -> None:
    """One CPU where none is counted, placed freely."""
    if domain.vcpu is None:
        c.default(domain, "vcpu", Vcpu(value=1), "one CPU is the least", "至少一个 CPU")
    vcpu = domain.vcpu
    if vcpu is None:
        return
    if vcpu.value is None:
        c.problem(vcpu, "element 'vcpu' has no value", "a whole number, 1 or more", code=XML_ERROR)
        vcpu.value = 1
    if vcpu.placement is None:
        c.default(vcpu, "placement", "static", "nobody else chooses the host CPUs", "无人代为选择主机 CPU")
    if vcpu.current is not None and vcpu.current == vcpu.value:
        vcpu.current = None


def boot(domain: Domain, c: Completion) -> None:
    """Boot from disk where no device has a turn of its own."""
    os = domain.os
    if os is None or os.type is None or os.type.value != "hvm" or os.boot:
        return
    devices: list[Device] = list(domain.devices.every()) if domain.devices is not None else []
    if not any(device.boot is not None and device.boot.order is not None for device in devices):
        os.boot.append(Boot(dev="hd"))
        c.add(os.boot[0], "nothing else says where to boot from", "没有其他启动设备的说明")


def enlightenments(domain: Domain) -> None:
    """Say how the Hyper-V features are chosen: one by one unless told otherwise."""
    features = domain.features
    if features is None:
        return
    if features.hyperv is not None and features.hyperv.mode is None:
        features.hyperv.mode = "custom"
    if features.smm is not None and features.smm.state is None:
        features.smm.state = True
    sizes = (
        features.smm.tseg if features.smm is not None else None,
        features.hpt.maxpagesize if features.hpt is not None else None,
        features.tcg.tb_cache if features.tcg is not None else None,
    )
    for size in sizes[1:]:
        if size is not None:
            amount = Memory(unit=size.unit, value=size.value)
            if amount.normalise() is None:
                size.value, size.unit = amount.value, "KiB"
    tseg = sizes[0]
    if tseg is not None:
        amount = Memory(unit=tseg.unit or "MiB", value=tseg.value)
        if amount.normalise() is None and amount.value is not None:
            shift = next((n for n in (20, 10) if amount.value and amount.value % (1 << n) == 0), 0)
            tseg.value, tseg.unit = amount.value >> shift, {20: "GiB", 10: "MiB", 0: "KiB"}[shift]


def lifecycle(domain: Domain, c: Completion) -> None:
    """Clock and what happens at the end."""
    if domain.clock is None:
        c.default(domain, "clock", Clock(offset="utc"), "universal time", "世界时")
    elif domain.clock.offset is None:
        c.default(domain.clock, "offset", "utc", "universal time", "世界时")
    for slot, value in (("on_poweroff", "destroy"), ("on_reboot", "restart"), ("on_crash", "destroy")):
        if getattr(domain, slot) is None:
            c.default(domain, slot, value, "what most people expect", "通常所期望的行为")


def cpu(domain: Domain, c: Completion) -> None:
    """Name the CPU that QEMU would give, so that it stays the same with another QEMU."""
    given = domain.cpu
    topology = given.topology if given is not None else None
    if topology is not None and topology.clusters is None and c.host.libvirt >= (10, 1):
        c.default(topology, "clusters", 1, "no grouping below a die", "晶粒之下不再分组")
    if topology is not None and topology.dies is None:
        c.default(topology, "dies", 1, "no grouping below a socket", "插槽之下不再分组")
    if given is None or (given.mode in (None, "custom") and (given.model is None or given.model.name is None)):
        _machine_default(domain, c)
    given = domain.cpu
    if given is None:
        return
    if given.mode is None and given.model is not None:
        c.default(given, "mode", "custom", "a model is named", "已指定型号")
    if given.mode == "custom" and given.model is not None:
        if given.match is None:
            c.default(given, "match", "exact", "no more and no less than the model", "与型号完全一致")
        if given.model.fallback is None:
            c.default(given.model, "fallback", "allow", "a similar model may stand in", "允许以近似型号替代")
    elif given.mode in ("host-passthrough", "maximum"):
        given.match = None
        given.model = None
    elif given.mode == "host-model":
        given.match = None
        if given.model is not None and given.model.name is None:
            # Nothing is said of another model where none is named.
            given.model.fallback = None
            given.model = given.model if given.model.vendor_id is not None else None
        elif given.model is not None and given.model.fallback is None:
            given.model.fallback = "allow"
    for feature in given.feature:
        if feature.policy is None:
            c.default(feature, "policy", "require", "a feature named is a feature needed", "列出的特性即为必需")
    _check_mode(domain, given, c)


def _check_mode(domain: Domain, given: Cpu, c: Completion) -> None:
    if given.check is None and given.mode is not None:
        tcg = domain.type == "qemu"
        value = (
            "none" if given.mode in ("host-passthrough", "maximum") or (tcg and given.mode == "custom") else "partial"
        )
        c.default(given, "check", value, "as far as this kind of CPU can be compared", "按此类 CPU 可核对的程度")
    if (
        given.migratable is None
        and given.mode == "host-passthrough"
        and c.caps.has_property("max-x86_64-cpu", "migratable")
    ):
        c.default(given, "migratable", True, "guests may move", "客户机可能迁移")


def _machine_default(domain: Domain, c: Completion) -> None:
    """Name the machine type's own CPU."""
    name = c.caps.default_cpu(c.machine, c.accel == "kvm") if c.accel in c.board.cpu_written else None
    if name is None:
        return
    name = boards.cpu_name(name, c.arch)
    if domain.cpu is None:
        domain.cpu = Cpu()
        c.add(domain.cpu, "the machine type's own CPU, named so that it stays", "机型默认的 CPU，明确记下以保持不变")
    given = domain.cpu
    if name in ("host", "max"):
        given.mode = c.board.host_cpu if name == "host" and c.accel == "kvm" else "maximum"
        if given.check is None and given.mode != "host-model":
            given.check = "none"
        return
    if given.vendor is not None:
        c.problem(given, "<cpu> has a <vendor> and no <model>", "<model>…</model>", "vendor", XML_ERROR)
    if given.feature:
        what = "<cpu> has a <feature> and no <model> that it could add to"
        c.problem(given, what, "<model>…</model>, or mode='host-model'", "feature", XML_ERROR)
    vendor = given.model.vendor_id if given.model is not None else None
    given.mode, given.match, given.check = "custom", "exact", "none"
    given.model = CpuModelName(fallback="forbid", name=name, vendor_id=vendor)
