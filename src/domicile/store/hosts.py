"""The hosts of a fleet: what each is, and when it was last there by the database's clock.

Functions over a Connection; called by `store.Store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text, update

from domicile.store import clock
from domicile.store.tables import host
from domicile.store.values import HostRow

_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")


def beat(connection: Connection, name: str, facts: Mapping[str, Any] | None) -> None:
    """Note that a host is there, and (where they are given) what it is and has."""
    values: dict[str, Any] = {"seen_at": now(connection)}
    if facts is not None:
        values["facts"] = msgspec.json.encode(facts).decode()
    connection.execute(update(host).where(host.c.name == name).values(values))


def now(connection: Connection) -> int:
    """Tell the time by the database's clock."""
    return clock.now() if connection.dialect.name == "sqlite" else int(connection.execute(_NOW).scalar_one())


def everyone(connection: Connection) -> list[HostRow]:
    """Return all hosts by the time they became known, each with the seconds since it was last there."""
    moment = now(connection)
    return [
        HostRow(row.name, max(0.0, (moment - row.seen_at) / 1e6), msgspec.json.decode(row.facts))
        for row in connection.execute(select(host).order_by(host.c.registered_at))
    ]
