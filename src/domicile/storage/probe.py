"""What an image file is: its format, how large its guest sees it, what lies below it. Read from its own bytes.

The drivers ask when a pool is looked through. A guest may have written these bytes: nothing of them is believed beyond
what is shown, and what lies below is only opened by QEMU where its format is told.
Source: QEMU's docs/interop (qcow2, qed), and the formats as `qemu-img` 7.2 writes them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

_SECTOR = 512
_FIRST, _HEAD = 512, 34_816
_ISO, _ISO_AT = b"CD001", 32_769
_LONGEST = 4096
_BACKING_FORMAT = 0xE2792ACA
_LAZY, _EXTENDED = 1, 1 << 4
_Reader = Callable[[bytes, int], "Image | None"]


@dataclass(frozen=True, slots=True)
class Image:
    """What was found; `capacity` None where the format does not tell, `below` the image that it lies on."""

    format: str = "raw"
    capacity: int | None = None
    below: str | None = None
    below_format: str | None = None
    encryption: str | None = None
    cluster: int | None = None
    compat: str | None = None
    lazy_refcounts: bool = False
    extended_l2: bool = False
    payload: int = 0


def examine(fd: int) -> Image:
    """Look at an open file; a header that cannot be followed makes a raw image. Raises: OSError."""
    head = os.pread(fd, _FIRST, 0)
    if not any(head[offset : offset + len(magic)] == magic for offset, magic, _ in _MAGICS):
        return Image("iso") if os.pread(fd, len(_ISO), _ISO_AT) == _ISO else Image()
    head += os.pread(fd, _HEAD - len(head), len(head)) if len(head) == _FIRST else b""
    for offset, magic, reader in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            try:
                found = reader(head, fd)
            except (struct.error, ValueError, OverflowError, OSError):
                continue
            if found is not None:
                return found
    return Image("iso") if head[_ISO_AT : _ISO_AT + len(_ISO)] == _ISO else Image()


def _u32(head: bytes, offset: int, order: str = ">") -> int:
    return int(struct.unpack_from(f"{order}I", head, offset)[0])


def _u64(head: bytes, offset: int, order: str = ">") -> int:
    return int(struct.unpack_from(f"{order}Q", head, offset)[0])


def _name(fd: int, offset: int, length: int) -> str | None:
    if not offset or not 0 < length <= _LONGEST:
        return None
    return os.fsdecode(os.pread(fd, length, offset)) or None


def _qcow(head: bytes, fd: int) -> Image | None:
    version = _u32(head, 4)
    offset, length = _u64(head, 8), _u32(head, 16)
    below = _name(fd, offset, length)
    if version == 1:
        method = _u32(head, 36)
        return Image("qcow", _u64(head, 24), below, None, "qcow" if method else None)
    if version not in (2, 3):
        return None
    encryption = {1: "qcow", 2: "luks"}.get(_u32(head, 32))
    incompatible, compatible, size = (_u64(head, 72), _u64(head, 80), _u32(head, 100)) if version == 3 else (0, 0, 72)
    kind = _extension(head, size, offset or len(head)) if below is not None else None
    return Image(
        "qcow2", _u64(head, 24), below, kind, encryption, 1 << min(_u32(head, 20), 30), "1.1" if version == 3 else None,
        bool(compatible & _LAZY), bool(incompatible & _EXTENDED),
    )  # fmt: skip


def _extension(head: bytes, place: int, end: int) -> str | None:
    """Read the format of the image below from a qcow2 image's header extensions."""
    while place + 8 <= min(end, len(head)):
        kind, length = struct.unpack_from(">II", head, place)
        if kind == 0:
            return None
        if kind == _BACKING_FORMAT:
            return head[place + 8 : place + 8 + length].decode("ascii")
        place += 8 + -(-length // 8) * 8
    return None


def _qed(head: bytes, fd: int) -> Image:
    features = _u64(head, 16, "<")
    below = _name(fd, _u32(head, 56, "<"), _u32(head, 60, "<")) if features & 1 else None
    return Image("qed", _u64(head, 48, "<"), below, "raw" if below and features & 4 else None)


def _vmdk(head: bytes, fd: int) -> Image:
    place = _u64(head, 28, "<") * _SECTOR
    words = os.pread(fd, 20_480, place) if place else b""
    mark = b'parentFileNameHint="'
    start = words.find(mark)
    below = words[start + len(mark) :].split(b'"', 1)[0] if start >= 0 else b""
    return Image("vmdk", _u64(head, 12, "<") * _SECTOR, os.fsdecode(below) or None, "vmdk" if below else None)


def _luks(head: bytes, fd: int) -> Image | None:
    version = struct.unpack_from(">H", head, 6)[0]
    if version != 1:
        return Image("luks", None, encryption="luks2") if version == 2 else None
    payload = _u32(head, 104) * _SECTOR
    return Image("luks", max(0, os.lseek(fd, 0, os.SEEK_END) - payload), encryption="luks", payload=payload)


def _sized(format: str, offset: int, order: str, unit: int = 1) -> _Reader:
    return lambda head, fd: Image(format, _u64(head, offset, order) * unit)


def _plain(format: str) -> _Reader:
    return lambda head, fd: Image(format)


# (where, what stands there, who reads on), the surer first.
_MAGICS: tuple[tuple[int, bytes, _Reader], ...] = (
    (0, b"QFI\xfb", _qcow),
    (0, b"QED\0", _qed),
    (0, b"KDMV", _vmdk),
    (64, b"\x7f\x10\xda\xbe", _sized("vdi", 368, "<")),
    (0, b"conectix", _sized("vpc", 48, ">")),
    (0, b"LUKS\xba\xbe", _luks),
    (0, b"Bochs Virtual HD Image", _sized("bochs", 84, "<")),
    (0, b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop", _plain("cloop")),
    (0, b"WithoutFreeSpace", _plain("ploop")),
    (0, b"OOOM", _plain("cow")),
)
