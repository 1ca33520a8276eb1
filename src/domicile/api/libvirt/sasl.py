"""Logging in by name and password: who may, and the calls by which a client does it (SASL with SCRAM-SHA-256).

`wire` registers the calls; the daemon gives the server its users. See docs/adr/0014.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from domicile.api.libvirt.registry import Registry
from domicile.base.errors import HostFailure, InvalidRequest
from domicile.rpc.calls import connect
from domicile.rpc.scram import MECHANISM, Exchange, LoginFailed, Verifier, prepare

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session

log = structlog.get_logger(__name__)
C = TypeVar("C")
# Source: libvirt's remote_auth_type.
BY_NOTHING, BY_SASL = 0, 1
FAILURES = 3
"""Failed logins after which a client has to connect anew."""
_PENALTY = 1.0
"""Seconds that a failed login takes."""


class Users:
    """The file of users and their passwords' verifiers, one `name:verifier` a line; read whenever it has changed."""

    def __init__(self, path: Path, allowed: tuple[str, ...] = ()) -> None:
        self.path, self._allowed = path, allowed
        self._secret = os.urandom(32)
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, Verifier] = {}

    def verifier(self, user: str) -> Verifier:
        """Give what is kept of a user's password; for one that may not log in, something that no password fits."""
        self._read()
        found = self._known.get(user)
        if found is None or not self.allows(user):
            return Verifier.invented(user, self._secret)
        return found

    def allows(self, user: str) -> bool:
        """Say whether a user is on the list of those who may log in; an empty list means all."""
        return not self._allowed or any(fnmatch.fnmatchcase(user, pattern) for pattern in self._allowed)

    def _read(self) -> None:
        try:
            state = self.path.stat()
            seen = (state.st_mtime_ns, state.st_size, state.st_ino)
            if seen != self._seen:
                self._known = dict(_lines(self.path.read_text()))
                self._seen = seen
        except FileNotFoundError:
            self._known, self._seen = {}, None
        except (OSError, UnicodeDecodeError) as fault:
            log.error("the users cannot be read; nobody logs in", path=str(self.path), why=str(fault))
            self._known, self._seen = {}, None

    def names(self) -> list[str]:
        """List the users."""
        self._read()
        return sorted(self._known)

    def put(self, user: str, password: str) -> None:
        """Add a user, or give one another password.

        Raises: InvalidRequest, HostFailure
        """
        if not user or not user.isprintable() or ":" in user:
            raise InvalidRequest(f"{user!r} is no user's name; accepted: letters that show, without a colon")
        self._read()
        self._write({**self._known, prepare(user): Verifier.of(password)})

    def remove(self, user: str) -> bool:
        """Remove a user; say whether there was one.

        Raises: HostFailure
        """
        self._read()
        left = {name: verifier for name, verifier in self._known.items() if name != user}
        self._write(left)
        return len(left) < len(self._known)

    def _write(self, known: dict[str, Verifier]) -> None:
        fresh = self.path.with_name(f"{self.path.name}.new")
        text = "".join(f"{name}:{verifier.written()}\n" for name, verifier in sorted(known.items()))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self.path)
        except OSError as fault:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise HostFailure(f"cannot write {self.path}: {fault.strerror}") from fault


def _lines(text: str) -> Iterator[tuple[str, Verifier]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, kept = line.partition(":")
        try:
            yield name, Verifier.read(kept.strip())
        except InvalidRequest as fault:
            log.warning("a line of the users' file is not understood", line=number, why=fault.message)


class Login:
    """How far one client's login has come."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.failures = 0
        self.busy = False


def login_handlers(registry: Registry[C]) -> None:
    """Register the calls of a login."""

    @registry.handle(connect.auth_list)
    def auth_list(conn: Session[C]) -> list[int]:
        return [BY_NOTHING if conn.authenticated else BY_SASL]

    @registry.handle(connect.auth_sasl_init)
    def sasl_init(conn: Session[C]) -> str:
        _expected(conn)
        conn.login.exchange = None
        return MECHANISM

    @registry.handle(connect.auth_sasl_start)
    async def sasl_start(conn: Session[C], mech: str, nil: int, data: bytes) -> tuple[int, int, bytes]:
        _expected(conn)
        async with _one_try(conn):
            if mech != MECHANISM:
                raise LoginFailed(f"there is no mechanism '{mech}'; accepted: {MECHANISM}")
            if conn.server.users is None:
                raise LoginFailed("there are no users")
            exchange = Exchange()
            verifier = conn.server.users.verifier(exchange.name_in(b"" if nil else data))
            conn.login.exchange = exchange
            return 0, 0, exchange.challenge(verifier)

    @registry.handle(connect.auth_sasl_step)
    async def sasl_step(conn: Session[C], nil: int, data: bytes) -> tuple[int, int, bytes]:
        _expected(conn)
        async with _one_try(conn):
            exchange, conn.login.exchange = conn.login.exchange, None
            if exchange is None:
                raise LoginFailed("no login has begun")
            answer = exchange.final(b"" if nil else data)
            conn.prove(exchange.user)
            log.info("logged in", user=exchange.user, door=conn.door.name, address=conn.peer.address)
            return 1, 0, answer

    @registry.handle(connect.auth_polkit)
    def polkit(conn: Session[C]) -> int:
        raise LoginFailed("polkit is not asked here")


def _expected(conn: Session[C]) -> None:
    if conn.authenticated:
        raise LoginFailed("no login is expected on this connection")
    if conn.login.busy:
        raise LoginFailed("one step of the login is still under way")


@contextlib.asynccontextmanager
async def _one_try(conn: Session[C]) -> AsyncIterator[None]:
    """Let a failure take its time, and too many of them end the connection."""
    conn.login.busy = True
    try:
        yield
    except LoginFailed as fault:
        conn.login.failures += 1
        log.warning(
            "login failed", door=conn.door.name, address=conn.peer.address, pid=conn.peer.pid, why=fault.message
        )
        await asyncio.sleep(_PENALTY)
        if conn.login.failures >= FAILURES:
            conn.drop("its logins failed")
        raise
    finally:
        conn.login.busy = False
