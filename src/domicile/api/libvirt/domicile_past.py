"""Handlers of Domicile's own program about what was: who set each value, and what there was at a moment.

`doors` merges them with the others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest
from domicile.rpc.calls import domicile as calls

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
json = msgspec.json.encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@handlers.handle(calls.blame)
async def blame(conn: Session[Service], domain: str, path: str | None) -> bytes:
    """Say of each line of a definition who set it."""
    return json(await conn.context.past.blame(domain, path))


@handlers.handle(calls.at)
async def at(conn: Session[Service], domain: str | None, micros: int) -> bytes:
    """Say what was defined and what ran at a moment, given in microseconds since 1970.

    Raises: InvalidRequest where there is no such moment.
    """
    try:
        moment = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise InvalidRequest(
            f"{micros} microseconds since 1970 is no moment; the years 1 to 9999 are accepted"
        ) from None
    return json({"at": moment.isoformat(), "domains": await conn.context.past.at(moment, domain)})
