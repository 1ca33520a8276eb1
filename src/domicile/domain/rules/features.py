"""Features of the machine: settled where only named, checked where they need another. Called by domain/complete."""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.domain.domain import Domain
from domicile.domain.features import Enlightenment, Features, Hyperv
from domicile.domain.memory import Memory
from domicile.plan.facts import Completion
from domicile.schema.shape import Element
from domicile.schema.tree import steps

_OF_PCS = ("pvspinlock", "ioapic", "vmport")
_LEAST_RETRIES = 4095
_VENDOR_LETTERS = 12
_RING = 1024, 65536
_NAMED = ("hap", "pmu", "vmport", "pvspinlock", "vmcoreinfo")


def settle(domain: Domain, c: Completion) -> None:
    """Turn on what is named and no more."""
    for slot in _NAMED:
        switch = getattr(domain.features, slot, None)
        if switch is not None and switch.state is None:
            c.default(switch, "state", True, "it is named", "已列出即为开启")
    teardown = domain.features.async_teardown if domain.features is not None else None
    if teardown is not None and teardown.enabled is None:
        c.default(teardown, "enabled", True, "it is named", "已列出即为开启")


def check(domain: Domain, c: Completion) -> None:
    """Find features that this emulator, machine or another feature does not allow."""
    _deprecated(domain, c)
    _sleep(domain, c)
    features = domain.features
    if features is None:
        return
    for slot in _OF_PCS:
        feature = getattr(features, slot)
        if feature is not None and not c.x86:
            _absent(feature, slot, c)
    if features.hyperv is not None and features.hyperv.mode != "none" and not (c.x86 or c.arm_virt):
        _absent(features.hyperv, "hyperv", c)
    if features.apic is not None and features.apic.eoi is not None and not c.x86:
        _absent(features.apic, "eoi", c)
    if (
        features.vmcoreinfo is not None
        and features.vmcoreinfo.state is not False
        and not c.caps.has_device("vmcoreinfo")
    ):
        _absent(features.vmcoreinfo, "vmcoreinfo", c)
    if features.hyperv is not None:
        _hyperv(features.hyperv, c)
    _ring(features, c)
    teardown = features.async_teardown
    if teardown is not None and teardown.enabled and not c.caps.has_option("run-with", "async-teardown"):
        c.problem(teardown, "feature 'async-teardown' does not exist in this emulator", "no <async-teardown>")
    ps2, vmport = features.ps2, features.vmport
    if ps2 is not None and ps2.state is not None:
        if not c.x86 or c.caps.version < (7, 0, 0):
            c.problem(ps2, "the state of feature 'ps2' cannot be chosen with this emulator", "no <ps2>", "@state")
        elif ps2.state is False and vmport is not None and vmport.state:
            c.problem(vmport, "feature 'vmport' needs feature 'ps2'", "ps2 on, or vmport off", "@state")
    tseg = features.smm.tseg if features.smm is not None else None
    if tseg is not None and tseg.value is not None:
        size = Memory(unit=tseg.unit or "MiB", value=tseg.value)
        if not c.q35:
            c.problem(tseg, f"'tseg' is not in machine type '{c.machine}'", "a q35 machine, or no <tseg>")
        elif size.normalise() is None and (size.value or 0) % 1024:
            c.problem(tseg, f"'tseg' has {tseg.value} {tseg.unit or 'MiB'}", "whole MiB")


def _absent(feature: Element, name: str, c: Completion) -> None:
    message = f"feature '{name}' does not exist for architecture '{c.arch}' and machine type '{c.machine}'"
    c.problem(feature, message, "no such element")


def _sleep(domain: Domain, c: Completion) -> None:
    """Find ways of sleeping that only a PC's chips know."""
    for slot in ("suspend_to_mem", "suspend_to_disk"):
        state = getattr(domain.pm, slot, None)
        if state is not None and state.enabled is not None and not c.x86:
            what = f"element '{slot.replace('_', '-')}' of <pm> is not for architecture '{c.arch}'"
            c.problem(state, what, "no <pm>", "@enabled")


def _deprecated(domain: Domain, c: Completion) -> None:
    cpu = domain.cpu
    asked = cpu is not None and cpu.deprecated_features is not None
    if asked and not c.caps.has_schema("query-cpu-model-expansion/ret-type/deprecated-props"):
        what = "deprecated features of the CPU cannot be chosen together with this emulator"
        c.problem(cpu, what, "no attribute 'deprecated_features'", "@deprecated_features")


def _hyperv(hyperv: Hyperv, c: Completion) -> None:
    """Check what Windows guests are offered: each says whether it is on, and its own value where it has one."""
    if hyperv.mode == "none":
        c.problem(hyperv, "attribute 'mode' of element 'hyperv' has the value 'none'", "custom, passthrough", "@mode")
    for step, _, value in steps(hyperv):
        if not isinstance(value, Enlightenment):
            continue
        if value.state is None:
            c.problem(value, f"element '{step}' has no attribute 'state'", "on, off", "@state", XML_ERROR)
        if step == "spinlocks" and value.state:
            if value.retries is None:
                c.problem(
                    value, "element 'spinlocks' has no attribute 'retries'", "4095 or more", "@retries", XML_ERROR
                )
            elif value.retries < _LEAST_RETRIES:
                what = f"'retries' of element 'spinlocks' is '{value.retries}'"
                c.problem(value, what, f"{_LEAST_RETRIES} or more", "@retries", XML_ERROR)
        if step == "vendor_id" and value.state:
            text = value.value or ""
            if not 1 <= len(text) <= _VENDOR_LETTERS or "," in text:
                what = f"'value' of Hyper-V's 'vendor_id' is '{text}'"
                c.problem(value, what, f"1 to {_VENDOR_LETTERS} characters without a comma", "@value", XML_ERROR)


def _ring(features: Features, c: Completion) -> None:
    """Check the size of the ring of written pages."""
    ring = features.kvm.dirty_ring if features.kvm is not None else None
    if ring is None or not ring.state:
        return
    size = ring.size or 0
    if not _RING[0] <= size <= _RING[1] or size & (size - 1):
        what = f"attribute 'size' of element 'dirty-ring' has the value '{ring.size or ''}'"
        c.problem(ring, what, f"a power of two from {_RING[0]} to {_RING[1]}", "@size", XML_ERROR)
