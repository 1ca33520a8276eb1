"""The file of a saved machine: a header, the domain's document, then what QEMU's migration writes. Pure, but for reading.

It is libvirt's layout, so that either can restore what the other saved. Source: observed with libvirt 9.0, whose header
is the magic, version, length of the texts, whether it ran, compression, and where in the texts the cookie begins.
`runtime/save` writes such files, `service/saves` reads them.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

from lxml import etree

from domicile.base.errors import OPERATION_FAILED, HostFailure, InvalidRequest
from domicile.schema.read import parse

WHOLE, PARTIAL = b"LibvirtQemudSave", b"LibvirtQemudPart"
_VERSION = 2
_FIELDS, _UNUSED = 5, 14
SIZE = 16 + 4 * (_FIELDS + _UNUSED)
#: Room left behind the texts, so that longer ones can take their place later.
_ROOM = 65_536
_TEXTS_MAX = 64 * 1024 * 1024
# The number in the header is the place in this list.
PROGRAMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("raw", ()),
    ("gzip", ("gzip", "-dc")),
    ("bzip2", ("bzip2", "-dc")),
    ("xz", ("xz", "-dc")),
    ("lzop", ("lzop", "-dc")),
    ("zstd", ("zstd", "-dc")),
)


class BadImage(InvalidRequest):
    """A file is no image of a saved machine, or none that can be used."""

    code = OPERATION_FAILED


@dataclass(slots=True)
class Image:
    """What stands before the machine's state. `revision` is the stored definition's it came from, 0 for none."""

    xml: str
    running: bool
    revision: int = 0
    compression: int = 0
    length: int = 0
    big: bool = False
    cookie: str = ""

    @property
    def begin(self) -> int:
        """Where the machine's state begins."""
        return SIZE + self.length

    def head(self, magic: bytes) -> bytes:
        """Write the header and the texts; the room behind them stays as long as it was.

        Raises: BadImage where the texts have no room.
        """
        xml = self.xml.encode() + b"\0"
        note = (
            self.cookie or (f"<cookie>\n  <domicile revision='{self.revision}'/>\n</cookie>\n" if self.revision else "")
        ).encode()
        texts = xml + (note + b"\0" if note else b"")
        if not self.length:
            self.length = len(texts) + _ROOM
        if len(texts) > self.length:
            raise BadImage(f"the image has room for a document of {self.length} bytes, this one has {len(texts)}")
        words = (_VERSION, self.length, int(self.running), self.compression, len(xml) if note else 0, *([0] * _UNUSED))
        order = ">" if self.big else "<"
        return magic + struct.pack(f"{order}{len(words)}I", *words) + texts.ljust(self.length, b"\0")


def read(fd: int, name: str) -> Image:
    """Read what stands before a machine's state, and leave the file's position where that begins.

    Raises: BadImage, HostFailure
    """
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        header = _exactly(fd, SIZE)
    except OSError as error:
        raise HostFailure(f"cannot read '{name}': {error.strerror}") from error
    magic = header[:16]
    if magic == PARTIAL:
        raise BadImage(f"save image '{name}' is incomplete: saving it was cut off; it can only be removed")
    if magic != WHOLE:
        raise BadImage(f"'{name}' is no save image: it begins with other words than '{WHOLE.decode()}'")
    if len(header) < SIZE:
        raise BadImage(f"save image '{name}' ends within its header")
    for order in ("<", ">"):
        version, length, running, compression, cookie = struct.unpack_from(f"{order}5I", header, 16)
        if 1 <= version <= _VERSION:
            break
    else:
        raise BadImage(f"save image '{name}' has a version that is not known; {_VERSION} is")
    if not 0 < length <= _TEXTS_MAX or cookie > length:
        raise BadImage(f"save image '{name}' has a damaged header: {length} bytes of document")
    if compression >= len(PROGRAMS):
        known = ", ".join(each for each, _ in PROGRAMS)
        raise BadImage(f"save image '{name}' is compressed in way {compression}; {known} are known")
    try:
        texts = _exactly(fd, length)
    except OSError as error:
        raise HostFailure(f"cannot read '{name}': {error.strerror}") from error
    if len(texts) < length:
        raise BadImage(f"save image '{name}' ends within its document")
    xml = texts.partition(b"\0")[0]
    note = texts[cookie:].partition(b"\0")[0] if cookie else b""
    found = Image(
        xml.decode(errors="replace"), bool(running), _revision(note), compression, length, order == ">", note.decode(errors="replace")
    )  # fmt: skip
    return found


def _exactly(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := os.read(fd, size - len(data))):
        data += more
    return data


def _revision(cookie: bytes) -> int:
    if not cookie:
        return 0
    try:
        root: Any = parse(cookie)
    except Exception:
        return 0
    noted: etree._Element | None = root.find("domicile")
    number = noted.get("revision", "") if noted is not None else ""
    return int(number) if number.isdigit() else 0
