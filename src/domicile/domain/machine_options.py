"""What is not a device, in QEMU's words: machine, accelerator, CPU, memory, clock, boot. Called by domain/plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.domain import flash
from domicile.domain.cpu import Cpu
from domicile.domain.domain import Domain
from domicile.domain.features import Enlightenment, Hyperv, Kvm
from domicile.domain.options import memory, numa
from domicile.plan.facts import Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Keyed, Option, Structured
from domicile.schema.tree import steps

Pairs = list[tuple[str, Any]]
# libvirt's name of a CPU feature → QEMU's, where dashes are not the only difference.
_FEATURES = {"pclmuldq": "pclmulqdq", "sse4_1": "sse4.1", "sse4_2": "sse4.2"}


def options(domain: Domain, p: Planning) -> Iterator[Item | Need]:
    """Yield the options that stand before all devices, in libvirt's order."""
    yield Keyed("-machine", tuple(_machine(domain, p)), origin="os/type")
    yield Keyed("-accel", tuple(_accelerator(domain, p)), origin="@type")
    if domain.cpu is not None:
        yield Keyed("-cpu", tuple(_cpu(domain, domain.cpu, p)), origin="cpu")
    if (
        domain.os is not None
        and domain.os.loader is not None
        and domain.os.loader.type != "pflash"
        and domain.os.loader.path
    ):
        yield Option("-bios", domain.os.loader.path, origin="os/loader")
    yield from memory.amount(domain, p)
    yield memory.locked(domain)
    yield Keyed("-smp", tuple(_smp(domain, p)), origin="vcpu")
    yield from numa.nodes(domain, p)
    yield from _threads(domain)
    yield Option("-uuid", domain.uuid, origin="uuid")
    if not getattr(domain.devices, "graphics", ()):
        yield Option("-display", "none", origin="devices")


def after_monitor(domain: Domain, p: Planning) -> Iterator[Item]:
    """Yield the options between the monitor and the devices: clock, power, boot, kernel."""
    yield Keyed("-rtc", tuple(_rtc(domain)), origin="clock")
    yield from _timers(domain, p)
    yield Option("-no-shutdown", None, origin="on_poweroff")
    if not _acpi(domain) and _old_switches(p) and (p.x86 or p.arm_virt):
        yield Option("-no-acpi", None, origin="features")
    if domain.pm is not None:
        chip = "ICH9-LPC" if p.q35 else "PIIX4_PM"
        for slot, name in (("suspend_to_mem", "disable_s3"), ("suspend_to_disk", "disable_s4")):
            state = getattr(domain.pm, slot)
            if state is not None and state.enabled is not None and p.x86:
                yield Keyed("-global", ((f"{chip}.{name}", 0 if state.enabled else 1),), origin="pm")
    yield Keyed("-boot", tuple(_boot(domain)), origin="os/boot")
    os = domain.os
    if os is not None:
        for flag, slot in (
            ("-kernel", "kernel"),
            ("-initrd", "initrd"),
            ("-append", "cmdline"),
            ("-dtb", "dtb"),
            ("-shim", "shim"),
        ):
            if getattr(os, slot):
                yield Option(flag, getattr(os, slot), origin=f"os/{slot}")


