"""Consoles: a guest's terminal as two flows of bytes, for one reader at a time.

The service opens one for a client's stream; a machine's `ptys` say where they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import tty
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from domicile.base.errors import Conflict, HostFailure
from domicile.qemu.launch import socket_address

_CHUNK = 65536
_Add = Callable[[int, Callable[[], None]], None]
_Remove = Callable[[int], bool]


class Console:
    """An open console. It ends when the machine ends, when it is closed, or when another one takes it by force."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()

    async def read(self) -> bytes:
        """Wait for what the guest writes; nothing at all means the end."""
        while not self._closed.is_set():
            try:
                data = os.read(self._fd, _CHUNK)
            except BlockingIOError:
                await self._ready(self._loop.add_reader, self._loop.remove_reader)
            except OSError:
                break  # a pseudo terminal says EIO when QEMU has gone
            else:
                if data:
                    return data
                break
        self.close()
        return b""

    async def write(self, data: bytes) -> None:
        """Send to the guest, waiting while it does not take it.

        Raises:
            HostFailure: the console has ended.
        """
        view = memoryview(data)
        while view:
            if self._closed.is_set():
                raise HostFailure(f"the console {self.path} has ended")
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await self._ready(self._loop.add_writer, self._loop.remove_writer)
            except OSError as error:
                self.close()
                raise HostFailure(f"the console {self.path} has ended: {error.strerror}") from error

    async def _ready(self, add: _Add, remove: _Remove) -> None:
        """Wait until the descriptor is ready in one direction, or the console is closed."""
        ready = asyncio.Event()
        add(self._fd, ready.set)
        fd = self._fd
        waiting = [asyncio.ensure_future(event.wait()) for event in (ready, self._closed)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            if self._fd == fd:
                remove(fd)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed.is_set()

    def close(self) -> None:
        """End it; the guest goes on."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        os.close(self._fd)
        self._fd = -1


class Consoles:
    """Which consoles are open; one serves a daemon."""

    def __init__(self) -> None:
        self._open: dict[str, Console] = {}

    def open(self, path: str, *, force: bool = False) -> Console:
        """Open a pseudo terminal or a unix socket for reading and writing.

        Raises:
            Conflict: somebody has it open; `force` ends theirs instead.
            HostFailure: it cannot be opened.
        """
        other = self._open.get(path)
        if other is not None and not other.closed:
            if not force:
                raise Conflict(f"the console {path} is in use by somebody else")
            other.close()
        console = self._open[path] = Console(path, _open(path))
        return console

    def close(self, path: str) -> None:
        """End a console if it is open."""
        console = self._open.pop(path, None)
        if console is not None:
            console.close()


def _open(path: str) -> int:
    try:
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            return _connect(Path(path))
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostFailure(f"the console {path} cannot be opened: {error.strerror}") from error
    with contextlib.suppress(OSError):  # not a terminal: nothing to make raw
        tty.setraw(fd)
    return fd


def _connect(path: Path) -> int:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    with ExitStack() as stack, sock:
        sock.connect(socket_address(path, stack))
        return sock.detach()
