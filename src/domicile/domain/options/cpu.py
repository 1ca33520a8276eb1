"""The virtual CPU in QEMU's words. Called by domain/machine_options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.base.errors import Unsupported
from domicile.domain.cpu import Cpu
from domicile.domain.cpus import choose, s390, x86
from domicile.domain.domain import Domain
from domicile.domain.features import Enlightenment, Hyperv, Kvm
from domicile.plan.boards import ARM32, PPC64, S390
from domicile.plan.facts import Planning
from domicile.schema.tree import steps

# What the host's CPU can pass for on POWER. Source: QEMU's documentation of pseries' max-cpu-compat.
_COMPATIBLE = ("power6", "power7", "power8", "power9", "power10", "power11")


def feature_name(name: str, p: Planning) -> str:
    """Say a CPU feature as QEMU calls it: on PCs with dashes, elsewhere as it is."""
    return x86.to_qemu(name) if p.x86 else name


def model(domain: Domain, cpu: Cpu, p: Planning) -> Iterator[tuple[str, Any]]:
    """Yield the keys of ``-cpu``.

    Raises:
        Unsupported: this QEMU or this host does not have what is asked for.
    """
    if p.arch in S390:
        s390.check(cpu, p.caps, kvm=p.accel == "kvm")
    if cpu.mode == "host-passthrough" and p.accel != "kvm":
        # Observed with libvirtd 9.0: such a definition is kept, its start refused.
        what = f"CPU mode '{cpu.mode}' needs domain type 'kvm', not '{p.accel}'"
        raise Unsupported(f"{what} (accepted: maximum, host-model, custom)")
    spelt = _spelt(cpu, p)
    names = {"host-passthrough": "host", "maximum": "max"}
    if spelt is not None:
        yield "", spelt.model
    elif cpu.mode == "host-model":
        yield from _host_model(cpu, p)
    elif cpu.mode in names:
        yield "", names[cpu.mode]
        if cpu.mode == "host-passthrough" and p.arch in ARM32 and p.caps.arch == "aarch64":
            yield "aarch64", False
        yield "migratable", cpu.migratable
    else:
        yield "", cpu.model.name if cpu.model is not None else "qemu64"
    yield from _caches(cpu)
    yield from _width(cpu)
    yield from _deprecated(cpu, p)
    if cpu.model is not None and cpu.model.vendor_id:
        yield "vendor", cpu.model.vendor_id
    for name, on in spelt.features.items() if spelt is not None else _given(cpu, p):
        # What QEMU does not know need not be turned off.
        if on or _known(feature_name(name, p), p):
            yield feature_name(name, p), on
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
    if any(panic.model == "hyperv" for panic in getattr(domain.devices, "panic", ())):
        yield "hv-crash", True
    if features is not None:
        yield from _paravirtual(features.kvm)
        # POWER's CPUs always have them, and no word for it.
        if features.pmu is not None and features.pmu.state is not None and p.arch not in PPC64:
            yield "pmu", features.pmu.state


def _spelt(cpu: Cpu, p: Planning) -> x86.Spelt | None:
    return choose.spell(cpu, p.caps, kvm=p.accel == "kvm") if p.x86 else None


def _given(cpu: Cpu, p: Planning) -> Iterator[tuple[str, bool]]:
    for feature in cpu.feature:
        if feature.policy != "optional":
            yield feature.name or "", feature.policy in ("force", "require")
        elif _host_has(feature.name or "", p):
            yield feature.name or "", True


def _host_model(cpu: Cpu, p: Planning) -> Iterator[tuple[str, Any]]:
    """Yield the model nearest to the host's: spelt out where QEMU names one that can be told, else all there is."""
    host = p.caps.host_cpu.get("kvm" if p.accel == "kvm" else "tcg")
    if p.arch in PPC64:
        if p.accel != "kvm":
            raise Unsupported("CPU mode 'host-model' on this architecture needs domain type 'kvm'")
        yield "", "host"
        if not _by_machine(p):
            yield "compat", compatible(cpu, p)
        return
    if host is None or not p.s390:
        yield "", "host" if p.accel == "kvm" else "max"
        return
    yield "", host.model
    given = {feature.name for feature in cpu.feature}
    for name, value in host.props.items():
        if value is True and name not in given:
            yield name, not (name in host.deprecated and cpu.deprecated_features is False)


def compatible(cpu: Cpu, p: Planning) -> str | None:
    """Say which older POWER the host's CPU has to pass for, None where it may be itself.

    Raises:
        Unsupported: there is no such mode.
    """
    name = cpu.model.name if cpu.model is not None and cpu.mode == "host-model" and p.arch in PPC64 else None
    if name is not None and name not in _COMPATIBLE:
        raise Unsupported(
            f"<model> of a POWER CPU of mode 'host-model' is '{name}', not one of {', '.join(_COMPATIBLE)}"
        )
    return name


def machine(cpu: Cpu, p: Planning) -> Iterator[tuple[str, Any]]:
    """Yield the keys of ``-machine`` that speak of the CPU."""
    name = compatible(cpu, p)
    if name is not None and _by_machine(p):
        yield "max-cpu-compat", name


def _by_machine(p: Planning) -> bool:
    """Whether the machine, not the CPU, is told how old a POWER it passes for."""
    known = p.caps.machine(p.machine)
    return p.pseries and known is not None and p.caps.has_property(f"{known.name}-machine", "max-cpu-compat")


def _known(name: str, p: Planning) -> bool:
    """Whether QEMU knows a feature; what it does not know need not be turned off."""
    model = f"max-{p.arch}-cpu"
    return not p.caps.knows_properties(model) or p.caps.has_property(model, name)


def _caches(cpu: Cpu) -> Iterator[tuple[str, Any]]:
    cache = cpu.cache
    if cache is None:
        return
    if cache.mode == "passthrough":
        yield "host-cache-info", True
    elif cpu.mode in ("host-passthrough", "maximum"):
        yield "host-cache-info", False
    yield "l3-cache", cache.mode == "emulate"


def _width(cpu: Cpu) -> Iterator[tuple[str, Any]]:
    width = cpu.maxphysaddr
    if width is None:
        return
    if width.mode == "passthrough":
        yield "host-phys-bits", True
        yield "host-phys-bits-limit", width.limit
    elif width.bits:
        yield "phys-bits", width.bits
    else:
        yield "host-phys-bits", False


def _deprecated(cpu: Cpu, p: Planning) -> Iterator[tuple[str, Any]]:
    host = p.caps.host_cpu.get("kvm" if p.accel == "kvm" else "tcg")
    # The host's own model says them among all its features.
    if cpu.deprecated_features is not None and host is not None and cpu.mode != "host-model":
        for name in sorted(host.deprecated):
            yield name, cpu.deprecated_features


def _paravirtual(kvm: Kvm | None) -> Iterator[tuple[str, Any]]:
    if kvm is None:
        return
    if kvm.hidden is not None and kvm.hidden.state:
        yield "kvm", False
    if kvm.hint_dedicated is not None and kvm.hint_dedicated.state:
        yield "kvm-hint-dedicated", True
    if kvm.poll_control is not None and kvm.poll_control.state:
        yield "kvm-poll-control", True
    # Guests have it unless told otherwise.
    if kvm.pv_ipi is not None and kvm.pv_ipi.state is False:
        yield "kvm-pv-ipi", False


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
    return host is not None and host.props.get(feature_name(name, p)) is True
