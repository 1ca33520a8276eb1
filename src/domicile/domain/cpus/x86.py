"""x86 CPUs as named models with features more and less: what each model has, and which one says a host's CPU best.

Used where `host-model` is spelt out, where a CPU is compared with a host's, and where the host's CPU is described.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from domicile.domain.cpus import x86_models
from domicile.plan.capabilities import Capabilities, CpuModel, HostCpu

# libvirt's names of features that differ from QEMU's in more than dashes for underscores.
_TO_QEMU = {
    "cmp_legacy": "cmp-legacy", "ds_cpl": "ds-cpl", "fxsr_opt": "fxsr-opt", "kvm_pv_eoi": "kvm-pv-eoi",
    "kvm_pv_unhalt": "kvm-pv-unhalt", "lahf_lm": "lahf-lm", "nodeid_msr": "nodeid-msr", "pclmuldq": "pclmulqdq",
    "perfctr_core": "perfctr-core", "perfctr_nb": "perfctr-nb", "sse4_1": "sse4.1", "sse4_2": "sse4.2",
    "tsc_adjust": "tsc-adjust",
}  # fmt: skip
_FROM_QEMU = {qemu: ours for ours, qemu in _TO_QEMU.items() if ours not in ("sse4_1", "sse4_2")}
_VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon"}
# Haswells whose TSX is broken, as (model, the first stepping that is sound). Source: Intel's erratum HSD136.
_BROKEN_TSX = {63: 4, 60: 16, 69: 16, 70: 16}
_TSX = frozenset({"hle", "rtm"})
# Linux' names of features that differ in more than dashes for underscores.
_FLAGS = {
    "sse4_1": "sse4.1", "sse4_2": "sse4.2", "tsc_deadline_timer": "tsc-deadline", "avx512_vnni": "avx512vnni",
    "avx512_bitalg": "avx512bitalg", "avx512_vbmi2": "avx512vbmi2", "cr8_legacy": "cr8legacy",
}  # fmt: skip
#: All features there are names for, in their order.
FEATURES: tuple[str, ...] = tuple(x86_models.FEATURES.split())
_KNOWN = frozenset(FEATURES)


def to_qemu(name: str) -> str:
    """Say a feature in QEMU's words."""
    return _TO_QEMU.get(name, name.replace("_", "-"))


def from_qemu(name: str) -> str:
    """Say a feature in libvirt's words."""
    return _FROM_QEMU.get(name, name)


def vendor(words: str) -> str | None:
    """Name the maker that a processor's twelve letters stand for."""
    return _VENDORS.get(words)


def from_kernel(flags: Iterable[str]) -> frozenset[str]:
    """Say the flags of /proc/cpuinfo in libvirt's words; those that have no such word are left out."""
    found = {_FLAGS.get(flag, from_qemu(flag.replace("_", "-"))) for flag in flags}
    return frozenset(found & _KNOWN)


@dataclass(frozen=True, slots=True)
class Signature:
    """The family and model a processor says it is, with the steppings meant (None: all)."""

    family: int
    model: int
    steppings: range | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A CPU model; `gone` are features it had when it was new, `guest` says whether it may stand for a host's CPU."""

    name: str
    vendor: str | None
    signatures: tuple[Signature, ...]
    guest: bool
    features: frozenset[str]
    gone: tuple[str, ...] = ()

    def signed(self, family: int, model: int, stepping: int) -> bool:
        """Say whether processors of that signature are this model."""
        return any(
            (s.family, s.model) == (family, model) and (s.steppings is None or stepping in s.steppings)
            for s in self.signatures
        )


@dataclass(frozen=True, slots=True)
class Spelt:
    """A CPU as a model and the features it has more (True) and less (False), in order."""

    model: str
    vendor: str | None
    features: Mapping[str, bool] = field(default_factory=dict)


