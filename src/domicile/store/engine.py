"""The connection to the database: SQLite's settings, and one writer beside many readers.

Used by `store.Store`; the other modules get a Connection and need not know which database it is.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from domicile.base.errors import Conflict, HostFailure, InvalidRequest, OutcomeUnknown
from domicile.store.bulk import Direct, Target

# How long a writer of another process may hold SQLite's lock before we give up.
_BUSY_MS = 10_000
# Pages of the write-ahead log between checkpoints (16 MB): fewer checkpoints, a third more definitions a second.
_CHECKPOINT_PAGES = 4_000
_CACHE_KIB = 32_768
_BEGIN = "BEGIN IMMEDIATE"
_PRAGMAS = (
    f"PRAGMA busy_timeout={_BUSY_MS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}",
    f"PRAGMA cache_size=-{_CACHE_KIB}",
)


class Database:
    """One database: a writer connection behind a lock, and readers beside it. Safe to use from any thread."""

    def __init__(self, url: str) -> None:
        self._engine = _make_engine(_parse(url))
        self._writes = self._engine.execution_options(writes=True)
        self._lock = threading.Lock()
        self._writer: Connection | None = None

    @property
    def dialect(self) -> str:
        """Name the database: ``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give the writer's connection in a transaction: all of it is stored, durably, or nothing is.

        Raises: Conflict where a unique name is taken, HostFailure where the database fails, OutcomeUnknown where the
        connection was cut while it committed.
        """
        with self._lock:
            committing = False
            try:
                if self._writer is None:
                    self._writer = self._writes.connect()
                transaction = self._writer.begin()
                try:
                    yield self._writer
                    committing = True
                    transaction.commit()
                except BaseException:
                    if transaction.is_active:
                        transaction.rollback()
                    raise
            except DBAPIError as error:
                if committing and error.connection_invalidated:
                    raise OutcomeUnknown(f"the database went away while it stored a change: {error.orig}") from error
                raise _translated(error) from error
            except sqlite3.Error as error:
                raise _of_driver(error) from error

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
                raise _translated(error) from error
            except sqlite3.Error as error:
                raise _of_driver(error) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database throughout."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise _translated(error) from error

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._engine.dispose()


def _translated(error: DBAPIError) -> Exception:
    if isinstance(error, IntegrityError):
        return Conflict(f"another change came first: {error.orig}")
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
        raise InvalidRequest(f"not a database URL: {url!r} (accepted: sqlite:///PATH, postgresql://…)") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidRequest("a database in memory keeps nothing; give sqlite:///PATH")
    return parsed


def _make_engine(url: URL) -> Engine:
    try:
        if url.get_backend_name() == "postgresql":
            return create_engine(url, pool_size=4, max_overflow=4, pool_pre_ping=True)
        if url.get_backend_name() == "sqlite":
            engine = create_engine(url, pool_size=4, max_overflow=4)
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
