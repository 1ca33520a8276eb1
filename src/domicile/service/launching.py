"""What a start needs to know beside the plan: which bridges, which files below, what environment. Called by machines."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from domicile.base.errors import HostFailure, Unsupported
from domicile.devices.disk import Disk
from domicile.domain import block_chain, live
from domicile.domain.domain import Domain
from domicile.domain.edit.devices import remove
from domicile.domain.plan import Plan, plan_domain
from domicile.host import cgroup, chain
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.plan.need import File, LentDevice, Macvtap, Need, Tap
from domicile.runtime.lifecycle import Policy
from domicile.runtime.record import Record
from domicile.runtime.start import Awaited, FromSnapshot, Incoming
from domicile.schema import tree
from domicile.service import disk_sources

if TYPE_CHECKING:
    from domicile.service.service import Service

#: What QEMU maps beside the guest's memory, which devices reach too. Source: observed with libvirt 9.0.
_GIBIBYTE_KIB = 1024 * 1024


def resolved(needs: tuple[Need, ...], mark: str, owner: str) -> list[Need]:
    """Write on what outlives a machine whose it is, and say which networks nothing stands for.

    Raises:
        HostFailure: a network has no bridge.
    """
    found: list[Need] = []
    for need in needs:
        if isinstance(need, Tap) and need.kind == "network" and not need.bridge:
            raise HostFailure(f"{need.origin}: network '{need.network}' has no bridge a machine could be put on")
        if isinstance(need, Macvtap) and need.filter:
            raise Unsupported(f"{need.origin}: the filter '{need.filter}' needs an interface on a bridge, not a macvtap device")
        if isinstance(need, Tap) and need.filter and need.switch:
            raise Unsupported(f"{need.origin}: the filter '{need.filter}' needs a bridge of the kernel's, not Open vSwitch")
        if isinstance(need, Macvtap):
            found.append(replace(need, mark=mark))
        else:
            found.append(replace(need, owner=owner) if isinstance(need, LentDevice) else need)
    return found


def named(
    incoming: Incoming | FromSnapshot | Awaited | None, domain: Domain
) -> Incoming | FromSnapshot | Awaited | None:
    """Give what a machine goes on from with the disks' names in QEMU in place of their targets."""
    if not isinstance(incoming, FromSnapshot):
        return incoming
    found = {disk.target.dev: disk.alias for disk in disk_sources.disks(domain) if disk.target is not None}
    return replace(incoming, disks=[alias.name for dev in incoming.disks if (alias := found.get(dev)) is not None])


def locked_memory(domain: Domain, needs: Iterable[Need]) -> int:
    """Say how many bytes QEMU may hold in memory: all of the guest's where devices reach it; 0 for as many as anybody, -1 for any."""
    backing = domain.memoryBacking
    if backing is not None and backing.locked:
        return -1
    if not any(isinstance(need, LentDevice) for need in needs):
        return 0
    limit = domain.memtune.hard_limit if domain.memtune is not None else None
    whole = domain.memory.value or 0 if domain.memory is not None else 0
    return (limit.value if limit is not None and limit.value else whole + _GIBIBYTE_KIB) * 1024


def hold_memory(pid: int, domain: Domain, needs: Iterable[Need]) -> None:
    """Let a QEMU that runs hold the guest's memory, for a device that comes to it. Raises: HostFailure."""
    wanted = locked_memory(domain, needs)
    if wanted <= 0 or os.geteuid() != 0:
        return
    try:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_MEMLOCK)
        if resource.RLIM_INFINITY not in (soft, hard) and soft < wanted:
            resource.prlimit(pid, resource.RLIMIT_MEMLOCK, (wanted, max(hard, wanted)))
    except OSError as error:
        raise HostFailure(f"QEMU cannot be let hold the guest's memory: {error.strerror}") from error


