"""Definitions as an append-only line of revisions: every change adds one, nothing is ever lost.

Functions over a connection in a transaction; called by `store.Store`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, insert, or_, select, update

from domicile.base.errors import Conflict, NotFound
from domicile.base.ids import parse_uuid
from domicile.store import bulk, clock, document, facts
from domicile.store.tables import domain, revision
from domicile.store.values import Author, Draft, Head, Revision


class Place(NamedTuple):
    """Where a domain stands: its row's number, its names, its head, when it was undefined."""

    id: int
    uuid: str
    name: str
    head: int
    undefined_at: int | None


_to_json = msgspec.json.Encoder().encode

_LIVE = domain.c.undefined_at.is_(None)
_ROW = select(domain.c.id, domain.c.uuid, domain.c.name, domain.c.head, domain.c.undefined_at)
_RIVALS = bulk.Prepared(
    _ROW.where(
        or_(domain.c.uuid == bindparam("uuid_"), (domain.c.name == bindparam("name_")) & _LIVE)
    ).with_for_update()
)
_NEW_DOMAIN = bulk.Prepared(
    insert(domain).values({c.name: bindparam(c.name) for c in domain.c if c.name != "id"}).returning(domain.c.id)
)
_NEW_REVISION = bulk.Prepared(
    insert(revision).inline().values({c.name: bindparam(c.name) for c in revision.c if c.name != "id"})
)
# Statements that stand ready: making one anew for each call costs as much as running it.
_BY_UUID = bulk.Prepared(_ROW.where(domain.c.uuid == bindparam("uuid_")))
_BY_NAME = _ROW.where(domain.c.name == bindparam("name_"))
_LIVE_BY_NAME = bulk.Prepared(_BY_NAME.where(_LIVE))
_GONE_BY_NAME = bulk.Prepared(_BY_NAME.where(~_LIVE).order_by(domain.c.undefined_at.desc()))


def _moving(*more: str) -> bulk.Prepared:
    """Prepare making a revision the head, if the head is still its parent; the row comes back where it was."""
    columns = ("name", "head", "undefined_at", *more)
    return bulk.Prepared(
        update(domain)
        .where(domain.c.id == bindparam("id_"), domain.c.head == bindparam("parent_"))
        .values({name: bindparam(name) for name in columns})
        .returning(domain.c.id)
    )


_MOVE_HEAD, _MOVE_HEAD_AND_SUMMARY, _UNDEFINE = _moving(), _moving("summary"), _moving("autostart")
_REVISIONS = select(revision, domain.c.uuid.label("domain_uuid")).join_from(revision, domain)
_HISTORY = _REVISIONS.where(revision.c.domain == bindparam("domain_"), revision.c.n >= bindparam("since_")).order_by(
    revision.c.n
)
_ONE = _REVISIONS.where(revision.c.domain == bindparam("domain_"), revision.c.n == bindparam("n_"))
_HEAD_DOCUMENT = (
    select(revision.c.document)
    .join_from(domain, revision, (revision.c.domain == domain.c.id) & (revision.c.n == domain.c.head))
    .where(domain.c.uuid == bindparam("uuid_"), _LIVE)
)
_HEAD_DOCUMENTS = (
    select(domain.c.uuid, domain.c.head, revision.c.document)
    .join_from(domain, revision, (revision.c.domain == domain.c.id) & (revision.c.n == domain.c.head))
    .where(_LIVE)
)
_HEADS = select(domain.c.uuid, domain.c.name, domain.c.head, domain.c.autostart, domain.c.summary).where(_LIVE)


