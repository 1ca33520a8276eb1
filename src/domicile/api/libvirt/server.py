"""The server of libvirt's protocol: its doors, the sessions that came through them, their limits.

The daemon makes one with the merged handlers and the service they work on, and tells it where to listen.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import structlog

from domicile.api.libvirt.door import Auth, Door
from domicile.api.libvirt.events import EventHub
from domicile.api.libvirt.link import Link
from domicile.api.libvirt.listener import Listener, bind_tcp, bind_unix
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.sasl import Users
from domicile.api.libvirt.session import Session
from domicile.base import tasks
from domicile.rpc import frame as f

if TYPE_CHECKING:
    import socket
    import ssl

log = structlog.get_logger(__name__)
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the server; sizes in bytes, times in seconds.

    `clients` in all: who comes beyond waits in the kernel's queue of `queued`. `unopened` among them: where there are
    more, the one that waits longest goes. `requests` under way and `streams` open a client; `open_seconds` until a client
    must have opened, `message_seconds` until a message that has begun must be whole; `message` at most,
    `unopened_message` before that; reading stops at `write_high` of unread answers, the client is dropped at `write_max`.
    A client that is silent for `keepalive_interval` is asked whether it is there, and dropped after `keepalive_count`
    questions without an answer; 0 never asks.
    """

    clients: int = 5000
    unopened: int = 1000
    queued: int = 1000
    requests: int = 20
    streams: int = 256
    open_seconds: float = 60.0
    message_seconds: float = 60.0
    message: int = f.MESSAGE_MAX
    unopened_message: int = f.MESSAGE_MAX_UNOPENED
    write_high: int = 1_048_576
    write_max: int = 67_108_864
    keepalive_interval: float = 5.0
    keepalive_count: int = 5


class Server(Generic[C]):
    """All listening sockets and sessions of one daemon."""

    def __init__(
        self, registry: Registry[C], context: C, limits: Limits | None = None, users: Users | None = None
    ) -> None:
        self.entries = registry.entries
        self.context = context
        self.limits = limits or Limits()
        self.users = users
        self.sessions: set[Session[C]] = set()
        self.events = EventHub()
        self._unopened: dict[Session[C], None] = {}
        self._listeners: list[Listener] = []
        self._closing: asyncio.Event | None = None
        self._watch: asyncio.Task[None] | None = None
        self._after: list[Callable[[], object]] = []

    # Doors.

    async def listen(
        self,
        path: Path,
        *,
        mode: int = 0o600,
        group: str | int | None = None,
        read_only: bool = False,
        auth: Auth = "none",
    ) -> None:
        """Listen on a unix socket with that mode and group; on a read-only one, only harmless calls are allowed.

        Raises: Conflict where another daemon listens there; HostFailure
        """
        door = Door(str(path), read_only=read_only, auth=auth)
        self._open(bind_unix(path, mode, group, self.limits.queued), door)

    async def listen_tcp(self, address: str, port: int, door: Door) -> int:
        """Listen on a TCP port, 0 for any; return the port.

        Raises: HostFailure
        """
        socks = bind_tcp(address, port, self.limits.queued)
        for sock in socks:
            self._open(sock, door)
        return self._listeners[-1].port

    def _open(self, sock: socket.socket, door: Door) -> None:
        listener = Listener(sock, door, lambda door: Session(self, door), self._full, self.limits.unopened)
        self._listeners.append(listener)
        listener.go_on()
        if self._watch is None:
            self._watch = tasks.spawn("watch over clients", self._look_after())
        log.info("listening", door=door.name, read_only=door.read_only, auth=door.auth, tls=door.tls is not None)

    def renew(self, tls: ssl.SSLContext) -> None:
        """Show other certificates to the clients of TLS to come."""
        for listener in self._listeners:
            if listener.door.tls is not None:
                listener.door = replace(listener.door, tls=tls)

    def _full(self) -> bool:
        shaking = sum(len(listener.handshakes) for listener in self._listeners)
        return len(self.sessions) + shaking >= self.limits.clients

    # Clients.

    def admit(self, link: Link[C]) -> bool:
        """Take a client in; of too many that have not opened, the one that came first has to go."""
        session = cast(Session[C], link)
        if len(self.sessions) >= self.limits.clients:
            return False
        self.sessions.add(session)
        self._unopened[session] = None
        if len(self._unopened) > self.limits.unopened:
            oldest = next(iter(self._unopened))
            del self._unopened[oldest]
            oldest.drop("too many clients have not opened")
        return True

    def opened(self, session: Session[C]) -> None:
        """Count a client as one that has proved itself."""
        self._unopened.pop(session, None)

    def dismiss(self, link: Link[C]) -> None:
        """Forget a client that is gone; another may come."""
        session = cast(Session[C], link)
        self.sessions.discard(session)
        self._unopened.pop(session, None)
        self.events.drop(session)
        if self._closing is not None:
            if not self.sessions:
                self._closing.set()
            return
        for listener in self._listeners:
            listener.go_on()

    async def _look_after(self) -> None:
        limits, loop = self.limits, asyncio.get_running_loop()
        times = [1.0, limits.message_seconds / 4]
        if limits.keepalive_interval > 0:
            times.append(limits.keepalive_interval / 4)
        while True:
            await asyncio.sleep(min(times))
            now = loop.time()
            for session in list(self.sessions):
                session.look_after(now)

    @property
    def quiet(self) -> float:
        """For how many seconds no client sent anything."""
        last = max((session.heard for session in self.sessions), default=0.0)
        return asyncio.get_running_loop().time() - last

    # The end.

    def on_close(self, action: Callable[[], object]) -> None:
        """Call `action` once nobody listens any more."""
        self._after.append(action)

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, let the calls under way end within `grace` seconds, and close every connection."""
        self._closing = asyncio.Event()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for action in self._after:
            action()
        if self._watch is not None:
            self._watch.cancel()
        waits = [asyncio.ensure_future(session.finish()) for session in self.sessions]
        if waits:
            _, late = await asyncio.wait(waits, timeout=grace)
            for one in late:
                one.cancel()
        for session in list(self.sessions):
            session.close()
        if self.sessions:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), grace)
        for session in list(self.sessions):
            session.abort()
        await asyncio.sleep(0)
