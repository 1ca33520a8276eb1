"""Handlers of Domicile's own program about the database: how it stands, and questions answered by SQL.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from domicile.api.libvirt.registry import Registry
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
