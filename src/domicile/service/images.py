"""The disk images of domains as files: how large they are. They are never changed here.

The front doors ask.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from domicile.base.errors import HostFailure

_SECTOR = 512


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes: taken on the host's disk, seen by the guest, and of the file itself."""

    allocation: int
    capacity: int
    physical: int


def size(path: str, format: str) -> Size:
    """Measure an image.

    Raises: HostFailure
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as fault:
        raise HostFailure(f"cannot open image '{path}': {fault.strerror}") from fault
    try:
        facts = os.fstat(fd)
        physical = os.lseek(fd, 0, os.SEEK_END)
        allocation = facts.st_blocks * _SECTOR or physical
        return Size(allocation, _virtual(os.pread(fd, 32, 0), format) or physical, physical)
    finally:
        os.close(fd)


def _virtual(head: bytes, format: str) -> int | None:
    """Read the guest's size from the head of a qcow2 image. Source: QEMU's docs/interop/qcow2.txt."""
    if format != "qcow2" or len(head) < 32 or head[:4] != b"QFI\xfb":
        return None
    (capacity,) = struct.unpack_from(">Q", head, 24)
    return int(capacity)
