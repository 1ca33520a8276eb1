"""One client of the server: its calls are dispatched, its replies batched.

The server makes a session a connection; handlers get it as their first argument, for who asks (`peer`, `read_only`),
for what they need (`context`), and to send events. Plain handlers answer within the same read; coroutine handlers run
as tasks, at most `Limits.requests` at a time, after which the client is not read until one of them ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from domicile.api.libvirt import errors
from domicile.api.libvirt.door import Door
from domicile.api.libvirt.link import Link, close_all
from domicile.api.libvirt.registry import Entry
from domicile.api.libvirt.sasl import Login
from domicile.api.libvirt.stream import Stream
from domicile.base import tasks
from domicile.base.errors import FROM_QEMU, FROM_RPC, NO_SUPPORT, OPERATION_DENIED, RPC, Conflict, Denied
from domicile.rpc import frame as f
from domicile.rpc.call import Encoded, Stub, WithFiles
from domicile.rpc.calls import PROGRAMS
from domicile.rpc.connection import PONG, error_frame, reply_frame, reply_with_descriptors, stream_frame
from domicile.rpc.frame import Frame
from domicile.rpc.types import RemoteError

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server

C = TypeVar("C")
_REMOTE, _OPEN = 0x20008086, 1
_TURN = 256
"""Calls answered in one turn of the loop before other clients have theirs."""
_FLUSH = 131_072
"""Bytes of answers gathered before they are written within a turn."""
_HELD = 1_048_576
"""Bytes of a client's messages that may wait for its calls under way before it is not read for a while."""
_FD_WEIGHT = 65_536
_STREAMS = frozenset((f.STREAM, f.STREAM_HOLE))
_BEFORE_LOGIN = frozenset((_REMOTE, number) for number in (66, 67, 68, 69, 70))
_BEFORE_OPEN = _BEFORE_LOGIN | {(_REMOTE, number) for number in (_OPEN, 2, 60)}


