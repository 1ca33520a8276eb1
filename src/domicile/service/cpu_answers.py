"""CPUs compared with what a host or a hypervisor has, and what several CPUs have in common. Called by the front door.

Only x86 CPUs are known well enough for it. Source of the rules: libvirt's documentation of virConnectCompareCPU and
virConnectBaselineCPU; observed with libvirt 9.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from domicile.base.errors import (
    CPU_INCOMPATIBLE,
    NO_SUPPORT,
    OPERATION_FAILED,
    DomicileError,
    InvalidDocument,
    InvalidRequest,
    Unsupported,
)
from domicile.base.problem import Problem
from domicile.domain.cpu import Cpu, CpuFeature, CpuModelName
from domicile.domain.cpus import x86
from domicile.host import inspect
from domicile.plan.capabilities import Capabilities, CpuModel
from domicile.schema import read as reading
from domicile.schema import write as writing

X86 = ("x86_64", "i686")
# Source: libvirt's list for POWER; for other architectures it accepts every model QEMU has.
_POWER = ("POWER6", "POWER7", "POWER8", "POWER9", "POWER10", "POWERPC_e5500", "POWERPC_e6500")
_ANY = ("ppc64", "s390", "arm", "aarch64")
# Models that came to libvirt after 9.0.
_SINCE = {
    "SapphireRapids": (9, 2), "EPYC-Genoa": (9, 2), "GraniteRapids": (9, 10), "Denverton": (10, 8), "SierraForest": (10, 8),
    "EPYC-Turin": (11, 3),
}  # fmt: skip
_ON = (None, "force", "require")
_UNMIGRATABLE = frozenset({"invtsc"})


class Verdict(IntEnum):
    """How a host's CPU stands to another. Source: virCPUCompareResult."""

    INCOMPATIBLE = 0
    IDENTICAL = 1
    SUPERSET = 2


def names(arch: str, release: tuple[int, int]) -> list[str]:
    """Name the models of an architecture that a release of libvirt knows; none where every model is accepted.

    Raises: Unsupported where libvirt knows nothing of such CPUs.
    """
    if arch in X86:
        return [name for name in x86.models() if _SINCE.get(name, (0, 0)) <= release]
    if not arch.startswith(_ANY):
        raise Unsupported(f"'{arch}' architecture is not supported by CPU driver", code=NO_SUPPORT)
    return list(_POWER) if arch.startswith("ppc64") else []


@dataclass(frozen=True, slots=True)
class Known:
    """What a CPU document comes to: everything it has, and what it must not have."""

    cpu: Cpu
    arch: str | None
    features: frozenset[str]
    forbidden: frozenset[str]


def known(xml: str) -> Known:
    """Read a CPU's document. Raises: InvalidDocument; DomicileError for a model nobody knows."""
    root: Any = reading.parse(xml)
    if root.tag != "cpu":
        raise InvalidDocument([Problem("", f"the root element is '{root.tag}'", root.sourceline or 0, "<cpu>")])
    arch = root.findtext("arch")
    reader = reading.Reader()
    cpu: Cpu = reader.element(Cpu.shape, root)
    wrong = [problem for problem in reader.problems if problem.severity == "error"]
    if wrong:
        raise InvalidDocument(wrong)
    name = cpu.model.name if cpu.model is not None else None
    if not name:
        raise InvalidDocument(
            [Problem("cpu", "element 'cpu' has no <model>", root.sourceline or 0, "<model>…</model>")]
        )
    model = x86.models().get(name)
    if model is None:
        raise DomicileError(f"Unknown CPU model {name}")
    features = set(model.features)
    forbidden = set()
    for feature in cpu.feature:
        word = x86.from_qemu(feature.name or "")
        if word not in x86.FEATURES:
            raise DomicileError(f"Unknown CPU feature {feature.name}")
        if feature.policy in _ON:
            features.add(word)
        else:
            features.discard(word)
            if feature.policy == "forbid":
                forbidden.add(word)
    return Known(cpu, arch, frozenset(features), frozenset(forbidden))


