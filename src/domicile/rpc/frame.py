"""Frames: the length, the header, and where one message ends and the next begins.

``connection`` reads and writes them; nothing here knows what a payload means.
Source: libvirt's documentation "RPC protocol & APIs inside libvirt", section "RPC packet".
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from domicile.rpc.xdr import ProtocolError

MESSAGE_MAX = 33_554_432
MESSAGE_MAX_UNOPENED = 262_144
STREAM_CHUNK = 262_120
FDS_MAX = 32
HEADER = struct.Struct(">IIIIIIi")
HEADER_SIZE = HEADER.size
_LEAST = HEADER_SIZE.to_bytes(4, "big")
_unpack_header = HEADER.unpack_from
_pack_header = HEADER.pack


class Type(IntEnum):
    """What a message is."""

    CALL = 0
    REPLY = 1
    EVENT = 2
    STREAM = 3
    CALL_WITH_FDS = 4
    REPLY_WITH_FDS = 5
    STREAM_HOLE = 6


class Status(IntEnum):
    """How a reply or a stream packet fares."""

    OK = 0
    ERROR = 1
    CONTINUE = 2


CALL, REPLY, EVENT, STREAM, CALL_WITH_FDS, REPLY_WITH_FDS, STREAM_HOLE = map(int, Type)
OK, ERROR, CONTINUE = map(int, Status)
_WITH_FDS = frozenset((CALL_WITH_FDS, REPLY_WITH_FDS))


class Frame(NamedTuple):
    """One message as it travels."""

    program: int
    version: int
    procedure: int
    type: int
    serial: int
    status: int
    payload: bytes
    fds: tuple[int, ...] = ()
    """Open descriptors that came with it; whoever takes the message closes them."""


def frame(
    program: int, version: int, procedure: int, kind: int, serial: int, status: int, payload: bytes = b""
) -> bytes:
    """Write one message."""
    return _pack_header(28 + len(payload), program, version, procedure, kind, serial, status) + payload


def frame_with_descriptors(call: Frame, payload: bytes, count: int) -> bytes:
    """Write the answer to a call after which `count` descriptors follow, each with a byte of its own."""
    body = count.to_bytes(4, "big") + payload
    return frame(call.program, call.version, call.procedure, REPLY_WITH_FDS, call.serial, OK, body)


class FrameReader:
    """Cuts a byte stream into frames; holds at most one unfinished message of at most `limit` bytes.

    Descriptors that came are added to `descriptors` before the bytes they came with are fed; a message that announces
    some is complete once they are there. Those of no message stay in `descriptors`. `rest` is what came of a message that
    is not complete yet, always the same object.
    """

    __slots__ = ("descriptors", "limit", "rest")

    def __init__(self, limit: int = MESSAGE_MAX) -> None:
        self.limit = limit
        self.descriptors: list[int] = []
        self.rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes and return the messages they complete.

        Raises: ProtocolError for a length or a type that cannot be; the reader is of no use afterwards, and all
            descriptors are in `descriptors`.
        """
        rest = self.rest
        if rest:
            rest += data
            if len(rest) < 4 or (rest[:4] >= _LEAST and len(rest) < int.from_bytes(rest[:4], "big") <= self.limit):
                return []
            data = bytes(rest)
            rest.clear()
        frames: list[Frame] = []
        start, size = 0, len(data)
        try:
            while size - start >= 4:
                if size - start >= 28:
                    length, program, version, procedure, kind, serial, status = _unpack_header(data, start)
                else:
                    length, kind = int.from_bytes(data[start : start + 4], "big"), 0
                if not 28 <= length <= self.limit or kind > 6:
                    raise ProtocolError(
                        f"a message of {length} bytes and type {kind}; lengths are 28 to {self.limit}, types 0 to 6"
                    )
                end = start + length
                if end > size:
                    break
                if kind in _WITH_FDS:
                    count = self._announced(data, start, length)
                    if end + count > size:
                        break
                    head = program, version, procedure, kind, serial, status
                    frames.append(Frame(*head, data[start + 32 : end], self._take(count)))
                    start = end + count
                    continue
                frames.append(Frame(program, version, procedure, kind, serial, status, data[start + 28 : end]))
                start = end
            if start < size:
                rest += data[start:]
            if len(self.descriptors) > (FDS_MAX if rest else 0):
                raise ProtocolError(f"{len(self.descriptors)} descriptors that no message announced")
        except ProtocolError:
            self.descriptors.extend(fd for one in frames for fd in one.fds)
            raise
        return frames

    @staticmethod
    def _announced(data: bytes, start: int, length: int) -> int:
        count = int.from_bytes(data[start + 28 : start + 32], "big") if length >= 32 else -1
        if not 0 <= count <= FDS_MAX:
            raise ProtocolError(f"a message with {count} descriptors; 0 to {FDS_MAX} may be")
        return count

    def _take(self, count: int) -> tuple[int, ...]:
        if len(self.descriptors) < count:
            raise ProtocolError(f"{count} descriptors are announced, {len(self.descriptors)} came")
        taken = tuple(self.descriptors[:count])
        del self.descriptors[:count]
        return taken
