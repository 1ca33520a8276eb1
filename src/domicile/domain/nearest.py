"""What comes nearest here to a machine type or a CPU from elsewhere. Pure; called by adapt."""

from __future__ import annotations

import re

from domicile.plan.capabilities import Capabilities, CpuModel, MachineType

# From old to new within one line of processors; each runs what those before it ran.
_GENERATIONS = (
    (
        "qemu64", "kvm64", "core2duo", "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell",
        "Broadwell", "Skylake-Client", "Skylake-Server", "Cascadelake-Server", "Cooperlake", "Icelake-Client", "Icelake-Server",
        "Snowridge", "SapphireRapids", "GraniteRapids", "SierraForest",
    ),
    ("qemu64", "kvm64", "phenom", "Opteron_G1", "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "Dhyana", "EPYC-Rome", "EPYC-Milan", "EPYC-Genoa", "EPYC-Turin"),
    ("qemu32", "kvm32", "486", "pentium", "pentium2", "pentium3", "athlon", "n270", "coreduo"),
    ("POWER8", "POWER9", "POWER10"),
    ("z900", "z990", "z9", "z10", "z114", "z196", "zEC12", "z13", "z14", "z15", "gen16a"),
)  # fmt: skip
_FAMILIES = (
    ("pc-i440fx", re.compile(r"pc-i440fx-|pc-[01]\.\d+|rhel[56]\.")),
    ("pc-q35", re.compile(r"pc-q35-|q35")),
    ("virt", re.compile(r"virt[-\d.]")),
    ("pseries", re.compile(r"pseries")),
    ("s390-ccw-virtio", re.compile(r"s390-ccw-virtio")),
)
_UPSTREAM = re.compile(r"(?:pc-i440fx|pc-q35|pc|virt|pseries|s390-ccw-virtio)-(\d+)\.(\d+)(?:\.\d+)?\Z")


def machine(caps: Capabilities, name: str, kvm: bool) -> MachineType | None:
    """Find the machine type of the same family that is nearest in version; None for an unknown family.

    A version of QEMU's own gets the newest that is not newer, else the oldest; a distribution's gets the newest.
    """
    family = next((prefix for prefix, words in _FAMILIES if words.match(name)), None)
    if family is None:
        return None
    known = caps.machine_types[caps.accelerator(kvm)].values()
    versions = {m.name: version for m in known if m.name.startswith(f"{family}-") and (version := _version(m.name))}
    ordered = sorted((m for m in known if m.name in versions), key=lambda m: versions[m.name])
    if not ordered:
        return None
    wanted = _version(name)
    if wanted is None:
        return ordered[-1]
    older = [m for m in ordered if versions[m.name] <= wanted]
    return older[-1] if older else ordered[0]


def _version(name: str) -> tuple[int, int] | None:
    found = _UPSTREAM.match(name)
    return (int(found[1]), int(found[2])) if found is not None else None


def cpu(caps: Capabilities, name: str, kvm: bool, missing: frozenset[str] = frozenset()) -> CpuModel | None:
    """Find the newest CPU model before `name` in its line that this host can give; None where there is none."""
    models = caps.cpus[caps.accelerator(kvm)]
    for line in _GENERATIONS:
        base = max((g for g in line if name == g or name.startswith(f"{g}-")), key=len, default=None)
        if base is None:
            continue
        suffix = name[len(base) :]
        for generation in reversed(line[: line.index(base) + 1]):
            for candidate in (f"{generation}{suffix}", f"{generation}-IBRS", f"{generation}-noTSX", generation):
                model = models.get(candidate)
                if model is not None and candidate != name and runs(model, missing):
                    return model
    return None


def runs(model: CpuModel, without: frozenset[str] = frozenset()) -> bool:
    """Say whether nothing stands in the way of a model once the features in `without` are left out of it."""
    return model.usable is not False or (bool(model.blockers) and without.issuperset(model.blockers))


_RENAMED = {
    "pclmuldq": "pclmulqdq",
    "ds_cpl": "ds-cpl",
    "nodeid_msr": "nodeid-msr",
    "sse4_1": "sse4.1",
    "sse4_2": "sse4.2",
}


def feature(caps: Capabilities, name: str, kvm: bool) -> bool | None:
    """Say whether the host can give a CPU feature; None where QEMU does not know it."""
    host = caps.host_cpu.get(caps.accelerator(kvm))
    if host is None:
        return None
    for word in (name, _RENAMED.get(name, name), name.replace("_", "-")):
        value = host.props.get(word)
        if value is not None:
            return bool(value)
    return None
