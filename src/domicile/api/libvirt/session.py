"""One client of the server: its calls are dispatched, its replies batched, its pace kept.

The server makes a session a connection; handlers get it as their first argument, for who asks (`peer`, `read_only`),
for what they need (`context`), and to send events. Plain handlers answer within the same read; coroutine handlers run
as tasks, at most `Limits.requests` at a time, after which the client is not read until one of them ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import structlog

from domicile.api.libvirt import errors
from domicile.api.libvirt.peer import Peer, peer_of
from domicile.api.libvirt.registry import Entry
from domicile.api.libvirt.stream import Stream
from domicile.base import tasks
from domicile.base.errors import FROM_QEMU, FROM_RPC, NO_SUPPORT, OPERATION_DENIED, RPC
from domicile.rpc import frame as f
from domicile.rpc.call import Encoded, Stub
from domicile.rpc.calls import PROGRAMS
from domicile.rpc.connection import PONG, ServerConnection, error_frame, reply_frame, stream_frame
from domicile.rpc.frame import Frame
from domicile.rpc.types import RemoteError
from domicile.rpc.xdr import ProtocolError

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server

log = structlog.get_logger(__name__)
C = TypeVar("C")
_REMOTE, _OPEN = 0x20008086, 1
_TURN = 256
"""Calls answered in one turn of the loop before other clients have theirs."""
_FLUSH = 131_072
"""Bytes of answers gathered before they are written within a turn."""
_BEFORE_OPEN = frozenset((_REMOTE, number) for number in (_OPEN, 2, 60, 66, 67, 68, 69, 70))


class Session(asyncio.Protocol, Generic[C]):
    """One client's connection."""

    def __init__(self, server: Server[C], *, read_only: bool) -> None:
        self.server, self.context, self.limits = server, server.context, server.limits
        self.read_only, self.opened, self.closed = read_only, False, False
        self.peer = Peer()
        self._entries = server.entries
        self._wire = ServerConnection(self.limits.unopened_message)
        self._out: list[bytes] | None = None
        self._out_size = 0
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: deque[Frame] = deque()
        self._streams: dict[int, Stream] = {}
        self._paused: set[object] = set()
        self._drained: list[asyncio.Future[None]] = []
        self._writable = True
        self._timer: asyncio.TimerHandle | None = None
        self._after: list[Callable[[], object]] = []

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: note who it is, and give it time to open."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self.limits.write_high)
        self.peer = peer_of(transport.get_extra_info("socket"))
        if not self.server.admit(self):
            self.closed = True
            self._transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(self.limits.open_seconds, self._open_late)

    def _open_late(self) -> None:
        log.info("client never opened", pid=self.peer.pid)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End: streams are aborted, calls under way go on to their end unheard."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for stream in list(self._streams.values()):
            stream.abort()
        self._waiting.clear()
        self._wake()
        self.server.dismiss(self)
        actions, self._after = self._after, []
        for action in actions:
            action()

    def data_received(self, data: bytes) -> None:
        """Dispatch what the bytes complete; all answers that are ready leave in one write."""
        try:
            frames = self._wire.receive(data)
        except ProtocolError as fault:
            log.info("client dropped", pid=self.peer.pid, why=fault.message)
            self.abort()
            return
        if self._waiting:
            self._waiting.extend(frames)
        else:
            self._batch(frames)

    def _batch(self, frames: list[Frame]) -> None:
        out: list[bytes] = []
        self._out = out
        for index, one in enumerate(frames):
            if index == _TURN or len(self._running) >= self.limits.requests or not self._writable:
                self._waiting.extend(frames[index:])
                self.pause(self)
                if index == _TURN:
                    asyncio.get_running_loop().call_soon(self._go_on)
                break
            self._dispatch(one)
            if self._out_size > _FLUSH:
                self._flush(out)
            if self.closed:
                break
        self._out = None
        self._flush(out)

    def _flush(self, out: list[bytes]) -> None:
        if out and not self.closed:
            self._write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()
        self._out_size = 0

    # Calls.

    def _dispatch(self, call: Frame) -> None:
        kind = call.type
        if kind != f.CALL:
            self._other(call)
            return
        entry = self._entries.get((call.program, call.procedure))
        if entry is None or entry.version != call.version:
            self.send(error_frame(call, _unknown(call)))
            return
        if not self.opened and (call.program, call.procedure) not in _BEFORE_OPEN:
            self.send(error_frame(call, errors.remote_error(1, FROM_RPC, "connection not open")))
            return
        if self.read_only and not entry.read_only:
            denied = f"read only access prevents {errors.api_name(entry.stub.name)}"
            self.send(error_frame(call, errors.remote_error(OPERATION_DENIED, FROM_QEMU, denied)))
            return
        stream: Stream | None = None
        try:
            args = entry.unpack(call.payload)
            if entry.streams:
                stream = self._streams[call.serial] = Stream(self, call)
                args = (stream, *args)
            if entry.awaits:
                task = tasks.spawn(entry.stub.name, self._answer(call, entry, stream, args))
                self._running.add(task)
                task.add_done_callback(self._ended)
                return
            result = entry.function(self, *args)
            payload = result if type(result) is Encoded else entry.pack(result)
        except Exception as fault:
            self._refuse(call, entry, stream, fault)
            return
        self._reply(call, payload, stream)

    async def _answer(self, call: Frame, entry: Entry, stream: Stream | None, args: tuple[Any, ...]) -> None:
        try:
            result = await entry.function(self, *args)
            payload = result if type(result) is Encoded else entry.pack(result)
        except Exception as fault:
            self._refuse(call, entry, stream, fault)
        else:
            self._reply(call, payload, stream)

    def _reply(self, call: Frame, payload: bytes, stream: Stream | None) -> None:
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

    def _refuse(self, call: Frame, entry: Entry, stream: Stream | None, fault: Exception) -> None:
        self.send(error_frame(call, errors.of_exception(fault, entry.stub.name)))
        if stream is not None:
            stream.close()

    def _open(self) -> None:
        self.opened = True
        self._wire.limit = self.limits.message
        if self._timer is not None:
            self._timer.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self.closed and self._writable and len(self._running) < self.limits.requests:
            frames = list(self._waiting)
            self._waiting.clear()
            self._batch(frames)
        if not self._waiting:
            self.resume(self)

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
        else:
            error = errors.remote_error(RPC, FROM_RPC, "file descriptors cannot be passed on this connection")
            self.send(error_frame(packet, error))

    # Sending, and pace.

    def send(self, data: bytes) -> None:
        """Send a whole message; within a read it joins that read's answers."""
        if self._out is not None:
            self._out.append(data)
            self._out_size += len(data)
        elif not self.closed:
            self._write(data)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        transport.write(data)
        if not self._writable and transport.get_write_buffer_size() > self.limits.write_max:
            log.warning("client does not read its answers, dropped", pid=self.peer.pid)
            self.abort()

    async def drain(self) -> None:
        """Wait until the client takes in more."""
        if not self._writable and not self.closed:
            waiter = asyncio.get_running_loop().create_future()
            self._drained.append(waiter)
            await waiter

    def pause_writing(self) -> None:
        """Stop reading a client that does not read."""
        self._writable = False
        self.pause("writing")

    def resume_writing(self) -> None:
        """Go on where it was left."""
        self._writable = True
        self._wake()
        self.resume("writing")
        self._go_on()

    def _wake(self) -> None:
        waiters, self._drained = self._drained, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def pause(self, reason: object) -> None:
        """Stop reading from the client for a reason."""
        if not self._paused and not self.closed:
            self._transport.pause_reading()
        self._paused.add(reason)

    def resume(self, reason: object) -> None:
        """Drop a reason; with the last one gone, reading goes on."""
        if reason in self._paused:
            self._paused.discard(reason)
            if not self._paused and not self.closed:
                self._transport.resume_reading()

    def forget(self, stream: Stream, call: Frame) -> None:
        """Drop a stream that is over."""
        if self._streams.get(call.serial) is stream:
            del self._streams[call.serial]
        self.resume(stream)

    def close(self) -> None:
        """Send what is waiting and close."""
        if not self.closed:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def on_close(self, action: Callable[[], object]) -> None:
        """Call `action` once the client is gone; at once if it is gone already."""
        if self.closed:
            action()
        else:
            self._after.append(action)

    async def finish(self) -> None:
        """Wait for the calls under way."""
        if self._running:
            await asyncio.wait(self._running)


def _unknown(call: Frame) -> RemoteError:
    program = PROGRAMS.get(call.program)
    if program is None or program.version != call.version:
        return errors.remote_error(RPC, FROM_RPC, f"Cannot find program {call.program} version {call.version}")
    stub: Stub[..., Any] | None = program.stubs.get(call.procedure)
    if stub is None or stub.is_event:
        return errors.remote_error(RPC, FROM_RPC, f"unknown procedure: {call.procedure}")
    return errors.remote_error(NO_SUPPORT, 0, errors.api_name(stub.name))
