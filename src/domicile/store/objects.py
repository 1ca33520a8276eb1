"""Definitions of networks, storage pools, secrets and filters, as append-only revisions, and what of them is active.

Functions over a Connection in a transaction; called by `store.Store`. There are few of them: their documents come with lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, or_, select, update

from domicile.base.errors import Conflict, NotFound
from domicile.store import clock, document
from domicile.store.tables import active_object, object_, object_revision
from domicile.store.values import ActiveObject, Author, ObjectHead, Revision

_LIVE = object_.c.undefined_at.is_(None)
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(dict[str, Any]).decode


def define(
    connection: Connection, kind: str, uuid: str, name: str, authored: str, completed: str, author: Author, why: str
) -> Revision:
    """Store a definition as its object's next revision. Raises: Conflict where name or uuid are another's."""
    same = or_(object_.c.uuid == uuid, (object_.c.name == name) & _LIVE)
    mine = None
    for row in connection.execute(select(object_).where(object_.c.kind == kind, same).with_for_update()):
        if row.uuid != uuid:
            raise Conflict(f"{kind} '{name}' already exists with uuid {row.uuid}; {uuid} cannot have its name")
        mine = row
    if mine is not None and mine.undefined_at is None and mine.name != name:
        raise Conflict(f"uuid {uuid} already belongs to {kind} '{mine.name}'; '{name}' cannot have it")
    packed = document.pack(authored, completed, "")
    if mine is None:
        values = {"kind": kind, "uuid": uuid, "name": name, "head": 1, "autostart": False, "owner": author.user}
        number = int(connection.execute(insert(object_).values(values).returning(object_.c.id)).scalar_one())
        parent = 0
    else:
        number, parent = int(mine.id), int(mine.head)
        changed = update(object_).where(object_.c.id == number, object_.c.head == parent)
        _moved(connection.execute(changed.values(name=name, head=parent + 1, undefined_at=None)).rowcount, kind, name)
    return _append(connection, number, uuid, name, parent, "define", packed, author, why)


def undefine(connection: Connection, kind: str, uuid: str, author: Author, why: str) -> Revision:
    """Take a definition out of service; its history stays. Raises: NotFound."""
    row = _live(connection, kind, uuid)
    changed = update(object_).where(object_.c.id == row.id, object_.c.head == row.head)
    gone = changed.values(head=row.head + 1, undefined_at=clock.now(), autostart=False)
    _moved(connection.execute(gone).rowcount, kind, row.name)
    return _append(connection, row.id, uuid, row.name, row.head, "undefine", document.EMPTY, author, why)


def set_autostart(connection: Connection, kind: str, uuid: str, on: bool) -> None:
    """Say whether the daemon makes it active by itself. Raises: NotFound."""
    connection.execute(update(object_).where(object_.c.id == _live(connection, kind, uuid).id).values(autostart=on))


def heads(connection: Connection, kind: str) -> list[ObjectHead]:
    """Return all defined objects of a kind with their documents, in the order they were first defined."""
    joined = (object_revision.c.object == object_.c.id) & (object_revision.c.n == object_.c.head)
    wanted = (
        select(object_.c.uuid, object_.c.name, object_.c.head, object_.c.autostart, object_revision.c.document)
        .join_from(object_, object_revision, joined)
        .where(object_.c.kind == kind, _LIVE)
        .order_by(object_.c.id)
    )
    return [
        ObjectHead(row.uuid, row.name, row.head, bool(row.autostart), document.completed(bytes(row.document)))
        for row in connection.execute(wanted)
    ]


def ever(connection: Connection, kind: str) -> bool:
    """Say whether anything of a kind was ever defined."""
    return connection.execute(select(object_.c.id).where(object_.c.kind == kind).limit(1)).first() is not None


def history(connection: Connection, kind: str, key: str) -> list[Revision]:
    """Return all revisions of an object by uuid or name, defined or not, the first one first. Raises: NotFound."""
    named = select(object_).where(object_.c.kind == kind, or_(object_.c.uuid == key, object_.c.name == key))
    row = connection.execute(named.order_by(_LIVE.desc(), object_.c.undefined_at.desc())).first()
    if row is None:
        raise NotFound(f"no {kind} has the name or uuid '{key}'")
    wanted = select(object_revision).where(object_revision.c.object == row.id).order_by(object_revision.c.n)
    return [
        Revision(
            uuid=row.uuid, name=found.name, n=found.n, kind=found.kind, at=clock.to_datetime(found.at),
            author=Author(found.author_user, found.author_client, found.author_command), why=found.why, parent=found.parent,
            packed=bytes(found.document),
        )
        for found in connection.execute(wanted)
    ]  # fmt: skip


def put_active(connection: Connection, active: ActiveObject) -> None:
    """Keep what a later daemon must know of an active object, in place of what was kept."""
    drop_active(connection, active.kind, active.uuid, active.host)
    values = {
        "kind": active.kind, "uuid": active.uuid, "host": active.host, "name": active.name,
        "document": document.text_pack(active.document), "facts": _to_json(active.facts).decode(), "since": clock.now(),
    }  # fmt: skip
    connection.execute(insert(active_object).values(values))


def drop_active(connection: Connection, kind: str, uuid: str, host: str) -> None:
    """Forget that an object is active on a host."""
    same = (active_object.c.kind == kind) & (active_object.c.uuid == uuid) & (active_object.c.host == host)
    connection.execute(delete(active_object).where(same))


def active(connection: Connection, kind: str, host: str) -> list[ActiveObject]:
    """Return what was active on a host."""
    wanted = select(active_object).where(active_object.c.kind == kind, active_object.c.host == host)
    return [
        ActiveObject(kind, row.uuid, row.name, document.text_unpack(bytes(row.document)), _facts(row.facts), host)
        for row in connection.execute(wanted.order_by(active_object.c.since))
    ]


def adopt(connection: Connection, host: str) -> None:
    """Make what was active before hosts had names a host's own."""
    connection.execute(update(active_object).where(active_object.c.host == "").values(host=host))


def _facts(text: str) -> Mapping[str, Any]:
    return _from_json(text)


def _live(connection: Connection, kind: str, uuid: str) -> Any:
    row = connection.execute(select(object_).where(object_.c.kind == kind, object_.c.uuid == uuid, _LIVE)).first()
    if row is None:
        raise NotFound(f"no {kind} has the uuid {uuid}")
    return row


def _moved(rows: int, kind: str, name: str) -> None:
    if rows != 1:
        raise Conflict(f"the {kind} '{name}' changed meanwhile")


def _append(
    connection: Connection,
    number: int,
    uuid: str,
    name: str,
    parent: int,
    op: str,
    packed: bytes,
    author: Author,
    why: str,
) -> Revision:
    at = clock.now()
    values = {
        "object": number, "n": parent + 1, "kind": op, "name": name, "at": at, "author_user": author.user,
        "author_client": author.client, "author_command": author.command, "why": why, "parent": parent, "document": packed,
    }  # fmt: skip
    connection.execute(insert(object_revision).values(values))
    return Revision(uuid, name, parent + 1, op, clock.to_datetime(at), author, why, parent, packed)
