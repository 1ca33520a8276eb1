"""What was at a moment: each domain's definition, and which of them ran. By indexes: one seek for each domain.

Functions over a Connection; called by `store.Store`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, select, text

from domicile.store import actions, clock, revisions
from domicile.store.tables import domain, revision
from domicile.store.values import Action, Moment

#: Which actions begin and end a run. An index holds these alone; a statement that shall use it says so word for word.
LIFE = "verb IN ('start', 'restore', 'snapshot-revert', 'end') AND outcome = 'done'"

_THEN = revision.alias("then_")
_LAST = (
    select(_THEN.c.n)
    .where(_THEN.c.domain == domain.c.id, _THEN.c.at <= bindparam("at_"))
    .order_by(_THEN.c.at.desc(), _THEN.c.n.desc())
    .limit(1)
    .scalar_subquery()
)
_DEFINED = select(revision, domain.c.uuid.label("domain_uuid")).join_from(
    domain, revision, (revision.c.domain == domain.c.id) & (revision.c.n == _LAST)
)
_DEFINED_ONE = _DEFINED.where(domain.c.uuid == bindparam("uuid_"))

# S608: nothing but the words above goes into these statements.
_RAN_ONE = text(
    f"SELECT * FROM action WHERE {LIFE} AND uuid = :uuid_ AND at <= :at_ ORDER BY at DESC, id DESC LIMIT 1"  # noqa: S608
)
# All who ever ran are found by walking the index from one to the next, whatever the number of their runs.
_RAN = text(
    f"""
WITH RECURSIVE known(uuid) AS (
  SELECT min(uuid) FROM action WHERE {LIFE}
  UNION ALL
  SELECT (SELECT min(uuid) FROM action WHERE {LIFE} AND uuid > known.uuid) FROM known WHERE known.uuid IS NOT NULL
)
SELECT ran.* FROM known JOIN action AS ran ON ran.id = (
  SELECT id FROM action WHERE {LIFE} AND uuid = known.uuid AND at <= :at_ ORDER BY at DESC, id DESC LIMIT 1
)"""  # noqa: S608
)


def at(connection: Connection, moment: datetime, uuid: str | None) -> list[Moment]:
    """Say what was defined and what ran at a moment, sorted by name."""
    values = {"at_": clock.from_datetime(moment)} | ({"uuid_": uuid} if uuid is not None else {})
    defined = {
        row.domain_uuid: revisions.from_row(row)
        for row in connection.execute(_DEFINED if uuid is None else _DEFINED_ONE, values)
        if row.kind != "undefine"
    }
    ran: dict[str, Action] = {
        row.uuid: actions.from_row(row)
        for row in connection.execute(_RAN if uuid is None else _RAN_ONE, values)
        if row.verb != "end"
    }
    found = []
    for one in {**defined, **ran}:
        known, started = defined.get(one), ran.get(one)
        name = known.name if known is not None else started.name if started is not None else ""
        found.append(Moment(one, name, known, started))
    return sorted(found, key=lambda each: (each.name, each.uuid))
