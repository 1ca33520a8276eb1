"""The document of a volume: its elements, reading with checks, writing as libvirt does. Called by the service."""

from __future__ import annotations

import re
from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED, INVALID_ARG, InvalidDocument
from domicile.base.problem import Problem
from domicile.devices.disk.secret import Encryption
from domicile.schema import field as f
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.scalar import Scalar, enum, plain
from domicile.schema.shape import Element, element
from domicile.storage.failure import StorageDocument
from domicile.storage.kinds import Kind
from domicile.storage.parts import ANY_PATH, Amount, Permissions, bytes_of, judged

TYPES = ("file", "block", "dir", "network", "netdir", "ploop")
_COMPAT = re.compile(r"[0-9]+\.[0-9]+\Z")
_ENCRYPTION = re.compile(r"^( *)(<encryption format='[^']*'(?: engine='[^']*')?)/>$", re.MULTILINE)
_CIPHERS = ("default", "qcow", "luks", "luks2")


def _compat(text: str) -> str:
    if not _COMPAT.match(text):
        raise ValueError
    return text


COMPAT = Scalar("compat", _compat, plain, "two numbers such as 1.1")


@element("extent", "区段")
class Extent(Element):
    """The part of a device that a volume is on."""

    start: int | None = f.attr(
        "Where it begins, in bytes.", "起点（字节）。", Scalar("number", int, str, "bytes", spec="d")
    )
    end: int | None = f.attr(
        "Where it ends, in bytes.", "终点（字节）。", Scalar("number", int, str, "bytes", spec="d")
    )


@element("device", "所在设备")
class VolumeDevice(Element):
    """A device the volume is on."""

    path: str | None = f.attr("The device.", "设备。")
    extent: list[Extent] = f.children("A part of it.", "区段。", Extent)


@element("source", "卷的来源")
class VolumeSource(Element):
    """Where in the pool's devices the volume is."""

    device: list[VolumeDevice] = f.children("A device.", "设备。", VolumeDevice)


@element("format", "映像格式")
class VolumeFormat(Element):
    """How the volume is laid out."""

    type: str | None = f.attr("The format's name.", "格式名称。")


@element("timestamps", "时间戳")
class Timestamps(Element):
    """When the file was read, written, changed, made: seconds since 1970."""

    atime: str | None = f.leaf("Last read.", "最近读取。")
    mtime: str | None = f.leaf("Last written.", "最近写入。")
    ctime: str | None = f.leaf("Last changed.", "最近变更。")
    btime: str | None = f.leaf("Made.", "创建。")


@element("features", "映像特性")
class ImageFeatures(Element):
    """Features of a qcow2 image."""

    lazy_refcounts: bool = f.flag("Counts are written late.", "延迟写入引用计数。")
    extended_l2: bool = f.flag("Clusters are divided.", "使用子簇。")


@element("target", "卷的目标")
class VolumeTarget(Element):
    """The volume as a file or device."""

    path: str | None = f.leaf("Where it is.", "位置。", ANY_PATH)
    format: VolumeFormat | None = f.child("Its format.", "格式。", VolumeFormat)
    permissions: Permissions | None = f.child("Who may open it.", "访问权限。", Permissions)
    timestamps: Timestamps | None = f.child("When it changed.", "时间戳。", Timestamps)
    encryption: Encryption | None = f.child("How it is encrypted.", "加密方式。", Encryption)
    compat: str | None = f.leaf("The version of qcow2.", "qcow2 的版本。", COMPAT)
    clusterSize: Amount | None = f.child("The size of a cluster.", "簇的大小。", Amount)
    features: ImageFeatures | None = f.child("Features of the format.", "格式特性。", ImageFeatures)
    nocow: bool = f.flag("No copy on write on Btrfs.", "在 Btrfs 上不写时复制。")


@element("backingStore", "后备卷")
class VolumeBacking(Element):
    """The image below: what is read where the volume holds nothing."""

    path: str | None = f.leaf("Where it is.", "位置。")
    format: VolumeFormat | None = f.child("Its format.", "格式。", VolumeFormat)
    permissions: Permissions | None = f.child("Who may open it.", "访问权限。", Permissions)
    timestamps: Timestamps | None = f.child("When it changed.", "时间戳。", Timestamps)


