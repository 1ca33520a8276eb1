"""A client that blocks: calls with deadlines, events, streams. The command line is its user.

with Client.connect("/run/domicile/domicile-sock") as client:
dom = client.call(domain_lookup_by_name, "MyVM")
client.call(domain_create_with_flags, dom, 0)
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from domicile.base import errors as e
from domicile.base.problem import Problem
from domicile.rpc import frame as f
from domicile.rpc.call import P, R, Stub
from domicile.rpc.calls import PROGRAMS, connect
from domicile.rpc.connection import PONG, ClientConnection, RemoteFailure, result_of, stream_frame, unpack_error
from domicile.rpc.frame import Frame
from domicile.rpc.types import RemoteError

CALL_SECONDS = 60.0
_KINDS: dict[int, type[e.DomicileError]] = {
    e.NO_DOMAIN: e.NotFound,
    e.INVALID_ARG: e.InvalidRequest,
    e.OPERATION_FAILED: e.Conflict,
    e.DOM_EXIST: e.Conflict,
    e.RESOURCE_BUSY: e.Conflict,
    e.OPERATION_INVALID: e.WrongState,
    e.CONFIG_UNSUPPORTED: e.Unsupported,
    e.NO_SUPPORT: e.Unsupported,
    e.OPERATION_DENIED: e.Denied,
    e.ACCESS_DENIED: e.Denied,
    e.AUTH_FAILED: e.Denied,
    e.SYSTEM_ERROR: e.HostFailure,
    e.OPERATION_TIMEOUT: e.DeadlineExceeded,
}


class Event(NamedTuple):
    """An event that came: its stub and its arguments."""

    stub: Stub[..., None]
    args: tuple[Any, ...]


class Client:
    """One connection to a daemon's socket; for one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._wire = ClientConnection()
        self._replies: dict[int, Frame] = {}
        self._events: deque[Frame] = deque()
        self._streams: dict[int, deque[Frame]] = {}

    @classmethod
    def connect(cls, path: str | Path, timeout: float = 10.0, *, read_only: bool = False) -> Self:
        """Connect to the unix socket and open.

        Raises: HostFailure where nobody listens; Denied where the user may not.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(os.fspath(path))
        except PermissionError as fault:
            sock.close()
            raise e.Denied(f"no permission to connect to {path}") from fault
        except OSError as fault:
            sock.close()
            raise e.HostFailure(f"no daemon answers at {path}: {fault.strerror or fault}") from fault
        try:
            return cls.over(sock, timeout, read_only=read_only)
        except BaseException:
            sock.close()
            raise

    @classmethod
    def over(cls, sock: socket.socket, timeout: float = 10.0, *, read_only: bool = False) -> Self:
        """Open over a socket that is connected already. Raises: OutcomeUnknown, DeadlineExceeded, Denied."""
        client = cls(sock)
        client._call(timeout, connect.connect_open, None, 1 if read_only else 0)
        return client

    def call(self, stub: Stub[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call and wait for the result, for a minute at most.

        Raises: DomicileError of the class that fits the error's code; OutcomeUnknown where the connection broke.
        """
        return self._call(CALL_SECONDS, stub, *args, **kwargs)

    def call_within(self, seconds: float, stub: Stub[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call with another deadline."""
        return self._call(seconds, stub, *args, **kwargs)

    def _call(self, seconds: float, stub: Stub[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        call, data = self._wire.call(stub, *args, **kwargs)
        deadline = time.monotonic() + seconds
        try:
            self._send(data, deadline)
            while call.serial not in self._replies:
                self._receive(deadline)
        except e.DeadlineExceeded as fault:
            raise e.DeadlineExceeded(
                f"{stub.name} was not answered within {seconds:g} s; its outcome is unknown"
            ) from fault
        return self._result(stub, self._replies.pop(call.serial))

    def _result(self, stub: Stub[P, R], reply: Frame) -> R:
        try:
            return result_of(stub, reply)
        except RemoteFailure as fault:
            raise failure(fault.error) from None

    def open_stream(self, stub: Stub[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[R, ClientStream]:
        """Make a call that opens a stream; return its result and the stream."""
        call, data = self._wire.call(stub, *args, **kwargs)
        self._streams[call.serial] = deque()
        deadline = time.monotonic() + CALL_SECONDS
        try:
            self._send(data, deadline)
            while call.serial not in self._replies:
                self._receive(deadline)
            return self._result(stub, self._replies.pop(call.serial)), ClientStream(self, call)
        except BaseException:
            self._streams.pop(call.serial, None)
            raise

    def next_event(self, timeout: float | None = None) -> Event | None:
        """Wait for an event; None where none came in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._events:
            try:
                self._receive(deadline)
            except e.DeadlineExceeded:
                return None
        event = self._events.popleft()
        stub = PROGRAMS[event.program].stubs[event.procedure]
        return Event(stub, stub.unpack_args(event.payload))

    def events(self) -> Iterator[Event]:
        """Yield events as they come."""
        while True:
            event = self.next_event()
            if event is not None:
                yield event

    def fileno(self) -> int:
        """The socket, for select; look at `ClientStream.ready` first."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _send(self, data: bytes, deadline: float | None) -> None:
        self._sock.settimeout(_left(deadline))
        try:
            self._sock.sendall(data)
        except TimeoutError as fault:
            raise e.DeadlineExceeded("the daemon takes nothing in") from fault
        except OSError as fault:
            raise e.OutcomeUnknown("the daemon closed the connection") from fault

    def _receive(self, deadline: float | None) -> None:
        self._sock.settimeout(_left(deadline))
        try:
            data = self._sock.recv(262_144)
        except TimeoutError as fault:
            raise e.DeadlineExceeded("the daemon did not answer in time") from fault
        except OSError as fault:
            raise e.OutcomeUnknown(f"the connection broke: {fault}") from fault
        if not data:
            raise e.OutcomeUnknown("the daemon closed the connection")
        for one in self._wire.receive(data):
            self._sort(one)

    def _sort(self, one: Frame) -> None:
        if one.type == f.REPLY:
            self._replies[one.serial] = one
        elif one.type == f.STREAM:
            if one.serial in self._streams:
                self._streams[one.serial].append(one)
        elif one.type == f.EVENT:
            program = PROGRAMS.get(one.program)
            if program is not None and program.name == "keepalive":
                if one.procedure == 1:
                    self._send(PONG, time.monotonic() + CALL_SECONDS)
            elif program is not None and one.procedure in program.stubs:
                self._events.append(one)


class ClientStream:
    """The client's end of a stream."""

    def __init__(self, client: Client, call: Frame) -> None:
        self._client, self._call = client, call
        self._packets = client._streams[call.serial]
        self._ended = False

    def ready(self) -> bool:
        """Say whether `recv` has something without waiting."""
        return bool(self._packets) or self._ended

    def recv(self, timeout: float | None = None) -> bytes:
        """Wait for data; empty at the end.

        Raises: DeadlineExceeded; the server's error where it broke the stream.
        """
        if self._ended:
            return b""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._packets:
            self._client._receive(deadline)
        return self._take()

    def _take(self) -> bytes:
        packet = self._packets.popleft()
        if packet.status == f.ERROR:
            self._close()
            raise failure(unpack_error(packet.payload))
        if packet.status == f.OK:
            self._close()
            return b""
        self._ended = not packet.payload
        return packet.payload

    def send(self, data: bytes, timeout: float = CALL_SECONDS) -> None:
        """Send data."""
        deadline = time.monotonic() + timeout
        for start in range(0, len(data), f.STREAM_CHUNK):
            packet = stream_frame(self._call, f.CONTINUE, data[start : start + f.STREAM_CHUNK])
            self._client._send(packet, deadline)

    def finish(self, timeout: float = CALL_SECONDS) -> None:
        """Say that all was sent, and wait until the server has taken it; data still coming is dropped."""
        self._end(f.OK, timeout)

    def abort(self, timeout: float = CALL_SECONDS) -> None:
        """Want no more."""
        self._end(f.ERROR, timeout)

    def _end(self, status: int, timeout: float) -> None:
        if self._call.serial not in self._client._streams:
            return
        deadline = time.monotonic() + timeout
        self._client._send(stream_frame(self._call, status), deadline)
        while self._call.serial in self._client._streams:
            while not self._packets:
                self._client._receive(deadline)
            self._take()

    def _close(self) -> None:
        self._ended = True
        self._client._streams.pop(self._call.serial, None)


def failure(error: RemoteError) -> e.DomicileError:
    """Make the exception that fits an error's code."""
    message = error.message or f"error {error.code}"
    if error.code in (e.XML_ERROR, e.XML_INVALID_SCHEMA):
        return e.InvalidDocument([Problem("", message)], code=error.code)
    return _KINDS.get(error.code, e.DomicileError)(message, code=error.code, domain=error.domain)


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise e.DeadlineExceeded("the deadline has passed")
    return left
