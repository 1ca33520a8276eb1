"""Claims: one host at a time may run a domain; an atomic compare-and-set decides.

Functions over a Connection; called by `store.Store`.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from domicile.base.errors import Conflict
from domicile.store import clock
from domicile.store.tables import claim, host
from domicile.store.values import Claim


def register_host(connection: Connection, name: str) -> None:
    """Make a host known; once is enough."""
    if connection.execute(select(host.c.name).where(host.c.name == name)).first() is None:
        connection.execute(insert(host), {"name": name, "registered_at": clock.now()})


def take(connection: Connection, uuid: str, by: str) -> Claim:
    """Take the right to run a domain. Raises: Conflict where it is held, be it by this host."""
    free = (
        update(claim)
        .where(claim.c.uuid == uuid, claim.c.host.is_(None))
        .values(host=by, generation=claim.c.generation + 1, at=clock.now())
        .returning(claim.c.generation)
    )
    generation = connection.execute(free).scalar()
    if generation is None:
        held = of(connection, uuid)
        if held is not None:
            raise Conflict(f"the host '{held.host}' holds the domain {uuid} (claim {held.generation})")
        # Two that come this far at once meet at the primary key, and one gets a Conflict.
        generation = 1
        connection.execute(insert(claim), {"uuid": uuid, "host": by, "generation": generation, "at": clock.now()})
    return Claim(uuid, by, int(generation))


def release(connection: Connection, held: Claim) -> bool:
    """Give a claim back; False where it changed hands meanwhile, and nothing is touched."""
    mine = (
        update(claim)
        .where(claim.c.uuid == held.uuid, claim.c.host == held.host, claim.c.generation == held.generation)
        .values(host=None, at=clock.now())
    )
    return connection.execute(mine).rowcount == 1


def move(connection: Connection, held: Claim, to: str) -> Claim:
    """Hand a claim on to another host. Raises: Conflict where it is not as it was thought to be: nothing is touched."""
    handed = (
        update(claim)
        .where(claim.c.uuid == held.uuid, claim.c.host == held.host, claim.c.generation == held.generation)
        .values(host=to, generation=held.generation + 1, at=clock.now())
    )
    if connection.execute(handed).rowcount != 1:
        now = of(connection, held.uuid)
        who = f"is held by '{now.host}' (claim {now.generation})" if now is not None else "is free"
        raise Conflict(f"the domain {held.uuid} {who}, not held by '{held.host}' (claim {held.generation})")
    return Claim(held.uuid, to, held.generation + 1)


def of(connection: Connection, uuid: str) -> Claim | None:
    """Return who holds a domain, or None."""
    wanted = select(claim.c.host, claim.c.generation).where(claim.c.uuid == uuid, claim.c.host.is_not(None))
    row = connection.execute(wanted).first()
    return None if row is None else Claim(uuid, row.host, row.generation)


def held_by(connection: Connection, by: str) -> list[Claim]:
    """Return all claims of a host."""
    rows = connection.execute(select(claim.c.uuid, claim.c.generation).where(claim.c.host == by))
    return [Claim(row.uuid, by, row.generation) for row in rows]
