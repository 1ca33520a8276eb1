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


class Frame(NamedTuple):
    """One message as it travels."""

    program: int
    version: int
    procedure: int
    type: int
    serial: int
    status: int
    payload: bytes


def frame(
    program: int, version: int, procedure: int, kind: int, serial: int, status: int, payload: bytes = b""
) -> bytes:
    """Write one message."""
    return _pack_header(28 + len(payload), program, version, procedure, kind, serial, status) + payload


class FrameReader:
    """Cuts a byte stream into frames; holds at most one unfinished message of at most `limit` bytes."""

    __slots__ = ("_rest", "limit")

    def __init__(self, limit: int = MESSAGE_MAX) -> None:
        self.limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes and return the messages they complete.

        Raises: ProtocolError for a length or a type that cannot be; the reader is of no use afterwards.
        """
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < 4 or (rest[:4] >= _LEAST and len(rest) < int.from_bytes(rest[:4], "big") <= self.limit):
                return []
            data = bytes(rest)
            rest.clear()
        frames: list[Frame] = []
        start, size = 0, len(data)
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
            frames.append(Frame(program, version, procedure, kind, serial, status, data[start + 28 : end]))
            start = end
        if start < size:
            rest += data[start:]
        return frames
