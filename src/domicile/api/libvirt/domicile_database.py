"""Handlers of Domicile's own program about the database: how it stands, and questions answered by SQL.

`doors` merges them with the others.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest
from domicile.domain import question as asked
from domicile.rpc.calls import domicile as calls

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
json = msgspec.json.encode


@handlers.handle(calls.database)
def database(conn: Session[Service]) -> bytes:
    """Say which database this is, whether it answers, and how old the answers from memory are where it does not."""
    return json(conn.context.standing.answer())


_NOW, _AT, _ALL = range(3)


@handlers.handle(calls.query)
async def query(conn: Session[Service], question: str, columns: str, past: int, micros: int, limit: int) -> bytes:
    """Find domains by a question about any of their values: as they are, as they were at a moment (1), in all revisions (2).

    `columns` are paths between commas whose values are given, too. Raises: InvalidRequest
    """
    service, read = conn.context, asked.read(question)
    paths = [asked.path_of(column.strip()) for column in columns.split(",") if column.strip()]
    if past not in (_NOW, _AT, _ALL):
        raise InvalidRequest(f"past is {past}; accepted: 0 (now), 1 (at a moment), 2 (all revisions)")
    if past == _NOW:
        found = await service.in_store(service.store.query, read, paths, limit)
    else:
        moment = datetime.fromtimestamp(micros / 1e6, UTC) if past == _AT else None
        found = await service.in_store(service.store.query_past, read, paths, moment, limit)
    rows = []
    for one in found:
        entry = service.registry.get(one.uuid) if past == _NOW else None
        row = {"name": one.name, "uuid": one.uuid, "revision": one.n, "values": one.values}
        rows.append(row if entry is None else {**row, "state": int(entry.state)})
    return json(rows)