@element("volume", "存储卷")
class Volume(Element):
    """A volume: an image that a guest can have as a disk."""

    type: str | None = f.attr("What it is on the host.", "在主机上的种类。", enum(*TYPES), code=CONFIG_UNSUPPORTED)
    name: str | None = f.leaf("Its name in the pool.", "在池中的名称。")
    key: str | None = f.leaf("What it is known by on this host.", "在本机的唯一标识。")
    source: VolumeSource | None = f.child("Where in the pool's devices it is.", "在池设备中的位置。", VolumeSource)
    capacity: Amount | None = f.child("How large it is for the guest.", "客户机看到的大小。", Amount)
    allocation: Amount | None = f.child("How much it takes.", "占用的空间。", Amount)
    physical: Amount | None = f.child("How large its file is.", "文件的大小。", Amount)
    target: VolumeTarget | None = f.child("The volume on the host.", "在主机上的卷。", VolumeTarget)
    backingStore: VolumeBacking | None = f.child("The image below.", "下层映像。", VolumeBacking)

    @property
    def path(self) -> str:
        """Where it is on the host."""
        return (self.target.path if self.target is not None else None) or ""

    @property
    def format(self) -> str:
        """Its format's name."""
        return (self.target.format.type if self.target is not None and self.target.format is not None else None) or ""

    @property
    def encryption(self) -> Encryption | None:
        """How it is encrypted."""
        return self.target.encryption if self.target is not None else None

    def amounts(self) -> tuple[int, int, int]:
        """Count the bytes of its capacity, of what it takes, and of its file."""
        parts = (self.capacity, self.allocation, self.physical)
        capacity, allocation, physical = (part.count() or 0 if part is not None else 0 for part in parts)
        return capacity, allocation, physical


def read(text: str, kind: Kind, *, strict: bool = False, copied: bool = False) -> Volume:
    """Read a document for a pool of this kind and complete it; a copy's sizes may be left out. Raises: StorageDocument."""
    try:
        root: Any = reading.parse(text)
    except InvalidDocument as error:
        raise StorageDocument(error.problems, "storage_volume") from None
    if root.tag != "volume":
        found = Problem("", f"expecting root element of 'volume', not '{root.tag}'", root.sourceline or 0, "<volume>")
        raise StorageDocument([found], "storage_volume")
    reader = reading.Reader()
    for node in root.iterfind("target/features/*"):
        if isinstance(node.tag, str) and node.tag not in ImageFeatures.shape.elements:
            words = f"unsupported feature {node.tag}"
            reader.problem(node, words, ", ".join(ImageFeatures.shape.elements), "", CONFIG_UNSUPPORTED)
    volume: Volume = reader.element(Volume.shape, root)
    problems = judged(reader.problems, strict=strict)
    problems = problems or list(_complete(volume, kind, copied=copied))
    if problems:
        raise StorageDocument(problems, "storage_volume")
    return volume


def write(volume: Volume) -> str:
    """Write a document in libvirt's text form."""
    text = _ENCRYPTION.sub(r"\1\2>\n\1</encryption>", writing.write(volume))
    return text


def _amount(volume: Volume, slot: str, wrong: list[Problem]) -> int | None:
    said: Amount | None = getattr(volume, slot)
    if said is None:
        return None
    if said.value is None:
        wrong.append(Problem(slot, f"element '{slot}' is empty", said.source_line, "a number"))
        return None
    counted = said.count()
    if counted is None:
        words = f"element '{slot}' has the unit '{said.unit}' with the value {said.value}"
        wrong.append(Problem(slot, words, said.source_line, "bytes, KiB, MiB, GiB, TiB, KB, …", code=INVALID_ARG))
    return counted


def _complete(volume: Volume, kind: Kind, *, copied: bool) -> list[Problem]:
    wrong: list[Problem] = []
    if not volume.name:
        wrong.append(Problem("name", "the volume has no name", volume.source_line, "<name>"))
    target = volume.target = volume.target or VolumeTarget()
    capacity = _amount(volume, "capacity", wrong)
    allocation = _amount(volume, "allocation", wrong)
    if capacity is None and not wrong and not copied and volume.backingStore is None:
        wrong.append(Problem("capacity", "the volume has no capacity", volume.source_line, "<capacity>"))
    if wrong:
        return wrong
    volume.capacity = bytes_of(capacity) if capacity is not None else None
    volume.allocation = bytes_of(allocation) if allocation is not None else None
    volume.physical, volume.key, volume.source = None, None, None
    below = volume.backingStore
    if below is not None and not below.path:
        volume.backingStore = below = None
    for path, holder in (("target", target), ("backingStore", below)):
        if holder is None or not kind.volumes:
            continue
        said = holder.format.type if holder.format is not None else None
        if said is None:
            holder.format = VolumeFormat(type=kind.volume) if holder is target else VolumeFormat(type="raw")
        elif (said == "none" and kind.volume != said) or said not in kind.volumes:
            known = ", ".join(name for name in kind.volumes if name != "none")
            words = f"unknown volume format type {said}"
            wrong.append(Problem(f"{path}/format/@type", words, volume.source_line, known, code=CONFIG_UNSUPPORTED))
    if not kind.volumes:
        target.format = None
    rights = target.permissions
    if rights is not None:
        rights.owner = None if rights.owner == -1 else rights.owner
        rights.group = None if rights.group == -1 else rights.group
    if target.clusterSize is not None:
        size = target.clusterSize.count()
        if size is None:
            wrong.append(Problem("target/clusterSize", "clusterSize is no size", volume.source_line, "512 to 2 MiB"))
        target.clusterSize = Amount(unit="B", value=size)
    encryption = target.encryption
    if encryption is not None and encryption.format not in _CIPHERS:
        words = f"encryption of the format '{encryption.format}' is for what exists already"
        wrong.append(Problem("target/encryption/@format", words, volume.source_line, ", ".join(_CIPHERS)))
    return wrong
