"""One client's connection without its calls: who it is, the pace of reading and writing, and whether it still lives.

`session` puts the calls on top. The server looks after every link once in a while (`look_after`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import structlog

from domicile.api.libvirt.door import Door, distinguished_name
from domicile.api.libvirt.peer import Peer, peer_of
from domicile.api.libvirt.transport import SocketTransport
from domicile.rpc.connection import PING, ServerConnection
from domicile.rpc.frame import Frame
from domicile.rpc.xdr import ProtocolError

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server

log = structlog.get_logger(__name__)
C = TypeVar("C")
_ADMITTED = b"\1"
"""What a client of TLS is told, inside the encryption, once its certificate was found good."""


class Link(asyncio.Protocol, Generic[C]):
    """A connection that keeps its client's pace."""

    __slots__ = (
        "_after",
        "_drained",
        "_half",
        "_heard",
        "_loop",
        "_out",
        "_out_size",
        "_paused",
        "_pings",
        "_rest",
        "_stuck",
        "_timer",
        "_transport",
        "_wire",
        "_writable",
        "closed",
        "context",
        "door",
        "keepalive",
        "limits",
        "peer",
        "server",
    )

    def __init__(self, server: Server[C], door: Door) -> None:
        self.server, self.context, self.limits, self.door = server, server.context, server.limits, door
        self.closed = False
        self.keepalive = False
        self.peer = Peer()
        self._wire = ServerConnection(self.limits.unopened_message)
        self._rest = self._wire.rest
        self._out: list[bytes] | None = None
        self._out_size = 0
        self._paused: set[object] = set()
        self._drained: list[asyncio.Future[None]] = []
        self._writable = True
        self._timer: asyncio.TimerHandle | None = None
        self._after: list[Callable[[], object]] = []
        self._loop = asyncio.get_running_loop()
        self._heard = self._half = 0.0
        self._pings = self._stuck = 0

    # For the session on top.

    def take(self, frames: list[Frame]) -> None:
        """Work on messages that came."""
        raise NotImplementedError

    def proceed(self) -> None:
        """Go on with the messages that had to wait."""
        raise NotImplementedError

    def ended(self) -> None:
        """Clean up: the client is gone."""
        raise NotImplementedError

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: note who it is, and give it time to open."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self.limits.write_high)
        self.peer = peer_of(transport.get_extra_info("socket"))
        self._heard = self._loop.time()
        if not self._certified() or not self.server.admit(self):
            self.closed = True
            self._transport.abort()
            return
        self._timer = self._loop.call_later(self.limits.open_seconds, self._open_late)

    def _certified(self) -> bool:
        """Judge the certificate of a client of TLS, and tell it."""
        if self.door.tls is None:
            return True
        certificate = self._transport.get_extra_info("peercert")
        name = distinguished_name(certificate)
        if certificate:
            self.peer = self.peer.called(name)
        if not self.door.admits(name):
            log.warning("certificate not on the list, refused", name=name, address=self.peer.address)
            return False
        self._transport.write(_ADMITTED)
        return True

    def _open_late(self) -> None:
        self.drop("it never opened")

    def connection_lost(self, exc: Exception | None) -> None:
        """End: streams are aborted, calls under way go on to their end unheard."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        self.ended()
        close_all(self._wire.unclaimed())
        self._wake()
        self.server.dismiss(self)
        actions, self._after = self._after, []
        for action in actions:
            action()

    def descriptors_received(self, fds: list[int]) -> None:
        """Take descriptors; the bytes they came with follow."""
        self._wire.descriptors(fds)

    def data_received(self, data: bytes) -> None:
        """Cut the bytes into messages."""
        self._heard, self._pings = self._loop.time(), 0
        try:
            frames = self._wire.receive(data)
        except ProtocolError as fault:
            self.drop(fault.message)
            return
        if not self._rest:
            self._half = 0.0
        elif frames or not self._half:
            self._half = self._heard
        self.take(frames)

    # Is it still there?

    @property
    def heard(self) -> float:
        """When, by the loop's clock, the client last sent anything."""
        return self._heard

    def look_after(self, now: float) -> None:
        """Drop a client that left a message half sent, or that answers no pings."""
        if self.closed:
            return
        if self._half and self._paused:
            self._half = now
        if self._half and now - self._half > self.limits.message_seconds:
            self.drop("it left a message half sent")
        elif self.keepalive and self.limits.keepalive_interval > 0:
            self._keep_alive(now)

    def _keep_alive(self, now: float) -> None:
        waiting = self._transport.get_write_buffer_size()
        if (self._paused and self._writable) or waiting < self._stuck:
            self._heard, self._pings = now, 0  # we don't listen by our own choice, or it takes what we send
        self._stuck = waiting
        if now - self._heard < self.limits.keepalive_interval * (self._pings + 1):
            return
        if self._pings >= self.limits.keepalive_count:
            self.drop("it answers no more")
            return
        self._pings += 1
        self.send(PING)

    def drop(self, why: str) -> None:
        """Part with a client."""
        log.info("client dropped", pid=self.peer.pid, address=self.peer.address, why=why)
        self.abort()

    # Sending, and pace.

    def send(self, data: bytes) -> None:
        """Send a whole message; within a read it joins that read's answers."""
        if self._out is not None:
            self._out.append(data)
            self._out_size += len(data)
        elif not self.closed:
            self._write(data)

    def send_with(self, data: bytes, fds: tuple[int, ...]) -> None:
        """Send a message and the descriptors that belong to it; they are closed here."""
        if self._out:
            self._flush(self._out)
        if self.closed or not isinstance(self._transport, SocketTransport):
            close_all(fds)
            return
        self._write(data)
        for fd in fds:
            self._transport.write_descriptor(fd)

    def _flush(self, out: list[bytes]) -> None:
        if out and not self.closed:
            self._write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()
        self._out_size = 0

    def _write(self, data: bytes) -> None:
        transport = self._transport
        transport.write(data)
        if not self._writable and transport.get_write_buffer_size() > self.limits.write_max:
            log.warning("client does not read its answers, dropped", pid=self.peer.pid, address=self.peer.address)
            self.abort()

    async def drain(self) -> None:
        """Wait until the client takes in more."""
        if not self._writable and not self.closed:
            waiter = self._loop.create_future()
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
        self.proceed()

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

    # The end.

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


def close_all(fds: list[int] | tuple[int, ...]) -> None:
    """Close descriptors."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