def check_cpus(domain: Domain, caps: Capabilities) -> None:
    """Refuse more virtual CPUs than the machine type has room for; a definition may have been given them later. Raises: Unsupported."""
    kind = domain.os.type if domain.os is not None else None
    name, most = (
        (kind.machine or "" if kind is not None else ""),
        domain.vcpu.value or 1 if domain.vcpu is not None else 1,
    )
    machine = caps.machine(name, domain.type == "kvm") or caps.machine(name)
    if machine is not None and machine.max_cpus and most > machine.max_cpus:
        raise Unsupported(f"machine type '{name}' has at most {machine.max_cpus} virtual CPUs, the domain has {most}")


def backing_files(domain: Domain, host: Host) -> list[File]:
    """List the files below the disks' qcow2 images that the document does not name itself."""
    return [need for disk in disk_sources.disks(domain) for need in below(disk, host)]


@dataclass(frozen=True, slots=True)
class Missing:
    """An image that is not there: its path, what its disk is called in QEMU; `dropped` where the disk is left out."""

    path: str
    alias: str
    dropped: bool


def _present(domain: Domain, caps: Capabilities, host: Host, *, restored: bool) -> tuple[Domain, list[Missing]]:
    """Leave out the images that are not there and need not be; the definition given stays as it is.

    An ``optional`` image may be missing at any start, a ``requisite`` one where a saved machine goes on. A drive is
    left without its medium, another disk is left out. Source: observed with libvirtd 9.0.
    """
    found: list[tuple[int, str]] = []
    for turn, disk in enumerate(disk_sources.disks(domain)):
        policy = disk.source.startupPolicy if disk.source is not None else None
        if disk.source is None or not (policy == "optional" or (policy == "requisite" and restored)):
            continue
        path = disk_sources.path_of(host, disk.type or "file", disk.source)
        if path and not os.access(path, os.F_OK):
            found.append((turn, path))
    if not found:
        return domain, []
    changed: Domain = tree.copy(domain)
    named = disk_sources.disks(plan_domain(domain, caps, host).domain)
    disks, missing = [*disk_sources.disks(changed)], []
    for turn, path in found:
        disk, alias = disks[turn], named[turn].alias
        dropped = disk.device not in ("cdrom", "floppy")
        if dropped:
            remove(changed, disk)
        else:
            disk.source, disk.backingStore = None, None
        missing.append(Missing(path, (alias.name or "") if alias is not None else "", dropped))
    return changed, missing


async def present(domain: Domain, caps: Capabilities, host: Host, *, restored: bool) -> tuple[Domain, list[Missing]]:
    """Leave out the images that are not there and need not be; nothing is looked for where all must be there."""
    if all(disk.source is None or disk.source.startupPolicy is None for disk in disk_sources.disks(domain)):
        return domain, []
    return await asyncio.to_thread(_present, domain, caps, host, restored=restored)


def partition(domain: Domain) -> str:
    """Say below which group of the host's the machine's own are made."""
    given = domain.resource.partition if domain.resource is not None else None
    return given or cgroup.USUAL


def running(service: Service, plan: Plan, caps: Capabilities, record: Record) -> Domain:
    """Make the document of a machine that runs, from what it was given."""
    user = service.resources.user
    return live.document(
        plan, caps, service.host, number=record.id, ptys=record.ptys, ports=record.ports, taps=record.taps, cpu=record.cpu,
        owner=(user.uid, user.gid) if user is not None else None,
        partition=record.partition if cgroup.find("cpu") is not None else None,
    )  # fmt: skip


def below(disk: Disk, host: Host) -> list[File]:
    """List the files below one disk's qcow2 image."""
    path = disk_sources.path_of(host, disk.type or "file", disk.source) if disk.source is not None else None
    if not path or disk.driver is None or disk.driver.type != "qcow2" or disk.backingStore is not None:
        return []
    origin = f"disk {disk.target.dev if disk.target is not None else ''}"
    return [File(layer, writable=False, origin=origin) for layer in chain.layers(path)]


