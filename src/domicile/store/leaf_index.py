"""The index of every leaf: kept behind the definitions, brought up to date in batches before it answers.

Called by `store.Store`. Why it lags, and why its ids are hashes: docs/adr/0003.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, text, update

from domicile.base.errors import Conflict
from domicile.store import bulk, document
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
_CAUGHT_UP = (
    update(domain)
    .where(domain.c.id == bindparam("id_"), domain.c.leaf_head == bindparam("shown_"))
    .values(leaf_head=bindparam("to_"))
)
_DROP = delete(leaf).where(leaf.c.pair == bindparam("pair_"), leaf.c.domain == bindparam("domain_"))


_TURN = text("SELECT pg_advisory_xact_lock(:key)")
# An arbitrary number: daemons that index one PostgreSQL wait for each other on it.
_TURN_KEY = 0x444F4D4C


class Changes(NamedTuple):
    """What brings the leaves of some domains up to date."""

    moved: list[tuple[int, int, int]]
    """(domain, the revision indexed so far, the revision indexed after)"""
    paths: dict[int, str]
    pairs: dict[int, tuple[int, str]]
    added: list[tuple[int, int]]
    dropped: list[tuple[int, int]]


def stale(connection: Connection) -> bool:
    """Say whether any domain's leaves are behind."""
    return connection.execute(_STALE, {"limit_": 1}).first() is not None


def take_turn(connection: Connection) -> None:
    """Wait until no other daemon indexes this PostgreSQL."""
    connection.execute(_TURN, {"key": _TURN_KEY})


def gather(connection: Connection, limit: int) -> Changes:
    """Find out what up to `limit` changed domains need; takes no lock, for revisions never change."""
    stale = connection.execute(_STALE, {"limit_": limit}).all()
    changes = Changes([(row.id, row.leaf_head, row.head) for row in stale], {}, {}, [], [])
    for domain_id, shown, head in changes.moved:
        old = {pair_number(*found) for found in _leaves(connection, domain_id, shown)}
        new = set()
        for found in _leaves(connection, domain_id, head):
            pair_id = pair_number(*found)
            new.add(pair_id)
            if pair_id not in old and pair_id not in changes.pairs:
                path, value = found
                path_id = _path_id(path)
                changes.paths[path_id] = path
                changes.pairs[pair_id] = (path_id, value)
        changes.added.extend((pair_id, domain_id) for pair_id in new - old)
        changes.dropped.extend((pair_id, domain_id) for pair_id in old - new)
    return changes


def apply(connection: Connection, changes: Changes) -> None:
    """Write what was gathered. Raises: Conflict where another daemon indexed the same meanwhile."""
    for domain_id, shown, head in changes.moved:
        if connection.execute(_CAUGHT_UP, {"id_": domain_id, "shown_": shown, "to_": head}).rowcount != 1:
            raise Conflict("another daemon indexes the same leaves")
    if changes.dropped:
        connection.execute(_DROP, [{"pair_": p, "domain_": d} for p, d in sorted(changes.dropped)])
    bulk.add(connection, leaf_path, sorted(changes.paths.items()), only_new=True)
    pairs = [(pair_id, path_id, number(value), value) for pair_id, (path_id, value) in sorted(changes.pairs.items())]
    bulk.add(connection, leaf_pair, pairs, only_new=True)
    # In the order of the index: neighbours share a page.
    bulk.add(connection, leaf, sorted(changes.added))


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
            wanted = [pair_number(paths[path_id], value) for path_id in ids]
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


def _chunks(ids: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(ids)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


@lru_cache(maxsize=65_536)
def pair_number(path: str, value: str) -> int:
    """Give the number of a path with a value."""
    return _hash(f"{path}\0{value}")


@lru_cache(maxsize=4_096)
def _path_id(path: str) -> int:
    return _hash(path)


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
