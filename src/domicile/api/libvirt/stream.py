"""A stream between a handler and its client: a console, a download, an upload.

The session makes one for every call that opens a stream and hands it to the handler, which says who serves it:

    @handlers.handle_stream(domain_open_console)
    async def open_console(conn, stream, dom, device, flags):
        pty = await conn.context.open_console(dom.uuid, device)
        stream.serve(pump(stream, pty))      # runs once the client has its reply
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
from domicile.rpc.connection import error_frame, stream_frame
from domicile.rpc.frame import Frame

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session

INCOMING_MAX = 1_048_576


class StreamAborted(DomicileError):
    """The client aborted the stream, or is gone."""

    code, domain, status = INVALID_STREAM, FROM_RPC, 499


class Stream:
    """One open stream; `read` and `write` wait for the client's pace."""

    def __init__(self, session: Session[Any], call: Frame) -> None:
        self._session, self._call = session, call
        self._incoming: deque[bytes] = deque()
        self._held = 0
        self._ended = self._aborted = self._done = False
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

    async def read(self) -> bytes:
        """Wait for data; empty once the client has finished.

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
        self._held -= len(data)
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
            self._fail(StreamAborted("holes are not understood on this stream"))
            self.abort()
        elif packet.status == f.CONTINUE:
            if packet.payload and not self._done:
                self._incoming.append(packet.payload)
                self._held += len(packet.payload)
                self._readable.set()
                if self._held > INCOMING_MAX:
                    self._session.pause(self)
        elif packet.status == f.OK:
            self._ended = True
            self._readable.set()
            if self._done:
                self._finish()
        else:
            self._session.send(stream_frame(self._call, f.OK))
            self.abort()

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
