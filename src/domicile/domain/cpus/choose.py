"""The x86 CPU a document asks for, as the model and the features that QEMU is told of. Pure; called by options/cpu and live."""

from __future__ import annotations

from domicile.base.errors import CPU_INCOMPATIBLE, Unsupported
from domicile.domain.cpu import Cpu
from domicile.domain.cpus import x86
from domicile.domain.cpus.x86 import Spelt
from domicile.plan.capabilities import Capabilities

_ON = ("force", "require")
_MAX_NAMED = 20


def spell(cpu: Cpu, caps: Capabilities, *, kvm: bool) -> Spelt | None:
    """Spell out a CPU; None where it is the host's own or the most QEMU has.

    What the host has is settled now: the nearest model, features that are optional, and those that a model lost.

    Raises:
        Unsupported: this QEMU does not have the model, and no other may stand in.
    """
    name = cpu.model.name if cpu.model is not None else None
    best = x86.host_model(caps, kvm=kvm)
    if cpu.mode == "host-model" or (cpu.mode == "custom" and cpu.match == "minimum"):
        base = best
    elif cpu.mode == "custom" and name is not None:
        base = _offered(name, caps, kvm=kvm, forbidden=cpu.model is not None and cpu.model.fallback == "forbid")
    else:
        base = None
    if base is None:
        return None
    given = {feature.name: feature.policy for feature in cpu.feature if feature.name}
    features = {feature: on for feature, on in base.features.items() if feature not in given}
    has = _all(best) if best is not None else frozenset()
    for feature, policy in given.items():
        features[feature] = policy in _ON or (policy == "optional" and x86.from_qemu(feature) in has)
    model = x86.models().get(base.model)
    for feature in model.gone if model is not None else ():
        features.setdefault(feature, False)
    return Spelt(base.model, base.vendor, features)


def _offered(name: str, caps: Capabilities, *, kvm: bool, forbidden: bool) -> Spelt:
    """Keep a model that QEMU has; find the nearest in place of one it has not."""
    offered = caps.cpus.get("kvm" if kvm else "tcg", {})
    known = x86.models().get(name)
    if name in offered or not offered:
        return Spelt(name, known.vendor if known is not None else None)
    if forbidden or known is None:
        instead = "another model" if forbidden else "a model that is known"
        raise Unsupported(f"element 'model' of 'cpu' has the value '{name}', which this QEMU has not ({instead})")
    signature = known.signatures[0] if known.signatures else None
    numbers = (signature.family, signature.model, 0) if signature is not None else (0, 0, 0)
    found = x86.nearest(known.features, known.vendor, numbers, offered)
    if found is None:
        raise Unsupported(f"no CPU model of this QEMU can stand in for '{name}' (another model)")
    return Spelt(found.model, found.vendor, {**dict.fromkeys(known.gone, False), **found.features})


def _all(spelt: Spelt) -> frozenset[str]:
    """List everything a CPU has."""
    model = x86.models()[spelt.model]
    less = {name for name, on in spelt.features.items() if not on}
    return (model.features | spelt.features.keys()) - less


def compare(cpu: Cpu, caps: Capabilities, flags: frozenset[str]) -> None:
    """Compare a model for KVM that is to be checked with what the host's processor (in the kernel's words) and QEMU have.

    Raises:
        Unsupported: the processor does not have what the model needs, or has what is forbidden.
    """
    name = cpu.model.name if cpu.model is not None else None
    model = x86.models().get(name or "")
    best = caps.host_cpu.get("kvm")
    if cpu.mode != "custom" or cpu.check != "partial" or cpu.match == "minimum" or model is None or best is None:
        return
    there = x86.from_kernel(flags) | x86.features_of(best, migratable=False)
    policies = {x86.from_qemu(feature.name or ""): feature.policy for feature in cpu.feature}
    forbidden = [f for f, policy in policies.items() if policy == "forbid" and f in there]
    if forbidden:
        what = f"the host's CPU has what <cpu> forbids: feature '{forbidden[0]}' (policy 'disable')"
        raise Unsupported(what, code=CPU_INCOMPATIBLE)
    needed = model.features | {f for f, policy in policies.items() if policy == "require"}
    needed -= {f for f, policy in policies.items() if policy in ("disable", "forbid", "optional", "force")}
    missing = [f for f in x86.FEATURES if f in needed and f not in there]
    if missing:
        named = ", ".join(missing[:_MAX_NAMED]) + (", …" if len(missing) > _MAX_NAMED else "")
        what = f"the host's CPU cannot be the model '{name}', it lacks: {named}"
        raise Unsupported(f"{what} (another <model>, or policy 'disable' for these)", code=CPU_INCOMPATIBLE)
