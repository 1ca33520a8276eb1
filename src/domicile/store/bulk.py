"""Statements at the driver's own speed: SQLAlchemy writes the SQL once, the driver runs it.

Used where a definition or an index writes rows by the thousand; three times as fast as execute().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert
from sqlalchemy.sql.base import Executable

_compiled: dict[tuple[str, str], tuple[str, list[str], bool]] = {}


def add(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], *, only_new: bool = False) -> None:
    """Insert rows whose values are in the order of the table's columns; `only_new` skips those that are there."""
    if not rows:
        return
    sql, names, positional = _statement(connection, table)
    if only_new:
        sql += " ON CONFLICT DO NOTHING"
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.executemany(sql, rows)
    elif positional:
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


class Prepared:
    """One statement whose SQL is written once for each kind of database; its parameters are plain values of the driver's."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str], bool]] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run it with a value for each of its named parameters; returns the rows it gives.

        On SQLite it goes to the driver itself, whose errors `engine.Database` knows too: a fifth of the time.
        """
        known = self._compiled.get(connection.dialect.name)
        if known is None:
            known = self._compiled[connection.dialect.name] = self._compile(connection)
        sql, names, positional = known
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.driver_connection
            found: list[tuple[Any, ...]] = driver.execute(sql, [values[name] for name in names]).fetchall()
            return found
        given: Any = tuple([values[name] for name in names]) if positional else {name: values[name] for name in names}
        result = connection.exec_driver_sql(sql, given)
        return [tuple(row) for row in result] if result.returns_rows else []

    def _compile(self, connection: Connection) -> tuple[str, list[str], bool]:
        statement: Any = self._statement
        compiled = statement.compile(dialect=connection.dialect)
        names = list(compiled.positiontup) if compiled.positional else list(compiled.params)
        return str(compiled), names, bool(compiled.positional)
