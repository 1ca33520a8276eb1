"""Why a machine cannot move to another host: all reasons at once, found before anything happens.

Called by both ends of a migration (service/migration) and by `domicile migrate --check`. Pure: what it needs of the hosts
comes in as values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from domicile.base.problem import Problem
from domicile.devices.disk import Disk
from domicile.devices.disk.plan import has_medium
from domicile.devices.filesystem import Filesystem
from domicile.devices.hostdev import Hostdev
from domicile.devices.interface import Interface
from domicile.devices.shmem import Shmem
from domicile.devices.tpm import Tpm
from domicile.domain.domain import Domain
from domicile.plan.capabilities import Capabilities
from domicile.schema import tree
from domicile.schema.shape import Element

UNSAFE, BUSY = 81, 55
#: Where QEMU's own protocol to the storage makes sure that both hosts see the same.
_COHERENT_PROTOCOLS = (
    "rbd",
    "gluster",
    "sheepdog",
    "iscsi",
    "nbd",
    "ssh",
    "http",
    "https",
    "ftp",
    "ftps",
    "nfs",
    "vxhs",
)
_DIRECT = ("none", "directsync")


@dataclass(frozen=True, slots=True)
class Storage:
    """How disks get to the other host: `shared` says of each file whether other hosts see it, `coherent` whether caches matter not.

    `copied` are the targets of the disks whose content travels; `safe_cache` says that QEMU drops its host's cache itself.
    """

    shared: Mapping[str, bool] = field(default_factory=dict)
    coherent: Mapping[str, bool] = field(default_factory=dict)
    copied: frozenset[str] = frozenset()
    safe_cache: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What the host that a machine would come to has: sizes in KiB.

    `missing` are files of disks that are not there, `bridges` and `networks` what interfaces can join, `room` the free space
    beside each disk that is to be made, in bytes.
    """

    caps: Capabilities | None
    kvm: bool = False
    bridges: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    memory_kib: int = 0
    room: Mapping[str, int] = field(default_factory=dict)


def leaving(domain: Domain, storage: Storage, *, unsafe: bool = False) -> list[Problem]:
    """Find what keeps a machine where it is: devices that hang on this host, and disks that others do not see.

    What is only `unsafe` is left out where its owner takes that upon them.
    """
    places = {id(element): path for path, element in tree.places(domain)}
    found = list(_bound(domain, places))
    if not unsafe:
        found += _disks(domain, storage, places)
    return found


def _bound(domain: Domain, places: Mapping[int, str]) -> Iterator[Problem]:
    devices = domain.devices
    if devices is None:
        return
    for hostdev in devices.of(Hostdev):
        yield _problem(
            hostdev, places, "a device of the host cannot move with the guest", "a machine without <hostdev>"
        )
    for interface in devices.of(Interface):
        if interface.type in ("hostdev", "vdpa"):
            words = f"an interface of type '{interface.type}' hangs on this host's hardware"
            yield _problem(interface, places, words, "bridge, network or user")
    for filesystem in devices.of(Filesystem):
        yield _problem(
            filesystem, places, "a directory of this host is given to the guest", "a machine without <filesystem>"
        )
    for shmem in devices.of(Shmem):
        if shmem.role != "master":
            yield _problem(shmem, places, "memory that other guests of this host see cannot move", "role='master'")
    for tpm in devices.of(Tpm):
        kind = tpm.backend.type if tpm.backend is not None else None
        if kind == "passthrough":
            yield _problem(tpm, places, "the TPM is this host's own", "an emulated TPM")
    for disk in devices.of(Disk):
        if disk.type == "nvme":
            yield _problem(disk, places, "an NVMe disk of this host cannot move", "a disk that both hosts reach")
    cpu = domain.cpu
    if cpu is not None:
        if cpu.mode in ("host-passthrough", "maximum") and cpu.migratable is False:
            yield _problem(cpu, places, "the CPU was asked for with what cannot move", "migratable='on'", "@migratable")
        for feature in cpu.feature:
            if feature.name == "invtsc" and feature.policy in ("require", "force"):
                words = "the guest relies on this host's clock rate (invtsc)"
                yield _problem(feature, places, words, "a CPU without invtsc")


