"""Listening sockets: where they are bound, how connections are taken from them, how they vanish again.

The server opens one for each door. A listener rests while the server is full; who comes then waits in the kernel's queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from domicile.api.libvirt.door import Door
from domicile.api.libvirt.link import Link
from domicile.api.libvirt.transport import SocketTransport
from domicile.base import tasks
from domicile.base.errors import Conflict, HostFailure, InvalidRequest

log = structlog.get_logger(__name__)
_PATH_MAX = 107
_BURST = 64
"""Connections taken in one turn of the loop."""
_BREATH = 1.0
"""Seconds to wait where the host has no descriptors left."""
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
HANDSHAKE_SECONDS = 20.0
_FAREWELL_SECONDS = 2.0


class Listener:
    """One listening socket; `enter` makes the protocol of a connection, `full` says that no more can be taken.

    At most `most` clients of TLS shake hands at a time; of more, the one that began first goes.
    """

    def __init__(
        self,
        sock: socket.socket,
        door: Door,
        enter: Callable[[Door], Link[Any]],
        full: Callable[[], bool],
        most: int,
    ) -> None:
        self.door, self._sock, self._enter, self._full, self._most = door, sock, enter, full, most
        self._loop = asyncio.get_running_loop()
        self._place = _place(sock)
        self._listening = self._closed = False
        self.handshakes: dict[asyncio.Task[Any], None] = {}

    @property
    def port(self) -> int:
        """The TCP port, 0 for a unix socket."""
        return 0 if self._sock.family == socket.AF_UNIX else int(self._sock.getsockname()[1])

    def go_on(self) -> None:
        """Take connections."""
        if not self._listening and not self._closed and not self._full():
            self._loop.add_reader(self._sock.fileno(), self._accept)
            self._listening = True

    def rest(self) -> None:
        """Take none for now."""
        if self._listening:
            self._loop.remove_reader(self._sock.fileno())
            self._listening = False

    def _accept(self) -> None:
        for _ in range(_BURST):
            if self._full():
                self.rest()
                return
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as fault:
                if fault.errno not in _SHORT:
                    raise
                log.warning("no connection can be taken for now", why=fault.strerror, door=self.door.name)
                self.rest()
                self._loop.call_later(_BREATH, self.go_on)
                return
            sock.setblocking(False)
            self._begin(sock)

    def _begin(self, sock: socket.socket) -> None:
        if not self.door.local:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.door.tls is None:
            SocketTransport(sock, self._enter(self.door), descriptors=self.door.local).begin()
            return
        task = tasks.spawn(f"handshake at {self.door.name}", self._handshake(sock))
        self.handshakes[task] = None
        task.add_done_callback(lambda task: self._shaken(task, sock))
        if len(self.handshakes) > self._most:
            oldest = next(iter(self.handshakes))
            self.handshakes.pop(oldest)
            oldest.cancel()

    def _shaken(self, task: asyncio.Task[Any], sock: socket.socket) -> None:
        self.handshakes.pop(task, None)
        if task.cancelled():  # perhaps before it began
            sock.close()

    async def _handshake(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._enter(self.door),
                sock,
                ssl=self.door.tls,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_FAREWELL_SECONDS,
            )
        except OSError as fault:  # ssl.SSLError is one of them
            log.info("handshake failed", door=self.door.name, why=str(fault))
            sock.close()

    def close(self) -> None:
        """Stop listening, and take the socket's file away unless another program has put its own there."""
        self.rest()
        self._closed = True
        for task in self.handshakes:
            task.cancel()
        if self._place is not None and self._place == _place(self._sock):
            with contextlib.suppress(OSError):
                Path(self._sock.getsockname()).unlink()
        self._sock.close()


def _place(sock: socket.socket) -> tuple[int, int] | None:
    """Say which file a unix socket is."""
    if sock.family != socket.AF_UNIX:
        return None
    try:
        found = os.stat(sock.getsockname())  # noqa: PTH116   a name as the kernel has it
    except OSError:
        return None
    return found.st_dev, found.st_ino


def bind_unix(path: Path, mode: int, group: str | int | None, backlog: int) -> socket.socket:
    """Bind and listen; a socket that nobody serves any more is replaced.

    Raises: Conflict where somebody serves it; HostFailure; InvalidRequest
    """
    if len(os.fsencode(path)) > _PATH_MAX:
        raise InvalidRequest(f"the socket path {path} is longer than the {_PATH_MAX} bytes that a unix socket allows")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(os.fspath(path))
        path.chmod(mode)
        if group is not None:
            os.chown(path, -1, grp.getgrnam(group).gr_gid if isinstance(group, str) else group)
        sock.listen(backlog)
    except (OSError, KeyError) as fault:
        sock.close()
        raise HostFailure(f"cannot listen on {path}: {fault}") from fault
    return sock


def bind_tcp(address: str, port: int, backlog: int) -> list[socket.socket]:
    """Bind and listen at every address that a name stands for; empty means all addresses of the host.

    Raises: HostFailure
    """
    socks: list[socket.socket] = []
    try:
        for family, kind, proto, _, where in socket.getaddrinfo(
            address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, proto)
            socks.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(where)
            sock.listen(backlog)
    except OSError as fault:
        for sock in socks:
            sock.close()
        raise HostFailure(f"cannot listen on {address or '*'}:{port}: {fault.strerror or fault}") from fault
    return socks


def _remove_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError as fault:
            if fault.errno == errno.ECONNREFUSED:
                path.unlink(missing_ok=True)
            return
    raise Conflict(f"another daemon already listens on {path}")