def _accelerator(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    features = domain.features
    yield "", "kvm" if p.accel == "kvm" else "tcg"
    if features is None:
        return
    ring = features.kvm.dirty_ring if features.kvm is not None else None
    if p.accel == "kvm" and ring is not None and ring.state:
        yield "dirty-ring-size", ring.size
    cache = features.tcg.tb_cache if features.tcg is not None else None
    if p.accel != "kvm" and cache is not None and cache.value:
        yield "tb-size", cache.value // 1024


def _acpi(domain: Domain) -> bool:
    return domain.features is not None and domain.features.acpi


def _old_switches(p: Planning) -> bool:
    """Whether ACPI and HPET are options of their own, as before QEMU 8.0."""
    return p.caps.version < (8, 0, 0)


def _machine(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    features = domain.features
    yield "", p.machine
    yield "usb", False
    if features is not None:
        if features.vmport is not None:
            yield "vmport", features.vmport.state
        if features.smm is not None:
            yield "smm", features.smm.state is not False
        if features.ps2 is not None and features.ps2.state is not None:
            yield "i8042", features.ps2.state
        if features.ioapic is not None and features.ioapic.driver is not None:
            yield "kernel_irqchip", {"kvm": "on", "qemu": "split"}[features.ioapic.driver]
        if features.gic is not None and features.gic.version is not None:
            yield "gic-version", features.gic.version
    yield from memory.machine(domain, p)
    yield from flash.machine(domain, p)
    if domain.os is not None and domain.os.bios is not None and domain.os.bios.useserial:
        yield "graphics", False
    if not _old_switches(p):
        for timer in domain.clock.timer if domain.clock is not None else ():
            if timer.name == "hpet" and timer.present is not None and p.x86:
                yield "hpet", timer.present
        if p.x86 or p.arm_virt or p.riscv_virt or p.loongarch_virt:
            yield "acpi", _acpi(domain)


def _smp(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    vcpu = domain.vcpu
    most = vcpu.value if vcpu is not None and vcpu.value else 1
    now = vcpu.current if vcpu is not None and vcpu.current else most
    yield "", now
    if now != most:
        yield "maxcpus", most
    topology = domain.cpu.topology if domain.cpu is not None else None
    if topology is None:
        yield from (("sockets", most), ("cores", 1), ("threads", 1))
        return
    yield "sockets", topology.sockets or 1
    for slot in ("dies", "clusters"):
        value = getattr(topology, slot) or 1
        if p.caps.has_option("smp-opts", slot) and (value > 1 or slot == "dies" or p.caps.version >= (7, 1, 0)):
            yield slot, value
    yield from (("cores", topology.cores or 1), ("threads", topology.threads or 1))


def _threads(domain: Domain) -> Iterator[Item]:
    named = [thread.id or 0 for thread in domain.iothreadids.iothread] if domain.iothreadids is not None else []
    count = domain.iothreads or len(named)
    following = (n for n in range(1, count + len(named) + 1) if n not in named)
    numbers = sorted([*named, *[next(following) for _ in range(max(0, count - len(named)))]])
    for number in numbers:
        yield Structured("object", {"qom-type": "iothread", "id": f"iothread{number}"}, origin="iothreads")


def _rtc(domain: Domain) -> Iterator[tuple[str, Any]]:
    clock = domain.clock
    offset = clock.offset if clock is not None else "utc"
    yield "base", "localtime" if offset in ("localtime", "timezone") else "utc"
    for timer in clock.timer if clock is not None else ():
        if timer.name == "rtc":
            if timer.track is not None:
                yield "clock", {"boot": "vm", "guest": "vm", "wall": "host", "realtime": "rt"}[timer.track]
            if timer.tickpolicy == "catchup":
                yield "driftfix", "slew"


def _timers(domain: Domain, p: Planning) -> Iterator[Item]:
    for timer in domain.clock.timer if domain.clock is not None else ():
        if timer.name == "pit" and timer.tickpolicy in ("delay", "discard") and p.x86 and p.caps.has_device("kvm-pit"):
            yield Keyed("-global", (("kvm-pit.lost_tick_policy", timer.tickpolicy),), origin="clock")
        if timer.name == "hpet" and timer.present is False and _old_switches(p) and p.x86:
            yield Option("-no-hpet", None, origin="clock")


def _boot(domain: Domain) -> Iterator[tuple[str, Any]]:
    os = domain.os
    if os is not None and os.bootmenu is not None and os.bootmenu.enable is not None:
        yield "menu", os.bootmenu.enable
        if os.bootmenu.enable and os.bootmenu.timeout is not None:
            yield "splash-time", os.bootmenu.timeout
    if os is not None and os.bios is not None and os.bios.rebootTimeout is not None:
        yield "reboot-timeout", os.bios.rebootTimeout
    yield "strict", True


def feature_name(name: str) -> str:
    """Say a CPU feature as QEMU calls it."""
    return _FEATURES.get(name, name.replace("_", "-"))


def _cpu(domain: Domain, cpu: Cpu, p: Planning) -> Iterator[tuple[str, Any]]:
    names = {"host-passthrough": "host", "maximum": "max"}
    if cpu.mode == "host-model":
        host = p.caps.host_cpu.get("kvm" if p.accel == "kvm" else "tcg")
        yield "", "host" if p.accel == "kvm" else host.model if host is not None else "max"
    elif cpu.mode in names:
        yield "", names[cpu.mode]
        yield "migratable", cpu.migratable
    else:
        yield "", cpu.model.name if cpu.model is not None else "qemu64"
    if cpu.model is not None and cpu.model.vendor_id:
        yield "vendor", cpu.model.vendor_id
    for feature in cpu.feature:
        if feature.policy in ("force", "require"):
            yield feature_name(feature.name or ""), True
        elif feature.policy in ("disable", "forbid"):
            yield feature_name(feature.name or ""), False
        elif feature.policy == "optional" and _host_has(feature.name or "", p):
            yield feature_name(feature.name or ""), True
    for timer in domain.clock.timer if domain.clock is not None else ():
        if timer.name == "kvmclock" and timer.present is not None:
            yield "kvmclock", timer.present
        if timer.name == "hypervclock" and timer.present:
            yield "hv-time", True
        if timer.name == "tsc" and timer.frequency:
            yield "tsc-frequency", timer.frequency
    features = domain.features
    if features is not None:
        if features.apic is not None and features.apic.eoi is not None:
            yield "kvm-pv-eoi", features.apic.eoi
        if features.pvspinlock is not None:
            yield "kvm-pv-unhalt", features.pvspinlock.state
        yield from _enlightenments(features.hyperv)
        yield from _paravirtual(features.kvm)
        if features.pmu is not None and features.pmu.state is not None:
            yield "pmu", features.pmu.state


def _paravirtual(kvm: Kvm | None) -> Iterator[tuple[str, Any]]:
    if kvm is None:
        return
    if kvm.hidden is not None and kvm.hidden.state:
        yield "kvm", False
    if kvm.hint_dedicated is not None and kvm.hint_dedicated.state:
        yield "kvm-hint-dedicated", True
    if kvm.poll_control is not None and kvm.poll_control.state:
        yield "kvm-poll-control", True
    if kvm.pv_ipi is not None and kvm.pv_ipi.state:
        yield "kvm-pv-ipi", True


def _enlightenments(hyperv: Hyperv | None) -> Iterator[tuple[str, Any]]:
    if hyperv is None:
        return
    if hyperv.mode == "passthrough":
        yield "hv-passthrough", True
    for step, declared, value in steps(hyperv):
        if not isinstance(value, Enlightenment) or not value.state:
            continue
        if step == "spinlocks":
            yield "hv-spinlocks", f"{value.retries or 4095:#x}"
        elif step == "vendor_id":
            yield "hv-vendor-id", value.value
        else:
            yield f"hv-{declared.name.replace('_', '-')}", True
        for word in ("direct", "ext"):
            more = value.direct if word == "direct" else value.extended
            if more is not None and more.state:
                yield f"hv-{declared.name}-{word}", True


def _host_has(name: str, p: Planning) -> bool:
    host = p.caps.host_cpu.get("kvm" if p.accel == "kvm" else "tcg")
    return host is not None and host.props.get(feature_name(name)) is True


def own_words(domain: Domain) -> Iterator[Item]:
    """Yield the arguments that the owner adds by hand."""
    if domain.qemu_commandline is not None:
        for node in domain.qemu_commandline:
            if isinstance(node.tag, str) and node.tag.endswith("}arg") and node.get("value") is not None:
                yield Option(node.get("value"), None, origin="qemu:commandline")


def own_variables(domain: Domain) -> dict[str, str]:
    """Give the environment variables that the owner adds by hand."""
    if domain.qemu_commandline is None:
        return {}
    nodes = [n for n in domain.qemu_commandline if isinstance(n.tag, str) and n.tag.endswith("}env")]
    return {n.get("name"): n.get("value", "") for n in nodes if n.get("name")}
