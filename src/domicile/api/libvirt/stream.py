"""A stream between a handler and its client: a console, a download, an upload.

The session makes one for every call that opens a stream and hands it to the handler, which says who serves it:

    @handlers.handle_stream(domain_open_console)
    async def open_console(conn, stream, dom, device, flags):
        pty = await conn.context.open_console(dom.uuid, device)
        stream.serve(pump(stream, pty))      # runs once the client has its reply

Where the call's flags ask for a sparse stream, the handler says `stream.sparse()`: runs of zeros then travel as holes,
which `read_part` gives and `write_hole` takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from domicile.api.libvirt import errors
from domicile.base import tasks
from domicile.base.errors import FROM_RPC, INVALID_STREAM, DomicileError
from domicile.rpc import frame as f
from domicile.rpc.connection import error_frame, hole_frame, stream_frame, unpack_hole
from domicile.rpc.frame import Frame
from domicile.rpc.records import Hole
from domicile.rpc.xdr import ProtocolError

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session

INCOMING_MAX = 1_048_576
_PART_WEIGHT = 96
"""Bytes of memory that a part takes beside its data."""


class StreamAborted(DomicileError):
    """The client aborted the stream, or is gone."""

    code, domain, status = INVALID_STREAM, FROM_RPC, 499


class Stream:
    """One open stream; `read` and `write` wait for the client's pace."""

    def __init__(self, session: Session[Any], call: Frame) -> None:
        self._session, self._call = session, call
        self._incoming: deque[bytes | Hole] = deque()
        self._held = 0
        self._ended = self._aborted = self._done = self._sparse = False
        self._readable: asyncio.Event = asyncio.Event()
        self._pump: Coroutine[Any, Any, None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._after: list[Callable[[], object]] = []

    def serve(self, pump: Coroutine[Any, Any, None]) -> None:
        """Let `pump` carry the data; its return ends the stream, its error goes to the client."""
        self._pump = pump

    def on_close(self, action: Callable[[], object]) -> None:
        """Call `action` when the stream is over, however it ended."""
        self._after.append(action)

    def sparse(self) -> None:
        """Let holes travel on it."""
        self._sparse = True

    async def read(self) -> bytes:
        """Wait for data; empty once the client has finished. For streams that are not sparse.

        Raises: StreamAborted
        """
        part = await self.read_part()
        if not isinstance(part, bytes):
            raise StreamAborted(f"a hole of {part.length} bytes where only data can be")
        return part

    async def read_part(self) -> bytes | Hole:
        """Wait for data or a hole; empty data once the client has finished.

        Raises: StreamAborted
        """
        while not self._incoming:
            if self._aborted:
                raise StreamAborted("the client aborted the stream")
            if self._ended:
                return b""
            self._readable.clear()
            await self._readable.wait()
        data = self._incoming.popleft()
        self._held -= _weight(data)
        if self._held <= INCOMING_MAX // 2:
            self._session.resume(self)
        return data

    async def write(self, data: bytes) -> None:
        """Send data, in packets no longer than libvirt's; waits while the client is slow.

        Raises: StreamAborted
        """
        for start in range(0, len(data), f.STREAM_CHUNK):
            if self._aborted or self._session.closed:
                raise StreamAborted("the client is gone")
            self._session.send(stream_frame(self._call, f.CONTINUE, data[start : start + f.STREAM_CHUNK]))
            await self._session.drain()

    async def write_hole(self, length: int) -> None:
        """Send a run of zeros as a hole; the stream must be sparse.

        Raises: StreamAborted
        """
        if self._aborted or self._session.closed:
            raise StreamAborted("the client is gone")
        self._session.send(hole_frame(self._call, length))
        await self._session.drain()

    # For the session.

    def start(self) -> None:
        """Begin serving: the client has its reply."""
        pump, self._pump = self._pump, None
        if pump is None:
            self._finish()
        else:
            self._task = tasks.spawn(f"stream {self._call.procedure}/{self._call.serial}", self._run(pump))

    async def _run(self, pump: Coroutine[Any, Any, None]) -> None:
        try:
            await pump
        except StreamAborted:
            self.close()
        except Exception as fault:
            self._fail(fault)
        else:
            self._finish()

    def _fail(self, fault: Exception) -> None:
        error = errors.of_exception(fault, "stream")
        self._session.send(error_frame(self._call._replace(type=f.STREAM), error))
        self.close()

    def _finish(self) -> None:
        self._done = True
        if self._ended:
            self._session.send(stream_frame(self._call, f.OK))
            self.close()
        else:
            self._session.send(stream_frame(self._call, f.CONTINUE))

    def received(self, packet: Frame) -> None:
        """Take a packet from the client."""
        if packet.type == f.STREAM_HOLE:
            self._received_hole(packet.payload)
        elif packet.status == f.CONTINUE:
            if packet.payload and not self._done:
                self._keep(packet.payload)
        elif packet.status == f.OK:
            self._ended = True
            self._readable.set()
            if self._done:
                self._finish()
        else:
            self._session.send(stream_frame(self._call, f.OK))
            self.abort()

    def _received_hole(self, payload: bytes) -> None:
        try:
            hole = unpack_hole(payload)
        except ProtocolError as fault:
            hole, why = None, fault.message
        else:
            why = f"a hole of {hole.length} bytes with the flags {hole.flags:#x}; lengths are positive, flags 0"
        if not self._sparse:
            why = "holes are not understood on this stream"
        elif hole is not None and hole.length >= 0 and not hole.flags:
            if not self._done:
                self._keep(hole)
            return
        self._fail(StreamAborted(why))
        self.abort()

    def _keep(self, part: bytes | Hole) -> None:
        self._incoming.append(part)
        self._held += _weight(part)
        self._readable.set()
        if self._held > INCOMING_MAX:
            self._session.pause(self)

    def abort(self) -> None:
        """End it at once: the client wants no more, or is gone."""
        self._aborted = True
        self._readable.set()
        if self._task is not None:
            self._task.cancel()
        self.close()

    def close(self) -> None:
        """Forget it."""
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        self._session.forget(self, self._call)
        actions, self._after = self._after, []
        for action in actions:
            action()


def _weight(part: bytes | Hole) -> int:
    """Say how many bytes of memory a part that waits stands for."""
    return _PART_WEIGHT + (len(part) if isinstance(part, bytes) else 0)