def with_chains(domain: Domain, host: Host) -> tuple[Domain, set[str]]:
    """Give a copy whose disks name the layers below their qcow2 images as the headers do, and those layers' paths.

    So each layer gets a block node of its own, which block jobs need. Where a header does not say all (a format is missing, a
    layer is on a server), QEMU opens what is below by itself. Raises: HostFailure.
    """
    found: dict[int, list[tuple[str, str, str]]] = {}
    for number, disk in enumerate(disk_sources.disks(domain)):
        source, kind = disk.source, disk.type or "file"
        path = disk_sources.path_of(host, kind, source) if source is not None else None
        format = disk.driver.type if disk.driver is not None else None
        if not path or kind not in ("file", "block") or format != "qcow2" or disk.backingStore is not None:
            continue
        below = chain.described(path)
        if below and all(each for _, each in below) and chain.whole(path):
            found[number] = [
                ("block" if Path(name).is_block_device() else "file", name, each or "") for name, each in below
            ]
    if not found:
        return domain, set()
    made: Domain = tree.copy(domain)
    for number, below_disk in found.items():
        block_chain.chained(disk_sources.disks(made)[number], below_disk)
    return made, {name for layers in found.values() for _, name, _ in layers}


def policy(domain: Domain) -> Policy:
    """Say what becomes of a machine whose guest ends by itself."""
    return Policy(domain.on_poweroff or "destroy", domain.on_reboot or "restart", domain.on_crash or "destroy")


def first_of_boot(marker: Path) -> bool:
    """Say whether this is the first daemon since the host booted, and note that it was."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    if marker.exists() and marker.read_text() == boot:
        return False
    marker.write_text(boot)
    return True


def environment(home: Path) -> dict[str, str]:
    """Give QEMU the little environment it needs, and nothing of the daemon's."""
    return {"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(home)}


def variables(domain: Domain) -> Path | None:
    """Name the file in which a domain's firmware keeps its variables; None where it has no file of its own."""
    nvram = domain.os.nvram if domain.os is not None else None
    return Path(nvram.place) if nvram is not None and nvram.place is not None and nvram.type != "block" else None


def remove_variables(path: Path) -> None:
    """Remove a firmware's variables; the next start makes them from the template. Raises: HostFailure."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise HostFailure(f"failed to remove nvram: {path}: {error.strerror}") from error


def reset_variables(domain: Domain) -> None:
    """Let a firmware begin with its template's variables at the start that follows. Raises: Unsupported, HostFailure."""
    path = variables(domain)
    nvram = domain.os.nvram if domain.os is not None else None
    if path is None or nvram is None:
        return
    if not nvram.template:
        raise Unsupported(f"os/nvram: '{path}' has no template that it could be made from again")
    remove_variables(path)


def mark(directory: Path, name: str, *, on: bool) -> None:
    """Make a mark, or take it away. Raises: HostFailure."""
    try:
        if on:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (directory / name).touch(mode=0o600)
        else:
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise HostFailure(f"{directory / name}: {error.strerror}") from error


def marks(directory: Path) -> set[str]:
    """List the marks that were made."""
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


async def capabilities(service: Service, domain: Domain) -> Capabilities:
    """Give what the emulator of a domain can do. Raises: HostFailure, Unsupported."""
    emulators = service.emulators
    emulator = domain.devices.emulator if domain.devices is not None else None
    arch = (domain.os.type.arch if domain.os is not None and domain.os.type is not None else None) or ""
    await emulators.ensure(emulator, arch)
    caps = emulators.find(emulator, arch)
    if caps is None:
        raise HostFailure(
            f"emulator '{emulator}' is not there or is no QEMU; an installed one would be accepted, see `domicile doctor`"
        )
    if domain.type == "kvm" and not (caps.kvm and service.host.kvm):
        raise Unsupported("KVM does not work on this host; domain type 'qemu' would be accepted, see `domicile doctor`")
    return caps
