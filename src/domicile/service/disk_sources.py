"""Where machines' images are: volumes of pools found, files claimed. Called when a machine starts or gets a disk.

All of it answers from memory, but for the look below images.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.devices.disk import Disk
from domicile.devices.disk.complete import sources
from domicile.devices.disk.source import DiskSource
from domicile.domain.domain import Domain
from domicile.plan.host import Host, Volume
from domicile.service.images_in_use import Use
from domicile.storage.failure import unsupported

if TYPE_CHECKING:
    from domicile.service.service import Service

# NBD, HTTP and SSH servers may give each client something of its own.
_NAMED = frozenset({"rbd", "gluster", "iscsi", "sheepdog", "nfs"})
_KINDS = {"file": "file", "block": "block", "dir": "dir"}


def disks(domain: Domain) -> list[Disk]:
    """List a domain's disks."""
    return domain.devices.of(Disk) if domain.devices is not None else []


def volume(service: Service, pool: str, name: str) -> Volume:
    """Find a volume by the names of its pool and its own.

    Raises: NotFound, Unsupported where the pool is not active or QEMU cannot open what the volume is.
    """
    found = service.pools.objects.by_name(pool)
    if not found.active:
        words = f"storage pool '{pool}' containing volume '{name}' is not active"
        raise unsupported(words, CONFIG_UNSUPPORTED)
    volume = service.volumes.named(found, name)
    kind = _KINDS.get(volume.type or "file")
    if kind is None:
        words = f"volume '{name}' of pool '{pool}' is of type '{volume.type}'; file, block and dir can be disks"
        raise unsupported(words, CONFIG_UNSUPPORTED)
    return Volume(kind, volume.path)


def host_for(service: Service, domain: Domain) -> Host:
    """Give the host as planning this domain sees it: with the volumes that its disks name. Raises: NotFound, Unsupported."""
    return host_of(service, disks(domain))


def host_of(service: Service, wanted: Iterable[Disk]) -> Host:
    """Give the host as planning these disks sees it. Raises: NotFound, Unsupported."""
    found: dict[tuple[str, str], Volume] = {}
    for disk in wanted:
        for kind, source in sources(disk):
            if kind == "volume" and source.pool and source.volume:
                found[source.pool, source.volume] = volume(service, source.pool, source.volume)
    return replace(service.host, volumes=found) if found else service.host


def path_of(host: Host, kind: str, source: DiskSource) -> str | None:
    """Say which file or device of the host a source is; None where it is none."""
    if kind == "volume":
        found = host.volumes.get((source.pool or "", source.volume or ""))
        return found.path if found is not None else None
    return {"file": source.file, "block": source.dev}.get(kind)


def uses(domain: Domain, host: Host, below: Iterable[str] = ()) -> Iterator[Use]:
    """List the images of a domain with what its machine does to them; `below` are layers that headers name."""
    return uses_of(disks(domain), host, below)


def uses_of(wanted: Iterable[Disk], host: Host, below: Iterable[str] = ()) -> Iterator[Use]:
    """List the images of disks with what a machine does to them."""
    seen: set[str] = set()
    for disk in wanted:
        for number, (kind, source) in enumerate(sources(disk)):
            path = path_of(host, kind, source)
            place = _served(source) if kind == "network" else None
            if path or place:
                writes = not disk.readonly and (number == 0 or source is _data(disk))
                seen.add(path or place or "")
                yield Use(path or place or "", writes, bool(disk.shareable), place or "")
    yield from (Use(path, written=False) for path in below if path not in seen)


def _served(source: DiskSource) -> str | None:
    """Say what identifies an image that a server has under one name; None where others may have others under it."""
    if source.protocol not in _NAMED or not source.name:
        return None
    hosts = sorted(f"{host.name or ''}:{host.port or ''}" for host in source.host)
    return f"{source.protocol}:{','.join(hosts)}/{source.name}"


def _data(disk: Disk) -> DiskSource | None:
    store = disk.source.dataStore if disk.source is not None else None
    return store.source if store is not None else None
