"""One connection without its socket: bytes come in, messages come out, and bytes to send are made.

The server and the client hold one each and do the I/O. Whatever the bytes, `receive` returns messages or raises
ProtocolError; after that the connection is of no further use.
"""

from __future__ import annotations

from domicile.rpc import frame as f
from domicile.rpc.call import P, R, Stub
from domicile.rpc.calls import keepalive
from domicile.rpc.frame import Frame, FrameReader, frame
from domicile.rpc.layout import layout
from domicile.rpc.records import Hole
from domicile.rpc.types import RemoteError
from domicile.rpc.xdr import ProtocolError, packer, unpacker

_KEEPALIVE = keepalive.ping.program
PONG = frame(_KEEPALIVE, 1, 2, f.EVENT, 0, f.OK)
PING = frame(_KEEPALIVE, 1, 1, f.EVENT, 0, f.OK)
pack_error = packer("remote_error", [layout(RemoteError)], single=True)
unpack_error = unpacker("remote_error", [layout(RemoteError)], single=True)
pack_hole = packer("stream_hole", [layout(Hole)], single=True)
unpack_hole = unpacker("stream_hole", [layout(Hole)], single=True)


def error_frame(call: Frame, error: RemoteError) -> bytes:
    """Answer a call, or end a stream, with an error."""
    kind = f.STREAM if call.type in (f.STREAM, f.STREAM_HOLE) else f.REPLY
    return frame(call.program, call.version, call.procedure, kind, call.serial, f.ERROR, pack_error(error))


def reply_frame(call: Frame, payload: bytes) -> bytes:
    """Answer a call."""
    return frame(call.program, call.version, call.procedure, f.REPLY, call.serial, f.OK, payload)


def reply_with_descriptors(call: Frame, payload: bytes, count: int) -> bytes:
    """Answer a call; `count` descriptors are to be sent after it."""
    return f.frame_with_descriptors(call, payload, count)


def event_frame(stub: Stub[P, None], payload: bytes) -> bytes:
    """Tell of an event; the payload is the stub's packed arguments, the same bytes for every subscriber."""
    return frame(stub.program, stub.version, stub.number, f.EVENT, 0, f.OK, payload)


def stream_frame(call: Frame, status: int, data: bytes = b"") -> bytes:
    """Send a packet of the stream that a call opened: data with CONTINUE, the end with OK."""
    return frame(call.program, call.version, call.procedure, f.STREAM, call.serial, status, data)


def hole_frame(call: Frame, length: int) -> bytes:
    """Send a run of zeros of a sparse stream."""
    payload = pack_hole(Hole(length))
    return frame(call.program, call.version, call.procedure, f.STREAM_HOLE, call.serial, f.CONTINUE, payload)


class ServerConnection:
    """The server's half: calls and stream packets come in."""

    __slots__ = ("_reader",)

    def __init__(self, limit: int = f.MESSAGE_MAX_UNOPENED) -> None:
        self._reader = FrameReader(limit)

    @property
    def limit(self) -> int:
        """The greatest message that may come in; small until the client has opened."""
        return self._reader.limit

    @limit.setter
    def limit(self, value: int) -> None:
        self._reader.limit = value

    @property
    def rest(self) -> bytearray:
        """What came of a message that is not complete yet; always the same object."""
        return self._reader.rest

    def descriptors(self, fds: list[int]) -> None:
        """Take descriptors; the bytes they came with are received next."""
        self._reader.descriptors.extend(fds)

    def unclaimed(self) -> list[int]:
        """Give up the descriptors that no message has claimed, for closing."""
        fds, self._reader.descriptors = self._reader.descriptors, []
        return fds

    def receive(self, data: bytes) -> list[Frame]:
        """Take bytes; return calls, stream packets and keepalive messages.

        Raises: ProtocolError
        """
        frames = self._reader.feed(data)
        for one in frames:
            kind = one.type
            if kind == f.EVENT:
                if one.program != _KEEPALIVE or one.procedure not in (1, 2):
                    self._give_back(frames)
                    raise ProtocolError(f"clients send no events ({one.program:#x}/{one.procedure})")
            elif kind in (f.REPLY, f.REPLY_WITH_FDS):
                self._give_back(frames)
                raise ProtocolError("clients send no replies")
        return frames

    def _give_back(self, frames: list[Frame]) -> None:
        self._reader.descriptors.extend(fd for one in frames for fd in one.fds)


class ClientConnection:
    """The client's half: serial numbers go out; replies, events and stream packets come in."""

    __slots__ = ("_reader", "_serial", "_waiting")

    def __init__(self, limit: int = f.MESSAGE_MAX) -> None:
        self._reader = FrameReader(limit)
        self._serial = 0
        self._waiting: set[int] = set()

    def call(self, stub: Stub[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[Frame, bytes]:
        """Make a call; the frame names it, the bytes are to be sent."""
        payload = stub.pack_args(*args, **kwargs)
        self._serial = (self._serial + 1) & 0x7FFFFFFF
        self._waiting.add(self._serial)
        call = Frame(stub.program, stub.version, stub.number, f.CALL, self._serial, f.OK, payload)
        return call, frame(*call[:7])

    def forget(self, call: Frame) -> None:
        """Expect no reply to that call any more."""
        self._waiting.discard(call.serial)

    def receive(self, data: bytes) -> list[Frame]:
        """Take bytes; return replies to calls that wait, events, stream packets and keepalive messages.

        Raises: ProtocolError
        """
        frames = self._reader.feed(data)
        for one in frames:
            if one.type in (f.REPLY, f.REPLY_WITH_FDS):
                if one.serial not in self._waiting:
                    raise ProtocolError(f"a reply to call {one.serial}, which does not wait")
                self._waiting.discard(one.serial)
            elif one.type in (f.CALL, f.CALL_WITH_FDS):
                raise ProtocolError("servers make no calls")
        return frames


def result_of(stub: Stub[P, R], reply: Frame) -> R:
    """Unpack a reply.

    Raises: RemoteFailure where the reply is an error.
    """
    if reply.status == f.ERROR:
        raise RemoteFailure(unpack_error(reply.payload))
    return stub.unpack_result(reply.payload)  # type: ignore[no-any-return]


class RemoteFailure(Exception):
    """An error that came over the wire, as it came."""

    def __init__(self, error: RemoteError) -> None:
        super().__init__(error.message or f"error {error.code}")
        self.error = error
