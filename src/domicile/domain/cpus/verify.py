"""The virtual CPU that a QEMU gives, held against the one a document asks for. Pure; runtime/guest_cpu asks QEMU."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from domicile.base.errors import OPERATION_FAILED, Unsupported
from domicile.domain.cpu import Cpu
from domicile.domain.cpus import choose, x86
from domicile.plan.capabilities import Capabilities


@dataclass(frozen=True, slots=True)
class Expected:
    """What a CPU must have and must not have, in libvirt's words; what is in neither may be either way."""

    on: frozenset[str]
    off: frozenset[str]


def expected(cpu: Cpu | None, caps: Capabilities, *, kvm: bool) -> Expected | None:
    """Say what is to be checked after the start; None where nothing is, or the model is not known here."""
    if cpu is None or cpu.check != "full":
        return None
    spelt = choose.spell(cpu, caps, kvm=kvm)
    if spelt is None:
        policies = {x86.from_qemu(f.name): f.policy for f in cpu.feature if f.name}
        on = {name for name, policy in policies.items() if policy in ("force", "require")}
        return Expected(frozenset(on), frozenset(n for n, p in policies.items() if p in ("disable", "forbid")))
    model = x86.models().get(spelt.model)
    if model is None:
        return None
    given = {x86.from_qemu(name): on for name, on in spelt.features.items()}
    more, less = ({name for name, wanted in given.items() if wanted is which} for which in (True, False))
    everything = (model.features | more) - less
    return Expected(everything, frozenset(x86.FEATURES) - everything)


def has(enabled: Collection[str], unavailable: Collection[str]) -> list[str]:
    """List the features a CPU has in libvirt's words and order; both collections are in QEMU's words."""
    there = {x86.from_qemu(name) for name in enabled} - {x86.from_qemu(name) for name in unavailable}
    return [name for name in x86.FEATURES if name in there]


def verify(wanted: Expected, enabled: Collection[str], unavailable: Collection[str]) -> None:
    """Compare; both collections are in QEMU's words.

    Raises:
        Unsupported: the CPU has less or more than was asked for; all of it is named.
    """
    there = set(has(enabled, unavailable))
    lacks = [name for name in x86.FEATURES if name in wanted.on and name not in there]
    beside = [name for name in x86.FEATURES if name in wanted.off and name in there]
    if not lacks and not beside:
        return
    parts = [f"lacks {', '.join(lacks)}"] * bool(lacks) + [f"has {', '.join(beside)} besides"] * bool(beside)
    what = f"cpu/@check: the CPU that QEMU gives is not what 'full' asks for: it {' and '.join(parts)}"
    accepted = "<feature policy='disable' …/> for what is lacking, policy='require' for what is there besides, or check='partial'"
    raise Unsupported(f"{what} ({accepted})", code=OPERATION_FAILED)
