"""Projections made anew from the revisions: they hold nothing that the documents do not say.

Called by `store.Store` after a Domicile that reads more out of a document than the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, select, update

from domicile.store import document, facts, leaf_index
from domicile.store.tables import domain, fact, revision
from domicile.store.values import Fact

_LAST_WITH_TEXT = (
    select(revision.c.document)
    .where(revision.c.domain == bindparam("domain_"), revision.c.kind != "undefine")
    .order_by(revision.c.n.desc())
    .limit(1)
)


def rebuild(connection: Connection, reader: Callable[[str], tuple[Mapping[str, Any], Sequence[Fact]]]) -> int:
    """Read every domain's last document again, undefined ones too; return how many there were."""
    connection.execute(delete(fact))
    leaf_index.clear(connection)
    ids = connection.execute(select(domain.c.id).order_by(domain.c.id)).scalars().all()
    for domain_id in ids:
        packed = connection.execute(_LAST_WITH_TEXT, {"domain_": domain_id}).scalar_one()
        summary, found = reader(document.completed(bytes(packed)))
        encoded = msgspec.json.encode(summary).decode()
        connection.execute(update(domain).where(domain.c.id == domain_id).values(summary=encoded))
        facts.replace(connection, domain_id, found, fresh=True)
    return len(ids)
