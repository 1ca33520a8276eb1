"""Features that only some kinds of machines have: chosen where such a machine needs one, refused where there is none.

Called by domain/complete. Source: libvirt's documentation of <features>; observed with libvirt 11.3.
"""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.domain.cpu import CpuFeature
from domicile.domain.domain import Domain
from domicile.domain.features import Features, Gic
from domicile.plan.boards import PPC64
from domicile.plan.facts import Completion
from domicile.schema.tree import steps

_PSERIES = ("pseries",)
_ARM_VIRT = ("arm-virt", "arm32-virt")
# Slot of <features> → the machines that have it, and what QEMU calls it there ("" where that need not be asked).
_OWN: dict[str, tuple[tuple[str, ...], str]] = {
    "hpt": (_PSERIES, "resize-hpt"),
    "htm": (_PSERIES, "cap-htm"),
    "nested_hv": (_PSERIES, "cap-nested-hv"),
    "ccf_assist": (_PSERIES, "cap-ccf-assist"),
    "cfpc": (_PSERIES, "cap-cfpc"),
    "sbbc": (_PSERIES, "cap-sbbc"),
    "ibs": (_PSERIES, "cap-ibs"),
    "gic": (_ARM_VIRT, ""),
    "ras": (_ARM_VIRT, "ras"),
    "aia": (("riscv-virt",), "aia"),
}
_USUAL_GIC = 2


def settle(domain: Domain, c: Completion) -> None:
    """Choose the interrupt controller of ARM's virt board, and turn on what vector lengths belong to."""
    if c.arm_virt:
        _interrupts(domain, c)
    _vectors(domain, c)
    hpt = domain.features.hpt if domain.features is not None else None
    if hpt is not None and hpt.resizing is None and hpt.maxpagesize is None:
        assert domain.features is not None
        domain.features.hpt = None  # it says nothing
        if not any(value for _, _, value in steps(domain.features)):
            domain.features = None


def _interrupts(domain: Domain, c: Completion) -> None:
    """Take the newest version that KVM can do; QEMU's own third cannot signal interrupts of PCI Express by messages."""
    if domain.features is None:
        domain.features = Features()
    if domain.features.gic is None:
        domain.features.gic = Gic()
        c.add(domain.features.gic, "the board always has one", "该主板总带有一个")
    gic = domain.features.gic
    if gic.version is None:
        able = c.caps.gic_kernel if c.accel == "kvm" else ()
        version = str(max(able, default=_USUAL_GIC))
        c.default(gic, "version", version, "the newest that works here", "此处可用的最新版本")


def _vectors(domain: Domain, c: Completion) -> None:
    """Vector lengths are of no use without the extension they are lengths of."""
    features = domain.cpu.feature if domain.cpu is not None else []
    if not any((f.name or "").startswith("sve") and f.name != "sve" for f in features):
        return
    whole = next((f for f in features if f.name == "sve"), None)
    if whole is None:
        whole = CpuFeature(policy="require", name="sve")
        features.append(whole)
        c.add(whole, "the lengths named are lengths of its vectors", "所列长度即其向量长度")
    elif whole.policy in ("disable", "forbid"):
        message = f"CPU feature 'sve' has the policy '{whole.policy}', but lengths of its vectors are named"
        c.problem(whole, message, "policy='require', or no feature sve128, sve256…", "@policy")
    elif whole.policy != "require":
        c.default(whole, "policy", "require", "lengths of its vectors are named", "已列出其向量长度")


def check(domain: Domain, c: Completion) -> None:
    """Find features of another kind of machine, or that this QEMU's machine of that kind has not."""
    cpu, features = domain.cpu, domain.features
    if cpu is not None and cpu.mode == "maximum" and not c.caps.cpu("max", c.accel == "kvm"):
        c.problem(cpu, f"CPU mode 'maximum' does not exist in '{c.caps.binary}'", "custom, with a <model>", "@mode")
    if features is None:
        return
    if features.pmu is not None and features.pmu.state is False and c.arch in PPC64:
        c.problem(
            features.pmu, f"performance counters are always there on architecture '{c.arch}'", "state='on'", "@state"
        )
    known = c.caps.machine(c.machine)
    for slot, (boards, key) in _OWN.items():
        feature = getattr(features, slot)
        if feature is None:
            continue
        name = slot.replace("_", "-")
        for attribute in ("state", "value"):
            if getattr(feature, attribute, "") is None:
                what = f"element '{name}' has no attribute '{attribute}'"
                c.problem(feature, what, "on, off" if attribute == "state" else "", f"@{attribute}", code=XML_ERROR)
        machine = f"{known.name if known is not None else c.machine}-machine"
        if c.board.name not in boards:
            message = f"feature '{name}' does not exist for architecture '{c.arch}' and machine type '{c.machine}'"
            c.problem(feature, message, "no such element")
        elif isinstance(feature, Gic) and feature.version != "2" and c.caps.arch != "aarch64":
            message = f"version '{feature.version}' of 'gic' does not exist in '{c.caps.binary}'"
            c.problem(feature, message, "2", "@version")
        elif key and c.caps.knows_properties(machine) and not c.caps.has_property(machine, key):
            message = f"machine type '{c.machine}' of this QEMU has no feature '{name}'"
            c.problem(feature, message, "no such element, or a newer QEMU")
