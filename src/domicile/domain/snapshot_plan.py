"""What a wished snapshot is to be: every disk and the memory decided, and refused what cannot be. Pure.

`service/snapshots` calls `settle` before anything is done, and `redefined` for what was done elsewhere.
Source: libvirt's page on the format of snapshots; words and order observed with libvirt 9.0.
"""

from __future__ import annotations

from dataclasses import dataclass

from domicile.base.errors import INTERNAL_ERROR, XML_DETAIL, DomicileError, InvalidRequest, Unsupported
from domicile.devices.disk import Disk
from domicile.devices.disk.model import BackingStore, DiskDriver
from domicile.devices.disk.source import DiskSource, LayerFormat
from domicile.domain.domain import Domain
from domicile.domain.snapshot import (
    DISK_SNAPSHOT,
    FROM_DOMAIN_SNAPSHOT,
    BadSnapshot,
    DomainSnapshot,
    OverlayDriver,
    SnapshotDisk,
    SnapshotDisks,
    SnapshotMemory,
)
from domicile.schema import tree

_OPERATION_UNSUPPORTED = 84
LAYERED = ("qcow2", "qed")


class BadName(DomicileError):
    """A snapshot's name cannot be one; clients get these words without others in front."""

    code, domain, status, opening = XML_DETAIL, FROM_DOMAIN_SNAPSHOT, 422, ""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A new layer on a disk: the disk's target, where and in which format the layer is, and whether it is there already."""

    target: str
    kind: str
    source: DiskSource
    format: str
    reused: bool

    @property
    def path(self) -> str:
        """The layer's file or device."""
        return self.source.file or self.source.dev or ""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a snapshot was asked for: of the disks alone, over layers that are there already, while the guest runs."""

    disk_only: bool = False
    reuse: bool = False
    live: bool = False


def check_name(name: str, noun: str = "snapshot") -> None:
    """Refuse what cannot be part of a file's name. Raises: BadName."""
    for wrong, words in (("/" in name, "name can't contain '/'"), (name.startswith("."), "name can't start with '.'")):
        if wrong:
            raise BadName(f"invalid {noun} name '{name}': {words}")


def settle(snapshot: DomainSnapshot, domain: Domain, wish: Wish, *, state: str, now: int) -> None:
    """Decide what the document left open, for a domain that is in `state` now.

    Raises:
        BadSnapshot, BadName: the document says what cannot be.
        Unsupported: this cannot be kept in that way.
    """
    active = state != "shutoff"
    snapshot.name = snapshot.name or str(now)
    check_name(snapshot.name)
    snapshot.creationTime, snapshot.parent = now, None
    snapshot.state = DISK_SNAPSHOT if active and wish.disk_only else state
    snapshot.cookie = snapshot.active = snapshot.domain = snapshot.inactiveDomain = None
    _memory(snapshot, wish, active=active)
    if wish.live and snapshot.memory_in != "external":
        words = "live snapshot creation is supported only during full system snapshots"
        raise Unsupported(words, code=_OPERATION_UNSUPPORTED)
    layered = wish.disk_only or snapshot.memory_in == "external"
    align(snapshot, domain, "external" if layered else "internal", alike=not layered)
    _check(snapshot, domain, wish, active=active)


def _memory(snapshot: DomainSnapshot, wish: Wish, *, active: bool) -> None:
    given = snapshot.memory or SnapshotMemory()
    where = given.snapshot or ("external" if given.file else None)
    if given.file and where != "external":
        raise BadSnapshot(f"memory filename '{given.file}' requires external snapshot")
    if where is None:
        where = "internal" if active and not wish.disk_only else "no"
    if where == "external" and not given.file:
        raise BadSnapshot("external memory snapshots require a filename")
    if where != "no" and (not active or wish.disk_only):
        raise BadSnapshot("memory state cannot be saved with offline or disk-only snapshot")
    if given.file and not given.file.startswith("/"):
        raise BadSnapshot(f"memory snapshot file path ({given.file}) must be absolute")
    snapshot.memory = SnapshotMemory(snapshot=where, file=given.file)


