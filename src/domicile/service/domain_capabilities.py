"""The <domainCapabilities> document: what one emulator gives one kind of machine. virt-install and virt-manager read it.

The front doors ask with a wish; what is left open in it is settled as libvirt does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from domicile.base.errors import HostFailure, InvalidRequest, Unsupported
from domicile.domain.cpus import x86 as cpus
from domicile.domain.domain import TYPES
from domicile.plan.capabilities import Capabilities, MachineType
from domicile.plan.host import Host
from domicile.schema.write import verbatim
from domicile.service import firmware
from domicile.service.capabilities_xml import ARCHITECTURES, maker, named
from domicile.service.markup import E, Made

Find = Callable[[str | None, str], Capabilities | None]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks about; everything may be left open."""

    emulator: str | None = None
    arch: str | None = None
    machine: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class _Settled:
    caps: Capabilities
    arch: str
    machine: MachineType
    kvm: bool

    @property
    def i440fx(self) -> bool:
        return self.machine.name.startswith(("pc-i440fx-", "pc-0.", "pc-1."))


def settle(wish: Wish, host: Host, find: Find) -> _Settled:
    """Fill in what the wish leaves open.

    Raises: InvalidRequest, Unsupported, HostFailure where there is no such thing.
    """
    if wish.kind is not None and wish.kind not in TYPES:
        raise InvalidRequest(f"unknown virttype: {wish.kind}")
    if wish.arch is not None and wish.arch not in ARCHITECTURES:
        raise InvalidRequest(f"unknown architecture: {wish.arch}")
    arch = wish.arch or host.arch
    caps = find(wish.emulator, arch)
    if caps is None:
        if wish.emulator is not None:
            raise HostFailure(f"Cannot check QEMU binary {wish.emulator}: {_obstacle(wish.emulator)}")
        raise Unsupported(f"unable to find any emulator to serve '{arch}' architecture")
    if caps.arch != arch and (caps.arch, arch) != ("x86_64", "i686"):
        raise InvalidRequest(f"Emulator '{caps.binary}' does not support arch '{arch}'")
    kind = wish.kind or ("kvm" if caps.kvm and host.kvm else "qemu")
    if kind not in ("kvm", "qemu") or (kind == "kvm" and not (caps.kvm and host.kvm)):
        raise InvalidRequest(f"the accel '{kind}' is not supported by '{caps.binary}' on this host")
    machine = caps.machine(wish.machine, kind == "kvm") if wish.machine else caps.default_machine()
    if machine is None or machine.name == "none":
        raise InvalidRequest(f"the machine '{wish.machine}' is not supported by emulator '{caps.binary}'")
    return _Settled(caps, arch, machine, kind == "kvm")


def _obstacle(emulator: str) -> str:
    try:
        Path(emulator).stat()
    except OSError as fault:
        return fault.strerror or str(fault)
    return "it is no QEMU that answers"


def write(wish: Wish, host: Host, find: Find) -> str:
    """Write the document.

    Raises: InvalidRequest, Unsupported, HostFailure
    """
    s = settle(wish, host, find)
    document = E.domainCapabilities(
        E.path(s.caps.binary),
        E.domain("kvm" if s.kvm else "qemu"),
        E.machine(s.machine.name),
        E.arch(s.arch),
        E.vcpu(max=str(s.machine.max_cpus)),
        E.iothreads(supported=_yes(s.caps.has_object("iothread"))),
        _os(s),
        _cpu(s),
        _section("memoryBacking", True, sourceType=_memory(s.caps)),
        _devices(s),
        _features(s),
    )
    return "\n".join(verbatim(document, "")) + "\n"


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _enum(name: str, values: Iterable[str]) -> Made:
    return E.enum(*(E.value(value) for value in values), name=name)


def _section(tag: str, supported: bool, **enums: Iterable[str]) -> Made:
    made = E(tag, supported=_yes(supported))
    if supported:
        made.extend(_enum(name, values) for name, values in enums.items())
    return made


def _os(s: _Settled) -> Made:
    found = firmware.matching(s.arch, s.machine.name)
    kinds = list(dict.fromkeys(kind for each in found for kind in each.kinds if kind != "openfirmware"))
    secure = any(each.secure for each in found)
    loader = E.loader(*(E.value(path) for path in dict.fromkeys(each.path for each in found)), supported="yes")
    loader.append(_enum("type", ("rom", "pflash")))
    loader.append(_enum("readonly", ("yes", "no")))
    loader.append(_enum("secure", ("yes", "no") if secure else ("no",)))
    known = [kind for kind in ("bios", "efi") if kind in ["efi" if each == "uefi" else each for each in kinds]]
    return E.os(_enum("firmware", known), loader, supported="yes")


def _memory(caps: Capabilities) -> list[str]:
    objects = {"file": "memory-backend-file", "anonymous": "memory-backend-ram", "memfd": "memory-backend-memfd"}
    return [name for name, kind in objects.items() if caps.has_object(kind)]