@functools.cache
def models() -> Mapping[str, Model]:
    """Read the models, the oldest first."""
    found: dict[str, Model] = {}
    text = x86_models.MODELS.strip().replace("\n    ", " ")
    for line in text.splitlines():
        name, vendor, signatures, use, base, *changes = line.split()
        features = set(found[base].features) if base != "-" else set()
        features |= {change[1:] for change in changes if change[0] == "+"}
        features -= {change[1:] for change in changes if change[0] == "-"}
        found[name] = Model(
            name,
            None if vendor == "-" else vendor,
            tuple(_signature(word) for word in signatures.split(",") if word != "-"),
            use == "guest",
            frozenset(features),
            tuple(change[1:] for change in changes if change[0] == "!"),
        )
    return found


def _signature(word: str) -> Signature:
    numbers, _, steppings = word.partition(":")
    family, model = numbers.split("/")
    if not steppings:
        return Signature(int(family), int(model))
    first, _, last = steppings.partition("-")
    return Signature(int(family), int(model), range(int(first), int(last or first) + 1))


def features_of(host: HostCpu, *, migratable: bool) -> frozenset[str]:
    """List the features of the best CPU that an accelerator gives."""
    names = (name for name, value in host.props.items() if value is True)
    found = {from_qemu(name) for name in names if not (migratable and name in host.unmigratable)}
    return frozenset(found & _KNOWN)


def host_model(caps: Capabilities, *, kvm: bool, migratable: bool = True) -> Spelt | None:
    """Say the best CPU that an accelerator gives as a named model with differences; None where QEMU does not spell it out."""
    accelerator = "kvm" if kvm else "tcg"
    host = caps.host_cpu.get(accelerator)
    if host is None:
        return None
    numbers = [value if isinstance(value := host.props.get(k), int) else 0 for k in ("family", "model", "stepping")]
    vendor = _VENDORS.get(str(host.props.get("vendor")))
    features = features_of(host, migratable=migratable)
    return nearest(features, vendor, (numbers[0], numbers[1], numbers[2]), caps.cpus.get(accelerator, {}))


def nearest(
    features: Collection[str], vendor: str | None, signature: tuple[int, int, int], offered: Mapping[str, CpuModel]
) -> Spelt | None:
    """Find the model that says a set of features best, among those a QEMU offers.

    A model of the processor's own family comes before all others, then what needs the shortest list of differences,
    where a feature less weighs more than one more. Observed with libvirt 9.0; the newest model wins where two are as good.
    """
    wanted = set(features)
    family, model, stepping = signature
    if vendor == "Intel" and family == 6 and stepping < _BROKEN_TSX.get(model, 0):
        wanted -= _TSX
    best: tuple[tuple[bool, int, int], Spelt] | None = None
    for candidate in reversed(list(models().values())):
        offer = offered.get(candidate.name)
        if offer is None or not candidate.guest or (vendor and candidate.vendor and vendor != candidate.vendor):
            continue
        spelt = Spelt(candidate.name, vendor, dict(_differences(candidate, wanted, offer.blockers)))
        foreign = not (any(signature) and candidate.signed(family, model, stepping))
        rank = (foreign, *_weight(spelt))
        if best is None or rank < best[0]:
            best = (rank, spelt)
    return best[1] if best is not None else None


def _differences(model: Model, wanted: Collection[str], blockers: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield what a model has too little of, then what it has too much of; a feature QEMU cannot give is too much."""
    more = {name for name in wanted if name not in model.features}
    less = {name for name in model.features if name not in wanted}
    less |= {name for blocker in blockers if (name := from_qemu(blocker)) in _KNOWN and name not in more}
    yield from ((name, True) for name in FEATURES if name in more)
    yield from ((name, False) for name in FEATURES if name in less)
    yield from ((name, False) for name in model.gone if name not in more and name not in less)


def _weight(spelt: Spelt) -> tuple[int, int]:
    """Weigh a list: one for a feature more, growing penalties for every second feature less. Observed with libvirt 9.0."""
    less = sum(1 for on in spelt.features.values() if not on)
    counted = (less + 1) // 2
    penalty = sum(range(2, counted + 2))
    return len(spelt.features) - counted + penalty, penalty
