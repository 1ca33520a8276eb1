"""The action log: what was done or tried, by whom, and how it ended; append-only.

Functions over a Connection; called by `store.Store`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select

from domicile.store import clock
from domicile.store.tables import action
from domicile.store.values import Action, Author

_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, Any]).decode


def log(connection: Connection, actions: Sequence[Action]) -> None:
    """Add to the log; an action without a time happened now."""
    rows = [
        {
            "at": clock.now() if done.at is None else clock.from_datetime(done.at),
            "verb": done.verb,
            "uuid": done.uuid,
            "name": done.name,
            "author_user": done.author.user,
            "author_client": done.author.client,
            "author_command": done.author.command,
            "outcome": done.outcome,
            "detail": _to_json(done.detail).decode(),
        }
        for done in actions
    ]
    if rows:
        connection.execute(insert(action), rows)


def recent(connection: Connection, uuid: str | None, limit: int) -> list[Action]:
    """Return the last actions, of all or of one domain, the newest first."""
    wanted = select(action).order_by(action.c.id.desc()).limit(limit)
    if uuid is not None:
        wanted = wanted.where(action.c.uuid == uuid)
    return [from_row(row) for row in connection.execute(wanted)]


def from_row(row: Any) -> Action:
    """Make an action of its row."""
    return Action(
        verb=row.verb,
        author=Author(row.author_user, row.author_client, row.author_command),
        uuid=row.uuid,
        name=row.name,
        outcome=row.outcome,
        detail=_from_json(row.detail),
        at=clock.to_datetime(row.at),
    )
