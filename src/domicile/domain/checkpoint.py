"""The document of a checkpoint: from which moment on QEMU notes in the images what changed; and what a wished one is to be. Pure.

`service/checkpoints` reads and writes it. Source: libvirt's page on the format of checkpoints; observed with libvirt 9.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base.errors import INTERNAL_ERROR, InvalidRequest, Unsupported
from domicile.domain.domain import Domain
from domicile.domain.snapshot import Parent, read_element
from domicile.domain.snapshot_plan import BadName, check_name, disk_of, disks, empty, target
from domicile.schema import field as f
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.scalar import FILLED, ULONG, enum
from domicile.schema.shape import Element, element

#: libvirt's number of the part that speaks of checkpoints.
FROM_DOMAIN_CHECKPOINT = 69


@element("disk", "检查点中的磁盘", identity=("name",))
class CheckpointDisk(Element):
    """Whether changes of one disk are noted, and where."""

    name: str | None = f.attr("The disk's target.", "磁盘的目标名。", FILLED, required=True)
    checkpoint: str | None = f.attr("How changes are noted.", "如何记录改动。", enum("no", "bitmap"))
    bitmap: str | None = f.attr("The bitmap's name in the image.", "映像内位图的名称。")
    size: int | None = f.attr("Bytes that changed since.", "此后改动的字节数。", ULONG)


@element("disks", "检查点中的磁盘")
class CheckpointDisks(Element):
    """Which disks' changes are noted."""

    disk: list[CheckpointDisk] = f.children("One disk.", "一个磁盘。", CheckpointDisk)


@element("domaincheckpoint", "虚拟机检查点", identity=("name",))
class DomainCheckpoint(Element):
    """A moment from which on it is noted what changed on the disks."""

    name: str | None = f.leaf("Its name, unique in its domain.", "名称，在该虚拟机内唯一。")
    description: str | None = f.leaf("What it is for.", "用途说明。")
    parent: Parent | None = f.child("The checkpoint before it.", "前一个检查点。", Parent, keep_empty=False)
    creationTime: int | None = f.leaf("When, in seconds since 1970.", "创建时间（自 1970 年起的秒数）。", ULONG)
    disks: CheckpointDisks | None = f.child("The disks.", "磁盘。", CheckpointDisks, keep_empty=False)
    domain: Domain | None = f.child("The domain as it was then.", "当时的虚拟机定义。", Domain)

    def every_disk(self) -> Iterator[CheckpointDisk]:
        """Walk the disks."""
        yield from self.disks.disk if self.disks is not None else ()

    def noted(self) -> list[tuple[str, str]]:
        """List target and bitmap of the disks whose changes are noted."""
        return [(d.name or "", d.bitmap or self.name or "") for d in self.every_disk() if d.checkpoint == "bitmap"]


def read(text: str) -> DomainCheckpoint:
    """Read a client's document. Raises: InvalidDocument."""
    made: DomainCheckpoint = read_element(DomainCheckpoint, text, strict=False, domain=FROM_DOMAIN_CHECKPOINT)
    return made


def read_stored(text: str) -> DomainCheckpoint:
    """Read a document that this program wrote itself."""
    made: DomainCheckpoint = reading.Reader().element(DomainCheckpoint.shape, reading.parse(text))
    return made


def write(checkpoint: DomainCheckpoint, *, secrets: bool = True) -> str:
    """Write a document in libvirt's text form; without `secrets` passwords are left out."""
    return writing.write(checkpoint, secrets=secrets)


def settle(checkpoint: DomainCheckpoint, domain: Domain, now: int) -> None:
    """Decide what the document left open. Raises: BadName, Unsupported."""
    checkpoint.name = checkpoint.name or str(now)
    check_name(checkpoint.name, "checkpoint")
    checkpoint.creationTime, checkpoint.parent, checkpoint.domain = now, None, None
    align(checkpoint, domain)
    for made in checkpoint.every_disk():
        made.size = None
        if made.checkpoint != "bitmap":
            continue
        disk = disk_of(domain, made.name or "")
        kind = (disk.driver.type if disk.driver is not None else None) or "raw"
        if kind != "qcow2":
            raise Unsupported(f"checkpoint for disk {made.name} unsupported for storage type {kind}")


def align(checkpoint: DomainCheckpoint, domain: Domain) -> None:
    """Bring the disks into the domain's order; without any named, all that can be written take part. Raises: Unsupported."""
    named: dict[str, CheckpointDisk] = {}
    for given in checkpoint.every_disk():
        dev = target(disk_of(domain, given.name or ""))
        if dev in named:
            raise Unsupported(f"disk '{dev}' specified twice")
        given.name, given.checkpoint = dev, given.checkpoint or "bitmap"
        if given.checkpoint == "bitmap":
            given.bitmap = given.bitmap or checkpoint.name
            if given.bitmap != checkpoint.name:
                raise Unsupported(f"bitmap for disk '{dev}' must match checkpoint name '{checkpoint.name}'")
        named[dev] = given
    everything = checkpoint.disks is None or not checkpoint.disks.disk
    found = []
    for disk in disks(domain):
        made = named.get(target(disk))
        if made is None:
            takes_part = everything and not disk.readonly and not empty(disk)
            made = CheckpointDisk(name=target(disk), checkpoint="bitmap" if takes_part else "no")
            made.bitmap = checkpoint.name if takes_part else None
        found.append(made)
    if not any(made.checkpoint == "bitmap" for made in found):
        raise Unsupported("no disk takes part in the checkpoint")
    checkpoint.disks = CheckpointDisks(disk=found)


def redefined(checkpoint: DomainCheckpoint, uuid: str, old: DomainCheckpoint | None) -> None:
    """Judge the document of a checkpoint that exists. Raises: BadName, InvalidRequest, Unsupported."""
    if not checkpoint.name:
        raise InvalidRequest("a redefined checkpoint must have a name")
    check_name(checkpoint.name, "checkpoint")
    if checkpoint.creationTime is None:
        raise InvalidRequest("missing creationTime from existing checkpoint", code=INTERNAL_ERROR)
    if checkpoint.parent is not None and checkpoint.parent.name == checkpoint.name:
        raise InvalidRequest(f"cannot set checkpoint {checkpoint.name} as its own parent")
    if checkpoint.domain is None:
        checkpoint.domain = old.domain if old is not None else None
    if checkpoint.domain is None:
        raise InvalidRequest(f"checkpoint '{checkpoint.name}' lacks the domain's definition")
    if checkpoint.domain.uuid != uuid:
        raise InvalidRequest(f"definition for checkpoint {checkpoint.name} must use uuid {uuid}")
    align(checkpoint, checkpoint.domain)


__all__ = ["BadName", "DomainCheckpoint", "align", "read", "read_stored", "redefined", "settle", "write"]