def align(snapshot: DomainSnapshot, domain: Domain, default: str, *, alike: bool = False) -> None:
    """Bring the disks into the domain's order, with those that were not named, and name the new layers' files.

    Where all must be kept `alike`, another way than the default is refused.

    Raises: BadSnapshot, Unsupported
    """
    named: dict[str, SnapshotDisk] = {}
    for given in snapshot.every_disk():
        disk = disk_of(domain, given.name or "")
        dev = target(disk)
        if dev in named:
            raise Unsupported(f"disk '{dev}' specified twice")
        given.name = dev
        placed = given.source is not None and bool(given.source.file or given.source.dev)
        given.snapshot = given.snapshot or ("external" if placed else _location(disk, default))
        if placed and given.snapshot != "external":
            place = (given.source.file or given.source.dev) if given.source is not None else ""
            raise BadSnapshot(f"file '{place}' for disk '{dev}' requires use of external snapshot mode")
        if alike and given.snapshot not in (default, "no" if disk.readonly else default):
            raise Unsupported(f"disk '{dev}' must use snapshot mode '{default}'")
        named[dev] = given
    found = [
        named.get(target(disk)) or SnapshotDisk(name=target(disk), snapshot=_unnamed(disk, default))
        for disk in disks(domain)
    ]
    for made in found:
        if made.snapshot == "external":
            _placed(made, disk_of(domain, made.name or ""), snapshot.name or "")
        else:
            made.type, made.driver, made.source = None, None, None
    snapshot.disks = SnapshotDisks(disk=found)


def disks(domain: Domain) -> list[Disk]:
    """List a domain's disks."""
    return domain.devices.of(Disk) if domain.devices is not None else []


def target(disk: Disk) -> str:
    """Give a disk's name for people."""
    return (disk.target.dev if disk.target is not None else None) or ""


def disk_of(domain: Domain, name: str) -> Disk:
    """Find a disk by its target or its image. Raises: Unsupported."""
    for disk in disks(domain):
        places = (disk.source.file, disk.source.dev) if disk.source is not None else ()
        if name and name in (target(disk), *places):
            return disk
    raise Unsupported(f"no disk named '{name}'", domain=FROM_DOMAIN_SNAPSHOT)


def empty(disk: Disk) -> bool:
    """Whether nothing is in the drive."""
    source = disk.source
    return source is None or not (source.file or source.dev or source.protocol or source.volume or source.dir)


def _location(disk: Disk, default: str) -> str:
    return disk.snapshot or ("no" if disk.readonly else default)


def _unnamed(disk: Disk, default: str) -> str:
    return "no" if empty(disk) else _location(disk, default)


def _placed(made: SnapshotDisk, disk: Disk, name: str) -> None:
    """Say where a new layer goes: beside the old one, with the snapshot's name for its ending."""
    made.type = made.type or "file"
    made.driver = made.driver or OverlayDriver()
    made.driver.type = made.driver.type or "qcow2"
    if made.driver.type not in LAYERED:
        raise Unsupported(f"external snapshot format for disk {made.name} is unsupported: {made.driver.type}")
    if made.source is not None and (made.source.file or made.source.dev):
        return
    if disk.type != "file" or made.type != "file":
        kind = disk.type if disk.type != "file" else made.type
        raise Unsupported(f"cannot generate external snapshot name for disk '{made.name}' on a '{kind}' device")
    if disk.source is None or not disk.source.file:
        raise Unsupported(f"cannot generate external snapshot name for disk '{made.name}' without source")
    folder, _, base = disk.source.file.rpartition("/")
    stem = base.rpartition(".")[0] or base
    made.source = DiskSource(file=f"{folder}/{stem}.{name}")


def _check(snapshot: DomainSnapshot, domain: Domain, wish: Wish, *, active: bool) -> None:
    """Refuse what QEMU cannot keep in one step."""
    inside = outside = False
    missed = False
    for made in snapshot.every_disk():
        disk = disk_of(domain, made.name or "")
        kind = (disk.driver.type if disk.driver is not None else None) or "raw"
        if made.snapshot == "internal":
            if active and wish.disk_only:
                raise Unsupported(
                    f"active qemu domains require external disk snapshots; disk {made.name} requested internal"
                )
            if empty(disk) or kind != "qcow2":
                raise Unsupported(f"internal snapshot for disk {made.name} unsupported for storage type {kind}")
            inside = True
        elif made.snapshot == "external":
            if empty(disk):
                raise Unsupported(
                    f"external snapshot of disk {made.name} is not possible: there is nothing in the drive"
                )
            if disk.type not in ("file", "block"):
                raise Unsupported(
                    f"external snapshot of disk {made.name} of type '{disk.type}' cannot be made yet; file and block can"
                )
            if made.type not in ("file", "block"):
                raise Unsupported(
                    f"external active snapshots are not supported on '{made.type}' storage; file and block are"
                )
            outside = True
        elif made.snapshot == "manual" and active:
            raise Unsupported(f"active qemu domains cannot leave disk {made.name} to somebody else ('manual')")
        elif not disk.readonly and not empty(disk):
            missed = True
    if not inside and not outside:
        raise Unsupported("nothing selected for snapshot")
    if (
        (inside and outside)
        or (snapshot.memory_in == "internal" and outside)
        or (snapshot.memory_in == "external" and inside)
    ):
        raise Unsupported("mixing internal and external targets for a snapshot is not yet supported")
    if (inside or snapshot.memory_in == "internal") and missed:
        raise Unsupported("internal and full system snapshots require all disks to be selected for snapshot")
    loader = domain.os.loader if domain.os is not None else None
    if inside and loader is not None and loader.type == "pflash":
        raise Unsupported(
            "internal snapshots of a VM with pflash based firmware are not supported", code=_OPERATION_UNSUPPORTED
        )


