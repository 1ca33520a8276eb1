"""The questions that make a QEMU's capabilities, and what is made of the answers. Nothing here talks to anyone.

`qemu/probe` leads the interview, with a live QEMU or with a recording.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from domicile.base.errors import QemuRefused
from domicile.plan.capabilities import Capabilities, CpuModel, HostCpu, MachineType
from domicile.plan.qmp_schema import compact

#: What QEMU returned, or None where it refused the question.
Answer = Any
#: ``best`` is KVM where it can be had; ``tcg`` is emulation alone.
Session = Literal["best", "tcg"]

_ARCHES = {"arm": "armv7l", "i386": "i686"}

# Whose properties differ between versions and builds in ways that matter to a command line.
_DEVICES = (
    *("virtio-blk-pci", "virtio-blk-ccw", "virtio-net-pci", "virtio-net-ccw", "virtio-scsi-pci", "virtio-scsi-ccw"),
    *("vfio-pci", "scsi-hd", "ide-hd", "PIIX4_PM", "usb-redir", "usb-storage", "usb-host", "kvm-pit"),
    *("VGA", "vmware-svga", "qxl", "virtio-gpu-pci", "virtio-gpu-ccw", "virtio-gpu-device", "ICH9-LPC", "mch"),
    *("virtio-balloon-pci", "virtio-balloon-ccw", "virtio-balloon-device", "intel-iommu", "virtio-iommu-pci"),
    *("nvdimm", "virtio-mem-pci", "pcie-root-port", "vhost-user-fs-device", "spapr-pci-host-bridge"),
)
_OBJECTS = ("memory-backend-file", "memory-backend-memfd", "max-x86_64-cpu", "max-arm-cpu")
# Types whose machines share their properties; for an abstract one QEMU answers too.
_MACHINES = ("none-machine", "generic-pc-machine")


@dataclass(frozen=True, slots=True)
class Question:
    """One QMP command to one of the two sessions."""

    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    session: Session = "best"


Interview = Generator[list[Question], list[Answer], Capabilities]


def interview(binary: str, mtime: float) -> Interview:
    """Ask in batches; return what was learnt.

    Raises:
        QemuRefused: the other side does not answer what every QEMU answers.
    """
    version, target, schema, kvm, types, machines, options = yield [
        Question("query-version"),
        Question("query-target"),
        Question("query-qmp-schema"),
        Question("query-kvm"),
        Question("qom-list-types"),
        Question("query-machines"),
        Question("query-command-line-options"),
    ]
    if not (version and target and schema and types and machines is not None):
        raise QemuRefused(f"{binary} does not answer the questions that any QEMU since 6.2 answers")
    has_kvm = bool(kvm and kvm["enabled"])
    parents = {t["name"]: t.get("parent", "") for t in types}
    properties = yield from _properties(parents, machines)
    tpm_models, tpm_types, migration, gic, sev, sgx = yield [
        Question("query-tpm-models"),
        Question("query-tpm-types"),
        Question("query-migrate-capabilities"),
        Question("query-gic-capabilities"),
        Question("query-sev-capabilities"),
        Question("query-sgx-capabilities"),
    ]
    sessions: list[tuple[str, Session]] = [("kvm", "best"), ("tcg", "tcg")] if has_kvm else [("tcg", "best")]
    machine_types: dict[str, dict[str, MachineType]] = {}
    cpus: dict[str, dict[str, CpuModel]] = {}
    host_cpu: dict[str, HostCpu] = {}
    for accelerator, session in sessions:
        listed, definitions = yield [
            Question("query-machines", session=session),
            Question("query-cpu-definitions", session=session),
        ]
        machine_types[accelerator] = {m["name"]: _machine(m) for m in (listed or machines)}
        cpus[accelerator] = {c["name"]: _cpu(c) for c in (definitions or ())}
        best = yield from _host_cpu("host" if accelerator == "kvm" else "max", session)
        if best is not None:
            host_cpu[accelerator] = best
    numbers = version["qemu"]
    return Capabilities(
        binary=binary,
        mtime=mtime,
        version=(numbers["major"], numbers["minor"], numbers["micro"]),
        package=version.get("package", ""),
        arch=_ARCHES.get(target["arch"], target["arch"]),
        kvm=has_kvm,
        machine_types=machine_types,
        cpus=cpus,
        host_cpu=host_cpu,
        types=parents,
        properties=properties,
        schema=compact(schema),
        options={o["option"]: frozenset(p["name"] for p in o["parameters"]) for o in (options or ())},
        tpm_models=tuple(tpm_models or ()),
        tpm_types=tuple(tpm_types or ()),
        migration=frozenset(c["capability"] for c in (migration or ())),
        gic=tuple(sorted(g["version"] for g in (gic or ()) if g["kernel"] or g["emulated"])),
        gic_kernel=tuple(sorted(g["version"] for g in (gic or ()) if g["kernel"])),
        sev=sev,
        sgx=sgx,
    )


def _properties(
    parents: Mapping[str, str], machines: list[dict[str, Any]]
) -> Generator[list[Question], list[Answer], dict[str, frozenset[str]]]:
    """Ask for the properties of the types that matter, and give a machine's to its whole family."""
    aliased = [f"{m['name']}-machine" for m in machines if "alias" in m or m["name"] == "virt"]
    families = [t for t in (*aliased, *_MACHINES) if t in parents]
    questions = [Question("device-list-properties", {"typename": t}) for t in _DEVICES if t in parents]
    questions += [Question("qom-list-properties", {"typename": t}) for t in (*_OBJECTS, *families) if t in parents]
    answers = yield questions
    found = {
        question.arguments["typename"]: frozenset(p["name"] for p in answer)
        for question, answer in zip(questions, answers, strict=True)
        if answer is not None
    }
    for name in families:
        parent = parents[name]
        if name in found and parent != "machine" and parent:
            found.setdefault(parent, found[name])
    return found