def _disks(domain: Domain, storage: Storage, places: Mapping[int, str]) -> Iterator[Problem]:
    """Find disks that the other host would not see, or not see the same of. Source: observed with libvirt 9.0."""
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        target, source = (disk.target.dev or "") if disk.target is not None else "", disk.source
        if source is None or disk.readonly or not has_medium(disk) or target in storage.copied:
            continue
        if disk.type == "network" and source.protocol in _COHERENT_PROTOCOLS:
            continue
        path = source.file or ""
        if path and not storage.shared.get(path, False):
            words = f"Migration without shared storage is unsafe: '{path}' is on this host alone"
            yield _problem(disk, places, words, "shared storage, --copy-storage-all, or --unsafe", code=UNSAFE)
            continue
        if path and storage.coherent.get(path, False):
            continue
        cache = disk.driver.cache if disk.driver is not None else None
        if not storage.safe_cache and cache not in _DIRECT:
            words = f"Migration may lead to data corruption if disks use cache '{cache or 'default'}'"
            yield _problem(disk, places, words, "cache='none' or 'directsync', or --unsafe", code=UNSAFE)


def arriving(domain: Domain, target: Target, *, copied: frozenset[str] = frozenset()) -> list[Problem]:
    """Find why a machine could not come up on a host; its document was completed there."""
    places = {id(element): path for path, element in tree.places(domain)}
    found = [*_machine(domain, target), *_networks(domain, target, places)]
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        source, dev = disk.source, (disk.target.dev or "") if disk.target is not None else ""
        path = (source.file or source.dev or "") if source is not None else ""
        if path in target.missing and dev not in copied:
            found.append(
                _problem(disk, places, f"'{path}' is not there on the target", "shared storage or --copy-storage-all")
            )
    for path, lacks in target.room.items():
        if lacks > 0:
            found.append(Problem("", f"'{path}': there are {lacks} bytes too few on the target's file system"))
    wanted = domain.memory.value if domain.memory is not None and domain.memory.value else 0
    if target.memory_kib and wanted > target.memory_kib:
        words = f"the guest has {wanted} KiB of memory, the target {target.memory_kib} KiB free"
        found.append(Problem("memory", words, accepted="a host with more memory"))
    return found


def _machine(domain: Domain, target: Target) -> Iterator[Problem]:
    kind = domain.os.type if domain.os is not None else None
    emulator = domain.devices.emulator if domain.devices is not None else None
    if target.caps is None:
        yield Problem(
            "devices/emulator", f"the target has no QEMU '{emulator}'", accepted="the same QEMU on both hosts"
        )
        return
    name = kind.machine or "" if kind is not None else ""
    if target.caps.machine(name, domain.type == "kvm") is None and target.caps.machine(name) is None:
        yield Problem(
            "os/type/@machine", f"the target's QEMU does not have the machine type '{name}'", accepted="a newer QEMU"
        )
    if domain.type == "kvm" and not target.kvm:
        yield Problem("@type", "KVM does not work on the target", accepted="a host with KVM")
    model = domain.cpu.model.name if domain.cpu is not None and domain.cpu.model is not None else None
    offered = target.caps.cpus.get("kvm" if domain.type == "kvm" else "tcg", {})
    if model is not None and domain.cpu is not None and domain.cpu.mode == "custom" and offered:
        known = offered.get(model)
        if known is None:
            yield Problem(
                "cpu/model", f"the target's QEMU does not have the CPU model '{model}'", accepted="another model"
            )
        elif domain.type == "kvm" and known.usable is False:
            lacks = ", ".join(known.blockers) or "something it needs"
            yield Problem(
                "cpu/model", f"the target's processor cannot be '{model}': it lacks {lacks}", accepted="another model"
            )


def _networks(domain: Domain, target: Target, places: Mapping[int, str]) -> Iterator[Problem]:
    for interface in domain.devices.of(Interface) if domain.devices is not None else []:
        source = interface.source
        if source is None:
            continue
        if interface.type == "bridge" and source.bridge and source.bridge not in target.bridges:
            words = f"the target has no bridge '{source.bridge}'"
            yield _problem(interface, places, words, ", ".join(sorted(target.bridges)) or "a bridge of that name")
        if interface.type == "network" and source.network and source.network not in target.networks:
            words = f"network '{source.network}' is not active on the target"
            yield _problem(
                interface, places, words, ", ".join(sorted(target.networks)) or "an active network of that name"
            )


def _problem(
    element: Element, places: Mapping[int, str], words: str, accepted: str, step: str = "", code: int = 0
) -> Problem:
    path = "/".join(part for part in (places.get(id(element), ""), step) if part)
    return Problem(path, words, accepted=accepted, code=code)