def compare(wanted: Known, has: frozenset[str], vendor: str | None, *, fail: bool) -> Verdict:
    """Compare a CPU with what is there. Raises: Unsupported where it shall `fail` and is incompatible."""
    missing = [feature for feature in x86.FEATURES if feature in wanted.features and feature not in has]
    surplus = has - wanted.features
    why = ""
    if missing:
        why = f"Host CPU does not provide required features: {', '.join(missing)}"
    elif wanted.forbidden & has:
        why = f"Host CPU provides forbidden features: {', '.join(sorted(wanted.forbidden & has))}"
    elif wanted.cpu.vendor and vendor and wanted.cpu.vendor != vendor:
        why = f"host CPU vendor is {vendor}, not {wanted.cpu.vendor}"
    elif surplus and wanted.cpu.match == "strict":
        why = "Host CPU does not strictly match guest CPU: it has more"
    if why and fail:
        raise Unsupported(why, code=CPU_INCOMPATIBLE)
    if why:
        return Verdict.INCOMPATIBLE
    return Verdict.SUPERSET if surplus else Verdict.IDENTICAL


def processor(facts: inspect.HostCpuFacts) -> tuple[frozenset[str], str | None]:
    """Say what the host's processor has, as the kernel sees it, and who made it. Raises: Unsupported."""
    if facts.arch not in X86:
        raise Unsupported(f"CPUs of architecture '{facts.arch}' cannot be compared; those of {', '.join(X86)} can")
    return x86.from_kernel(facts.flags), x86.vendor(facts.vendor)


def hypervisor(caps: Capabilities, virttype: str | None, arch: str | None) -> tuple[str, frozenset[str], str | None]:
    """Say which accelerator is meant, and what its best CPU has. Raises: InvalidRequest, Unsupported."""
    kvm = virttype == "kvm" if virttype else caps.kvm
    if virttype not in (None, "kvm", "qemu"):
        raise InvalidRequest(f"unknown virttype: {virttype}; kvm and qemu are known")
    accelerator = "kvm" if kvm else "tcg"
    best = caps.host_cpu.get(accelerator)
    if kvm and not caps.kvm:
        raise InvalidRequest(f"the accel 'kvm' is not supported by '{caps.binary}' on this host")
    if best is None or (arch or caps.arch) not in X86:
        raise Unsupported(
            f"CPUs of architecture '{arch or caps.arch}' cannot be compared; those of {', '.join(X86)} can"
        )
    vendor = x86.vendor(str(best.props.get("vendor")))
    return accelerator, x86.features_of(best, migratable=False), vendor


def baseline(cpus: Sequence[Known], offered: Mapping[str, CpuModel] | None, *, expand: bool, migratable: bool) -> str:
    """Write the best CPU that all of these can be, of the models `offered`, or of all there are.

    Raises: DomicileError where they have nothing in common.
    """
    vendors = {known.cpu.vendor for known in cpus} - {None}
    if len(vendors) > 1:
        raise DomicileError(
            f"CPU vendors do not match: {', '.join(sorted(str(v) for v in vendors))}", code=OPERATION_FAILED
        )
    features = frozenset.intersection(*(known.features for known in cpus))
    if migratable:
        features -= _UNMIGRATABLE
    models = {known.cpu.model.name for known in cpus if known.cpu.model is not None}
    choice = offered if offered is not None else {name: CpuModel(name, name) for name in x86.models()}
    vendor = next(iter(vendors), None)
    only = next(iter(models)) if len(models) == 1 else None
    preferred = {only: choice[only]} if only is not None and only in choice else choice
    found = x86.nearest(features, vendor, (0, 0, 0), preferred)
    if found is None:
        raise DomicileError("no CPU model is known that all of them could be", code=OPERATION_FAILED)
    fallback = "forbid" if offered is not None or found.model == only else "allow"
    told = vendor if all(known.cpu.vendor for known in cpus) else None
    extra = dict(found.features)
    if expand:
        extra = dict(sorted((dict.fromkeys(x86.models()[found.model].features, True) | extra).items()))
    return _written(found.model, fallback, told, extra.items())


def _written(model: str, fallback: str, vendor: str | None, features: Iterable[tuple[str, bool]]) -> str:
    cpu = Cpu(mode="custom", match="exact")
    cpu.model = CpuModelName(fallback=fallback, name=model)
    cpu.vendor = vendor
    cpu.feature = [CpuFeature(name=name, policy="require" if on else "disable") for name, on in features]
    return writing.write(cpu)