def define(
    connection: bulk.Target, draft: Draft, author: Author, why: str, expect_head: int | None, kind: str
) -> Revision:
    """Store a definition as the domain's next revision, with its facts.

    Raises: Conflict where the name or the uuid is another's, or the head is not the expected one.
    """
    row = _row_for(connection, draft, kind)
    live_head = row.head if row and row.undefined_at is None else 0
    if expect_head is not None and expect_head != live_head:
        found = f"at revision {live_head}" if live_head else "not defined"
        raise Conflict(
            f"the domain '{draft.name}' ({draft.uuid}) changed meanwhile: it is {found}, not at {expect_head}"
        )
    twice = facts.others(connection, draft.uuid, draft.alone) if draft.tell is not None else []
    report = draft.tell(twice) if twice and draft.tell is not None else draft.report
    first, rest = document.packed_apart(draft.authored, draft.completed, report)
    made = Revision(
        uuid=draft.uuid,
        name=draft.name,
        n=row.head + 1 if row else 1,
        kind=kind,
        at=clock.to_datetime(clock.now()),
        author=author,
        why=why,
        parent=row.head if row else 0,
        packed=first + rest,
        packed_completed=first,
    )
    summary = _to_json(draft.summary).decode()
    if row is None:
        domain_id = _new_domain(connection, made, summary)
    else:
        domain_id = row.id
        _move_head(connection, domain_id, made, None, summary)
    _append(connection, domain_id, made)
    facts.replace(connection, domain_id, draft.facts, fresh=row is None)
    return made


def undefine(connection: bulk.Target, key: str, author: Author, why: str) -> Revision:
    """Take a domain out of service; its history stays. Raises: NotFound."""
    row = _live_row(connection, key)
    now = clock.now()
    made = Revision(
        row.uuid, row.name, row.head + 1, "undefine", clock.to_datetime(now), author, why, row.head, document.EMPTY
    )
    _move_head(connection, row.id, made, now, None)
    _append(connection, row.id, made)
    return made


def undelete(connection: Connection, key: str, author: Author, why: str) -> Revision:
    """Bring an undefined domain back as it was.

    Raises: NotFound; Conflict where it is defined, or its name was taken meanwhile.
    """
    row = any_row(connection, key)
    if row.undefined_at is None:
        raise Conflict(f"the domain '{row.name}' ({row.uuid}) is defined; there is nothing to undelete")
    rival = _first(connection, _LIVE_BY_NAME, name_=row.name)
    if rival is not None:
        raise Conflict(
            f"cannot undelete the domain '{row.name}' ({row.uuid}): the name belongs to the domain {rival.uuid} now"
        )
    last = (
        _REVISIONS.where(revision.c.domain == row.id, revision.c.kind != "undefine")
        .order_by(revision.c.n.desc())
        .limit(1)
    )
    old = from_row(connection.execute(last).one())
    made = replace(
        old,
        n=row.head + 1,
        kind="undelete",
        at=clock.to_datetime(clock.now()),
        author=author,
        why=why,
        parent=old.n,
    )
    _move_head(connection, row.id, replace(made, parent=row.head), None, None)
    _append(connection, row.id, made)
    return made


def history(connection: Connection, key: str, since: int = 0) -> list[Revision]:
    """Return all revisions from `since` on, the first one first, of a defined or undefined domain. Raises: NotFound."""
    row = any_row(connection, key)
    return [from_row(found) for found in connection.execute(_HISTORY, {"domain_": row.id, "since_": since})]


def one(connection: Connection, key: str, n: int) -> Revision:
    """Return one revision. Raises: NotFound."""
    row = any_row(connection, key)
    found = connection.execute(_ONE, {"domain_": row.id, "n_": n}).first()
    if found is None:
        raise NotFound(f"the domain '{row.name}' ({row.uuid}) has no revision {n} (accepted: 1 to {row.head})")
    return from_row(found)


def heads(connection: Connection) -> list[Head]:
    """Return all defined domains in the order they were first defined, without their documents."""
    return [Head(*row) for row in connection.execute(_HEADS.order_by(domain.c.id))]


def head(connection: Connection, key: str) -> Head:
    """Return one defined domain. Raises: NotFound."""
    row = _live_row(connection, key)
    return Head(*connection.execute(_HEADS.where(domain.c.id == row.id)).one())


def head_document(connection: Connection, uuid: str) -> bytes:
    """Return the packed texts of a defined domain. Raises: NotFound."""
    packed = connection.execute(_HEAD_DOCUMENT, {"uuid_": uuid}).scalar()
    if packed is None:
        raise NotFound(f"no domain has the uuid {uuid}")
    return bytes(packed)


def head_documents(connection: Connection) -> list[tuple[str, int, str]]:
    """Return (uuid, n, completed text) of every defined domain."""
    return [(uuid, n, document.completed(bytes(packed))) for uuid, n, packed in connection.execute(_HEAD_DOCUMENTS)]


