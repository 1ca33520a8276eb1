"""What is particular to PostgreSQL: deadlines on a connection, and what became of a commit whose answer was lost.

Used by `engine.Database` alone. psycopg waits for an answer as long as the connection stands; a network that swallows
packets keeps it standing for ever, so a watch of our own cuts it when the deadline passes.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, DisconnectionError

#: Seconds a unit of work may take, and a connection may take to be made (libpq's least is 2).
DEADLINE, CONNECTING = 8.0, 3
#: Seconds a connection may have been idle to be used unasked.
_FRESH = 1.0
#: Seconds the server waits for us inside a transaction, so that a daemon that is gone holds no row for long.
_IDLE = 30
#: SQLSTATEs: serialization failure and deadlock; query cancelled and lock not available.
RIVALRY, TOO_LONG = ("40001", "40P01"), ("57014", "55P03")
_OPTIONS: dict[str, Any] = {
    "connect_timeout": CONNECTING,
    "tcp_user_timeout": round(DEADLINE * 1000),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "domicile",
}
_SET_UP = (
    "SELECT pg_backend_pid(), to_regclass('outcome') IS NOT NULL,"
    " set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),"
    " set_config('idle_in_transaction_session_timeout', %s, false), set_config('timezone', 'UTC', false)"
)
_MARK = text("INSERT INTO outcome (id, n, at) VALUES (:id, :n, :at) ON CONFLICT (id) DO UPDATE SET n = :n, at = :at")
_ASK = text("SELECT n FROM outcome WHERE id = :id FOR UPDATE")
_END = text("SELECT pg_terminate_backend(:pid)")


class Mark:
    """What a transaction leaves behind by which it can be recognised: a row of its connection's own, and a number."""

    def __init__(self, connection: Connection) -> None:
        info = connection.info
        info["n"] = info.get("n", 0) + 1
        self._id, self._n, self._backend = str(info["id"]), int(info["n"]), int(info["backend"])

    @classmethod
    def leave(cls, connection: Connection) -> Mark | None:
        """Write one as the transaction's last statement; a schema that is still to be made has no place for it."""
        if not connection.info["marks"]:
            return None
        mark = cls(connection)
        mark._write(connection)
        return mark

    def _write(self, connection: Connection) -> None:
        connection.execute(_MARK, {"id": self._id, "n": self._n, "at": time.time_ns() // 1000})

    def stored(self, connection: Connection) -> bool:
        """Say on another connection whether the transaction was committed.

        Its server process is ended first and its lock on the row waited for, so the answer is for good.
        """
        connection.execute(_END, {"pid": self._backend})
        return connection.execute(_ASK, {"id": self._id}).scalar() == self._n


class Watch:
    """Cuts connections whose work takes longer than it may. One thread, made with the first piece of work."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ends: list[tuple[float, int]] = []
        self._at_work: dict[int, socket.socket] = {}
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextlib.contextmanager
    def over(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Cut the connection if the work inside takes longer."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database deadlines", daemon=True)
                self._thread.start()
            number = next(self._numbers)
            first = not self._ends or time.monotonic() + seconds < self._ends[0][0]
            self._at_work[number] = connection.info["socket"]
            heapq.heappush(self._ends, (time.monotonic() + seconds, number))
            if first:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._at_work.pop(number, None)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                while self._ends and self._ends[0][1] not in self._at_work:
                    heapq.heappop(self._ends)
                left = self._ends[0][0] - time.monotonic() if self._ends else None
                if left is None or left > 0:
                    self._changed.wait(left)
                    continue
                way = self._at_work.pop(heapq.heappop(self._ends)[1], None)
                if way is not None:
                    _cut(way)


def make_engine(url: URL, pool: int) -> Engine:
    """Make the pool of connections to a PostgreSQL."""
    options = {name: value for name, value in _OPTIONS.items() if name not in url.query}
    engine = create_engine(
        url, pool_size=pool, max_overflow=0, pool_timeout=DEADLINE, connect_args=options, hide_parameters=True
    )
    event.listen(engine, "connect", _connected)
    event.listen(engine, "checkin", _put_back)
    event.listen(engine, "checkout", _taken)
    event.listen(engine, "close", _closed)
    return engine


def _connected(driver: Any, record: Any) -> None:
    """Give a new connection its deadlines on the server's side, and its name for marks."""
    waits = f"{round(DEADLINE * 1000) - 1000}", f"{round(DEADLINE * 1000)}", f"{_IDLE * 1000}"
    # A copy of our own: what is closed under it meanwhile cannot be mistaken for another.
    record.info["socket"] = socket.socket(fileno=os.dup(driver.pgconn.socket))
    with driver.cursor() as cursor:
        cursor.execute(_SET_UP, waits)
        record.info["backend"], record.info["marks"] = cursor.fetchone()[:2]
    driver.commit()
    record.info["id"], record.info["used"] = str(uuid4()), time.monotonic()


def _put_back(_driver: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _taken(driver: Any, record: Any, _proxy: Any) -> None:
    """Make sure that a connection still stands; another is made in place of one that does not.

    A server that ended it has said so: there is something to read. One that was idle for long is asked.
    """
    if select.select([record.info["socket"]], [], [], 0)[0]:
        raise DisconnectionError("the server ended the connection")
    if time.monotonic() - record.info["used"] < _FRESH:
        return
    timer = threading.Timer(CONNECTING, _cut, (record.info["socket"],))
    timer.daemon = True
    timer.start()
    try:
        with driver.cursor() as cursor:
            cursor.execute("SELECT 1")
        driver.rollback()
    except Exception as error:
        raise DisconnectionError(str(error)) from error
    finally:
        timer.cancel()


def _closed(_driver: Any, record: Any) -> None:
    way = record.info.pop("socket", None)
    if way is not None:
        way.close()


def _cut(way: socket.socket) -> None:
    """End a connection under whoever waits for it."""
    with contextlib.suppress(OSError):
        way.shutdown(socket.SHUT_RDWR)


def unhurried(connection: Connection) -> None:
    """Let the statements of this transaction take as long as they need."""
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def lost(error: BaseException) -> bool:
    """Say whether an error means that the server was not reached, or went away."""
    if not isinstance(error, DBAPIError):
        return False
    # Class 57P: shut down, crashed, starting up; class 08: the connection; 53300: too many connections.
    state = getattr(error.orig, "sqlstate", None) or ""
    if error.connection_invalidated or state.startswith(("57P", "08")) or state == "53300":
        return True
    # libpq gives no state where no connection came about.
    return not state and type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError")