def _cpu(s: _Settled) -> Made:
    passthrough = E.mode(name="host-passthrough", supported=_yes(s.kvm))
    if s.kvm:
        passthrough.append(_enum("hostPassthroughMigratable", ("on", "off")))
    maximum = E.mode(_enum("maximumMigratable", ("on", "off")), name="maximum", supported="yes")
    models = [s.caps.cpu(name, s.kvm) for name in s.caps.cpus[s.caps.accelerator(s.kvm)] if named(name)]
    x86 = s.arch in ("x86_64", "i686")
    custom = E.mode(name="custom", supported=_yes(bool(models)))
    for model in models:
        if model is None:
            continue
        usable = {True: "yes", False: "no", None: "unknown"}[model.usable]
        marks = {"usable": usable} | ({"deprecated": "yes"} if model.deprecated else {})
        custom.append(E.model(model.name, **marks, vendor=maker(model.name) if x86 else "unknown"))
    best = cpus.host_model(s.caps, kvm=s.kvm) if x86 else None
    host_model = E.mode(name="host-model", supported=_yes(best is not None))
    if best is not None:
        host_model.append(E.model(best.model, fallback="forbid"))
        if best.vendor is not None:
            host_model.append(E.vendor(best.vendor))
        for name, on in best.features.items():
            host_model.append(E.feature(policy="require" if on else "disable", name=name))
    return E.cpu(passthrough, maximum, host_model, custom)


# What a value needs of QEMU: a device it has; an empty name needs nothing.
_BUSES = {
    "fdc": "isa-fdc",
    "scsi": "virtio-scsi-pci",
    "virtio": "virtio-blk-pci",
    "usb": "usb-storage",
    "sata": "ich9-ahci",
}
_VIDEO = {
    "vga": "VGA",
    "cirrus": "cirrus-vga",
    "vmvga": "vmware-svga",
    "qxl": "qxl",
    "virtio": "virtio-gpu-pci",
    "none": "",
    "bochs": "bochs-display",
    "ramfb": "ramfb",
}
_RNG = {"random": "rng-random", "egd": "rng-egd", "builtin": "rng-builtin"}
_VIRTIO = ("virtio", "virtio-transitional", "virtio-non-transitional")


def _having(caps: Capabilities, table: dict[str, str]) -> list[str]:
    return [name for name, needed in table.items() if not needed or caps.has_device(needed)]


def _devices(s: _Settled) -> Made:
    caps = s.caps
    buses = (["ide"] if s.i440fx else []) + _having(caps, _BUSES)
    graphics = ["sdl", "vnc"] + [
        kind for kind in ("spice", "egl-headless", "dbus") if kind != "spice" or caps.has_command("query-spice")
    ]
    return E.devices(
        _section("disk", True, diskDevice=("disk", "cdrom", "floppy", "lun"), bus=buses, model=_VIRTIO),
        _section("graphics", True, type=graphics),
        _section("video", True, modelType=_having(caps, _VIDEO)),
        _section(
            "hostdev",
            True,
            mode=("subsystem",),
            startupPolicy=("default", "mandatory", "requisite", "optional"),
            subsysType=("usb", "pci", "scsi"),
            capsType=(),
            pciBackend=("vfio",) if s.kvm else (),
        ),
        _section("rng", caps.has_device("virtio-rng-pci"), model=_VIRTIO, backendModel=_having(caps, _RNG)),
        _section("filesystem", True, driverType=("path", "handle", "virtiofs")),
        _tpm(caps),
        _section("redirdev", caps.has_device("usb-redir"), bus=("usb",)),
        _section("channel", True, type=("pty", "unix", *(("spicevmc",) if "spice" in graphics else ()))),
    )


def _tpm(caps: Capabilities) -> Made:
    models = [model for model in ("tpm-tis", "tpm-crb", "tpm-spapr") if model in caps.tpm_models]
    backends: list[str] = [kind for kind in ("passthrough", "emulator") if kind in caps.tpm_types]
    backends += ["external"] * ("emulator" in backends)
    return _section("tpm", bool(models), model=models, backendModel=backends, backendVersion=("1.2", "2.0"))


def _features(s: _Settled) -> Made:
    gic = s.caps.gic
    hyperv = ("spinlocks", "vendor_id") if not s.kvm else _HYPERV
    return E.features(
        _section("gic", bool(gic), version=[str(version) for version in gic]),
        E.vmcoreinfo(supported=_yes(s.caps.has_device("vmcoreinfo"))),
        E.genid(supported=_yes(s.caps.has_device("vmgenid"))),
        E.backingStoreInput(supported="yes"),
        E.backup(supported="yes"),
        E.sev(supported="no"),
        E.sgx(supported="no"),
        _section("hyperv", s.arch in ("x86_64", "i686"), features=hyperv),
    )


_HYPERV = (
    *("relaxed", "vapic", "spinlocks", "vpindex", "runtime", "synic", "stimer", "reset", "vendor_id", "frequencies"),
    *("reenlightenment", "tlbflush", "ipi", "evmcs", "avic"),
)
