"""Handlers of Domicile's own program about changes as a whole: planned, brought about, and what waits for the next start.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from domicile.api.libvirt.author import author
from domicile.api.libvirt.registry import Registry
from domicile.rpc.calls import domicile as calls

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.definitions import Keep
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
json = msgspec.json.encode
#: What a client says of that which a document leaves open: as configured, keep it, give it out anew.
BY_CONFIGURATION, KEEP, FRESH = 0, 1, 2


def keeping(service: Service, keep: int) -> Keep:
    """Say what is kept: who uses Domicile's own command means the machine of that name, where libvirt's clients say its UUID."""
    if keep == FRESH or (keep == BY_CONFIGURATION and service.definitions.keep == "nothing"):
        return "nothing"
    return "all"


@handlers.handle(calls.plan)
async def plan(conn: Session[Service], xml: str, strict: int, keep: int) -> bytes:
    """Say what a new definition would do."""
    service = conn.context
    return json(await service.applying.plan(xml, keeping(service, keep), strict=bool(strict)))


@handlers.handle(calls.apply)
async def apply(conn: Session[Service], xml: str, strict: int, keep: int, digest: str | None, why: str | None) -> bytes:
    """Store a definition and bring about at once what can be."""
    service = conn.context
    done = await service.applying.apply(
        xml, author(conn, "apply"), keeping(service, keep), digest=digest or "", why=why or "", strict=bool(strict)
    )
    return json(done)


@handlers.handle(calls.pending)
async def pending(conn: Session[Service], domain: str) -> bytes:
    """Say what the stored definition changes at the next start."""
    entry = conn.context.find_entry(domain)
    return json({"name": entry.name, "differences": await conn.context.applying.pending(entry)})
