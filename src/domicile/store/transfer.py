"""A whole database into another: moved to another server, backed up, restored. Definitions, history, records, claims.

Called by the command line's `domicile db`. Every row is counted and summed on both sides before anything counts. Leaves are
not carried over: they are read from the documents again.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, func, select, text

from domicile.base.errors import Conflict, HostFailure
from domicile.store import bulk
from domicile.store.engine import Database
from domicile.store.tables import leaf, leaf_pair, leaf_path, metadata, outcome

#: Seconds a whole database may take.
LONG = 24 * 3600.0
_ROWS = 1_000
_LEFT_OUT = {leaf, leaf_pair, leaf_path, outcome}
_LATER = {"leaf_head"}
_encode = msgspec.json.Encoder().encode


class Sum(NamedTuple):
    """What a table holds: how many rows, and a digest of them all that does not depend on their order."""

    rows: int
    digest: str


Told = Callable[[str, int], None]


def tables() -> list[Table]:
    """List the tables that are carried over, those first that others refer to."""
    return [table for table in metadata.sorted_tables if table not in _LEFT_OUT]


def sums(connection: Connection) -> dict[str, Sum]:
    """Count and sum every table."""
    return {table.name: _walk(connection, table, None) for table in tables()}


def copy(source: Database, target: Database, told: Told = lambda table, rows: None) -> dict[str, Sum]:
    """Copy everything in one transaction of the target, from one state of the source.

    Both have the newest schema. Raises: Conflict where the target is not empty; HostFailure where it does not hold the same
    afterwards (then nothing of it stays).
    """
    with source.read(LONG) as from_, target.write(LONG) as to:
        _empty(to, target.place)
        wanted: dict[str, Sum] = {}
        for table in tables():
            wanted[table.name] = _walk(from_, table, to)
            told(table.name, wanted[table.name].rows)
        _count_on(to)
        found = sums(to)
        for name, one in wanted.items():
            if found[name] != one:
                raise HostFailure(
                    f"table '{name}' did not arrive whole in {target.place}: {found[name].rows} rows of {one.rows}; nothing was kept"
                )
    return wanted


def _walk(from_: Connection, table: Table, to: Connection | None) -> Sum:
    """Go over all rows of a table, into another database where one is given."""
    columns = list(table.columns)
    kept = [index for index, column in enumerate(columns) if column.name not in _LATER]
    later = [index for index, column in enumerate(columns) if column.name in _LATER]
    rows, total = 0, 0
    found = from_.execute(select(table).execution_options(yield_per=_ROWS))
    for part in found.partitions():
        batch = []
        for row in part:
            values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
            digest = blake2b(_encode([values[index] for index in kept]), digest_size=16).digest()
            total = (total + int.from_bytes(digest, "big")) % 2**128
            for index in later:
                values[index] = 0
            batch.append(tuple(values))
        rows += len(batch)
        if to is not None:
            bulk.add(to, table, batch)
    return Sum(rows, f"{total:032x}")


def _empty(connection: Connection, place: str) -> None:
    for table in tables():
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        if count:
            raise Conflict(f"{place} is not empty: table '{table.name}' has {count} rows; a new database would be accepted")


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL give out numbers after those that were copied."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables():
        keys: list[Any] = list(table.primary_key.columns)
        if [key.name for key in keys] == ["id"]:
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'),"  # noqa: S608   our own names
                    f' (SELECT coalesce(max(id), 0) + 1 FROM "{table.name}"), false)'
                )
            )

