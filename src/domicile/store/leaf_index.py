"""The index of every leaf: kept behind the definitions, brought up to date in batches before it answers.

Called by `store.Store`. Why it lags, and why its ids are hashes: docs/adr/0003.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from domicile.store import document
from domicile.store.leaves import Leaf, leaves_of, number, pattern, test
from domicile.store.tables import domain, leaf, leaf_pair, leaf_path, revision
from domicile.store.values import Match

# Below SQLite's and PostgreSQL's limits of parameters in one statement.
_CHUNK = 5_000
_STALE = (
    select(domain.c.id, domain.c.head, domain.c.leaf_head)
    .where(domain.c.leaf_head != domain.c.head, domain.c.undefined_at.is_(None))
    .order_by(domain.c.id)
    .limit(bindparam("limit_"))
)
_DOCUMENT = select(revision.c.document).where(
    revision.c.domain == bindparam("domain_"), revision.c.n == bindparam("n_")
)
_CAUGHT_UP = update(domain).where(domain.c.id == bindparam("id_")).values(leaf_head=bindparam("leaf_head"))
_DROP = delete(leaf).where(leaf.c.pair == bindparam("pair_"), leaf.c.domain == bindparam("domain_"))


def is_stale(connection: Connection) -> bool:
    """Say whether a definition is newer than its leaves."""
    return connection.execute(_STALE, {"limit_": 1}).first() is not None


def catch_up(connection: Connection, limit: int) -> int:
    """Index the leaves of up to `limit` changed domains; return how many there were."""
    stale = connection.execute(_STALE, {"limit_": limit}).all()
    paths: dict[int, str] = {}
    pairs: dict[int, tuple[int, str]] = {}
    added: list[tuple[int, int]] = []
    dropped: list[tuple[int, int]] = []
    for domain_id, head, shown in stale:
        # A revision never changes, so what is indexed of the old one is known without looking.
        old = {_pair_id(path, value) for path, value in _leaves(connection, domain_id, shown)}
        new = set()
        for path, value in _leaves(connection, domain_id, head):
            pair_id = _pair_id(path, value)
            new.add(pair_id)
            if pair_id not in pairs and pair_id not in old:
                path_id = _hash(path)
                paths[path_id] = path
                pairs[pair_id] = (path_id, value)
        added += [(pair_id, domain_id) for pair_id in new - old]
        dropped += [(pair_id, domain_id) for pair_id in old - new]
    if dropped:
        connection.execute(_DROP, [{"pair_": p, "domain_": d} for p, d in sorted(dropped)])
    _add(connection, paths, pairs, added)
    if stale:
        connection.execute(_CAUGHT_UP, [{"id_": row.id, "leaf_head": row.head} for row in stale])
    return len(stale)


def clear(connection: Connection) -> None:
    """Forget all leaves; the next catch_up indexes everything."""
    for table in (leaf, leaf_pair, leaf_path):
        connection.execute(delete(table))
    connection.execute(update(domain).values(leaf_head=0))


def find(connection: Connection, path: str, op: str, value: str) -> list[Match]:
    """Find the defined domains that have a leaf at the path for which `op value` holds."""
    paths = _matching_paths(connection, path)
    pairs = dict(_matching_pairs(connection, paths, op, value))
    found: list[Match] = []
    for ids in _chunks(pairs):
        rows = connection.execute(
            select(leaf.c.pair, domain.c.uuid, domain.c.name)
            .join_from(leaf, domain, leaf.c.domain == domain.c.id)
            .where(leaf.c.pair.in_(ids), domain.c.undefined_at.is_(None))
        )
        found += [Match(uuid, name, paths[pairs[pair][0]], pairs[pair][1]) for pair, uuid, name in rows]
    return sorted(found, key=lambda match: (match.name, match.path))


def _matching_paths(connection: Connection, path: str) -> dict[int, str]:
    matches = pattern(path).match
    rows = connection.execute(select(leaf_path.c.id, leaf_path.c.path))
    return {path_id: text for path_id, text in rows if matches(text)}


def _matching_pairs(
    connection: Connection, paths: dict[int, str], op: str, value: str
) -> Iterator[tuple[int, tuple[int, str]]]:
    holds = test(op, value)
    limit = number(value)
    columns = select(leaf_pair.c.id, leaf_pair.c.path_id, leaf_pair.c.value)
    for ids in _chunks(paths):
        if op == "=" and limit is None:
            wanted = [_pair_id(paths[path_id], value) for path_id in ids]
            candidates = columns.where(leaf_pair.c.id.in_(wanted))
        elif op == "=":
            candidates = columns.where(leaf_pair.c.path_id.in_(ids), leaf_pair.c.number == limit)
        else:
            candidates = columns.where(leaf_pair.c.path_id.in_(ids))
        for pair_id, path_id, found in connection.execute(candidates):
            if holds(found):
                yield pair_id, (path_id, found)


def _leaves(connection: Connection, domain_id: int, n: int) -> list[Leaf]:
    if n == 0:
        return []
    packed = connection.execute(_DOCUMENT, {"domain_": domain_id, "n_": n}).scalar_one()
    return leaves_of(document.completed(bytes(packed)))


def _add(
    connection: Connection, paths: dict[int, str], pairs: dict[int, tuple[int, str]], added: list[tuple[int, int]]
) -> None:
    for path_id in paths.keys() - _present(connection, leaf_path.c.id, paths):
        connection.execute(insert(leaf_path), {"id": path_id, "path": paths[path_id]})
    rows = [
        {"id": pair_id, "path_id": pairs[pair_id][0], "number": number(pairs[pair_id][1]), "value": pairs[pair_id][1]}
        for pair_id in sorted(pairs.keys() - _present(connection, leaf_pair.c.id, pairs))
    ]
    if rows:
        connection.execute(insert(leaf_pair), rows)
    if added:
        # In the order of the index: neighbours share a page.
        connection.execute(insert(leaf), [{"pair": pair, "domain": owner} for pair, owner in sorted(added)])


def _present(connection: Connection, column: ColumnElement[int], ids: Iterable[int]) -> set[int]:
    found: set[int] = set()
    for chunk in _chunks(ids):
        found.update(connection.execute(select(column).where(column.in_(chunk))).scalars())
    return found


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _pair_id(path: str, value: str) -> int:
    return _hash(f"{path}\0{value}")


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
