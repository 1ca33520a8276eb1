"""Facts: what domains are looked up by (MAC, disk source, bridge…), kept in step with every definition.

Called by `revisions` inside the definition's transaction, and by `store.Store` for queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from sqlalchemy import Connection, bindparam, delete, literal_column, select

from domicile.store import bulk
from domicile.store.tables import domain, fact
from domicile.store.values import Fact, Match

# PostgreSQL refuses index entries above 2,704 bytes; three such columns share one.
_LONGEST = 200
_COLUMNS = (fact.c.kind, fact.c.value, fact.c.path)
_OF_DOMAIN = bulk.Prepared(select(*_COLUMNS).where(fact.c.domain == bindparam("domain_")))
_REMOVE = bulk.Prepared(
    delete(fact).where(
        fact.c.domain == bindparam("domain_"), *(column == bindparam(f"{column.name}_") for column in _COLUMNS)
    )
)
_FIND = (
    select(domain.c.uuid, domain.c.name, fact.c.path, fact.c.value)
    .join_from(fact, domain, fact.c.domain == domain.c.id)
    .where(fact.c.kind == bindparam("kind"), fact.c.value == bindparam("value"), domain.c.undefined_at.is_(None))
    .order_by(domain.c.name, fact.c.path)
)
_OTHERS = bulk.Prepared(
    select(domain.c.uuid, domain.c.name, fact.c.path)
    .join_from(fact, domain, fact.c.domain == domain.c.id)
    .where(
        fact.c.kind == bindparam("kind"),
        fact.c.value == bindparam("value"),
        domain.c.uuid != bindparam("uuid_"),
        domain.c.undefined_at.is_(None),
    )
    .limit(literal_column("3"))  # a few are named
    .offset(literal_column("0"))
)


def replace(connection: bulk.Target, domain_id: int, facts: Iterable[Fact], *, fresh: bool) -> None:
    """Make these the facts of a domain, writing only what differs; `fresh` says that it has none yet."""
    wanted = {(shortened(kind), shortened(value), shortened(path)) for kind, value, path in facts}
    if not fresh:
        present = {(kind, value, path) for kind, value, path in _OF_DOMAIN.run(connection, {"domain_": domain_id})}
        gone = present - wanted
        wanted -= present
        for kind, value, path in gone:
            _REMOVE.run(connection, {"domain_": domain_id, "kind_": kind, "value_": value, "path_": path})
    bulk.add(connection, fact, [(domain_id, *row) for row in sorted(wanted)])


def find(connection: Connection, kind: str, value: str) -> list[Match]:
    """Find the defined domains that have this fact."""
    rows = connection.execute(_FIND, {"kind": shortened(kind), "value": shortened(value)})
    return [Match(uuid, name, path, value) for uuid, name, path, _ in rows]


def others(connection: bulk.Target, uuid: str, facts: Iterable[Fact]) -> list[tuple[Fact, Match]]:
    """Find which other defined domains have these facts, a few of each: one seek in the index a fact."""
    found = []
    for one in facts:
        values = {"kind": one.kind, "value": shortened(one.value), "uuid_": uuid}
        found += [(one, Match._make((*row, one.value))) for row in _OTHERS.run(connection, values)]
    return found


def shortened(value: str) -> str:
    """Cut what is too long for an index; a hash of the whole keeps two long values apart."""
    if len(value) <= _LONGEST:
        return value
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    return f"{value[: _LONGEST - 25]}…{digest}"
