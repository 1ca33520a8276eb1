"""The connection to the database: transactions with deadlines, errors by remedy, SQLite's settings.

Used by `store.Store`; the other modules get a Connection and need not know which database it is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domicile.base.errors import (
    Conflict,
    DeadlineExceeded,
    DomicileError,
    HostFailure,
    InvalidRequest,
    OutcomeUnknown,
    Unreachable,
)
from domicile.store import postgres
from domicile.store.bulk import Direct, Target
from domicile.store.reach import Reach

# How long a writer of another process may hold SQLite's lock before we give up.
_BUSY_MS = 10_000
# Pages of the write-ahead log between checkpoints (16 MB): fewer checkpoints, a third more definitions a second.
_CHECKPOINT_PAGES = 4_000
_CACHE_KIB = 32_768
_BEGIN = "BEGIN IMMEDIATE"
#: Connections to a PostgreSQL: one for each thread of the service's, and some for its watch.
_POOL = 8
#: Seconds between two questions of what became of a commit, and how long they are asked.
_PAUSE, _SETTLING = 0.2, 6.0
_PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_MS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}",
    f"PRAGMA cache_size=-{_CACHE_KIB}",
)


class Database:
    """One database. SQLite has a writer behind a lock and readers beside it. Safe to use from any thread."""

    def __init__(self, url: str, password: str | None = None) -> None:
        parsed = _parse(url)
        self._engine = _make_engine(parsed if password is None else parsed.set(password=password))
        self._writes = self._engine.execution_options(writes=True)
        self._reads = self._engine
        self._lock = threading.Lock()
        self._writer: Connection | None = None
        self._watch: postgres.Watch | None = None
        self.reach = Reach()
        if self.remote:
            self._reads = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._watch = postgres.Watch()

    @property
    def dialect(self) -> str:
        """Name the database: ``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @property
    def remote(self) -> bool:
        """Whether it is a server that may go away, and that every call has to travel to."""
        return self.dialect == "postgresql"

    @property
    def place(self) -> str:
        """Name the database for people, without its password."""
        return self._engine.url.render_as_string(hide_password=True).replace("+psycopg", "")

    @contextmanager
    def write(self, seconds: float = postgres.DEADLINE) -> Iterator[Connection]:
        """Give a connection in a transaction: all of it is stored, durably, or nothing is.

        Raises: Conflict where a unique name is taken, HostFailure where the database fails, Unreachable where it does
        not answer within `seconds`, OutcomeUnknown where it went away while it committed and does not come back.
        """
        if self.remote:
            yield from self._write_remote(seconds)
            return
        with self._lock:
            try:
                if self._writer is None:
                    self._writer = self._writes.connect()
                with self._writer.begin():
                    yield self._writer
            except DBAPIError as error:
                raise self._translated(error) from error
            except sqlite3.Error as error:
                raise _of_driver(error) from error

    def _write_remote(self, seconds: float) -> Iterator[Connection]:
        mark = None
        self.reach.demand()
        try:
            with self._writes.connect() as connection, self._deadline(connection, seconds):
                transaction = connection.begin()
                try:
                    if seconds > postgres.DEADLINE:
                        postgres.unhurried(connection)
                    yield connection
                    mark = postgres.Mark.leave(connection)
                    transaction.commit()
                except BaseException:
                    if transaction.is_active:
                        transaction.rollback()
                    raise
        except (DBAPIError, PoolTimeout) as error:
            if mark is None or not postgres.lost(error):
                raise self._translated(error) from error
            self._settle(mark, error)
        self.reach.answered()

    def _settle(self, mark: postgres.Mark, error: BaseException) -> None:
        """Ask what became of a commit whose answer was lost; returns where it is stored.

        Raises: Unreachable where nothing was stored, OutcomeUnknown where nobody answers.
        """
        end = time.monotonic() + _SETTLING
        while True:
            try:
                with self._engine.connect() as connection, self._deadline(connection, end - time.monotonic()):
                    stored = mark.stored(connection)
                    break
            except (DBAPIError, PoolTimeout) as again:
                if time.monotonic() + _PAUSE > end:
                    self.reach.lost(str(getattr(again, "orig", again)))
                    # Whoever asks again before it answers is told so at once.
                    words = "the database went away while it stored a change; look whether it did when it is back"
                    raise OutcomeUnknown(words) from error
                time.sleep(_PAUSE)
        if not stored:
            words = f"the connection to the database broke, and nothing was stored; try again: {getattr(error, 'orig', error)}"
            raise Unreachable(words) from error

    @contextmanager
    def change(self) -> Iterator[Target]:
        """Give the writer for prepared statements alone (`bulk.Prepared`, `bulk.add`), otherwise like `write`.

        On SQLite the transaction is the driver's own: beginning and ending it through SQLAlchemy takes as long as a statement.
        """
        if self.dialect != "sqlite":
            with self.write() as connection:
                yield connection
            return
        with self._lock:
            try:
                if self._writer is None:
                    self._writer = self._writes.connect()
                driver: Any = self._writer.connection.driver_connection
                driver.execute(_BEGIN)
                try:
                    yield Direct(driver, self._engine.dialect)
                    driver.execute("COMMIT")
                except BaseException:
                    if driver.in_transaction:
                        driver.execute("ROLLBACK")
                    raise
            except DBAPIError as error:
                raise self._translated(error) from error
            except sqlite3.Error as error:
                raise _of_driver(error) from error

    @contextmanager
    def read(self, seconds: float = postgres.DEADLINE) -> Iterator[Connection]:
        """Give a connection that sees one state of the database throughout.

        Raises: HostFailure, Unreachable where it does not answer within `seconds`.
        """
        self.reach.demand()
        try:
            with self._reads.connect() as connection, self._deadline(connection, seconds):
                if self.remote and seconds > postgres.DEADLINE:
                    postgres.unhurried(connection)
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise self._translated(error) from error
        if self.remote:
            self.reach.answered()

    def _lost(self, error: DBAPIError) -> DomicileError:
        """Say whether the server is gone, or one connection to it was."""
        try:
            with self._engine.connect() as connection, self._deadline(connection, postgres.CONNECTING):
                connection.exec_driver_sql("SELECT 1")
        except (DBAPIError, PoolTimeout):
            return self.reach.lost(str(error.orig)).refusal()
        return Unreachable(f"the connection to the database broke, and nothing was stored; try again: {error.orig}")

    def ping(self) -> None:
        """Ask whether the database answers, also where it did not before. Raises: Unreachable."""
        try:
            with self._engine.connect() as connection, self._deadline(connection, postgres.CONNECTING):
                connection.exec_driver_sql("SELECT 1")
        except (DBAPIError, PoolTimeout) as error:
            raise self.reach.lost(str(getattr(error, "orig", error))).refusal() from error
        self.reach.answered()

    def _deadline(self, connection: Connection, seconds: float) -> AbstractContextManager[None]:
        return nullcontext() if self._watch is None else self._watch.over(connection, seconds)

    def renew(self) -> None:
        """Make all connections anew, after the schema changed."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._engine.dispose()

    def close(self) -> None:
        """Close all connections."""
        self.renew()
        if self._watch is not None:
            self._watch.close()

    def _translated(self, error: DBAPIError | PoolTimeout) -> DomicileError:
        if isinstance(error, PoolTimeout):
            return DeadlineExceeded("no connection to the database became free in time")
        if isinstance(error, IntegrityError):
            return Conflict(f"another change came first: {error.orig}")
        if self.remote and postgres.lost(error):
            return self._lost(error)
        state = getattr(error.orig, "sqlstate", None)
        if state in postgres.RIVALRY:
            return Conflict(f"another change came first: {error.orig}")
        if state in postgres.TOO_LONG:
            return DeadlineExceeded(f"the database took too long: {error.orig}")
        return HostFailure(f"the database failed: {error.orig}")


def _of_driver(error: sqlite3.Error) -> Exception:
    """Translate what a statement met that went to SQLite's driver directly (bulk.Prepared)."""
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(f"another change came first: {error}")
    return HostFailure(f"the database failed: {error}")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise InvalidRequest("not a database URL (accepted: sqlite:///PATH, postgresql://…)") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if "password" in parsed.query:
        parsed = parsed.set(password=str(parsed.query["password"])).difference_update_query(["password"])
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidRequest("a database in memory keeps nothing; give sqlite:///PATH")
    return parsed


def _make_engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return postgres.make_engine(url, _POOL)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, pool_size=4, max_overflow=4, hide_parameters=True)
            _make_private(Path(url.database or ""))
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise HostFailure(f"the database driver is not installed: {error}") from error
    raise InvalidRequest(f"no support for {url.get_backend_name()} (accepted: sqlite, postgresql)")


def _make_private(path: Path) -> None:
    """Create the file for its owner only: definitions hold passwords. SQLite gives its log files the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise HostFailure(f"cannot open the database {path}: {error.strerror}") from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by us, see _begin_sqlite
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: one that begins as a reader may be refused in the middle.
    writes = connection.get_execution_options().get("writes", False)
    driver: Any = connection.connection.driver_connection
    driver.execute(_BEGIN if writes else "BEGIN")
