"""The layers below a qcow2 image, as its own header names them.

`service/machines` asks at a start, so that QEMU's user is lent the whole chain. Source: QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from domicile.base.errors import HostFailure

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQI")
_FORMAT = 0xE2792ACA
_DEEPEST = 200
_LONGEST = 1023


def layers(path: str) -> list[str]:
    """List the files below an image, the nearest first; what is no qcow2 image has none.

    A layer whose header says that it is raw has none below it, whatever its own first bytes say: a guest wrote those.

    Raises:
        HostFailure: a layer cannot be read, or the chain is endless.
    """
    return [name for name, _ in described(path)]


def described(path: str) -> list[tuple[str, str | None]]:
    """List the files below an image with the formats that headers say they have, None where they say none.

    Raises: HostFailure, as `layers` does.
    """
    found: dict[str, str | None] = {}
    current: str | None = path
    while current is not None:
        below = _below(current)
        if below is None:
            break
        name, kind = below
        if name in found or name == path or len(found) >= _DEEPEST:
            raise HostFailure(f"the backing files of {path} go round in a circle or never end at {name}")
        found[name] = kind
        current = name if kind == "qcow2" else None
    return list(found.items())


def whole(path: str) -> bool:
    """Whether the last of the files below an image has none below it that `described` leaves out. Raises: HostFailure."""
    below = described(path)
    name, kind = below[-1] if below else (path, "qcow2")
    return kind != "qcow2" or not _names_another(name)


def _below(path: str) -> tuple[str, str | None] | None:
    """Name the layer below an image and its format."""
    try:
        with open(path, "rb") as image:  # noqa: PTH123 - a descriptor is all that is needed
            head = image.read(104)
            if len(head) < _HEADER.size:
                return None
            magic, version, offset, size = _HEADER.unpack_from(head)
            if magic != _MAGIC or not offset or not 0 < size <= _LONGEST:
                return None
            name = os.pread(image.fileno(), size, offset).decode("utf-8", "surrogateescape")
            plain = _format(image.fileno(), head, version, offset)
    except OSError as error:
        raise HostFailure(f"the image {path} cannot be read: {error.strerror}") from error
    if name.startswith(("json:", "nbd:", "rbd:", "http:", "https:", "ssh:", "iscsi:", "gluster:")):
        return None
    below = name.removeprefix("file:")
    full = below if below.startswith("/") else os.path.normpath(Path(path).parent / below)
    return full, plain


def _names_another(path: str) -> bool:
    """Whether an image's header names anything below it."""
    try:
        with open(path, "rb") as image:  # noqa: PTH123 - as above
            head = image.read(_HEADER.size)
    except OSError as error:
        raise HostFailure(f"the image {path} cannot be read: {error.strerror}") from error
    if len(head) < _HEADER.size:
        return False
    magic, _, offset, size = _HEADER.unpack_from(head)
    return bool(magic == _MAGIC and offset and size)


def _format(descriptor: int, head: bytes, version: int, end: int) -> str | None:
    """Read which format the header says the layer below has."""
    place = struct.unpack_from(">I", head, 100)[0] if version >= 3 and len(head) >= 104 else 72
    while place + 8 <= end:
        kind, length = struct.unpack(">II", os.pread(descriptor, 8, place))
        if kind == 0:
            return None
        if kind == _FORMAT:
            return os.pread(descriptor, length, place + 8).decode("ascii", "replace")
        place += 8 + -(-length // 8) * 8
    return None
