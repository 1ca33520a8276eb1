"""Records of running machines: what finds a QEMU again, and what was last seen of it.

Functions over a Connection; called by `store.Store`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, update

from domicile.base.errors import NotFound
from domicile.store import clock, document
from domicile.store.tables import machine
from domicile.store.values import MachineRecord

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, Any]).decode
_RENEW = (
    update(machine)
    .where(machine.c.uuid == bindparam("uuid_"))
    .values({column.name: bindparam(column.name) for column in machine.c if column.name != "uuid"})
)


def put(connection: Connection, record: MachineRecord) -> None:
    """Store a machine's record in place of the one it had."""
    values = {
        "name": record.name,
        "id": record.id,
        "host": record.host,
        "revision": record.revision,
        "pid": record.pid,
        "start_time": record.start_time,
        "directory": record.directory,
        "live_xml": document.text_pack(record.live_xml),
        "facts": _to_json(record.facts).decode(),
        "state": record.state,
        "reason": record.reason,
        "observed_at": clock.now(),
    }
    if connection.execute(_RENEW, values | {"uuid_": record.uuid}).rowcount == 0:
        connection.execute(insert(machine), values | {"uuid": record.uuid})


def observe(connection: Connection, uuid: str, state: int, reason: int) -> None:
    """Note the state a machine was last seen in. Raises: NotFound."""
    seen = update(machine).where(machine.c.uuid == uuid).values(state=state, reason=reason, observed_at=clock.now())
    if connection.execute(seen).rowcount == 0:
        raise NotFound(f"no record of a running machine with the uuid {uuid}")


def everyone(connection: Connection, host: str | None) -> list[MachineRecord]:
    """Return the records of all machines, or of one host's."""
    wanted = select(machine).order_by(machine.c.id)
    if host is not None:
        wanted = wanted.where(machine.c.host == host)
    return [
        MachineRecord(
            uuid=row.uuid,
            name=row.name,
            id=row.id,
            pid=row.pid,
            start_time=row.start_time,
            directory=row.directory,
            live_xml=document.text_unpack(bytes(row.live_xml)),
            revision=row.revision,
            state=row.state,
            reason=row.reason,
            facts=_from_json(row.facts),
            host=row.host,
            observed_at=clock.to_datetime(row.observed_at),
        )
        for row in connection.execute(wanted)
    ]


def drop(connection: Connection, uuid: str, host: str | None = None) -> None:
    """Forget a machine, be it of one host alone; one that is not there is forgotten already."""
    gone = delete(machine).where(machine.c.uuid == uuid)
    connection.execute(gone if host is None else gone.where(machine.c.host == host))