def _host_cpu(name: str, session: Session) -> Generator[list[Question], list[Answer], HostCpu | None]:
    """Spell out the best CPU; s390x and x86 know a static expansion, Arm only a full one."""
    static, full, unmigratable, hyperv = yield [
        _expansion("static", name, session),
        _expansion("full", name, session),
        _expansion("static", name, session, migratable=False),
        _expansion("full", name, session, **{"migratable": False, "hv-passthrough": True}),
    ]
    answer = static or full
    if answer is None:
        return None
    model = answer["model"]
    props = model.get("props", {})
    loose = unmigratable["model"].get("props", {}) if unmigratable else props
    passthrough = hyperv["model"].get("props", {}) if hyperv else {}
    return HostCpu(
        model=model["name"],
        props=loose | {k: v for k, v in props.items() if k not in loose},
        unmigratable=frozenset(k for k, v in loose.items() if v is True and props.get(k) is not True),
        hyperv=frozenset(k for k, v in passthrough.items() if k.startswith("hv-") and v is True),
        deprecated=frozenset(answer.get("deprecated-props", ())),
    )


def _expansion(kind: str, name: str, session: Session, **props: bool) -> Question:
    model: dict[str, Any] = {"name": name, "props": props} if props else {"name": name}
    return Question("query-cpu-model-expansion", {"type": kind, "model": model}, session)


def _machine(raw: Mapping[str, Any]) -> MachineType:
    return MachineType(
        name=raw["name"],
        alias=raw.get("alias"),
        default=raw.get("is-default", False),
        default_cpu=raw.get("default-cpu-type"),
        max_cpus=raw["cpu-max"],
        hotplug_cpus=raw.get("hotpluggable-cpus", False),
        numa_mem_supported=raw.get("numa-mem-supported", False),
        default_ram_id=raw.get("default-ram-id"),
        deprecated=raw.get("deprecated", False),
        acpi=raw.get("acpi"),
    )


def _cpu(raw: Mapping[str, Any]) -> CpuModel:
    blockers = raw.get("unavailable-features")
    return CpuModel(
        name=raw["name"],
        type_name=raw.get("typename", ""),
        usable=None if blockers is None else not blockers,
        blockers=tuple(blockers or ()),
        migratable=raw.get("migration-safe"),
        static=raw.get("static", False),
        deprecated=raw.get("deprecated", False),
        alias_of=raw.get("alias-of"),
    )