class Session(Link[C]):
    """One client's calls."""

    __slots__ = (
        "_entries",
        "_held",
        "_running",
        "_streams",
        "_waiting",
        "authenticated",
        "login",
        "opened",
        "read_only",
    )

    def __init__(self, server: Server[C], door: Door) -> None:
        super().__init__(server, door)
        self.read_only, self.opened = door.read_only, False
        self.authenticated = door.auth == "none"
        self.login = Login()
        self._entries = server.entries
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: deque[Frame] = deque()
        self._held = 0
        self._streams: dict[int, Stream] = {}

    # Pace.

    def take(self, frames: list[Frame]) -> None:
        """Dispatch messages; all answers that are ready leave in one write."""
        out: list[bytes] = []
        self._out = out
        for index, one in enumerate(frames):
            if self._waiting or index == _TURN or len(self._running) >= self.limits.requests or not self._writable:
                self._hold(frames[index:])
                break
            self._dispatch(one)
            if self._out_size > _FLUSH:
                self._flush(out)
            if self.closed:
                close_all([fd for late in frames[index + 1 :] for fd in late.fds])
                break
        self._out = None
        self._flush(out)

    def _hold(self, frames: list[Frame]) -> None:
        """Let calls wait; pings and packets of open streams need not, so that a busy client passes for a living one."""
        for one in frames:
            if one.type == f.EVENT or (one.type in _STREAMS and one.serial in self._streams):
                self._other(one)
            else:
                self._waiting.append(one)
                self._held += _weight(one)
        if self._held > _HELD:
            self.pause(self)
        if len(self._running) < self.limits.requests and self._writable:
            self._loop.call_soon(self.proceed)

    def proceed(self) -> None:
        """Go on with the messages that had to wait."""
        out: list[bytes] = []
        self._out = out
        waiting = self._waiting
        turn = 0
        while waiting and not self.closed and self._writable and len(self._running) < self.limits.requests:
            if turn == _TURN:
                self._loop.call_soon(self.proceed)
                break
            turn += 1
            one = waiting.popleft()
            self._held -= _weight(one)
            self._dispatch(one)
            if self._out_size > _FLUSH:
                self._flush(out)
        self._out = None
        self._flush(out)
        if self._held <= _HELD // 2:
            self.resume(self)

    def ended(self) -> None:
        """End the streams and forget what waits."""
        for stream in list(self._streams.values()):
            stream.abort()
        close_all([fd for late in self._waiting for fd in late.fds])
        self._waiting.clear()

    async def finish(self) -> None:
        """Wait for the calls under way."""
        if self._running:
            await asyncio.wait(self._running)

    # Calls.

    def _dispatch(self, call: Frame) -> None:
        if call.type != f.CALL and call.type != f.CALL_WITH_FDS:
            self._other(call)
            return
        entry = self._entries.get((call.program, call.procedure))
        if (
            entry is None
            or entry.version != call.version
            or not (self.opened and self.authenticated)
            or (self.read_only and not entry.read_only)
        ):
            refusal = self._refusal(call, entry)
            if refusal is not None or entry is None:
                close_all(call.fds)
                self.send(error_frame(call, refusal or _unknown(call)))
                return
        stream: Stream | None = None
        try:
            args = entry.unpack(call.payload)
            if self.read_only and (right := entry.withheld(args)):
                raise _withheld(entry, right)
            if entry.streams:
                stream = self._stream(call)
                args = (stream, *args)
            elif entry.takes_files:
                args = (call.fds, *args)
            if entry.awaits:
                task = tasks.spawn(entry.stub.name, self._answer(call, entry, stream, args))
                self._running.add(task)
                task.add_done_callback(self._ended)
                return
            result = entry.function(self, *args)
            self._reply(call, entry, result, stream)
        except Exception as fault:
            self._refuse(call, entry, stream, fault)
        if call.fds:
            close_all(call.fds)

    def _stream(self, call: Frame) -> Stream:
        if len(self._streams) >= self.limits.streams or call.serial in self._streams:
            raise Conflict(f"{len(self._streams)} streams are open, at most {self.limits.streams} may be, one a call")
        stream = self._streams[call.serial] = Stream(self, call)
        return stream

    def _refusal(self, call: Frame, entry: Entry | None) -> RemoteError | None:
        """Say why a call may not be made, if so."""
        if not self.authenticated and (call.program, call.procedure) not in _BEFORE_LOGIN:
            return errors.remote_error(RPC, FROM_RPC, "authentication required")
        if entry is None or entry.version != call.version:
            return _unknown(call)
        if not self.opened and (call.program, call.procedure) not in _BEFORE_OPEN:
            return errors.remote_error(1, FROM_RPC, "connection not open")
        if self.read_only and not entry.read_only:
            denied = f"read only access prevents {errors.api_name(entry.stub.name)}"
            return errors.remote_error(OPERATION_DENIED, FROM_QEMU, denied)
        return None

    async def _answer(self, call: Frame, entry: Entry, stream: Stream | None, args: tuple[Any, ...]) -> None:
        try:
            result = await entry.function(self, *args)
            self._reply(call, entry, result, stream)
        except Exception as fault:
            self._refuse(call, entry, stream, fault)
        finally:
            close_all(call.fds)

    def _reply(self, call: Frame, entry: Entry, result: Any, stream: Stream | None) -> None:
        if type(result) is WithFiles:
            self._reply_with_files(call, entry, result)
            return
        payload = result if type(result) is Encoded else entry.pack(result)
        if not self.opened and call.procedure == _OPEN and call.program == _REMOTE:
            self._open()
        if len(payload) > f.MESSAGE_MAX - f.HEADER_SIZE:
            error = errors.remote_error(
                RPC, FROM_RPC, f"the answer of {len(payload)} bytes is longer than a message may be"
            )
            self.send(error_frame(call, error))
            return
        self.send(reply_frame(call, payload))
        if stream is not None and not self.closed:
            stream.start()

    def _reply_with_files(self, call: Frame, entry: Entry, result: WithFiles) -> None:
        try:
            payload = entry.pack(result.result)
        except Exception:
            close_all(result.fds)
            raise
        if self.door.local:
            self.send_with(reply_with_descriptors(call, payload, len(result.fds)), result.fds)
            return
        close_all(result.fds)
        error = "descriptors travel on unix sockets only; connect on the host itself"
        self.send(error_frame(call, errors.remote_error(NO_SUPPORT, FROM_RPC, error)))

    def _refuse(self, call: Frame, entry: Entry, stream: Stream | None, fault: Exception) -> None:
        self.send(error_frame(call, errors.of_exception(fault, entry.stub.name)))
        if stream is not None:
            stream.close()

    def prove(self, user: str) -> None:
        """Believe that the client is that user."""
        self.authenticated = True
        self.peer = self.peer.called(user)

    def _open(self) -> None:
        self.opened = True
        self.server.opened(self)
        self._wire.limit = self.limits.message
        if self._timer is not None:
            self._timer.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.proceed()

    def _other(self, packet: Frame) -> None:
        if packet.type == f.EVENT:
            if packet.procedure == 1:
                self.send(PONG)
        elif packet.type in (f.STREAM, f.STREAM_HOLE):
            stream = self._streams.get(packet.serial)
            if stream is not None:
                stream.received(packet)
            elif packet.status != f.CONTINUE:
                self.send(stream_frame(packet, f.OK))

    def forget(self, stream: Stream, call: Frame) -> None:
        """Drop a stream that is over."""
        if self._streams.get(call.serial) is stream:
            del self._streams[call.serial]
        self.resume(stream)


def _withheld(entry: Entry, right: str) -> Denied:
    name = errors.api_name(entry.stub.name)
    return Denied(f"{name} with secure flag" if right.endswith("secure") else f"read only access prevents {name}")


def _weight(one: Frame) -> int:
    """Say what a message that waits stands for: bytes, and descriptors, of which there are few."""
    return len(one.payload) + 256 + _FD_WEIGHT * len(one.fds)


def _unknown(call: Frame) -> RemoteError:
    program = PROGRAMS.get(call.program)
    if program is None or program.version != call.version:
        return errors.remote_error(RPC, FROM_RPC, f"Cannot find program {call.program} version {call.version}")
    stub: Stub[..., Any] | None = program.stubs.get(call.procedure)
    if stub is None or stub.is_event:
        return errors.remote_error(RPC, FROM_RPC, f"unknown procedure: {call.procedure}")
    return errors.remote_error(NO_SUPPORT, 0, errors.api_name(stub.name))
