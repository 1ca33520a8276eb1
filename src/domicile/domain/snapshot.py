"""The document of a snapshot: what was kept of a domain at one moment, with the domain's own definition inside.

Read from clients and from the database, and written for both, by `service/snapshots`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.base.errors import XML_ERROR, DomicileError, InvalidDocument
from domicile.base.problem import Problem
from domicile.devices.disk.model import FORMATS
from domicile.devices.disk.source import SOURCE_TYPES, DiskSource
from domicile.domain.domain import Domain
from domicile.schema import field as f
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.scalar import FILLED, ULONG, enum
from domicile.schema.shape import Element, element

#: libvirt's number of the part that speaks of snapshots.
FROM_DOMAIN_SNAPSHOT = 35
LOCATIONS = ("no", "internal", "external", "manual")
#: The state of a snapshot of a running machine's disks alone; the other states are a domain's.
DISK_SNAPSHOT = "disk-snapshot"
STATES = (
    "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended", DISK_SNAPSHOT,
)  # fmt: skip


@element("parent", "父快照")
class Parent(Element):
    """The snapshot that was the current one when this was made."""

    name: str | None = f.leaf("Its name.", "名称。", FILLED)


@element("memory", "内存状态")
class SnapshotMemory(Element):
    """Where the guest's memory was kept."""

    snapshot: str | None = f.attr(
        "In the disks' images, in a file of its own, or not at all.",
        "保存在磁盘映像内、单独的文件中，或不保存。",
        enum(*LOCATIONS[:3]),
    )
    file: str | None = f.attr("The file of its own.", "单独的文件。")


@element("driver", "覆盖层的驱动")
class OverlayDriver(Element):
    """How the new layer is kept."""

    type: str | None = f.attr("Its format.", "格式。", enum(*FORMATS))


@element("disk", "快照中的磁盘", identity=("name",))
class SnapshotDisk(Element):
    """What was done with one disk."""

    name: str | None = f.attr("The disk's target, or its image.", "磁盘的目标名或其映像。", FILLED)
    snapshot: str | None = f.attr("Where its state was kept.", "其状态保存在何处。", enum(*LOCATIONS))
    type: str | None = f.attr("What kind of thing the new layer is.", "新层的介质种类。", enum(*SOURCE_TYPES))
    driver: OverlayDriver | None = f.child("The new layer's format.", "新层的格式。", OverlayDriver, keep_empty=False)
    source: DiskSource | None = f.child("The new layer.", "新的一层。", DiskSource, keep_empty=False)


@element("disks", "快照中的磁盘")
class SnapshotDisks(Element):
    """What was done with the disks."""

    disk: list[SnapshotDisk] = f.children("One disk.", "一个磁盘。", SnapshotDisk)


@element("domainsnapshot", "虚拟机快照", identity=("name",))
class DomainSnapshot(Element):
    """What was kept of a domain at one moment."""

    name: str | None = f.leaf("Its name, unique in its domain.", "名称，在该虚拟机内唯一。")
    description: str | None = f.leaf("What it is for.", "用途说明。")
    state: str | None = f.leaf("The state of the domain then.", "当时虚拟机的状态。", enum(*STATES))
    parent: Parent | None = f.child("What was the current snapshot then.", "当时的当前快照。", Parent, keep_empty=False)
    creationTime: int | None = f.leaf("When, in seconds since 1970.", "创建时间（自 1970 年起的秒数）。", ULONG)
    memory: SnapshotMemory | None = f.child("The guest's memory.", "客户机内存。", SnapshotMemory, keep_empty=False)
    disks: SnapshotDisks | None = f.child("The disks.", "磁盘。", SnapshotDisks, keep_empty=False)
    domain: Domain | None = f.child("The domain as it was then.", "当时的虚拟机定义。", Domain)
    inactiveDomain: Domain | None = f.child(
        "The stored definition of a domain that ran then.", "当时运行的虚拟机所存储的定义。", Domain
    )
    active: str | None = f.leaf("Once said which snapshot was the current one.", "曾用于标明当前快照。")
    cookie: Any = f.raw("What libvirt notes for itself.", "libvirt 自用的记录。", foreign=True)

    @property
    def parent_name(self) -> str:
        """The parent's name; empty where there is none."""
        return (self.parent.name if self.parent is not None else None) or ""

    @property
    def memory_in(self) -> str:
        """Where the memory was kept: ``no``, ``internal`` or ``external``."""
        return (self.memory.snapshot if self.memory is not None else None) or "no"

    def every_disk(self) -> Iterator[SnapshotDisk]:
        """Walk the disks."""
        yield from self.disks.disk if self.disks is not None else ()

    def disks_in(self, location: str) -> list[SnapshotDisk]:
        """List the disks whose state was kept in one way."""
        return [disk for disk in self.every_disk() if disk.snapshot == location]

    @property
    def external(self) -> bool:
        """Whether anything of it is in files of their own."""
        return self.memory_in == "external" or bool(self.disks_in("external"))


class BadSnapshot(DomicileError):
    """A snapshot's document says what cannot be."""

    code, domain, status = XML_ERROR, FROM_DOMAIN_SNAPSHOT, 422


def read(text: str, *, strict: bool = False) -> DomainSnapshot:
    """Read a client's document; with `strict` nothing in it may be unknown.

    Raises:
        InvalidDocument: it is no such document, or something in it is wrong.
    """
    made: DomainSnapshot = read_element(DomainSnapshot, text, strict=strict)
    return made


def read_element(cls: Any, text: str, *, strict: bool, domain: int = FROM_DOMAIN_SNAPSHOT) -> Any:
    """Read one of the documents that are kept with a domain. Raises: InvalidDocument."""
    root: Any = reading.parse(text)
    tag = cls.shape.tag
    if root.tag != tag:
        problem = Problem("", f"unexpected root element <{root.tag}>", root.sourceline or 0, f"<{tag}>")
        raise InvalidDocument([problem], domain=domain)
    reader = reading.Reader()
    made = reader.element(cls.shape, root)
    wrong = [problem for problem in reader.problems if problem.severity == "error" or strict]
    if wrong:
        raise InvalidDocument(wrong, domain=domain)
    return made


def read_stored(text: str) -> DomainSnapshot:
    """Read a document that this program wrote itself."""
    made: DomainSnapshot = reading.Reader().element(DomainSnapshot.shape, reading.parse(text))
    return made


def write(snapshot: DomainSnapshot, *, secrets: bool = True) -> str:
    """Write a document in libvirt's text form; without `secrets` passwords are left out."""
    return writing.write(snapshot, secrets=secrets)


def escaped(text: str) -> str:
    """Give a text as it stands within an element."""
    return writing.escape(text)
