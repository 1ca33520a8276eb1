"""A socket on the event loop that carries open descriptors beside bytes, which asyncio's own transports lose.

The listeners make one for every connection of a unix or plain TCP socket; the session is its protocol. A descriptor
travels with one byte of its own; what came is handed to the protocol before the bytes it came with.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import os
import socket
import threading
from collections import deque
from typing import Any, Protocol

_CHUNK = 262_144
_BUFFERS = 64
"""Buffers given to the kernel at once."""
_WIDTH = array.array("i").itemsize
_ROOM = socket.CMSG_SPACE(32 * _WIDTH)
_CLOSED_BY_EXEC = int(socket.MSG_CMSG_CLOEXEC)
"""Room for the descriptors that may come with one read; the kernel closes what is beyond."""


_buffers = threading.local()
"""Where each thread's loop reads into; what came is copied out at once."""


def _buffer() -> memoryview[Any]:
    if not hasattr(_buffers, "view"):
        _buffers.view = memoryview(bytearray(_CHUNK))
    return _buffers.view  # type: ignore[no-any-return]


class Carried(Protocol):
    """What a transport asks of its protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...  # noqa: D102
    def connection_lost(self, exc: Exception | None) -> None: ...  # noqa: D102
    def data_received(self, data: bytes) -> None: ...  # noqa: D102
    def descriptors_received(self, fds: list[int]) -> None: ...  # noqa: D102
    def pause_writing(self) -> None: ...  # noqa: D102
    def resume_writing(self) -> None: ...  # noqa: D102


class SocketTransport(asyncio.Transport):
    """One connected socket; `descriptors` says whether descriptors can travel on it."""

    def __init__(self, sock: socket.socket, protocol: Carried, *, descriptors: bool) -> None:
        super().__init__({"socket": sock})
        self._loop = asyncio.get_running_loop()
        self._sock, self._protocol, self.descriptors = sock, protocol, descriptors
        self._fd = sock.fileno()
        self._buffers = (_buffer(),)
        self._waiting: deque[memoryview[Any] | int] = deque()
        self._size = 0
        self._high, self._low = 65_536, 16_384
        self._reading = self._closing = self._over = self._full = False
        self._paused = False

    def begin(self) -> None:
        """Tell the protocol, and read."""
        self._protocol.connection_made(self)
        if not self._closing and not self._paused:
            self._read_on()

    def _read_on(self) -> None:
        if not self._reading and not self._closing:
            self._loop.add_reader(self._fd, self._readable)
            self._reading = True

    def _read_off(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._fd)
            self._reading = False

    # Reading.

    def _readable(self) -> None:
        try:
            data = self._receive()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as fault:
            self._end(fault)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._read_off()
            self.close()

    def _receive(self) -> bytes:
        if not self.descriptors:
            return self._sock.recv(_CHUNK)
        size, ancillary, _, _ = self._sock.recvmsg_into(self._buffers, _ROOM, _CLOSED_BY_EXEC)
        data = bytes(self._buffers[0][:size])
        if ancillary:
            fds = array.array("i")
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(content[: len(content) - len(content) % _WIDTH])
            self._protocol.descriptors_received(list(fds))
        return data

    def pause_reading(self) -> None:
        """Leave what comes to the kernel's buffer."""
        self._paused = True
        self._read_off()

    def resume_reading(self) -> None:
        """Go on reading."""
        self._paused = False
        if not self._over:
            self._read_on()

    def is_reading(self) -> bool:
        """Say whether it reads."""
        return self._reading

    # Writing.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes, or keep them until the other side takes them."""
        if self._closing or not data:
            return
        rest = memoryview(data)
        if not self._waiting:
            try:
                sent = self._sock.send(rest)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as fault:
                self._end(fault)
                return
            if sent == len(rest):
                return
            rest = rest[sent:]
        self._keep(rest, len(rest))

    def write_descriptor(self, fd: int) -> None:
        """Send a descriptor after all that was written before; the transport closes it."""
        if self._closing or not self.descriptors:
            os.close(fd)
            return
        self._keep(fd, 1)
        self._writable()

    def _keep(self, item: memoryview[Any] | int, size: int) -> None:
        if not self._waiting:
            self._loop.add_writer(self._fd, self._writable)
        self._waiting.append(item)
        self._size += size
        if self._size > self._high and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def _writable(self) -> None:
        try:
            while self._waiting and not self._over:
                if not self._send_some():
                    break
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as fault:
            self._end(fault)
            return
        if not self._waiting and not self._over:
            self._loop.remove_writer(self._fd)
            if self._closing:
                self._end(None)
        if self._full and self._size <= self._low and not self._over:
            self._full = False
            self._protocol.resume_writing()

    def _send_some(self) -> bool:
        """Send the first descriptor or the first bytes; say whether more may be tried."""
        first = self._waiting[0]
        if isinstance(first, int):
            self._sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [first]))])
            self._waiting.popleft()
            self._size -= 1
            os.close(first)
            return True
        buffers: list[memoryview[Any]] = []
        for item in self._waiting:
            if isinstance(item, int) or len(buffers) == _BUFFERS:
                break
            buffers.append(item)
        wanted = sum(map(len, buffers))
        sent = self._sock.sendmsg(buffers)
        self._size -= sent
        left = sent
        while left:
            head = self._waiting.popleft()
            assert isinstance(head, memoryview)
            if left < len(head):
                self._waiting.appendleft(head[left:])
                break
            left -= len(head)
        return sent == wanted

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say how much may wait before the protocol is told to pause."""
        self._high = 65_536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Say how many bytes wait."""
        return self._size

    # The end.

    def is_closing(self) -> bool:
        """Say whether it is closed, or about to be."""
        return self._closing

    def close(self) -> None:
        """Send what waits, then close."""
        if self._closing:
            return
        self._read_off()
        self._closing = True
        if not self._waiting:
            self._end(None)

    def abort(self) -> None:
        """Close at once."""
        self._end(None)

    def _end(self, fault: Exception | None) -> None:
        if self._over:
            return
        self._read_off()
        self._over = self._closing = True
        self._loop.remove_writer(self._fd)
        for item in self._waiting:
            if isinstance(item, int):
                with contextlib.suppress(OSError):
                    os.close(item)
        self._waiting.clear()
        self._size = 0
        self._loop.call_soon(self._lost, fault)

    def _lost(self, fault: Exception | None) -> None:
        try:
            self._protocol.connection_lost(fault)
        finally:
            self._sock.close()
