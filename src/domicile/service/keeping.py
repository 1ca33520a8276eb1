"""Care for a database from outside of a daemon: back up, restore, move, upgrade, check.

Called by `domicile db`. A backup may be made while daemons work; what puts another database in place of theirs may not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from domicile.base.errors import Conflict, HostFailure, InvalidRequest
from domicile.service.paths import Paths
from domicile.service.place import Place
from domicile.store import examine, schema, transfer
from domicile.store.engine import Database
from domicile.store.transfer import Sum, Told


@contextlib.contextmanager
def opened(place: Place) -> Iterator[Database]:
    """Open a database as it is."""
    database = Database(place.url, place.password)
    try:
        yield database
    finally:
        database.close()


def backup(source: Place, file: Path, told: Told) -> dict[str, Sum]:
    """Write everything into a new SQLite file, from one state of the database; daemons may go on working meanwhile.

    Raises: Conflict where the file exists; HostFailure
    """
    if file.exists():
        raise Conflict(f"{file} exists; a new name would be accepted")
    partial = file.with_name(file.name + ".partial")
    for left in (partial, *(partial.with_name(partial.name + end) for end in ("-wal", "-shm"))):
        left.unlink(missing_ok=True)
    try:
        with opened(source) as from_:
            _newest(from_)
            with opened(Place(f"sqlite:///{partial.absolute()}")) as to:
                schema.ensure(to)
                copied = transfer.copy(from_, to, told)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.rename(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return copied


def move(source: Place, target: Place, told: Told, own: Paths | None = None) -> dict[str, Sum]:
    """Copy everything into an empty database, whole or not at all; no daemon may have either open.

    Raises: Conflict where the target is not empty, WrongState where the daemon of `own` directories runs; HostFailure
    """
    for place in (source, target):
        path = _path(place)
        if path is not None and place is source and not path.exists():
            raise HostFailure(f"there is no database {path}")
        if own is not None and path is not None and path.absolute() == own.database.absolute():
            _no_daemon(own)
    with opened(source) as from_:
        _newest(from_)
        with opened(target) as to:
            schema.ensure(to)
            return transfer.copy(from_, to, told)


def upgrade(place: Place) -> tuple[str | None, str]:
    """Bring a database to the newest schema; returns the version it had and the one it has. Raises: HostFailure."""
    with opened(_there(place)) as database:
        before = schema.version_of(database)
        schema.ensure(database)
        return before, schema.VERSION


def check(place: Place) -> tuple[list[str], dict[str, Sum]]:
    """Say what is wrong with a database, and what it holds. Raises: HostFailure."""
    with opened(_there(place)) as database:
        found = examine.faults(database)
        if schema.version_of(database) != schema.VERSION:
            return found, {}
        with database.read(transfer.LONG) as connection:
            return found, transfer.sums(connection)


def _newest(database: Database) -> None:
    found = schema.version_of(database)
    if found != schema.VERSION:
        raise InvalidRequest(
            f"{database.place} has the schema of version {found}; {schema.VERSION} would be accepted, see domicile db upgrade"
        )


def _path(place: Place) -> Path | None:
    return Path(place.url.removeprefix("sqlite:///")) if place.url.startswith("sqlite:///") else None


def _there(place: Place) -> Place:
    path = _path(place)
    if path is not None and not path.exists():
        raise HostFailure(f"there is no database {path}")
    return place


def _no_daemon(paths: Paths) -> None:
    try:
        handle = os.open(paths.pid, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostFailure(f"cannot see whether a daemon runs: {paths.pid}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Conflict(f"the daemon that serves {paths.run} has this database open; stop it first") from None
    finally:
        os.close(handle)
