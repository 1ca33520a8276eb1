"""Many rows into a table at the driver's own speed: SQLAlchemy writes the SQL once, the driver runs it.

Used where a definition or an index writes tens or thousands of rows; three times as fast as execute().
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert

_compiled: dict[tuple[str, str], tuple[str, list[str], bool]] = {}


def add(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, only_new: bool = False) -> None:
    """Insert rows whose values are in the order of the table's columns; `only_new` skips those that are there."""
    if not rows:
        return
    sql, names, positional = _statement(connection, table)
    if only_new:
        sql += " ON CONFLICT DO NOTHING"
    if positional:
        connection.exec_driver_sql(sql, list(rows))
    else:
        connection.exec_driver_sql(sql, [dict(zip(names, row, strict=True)) for row in rows])


def _statement(connection: Connection, table: Table) -> tuple[str, list[str], bool]:
    key = (connection.dialect.name, table.name)
    if key not in _compiled:
        names = [column.name for column in table.columns]
        # inline: no RETURNING, which executemany could not use.
        compiled = insert(table).inline().compile(dialect=connection.dialect, column_keys=names)
        _compiled[key] = (str(compiled), names, connection.dialect.positional)
    return _compiled[key]
