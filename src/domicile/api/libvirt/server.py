"""The server of libvirt's protocol: listening sockets, the sessions on them, their limits.

The daemon makes one with the merged handlers and the service they work on, and tells it where to listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from domicile.api.libvirt.events import EventHub
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.session import Session
from domicile.base.errors import Conflict, HostFailure, InvalidRequest
from domicile.rpc import frame as f

log = structlog.get_logger(__name__)
C = TypeVar("C")
_PATH_MAX = 107
_TURNS_OF_ACCEPT = 5
"""Turns of the loop after which a connection just accepted has its session; asyncio loses it if the server closes before."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the server; sizes in bytes.

    `clients` in all and `unopened` among them; `requests` under way a client; `open_seconds` until a client must have
    opened; `message` at most, `unopened_message` before that; reading stops at `write_high` of unread answers, the
    client is dropped at `write_max`.
    """

    clients: int = 5000
    unopened: int = 1000
    requests: int = 20
    open_seconds: float = 30.0
    message: int = f.MESSAGE_MAX
    unopened_message: int = f.MESSAGE_MAX_UNOPENED
    write_high: int = 1_048_576
    write_max: int = 67_108_864


class Server(Generic[C]):
    """All listening sockets and sessions of one daemon."""

    def __init__(self, registry: Registry[C], context: C, limits: Limits | None = None) -> None:
        self.entries = registry.entries
        self.context = context
        self.limits = limits or Limits()
        self.sessions: set[Session[C]] = set()
        self.events = EventHub()
        self._listeners: list[tuple[asyncio.Server, Path]] = []
        self._closing: asyncio.Event | None = None

    async def listen(
        self, path: Path, *, mode: int = 0o600, group: str | int | None = None, read_only: bool = False
    ) -> None:
        """Listen on a unix socket with that mode and group; on a read-only one, only harmless calls are allowed.

        Raises: Conflict where another daemon listens there; HostFailure
        """
        sock = _bind(path, mode, group)
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Session(self, read_only=read_only), sock=sock, backlog=256)
        self._listeners.append((server, path))
        log.info("listening", path=str(path), read_only=read_only)

    def admit(self, session: Session[C]) -> bool:
        """Say whether there is room for one more client."""
        unopened = len(self.sessions) - self._opened() if len(self.sessions) >= self.limits.unopened else 0
        if len(self.sessions) >= self.limits.clients or unopened >= self.limits.unopened:
            log.warning("too many clients, refused", clients=len(self.sessions), pid=session.peer.pid)
            return False
        self.sessions.add(session)
        return True

    def _opened(self) -> int:
        return sum(session.opened for session in self.sessions)

    def dismiss(self, session: Session[C]) -> None:
        """Forget a client that is gone."""
        self.sessions.discard(session)
        self.events.drop(session)
        if self._closing is not None and not self.sessions:
            self._closing.set()

    async def _stop_listening(self) -> None:
        loop = asyncio.get_running_loop()
        for server, _ in self._listeners:
            for sock in server.sockets:
                loop.remove_reader(sock.fileno())
        for _ in range(_TURNS_OF_ACCEPT):
            await asyncio.sleep(0)
        for server, path in self._listeners:
            server.close()
            with contextlib.suppress(OSError):
                path.unlink()
        self._listeners.clear()

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, let the calls under way end within `grace` seconds, and close every connection."""
        await self._stop_listening()
        waits = [asyncio.ensure_future(session.finish()) for session in self.sessions]
        if waits:
            _, late = await asyncio.wait(waits, timeout=grace)
            for one in late:
                one.cancel()
        for session in list(self.sessions):
            session.close()
        self._closing = asyncio.Event()
        if self.sessions:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), grace)
        for session in list(self.sessions):
            session.abort()
        await asyncio.sleep(0)


def _bind(path: Path, mode: int, group: str | int | None) -> socket.socket:
    if len(os.fsencode(path)) > _PATH_MAX:
        raise InvalidRequest(f"the socket path {path} is longer than the {_PATH_MAX} bytes that a unix socket allows")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.bind(os.fspath(path))
        path.chmod(mode)
        if group is not None:
            os.chown(path, -1, grp.getgrnam(group).gr_gid if isinstance(group, str) else group)
    except (OSError, KeyError) as fault:
        sock.close()
        raise HostFailure(f"cannot listen on {path}: {fault}") from fault
    return sock


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
