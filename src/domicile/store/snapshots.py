"""What is kept of domains at single moments: snapshots and checkpoints, each with its document.

Functions over a Connection in a transaction; called by `store.Store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from domicile.base.errors import NotFound
from domicile.store import document
from domicile.store.tables import snapshot
from domicile.store.values import SnapshotRow

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, Any]).decode


def change(
    connection: Connection,
    kind: str,
    domain: str,
    puts: Iterable[SnapshotRow],
    drops: Sequence[str],
    current: str | None,
) -> None:
    """Put rows in place of those of their names, drop others, and say which is the current one (None: as it was).

    A row without a document keeps the one that is stored.
    """
    mine = (snapshot.c.kind == kind) & (snapshot.c.domain == domain)
    if drops:
        connection.execute(delete(snapshot).where(mine, snapshot.c.name.in_(drops)))
    for row in puts:
        values: dict[str, Any] = {"parent": row.parent, "facts": _to_json(row.facts).decode()}
        if row.document is not None:
            values["document"] = document.text_pack(row.document)
        known = connection.execute(update(snapshot).where(mine, snapshot.c.name == row.name).values(values))
        if known.rowcount == 0:
            if row.document is None:
                raise NotFound(f"no {kind} '{row.name}' of {domain} is stored")
            values |= {"kind": kind, "domain": domain, "name": row.name, "current": False}
            connection.execute(insert(snapshot).values(values))
    if current is not None:
        chosen = snapshot.c.name == current
        connection.execute(update(snapshot).where(mine, snapshot.c.current, ~chosen).values(current=False))
        connection.execute(update(snapshot).where(mine, chosen).values(current=True))


def every(connection: Connection) -> list[SnapshotRow]:
    """Return all rows without their documents, in the order of their names."""
    columns = [column for column in snapshot.c if column.name != "document"]
    return [
        SnapshotRow(row.kind, row.domain, row.name, row.parent, _from_json(row.facts), None, bool(row.current))
        for row in connection.execute(select(*columns).order_by(snapshot.c.domain, snapshot.c.name))
    ]


def text(connection: Connection, kind: str, domain: str, name: str) -> str:
    """Return one document. Raises: NotFound."""
    wanted = select(snapshot.c.document).where(
        snapshot.c.kind == kind, snapshot.c.domain == domain, snapshot.c.name == name
    )
    found = connection.execute(wanted).scalar()
    if found is None:
        raise NotFound(f"no {kind} '{name}' of {domain} is stored")
    return document.text_unpack(bytes(found))


def forget(connection: Connection, domain: str) -> None:
    """Drop all that is kept of a domain."""
    connection.execute(delete(snapshot).where(snapshot.c.domain == domain))