def set_autostart(connection: Connection, key: str, on: bool) -> None:
    """Say whether the daemon starts a domain by itself. Raises: NotFound."""
    row = _live_row(connection, key)
    connection.execute(update(domain).where(domain.c.id == row.id).values(autostart=on))


def any_row(connection: bulk.Target, key: str) -> Place:
    """Find a domain by uuid or name, defined or not; of several the defined one, else the last undefined."""
    uuid = parse_uuid(key)
    row = _first(connection, _BY_UUID, uuid_=uuid) if uuid else None
    if row is None:
        row = _first(connection, _LIVE_BY_NAME, name_=key) or _first(connection, _GONE_BY_NAME, name_=key)
    if row is None:
        raise NotFound(f"no domain has the name or uuid '{key}'")
    return row


def _first(connection: bulk.Target, wanted: bulk.Prepared, **values: object) -> Place | None:
    rows = wanted.run(connection, values)
    return Place._make(rows[0]) if rows else None


def _live_row(connection: bulk.Target, key: str) -> Place:
    row = any_row(connection, key)
    if row.undefined_at is not None:
        raise NotFound(f"the domain '{row.name}' ({row.uuid}) is not defined; it can be undeleted")
    return row


def _row_for(connection: bulk.Target, draft: Draft, kind: str) -> Place | None:
    """Return the row that the draft is the next revision of, or None where it is a new domain's first."""
    mine = None
    for row in _RIVALS.run(connection, {"uuid_": draft.uuid, "name_": draft.name}):
        found = Place._make(row)
        if found.uuid != draft.uuid:
            raise Conflict(
                f"domain '{draft.name}' already exists with uuid {found.uuid}; {draft.uuid} cannot have its name"
            )
        mine = found
    if mine is not None and mine.undefined_at is None and mine.name != draft.name and kind != "rename":
        raise Conflict(f"uuid {draft.uuid} already belongs to domain '{mine.name}'; '{draft.name}' cannot have it")
    if kind == "rename" and (mine is None or mine.undefined_at is not None):
        raise NotFound(f"no domain has the uuid {draft.uuid}")
    return mine


def _new_domain(connection: bulk.Target, made: Revision, summary: str) -> int:
    values = {
        "uuid": made.uuid,
        "name": made.name,
        "head": made.n,
        "leaf_head": 0,
        "autostart": False,
        "undefined_at": None,
        "owner": made.author.user,
        "summary": summary,
    }
    return int(_NEW_DOMAIN.run(connection, values)[0][0])


def _move_head(
    connection: bulk.Target, domain_id: int, made: Revision, undefined_at: int | None, summary: str | None
) -> None:
    """Make a revision the head; only if the head is still its parent."""
    values: dict[str, Any] = {"name": made.name, "head": made.n, "undefined_at": undefined_at}
    values |= {"id_": domain_id, "parent_": made.parent}
    if summary is not None:
        moved = _MOVE_HEAD_AND_SUMMARY.run(connection, values | {"summary": summary})
    elif undefined_at is not None:
        moved = _UNDEFINE.run(connection, values | {"autostart": False})
    else:
        moved = _MOVE_HEAD.run(connection, values)
    if len(moved) != 1:
        raise Conflict(f"the domain '{made.name}' ({made.uuid}) changed meanwhile")


def _append(connection: bulk.Target, domain_id: int, made: Revision) -> None:
    _NEW_REVISION.run(
        connection,
        {
            "domain": domain_id,
            "n": made.n,
            "kind": made.kind,
            "name": made.name,
            "at": clock.from_datetime(made.at),
            "author_user": made.author.user,
            "author_client": made.author.client,
            "author_command": made.author.command,
            "why": made.why,
            "parent": made.parent,
            "document": made.packed,
        },
    )


def from_row(row: Any) -> Revision:
    """Make a revision of a row that has its domain's uuid as `domain_uuid`."""
    return Revision(
        uuid=row.domain_uuid,
        name=row.name,
        n=row.n,
        kind=row.kind,
        at=clock.to_datetime(row.at),
        author=Author(row.author_user, row.author_client, row.author_command),
        why=row.why,
        parent=row.parent,
        packed=bytes(row.document),
    )
