"""The <capabilities> document: the host, and the guests that its QEMUs run. virt-install and virt-manager read it.

The front doors ask; the values come from `host/inspect` and from the emulators' capabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from domicile.host import inspect
from domicile.plan.capabilities import Capabilities
from domicile.schema.write import verbatim
from domicile.service.markup import E, Made

VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon"}
# Source: libvirt's names of the architectures that QEMU emulates.
_WORDSIZES = {
    64: "aarch64 alpha hppa64 loongarch64 mips64 mips64el ppc64 ppc64le riscv64 s390x sparc64 x86_64",
    32: "armv6l armv7b armv7l cris hppa i686 itanium lm32 m68k microblaze microblazeel mips mipsel or32 parisc ppc ppcle "
    "ppcemb riscv32 s390 sh4 sh4eb sparc unicore32 xtensa xtensaeb",
}
ARCHITECTURES = {arch: size for size, names in _WORDSIZES.items() for arch in names.split()}
_X86 = ("i686", "x86_64")


def write(emulators: Mapping[str, Capabilities], host_uuid: str, owner: tuple[int, int] | None = None) -> str:
    """Write the document.

    The emulators are given by libvirt's name of their target; `owner` is the user and group that QEMU runs as, None where it
    is the daemon's own.
    """
    guests = "\n\n".join("\n".join(verbatim(_guest(arch, caps), "  ")) for arch, caps in sorted(emulators.items()))
    host = "\n".join(verbatim(_host(emulators, host_uuid, owner), "  "))
    return f"<capabilities>\n\n{host}\n\n{guests}\n\n</capabilities>\n"


def _host(emulators: Mapping[str, Capabilities], host_uuid: str, owner: tuple[int, int] | None) -> Made:
    node = inspect.node()
    models = [E.secmodel(E.model("none"), E.doi("0"))]
    if owner is not None:
        text = f"+{owner[0]}:+{owner[1]}"
        labels = [E.baselabel(text, type=kind) for kind in ("kvm", "qemu")]
        models.append(E.secmodel(E.model("dac"), E.doi("0"), *labels))
    return E.host(
        E.uuid(host_uuid),
        _cpu(node, inspect.cpu(), emulators),
        E.power_management(),
        E.iommu(support="no"),
        E.migration_features(E.live(), E.uri_transports(E.uri_transport("tcp"))),
        E.topology(E.cells(*(_cell(cell) for cell in inspect.cells()), num=str(len(inspect.cells())))),
        *models,
    )


def _cpu(node: inspect.Node, cpu: inspect.HostCpuFacts, emulators: Mapping[str, Capabilities]) -> Made:
    made = E.cpu(E.arch(cpu.arch))
    caps = emulators.get(cpu.arch)
    if caps is not None and cpu.arch in _X86:
        made.append(E.model(_baseline(caps)))
    if cpu.vendor in VENDORS:
        made.append(E.vendor(VENDORS[cpu.vendor]))
    if cpu.microcode:
        made.append(E.microcode(version=str(cpu.microcode)))
    if cpu.arch in _X86:
        made.append(E.signature(family=str(cpu.family), model=str(cpu.model), stepping=str(cpu.stepping)))
    made.append(
        E.topology(sockets=str(node.sockets), dies="1", cores=str(node.cores), threads=str(node.threads)),
    )
    if cpu.physical_bits:
        made.append(E.maxphysaddr(mode="emulate", bits=str(cpu.physical_bits)))
    sizes = sorted({size for cell in inspect.cells() for size, _, _ in cell.pages})
    made.extend(E.pages(unit="KiB", size=str(size)) for size in sizes)
    return made


def _baseline(caps: Capabilities) -> str:
    """Name a CPU model that every host of this architecture can give."""
    return next((name for name in ("kvm64", "qemu64") if caps.cpu(name) is not None), "qemu32")


def _cell(cell: inspect.Cell) -> Made:
    made = E.cell(E.memory(str(cell.memory_kib), unit="KiB"), id=str(cell.id))
    made.extend(E.pages(str(total), unit="KiB", size=str(size)) for size, total, _ in cell.pages)
    if cell.distances:
        made.append(E.distances(*(E.sibling(id=str(id), value=str(value)) for id, value in cell.distances)))
    places = [
        E.cpu(
            id=str(cpu.id),
            socket_id=str(cpu.socket),
            die_id=str(cpu.die),
            core_id=str(cpu.core),
            siblings=_ranges(cpu.siblings),
        )
        for cpu in cell.cpus
    ]
    made.append(E.cpus(*places, num=str(len(places))))
    return made


def _ranges(numbers: Iterable[int]) -> str:
    """Write numbers as the kernel's lists: ``0-3,8``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def _guest(arch: str, caps: Capabilities) -> Made:
    made = E.arch(E.wordsize(str(ARCHITECTURES.get(arch, 64))), E.emulator(caps.binary), name=arch)
    made.extend(_machines(caps))
    made.append(E.domain(type="qemu"))
    if caps.kvm and arch in (inspect.cpu().arch, "i686" if inspect.cpu().arch == "x86_64" else ""):
        made.append(E.domain(type="kvm"))
    features = E.features()
    if arch == "i686":
        features.extend([E.pae(), E.nonpae()])
    if arch in _X86:
        features.append(E.acpi(default="on", toggle="yes"))
        features.append(E.apic(default="on", toggle="no"))
    elif arch in ("aarch64", "armv7l"):
        features.append(E.acpi(default="on", toggle="yes"))
    features.extend([E.cpuselection(), E.deviceboot(), E.disksnapshot(default="on", toggle="no")])
    return E.guest(E.os_type("hvm"), made, features)


def _machines(caps: Capabilities) -> Iterator[Made]:
    """Write the machine types, the default one first, an alias after what it stands for."""
    ordered = sorted(caps.machines.values(), key=lambda machine: not machine.default)
    for machine in ordered:
        if machine.name == "none":
            continue
        marks = {"maxCpus": str(machine.max_cpus)} | ({"deprecated": "yes"} if machine.deprecated else {})
        yield E.machine(machine.name, **marks)
        if machine.alias:
            yield E.machine(machine.alias, canonical=machine.name, **marks)


def cpu_models(caps: Capabilities | None) -> list[str]:
    """Name the CPU models a definition may ask for, those of no maker first."""
    if caps is None:
        return []
    return sorted(filter(named, caps.cpus[caps.accelerator()]), key=lambda model: (_MAKERS.index(maker(model)), model))


_MAKERS = ("unknown", "Intel", "AMD", "Hygon")
_MADE_BY = {
    "AMD": ("phenom", "athlon", "Opteron", "EPYC"),
    "Hygon": ("Dhyana",),
    "unknown": ("qemu", "kvm", "pentium", "486"),
}


def maker(model: str) -> str:
    """Name the maker of the processor that an x86 CPU model is like."""
    return next((maker for maker, heads in _MADE_BY.items() if model.startswith(heads)), "Intel")


def named(model: str) -> bool:
    """Say whether a CPU model's name is for definitions: those of modes are not, nor those with a version."""
    head, _, version = model.rpartition("-v")
    return model not in ("max", "host", "base") and not (head and version.isdigit())