def overlays(snapshot: DomainSnapshot, wish: Wish) -> list[Overlay]:
    """List the new layers of a snapshot that was settled."""
    return [
        Overlay(
            made.name or "",
            made.type or "file",
            made.source or DiskSource(),
            (made.driver.type if made.driver is not None else None) or "qcow2",
            wish.reuse,
        )
        for made in snapshot.disks_in("external")
    ]


def redefined(snapshot: DomainSnapshot, uuid: str, old: DomainSnapshot | None, *, disk_only: bool) -> None:
    """Judge the document of a snapshot that exists; what it leaves out is taken from the `old` one, if there is one.

    Raises: BadSnapshot, BadName, InvalidRequest, Unsupported
    """
    if not snapshot.name:
        raise BadSnapshot("a redefined snapshot must have a name")
    check_name(snapshot.name)
    if snapshot.creationTime is None:
        raise BadSnapshot("missing creationTime from existing snapshot", code=INTERNAL_ERROR)
    if snapshot.state is None:
        raise BadSnapshot("missing state from existing snapshot", code=INTERNAL_ERROR)
    if snapshot.parent_name == snapshot.name:
        raise InvalidRequest(f"cannot set snapshot {snapshot.name} as its own parent")
    if snapshot.domain is not None and snapshot.domain.uuid != uuid:
        raise InvalidRequest(f"definition for snapshot {snapshot.name} must use uuid {uuid}")
    if disk_only and snapshot.state not in (DISK_SNAPSHOT, "shutoff"):
        raise InvalidRequest(f"disk-only flag for snapshot {snapshot.name} requires disk-snapshot state")
    if old is not None:
        if (old.state in ("running", "paused")) != (snapshot.state in ("running", "paused")):
            raise InvalidRequest(f"cannot change between online and offline snapshot state in snapshot {snapshot.name}")
        if (old.state == DISK_SNAPSHOT) != (snapshot.state == DISK_SNAPSHOT):
            raise InvalidRequest(f"cannot change between disk only and full system in snapshot {snapshot.name}")
        if snapshot.domain is None:
            snapshot.domain, snapshot.inactiveDomain = old.domain, old.inactiveDomain
    snapshot.active = None
    memory = snapshot.memory or SnapshotMemory()
    if memory.snapshot is None:
        memory.snapshot = "external" if memory.file else "internal" if snapshot.state in ("running", "paused") else "no"
    if memory.snapshot == "external" and not memory.file:
        raise BadSnapshot("external memory snapshots require a filename")
    snapshot.memory = memory
    if snapshot.domain is not None:
        outside = disk_only or snapshot.state == DISK_SNAPSHOT or memory.snapshot == "external"
        align(snapshot, snapshot.domain, "external" if outside else "internal")


def with_overlay(disk: Disk, overlay: Overlay, number: int | None) -> None:
    """Put a new layer on top of a disk in a document; `number` is the layer's, None in a stored definition."""
    driver = disk.driver = disk.driver or DiskDriver(name="qemu")
    source = disk.source or DiskSource()
    below = BackingStore(type=disk.type, format=LayerFormat(type=driver.type or "raw"), backingStore=disk.backingStore)
    below.index, source.index = source.index, None
    below.source = source
    disk.type, disk.source = overlay.kind, tree.copy(overlay.source)
    disk.source.index = number
    disk.backingStore, driver.type = below, overlay.format
