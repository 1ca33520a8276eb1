"""Whether a database is whole: its file, its references, histories without gaps, documents that can be read.

Called by the command line's `domicile db check`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from domicile.store import document, transfer
from domicile.store.engine import Database
from domicile.store.leaves import parses
from domicile.store.schema import VERSION, version_of
from domicile.store.tables import domain, object_, object_revision, revision

_ROWS = 500


def faults(database: Database) -> list[str]:
    """Look through everything and say what is wrong, a line each. Raises: HostFailure."""
    found = version_of(database)
    if found != VERSION:
        return [f"the schema is of version {found}, this Domicile needs {VERSION}; see domicile db upgrade"]
    with database.read(transfer.LONG) as connection:
        return [*_file(connection), *_histories(connection), *_documents(connection)]


def _file(connection: Connection) -> Iterator[str]:
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield f"the file: {line}"
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"row {row} of table '{table}' refers to a row of '{parent}' that is not there"


def _histories(connection: Connection) -> Iterator[str]:
    """Every history counts from 1 to its head, and each revision follows one before it."""
    for owner, versions, key in (
        (domain, revision, revision.c.domain),
        (object_, object_revision, object_revision.c.object),
    ):
        counted = (
            select(key.label("owner"), func.count().label("many"), func.max(versions.c.n).label("last"))
            .group_by(key)
            .subquery()
        )
        wanted = select(owner.c.name, owner.c.uuid, owner.c.head, counted.c.many, counted.c.last).join_from(
            owner, counted, counted.c.owner == owner.c.id, isouter=True
        )
        off = (counted.c.many.is_(None)) | (counted.c.many != owner.c.head) | (counted.c.last != owner.c.head)
        for row in connection.execute(wanted.where(off).order_by(owner.c.id)):
            yield f"{owner.name} '{row.name}' ({row.uuid}) is at revision {row.head} and has {row.many or 0} up to {row.last}"
        for number, n in connection.execute(select(versions.c.id, versions.c.n).where(versions.c.parent >= versions.c.n)):
            yield f"row {number} of table '{versions.name}': revision {n} does not follow one before it"


def _documents(connection: Connection) -> Iterator[str]:
    for table in (revision, object_revision):
        wanted = select(table.c.id, table.c.name, table.c.n, table.c.kind, table.c.document)
        for row in connection.execute(wanted.execution_options(yield_per=_ROWS)):
            if row.kind == "undefine":
                continue
            try:
                text = document.completed(bytes(row.document))
            except (zlib.error, UnicodeDecodeError) as error:
                yield f"revision {row.n} of '{row.name}' (row {row.id} of '{table.name}') cannot be unpacked: {error}"
                continue
            if not parses(text):
                yield f"revision {row.n} of '{row.name}' (row {row.id} of '{table.name}') is no XML"
