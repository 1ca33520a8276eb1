"""Questions answered by SQL over the index of every leaf: which domains, by any of their values, in any combination.

Called by `store.Store`. A comparison becomes the pairs (path and value) for which it holds, and those the domains that have
one; and, or, not are SQL's. Of the past there is no index: its documents are read one after another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    any_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy import column as column_named

from domicile.domain.question import Both, Not, Question, Term, bytes_of, unit_path, usual_unit
from domicile.store import document
from domicile.store.leaf_index import pair_number
from domicile.store.leaves import Leaf, leaves_of, number, pattern, test
from domicile.store.tables import domain, leaf, leaf_pair, leaf_path, revision

_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_ROWS = 200
#: So few domains are asked one by one whether the rest holds for them, too.
_FEW = 300


class Found(NamedTuple):
    """A domain, or a revision of it, that a question holds for; `values` are those of the columns asked for."""

    uuid: str
    name: str
    n: int
    values: dict[str, list[str]]


def find(connection: Connection, question: Question, columns: list[str], limit: int) -> list[Found]:
    """Find the defined domains for which a question holds now, by name."""
    paths = {row.id: row.path for row in connection.execute(select(leaf_path))}
    compiler = _Compiler(connection, paths)
    compiler.narrow(question)
    wanted = select(domain.c.id, domain.c.uuid, domain.c.name, domain.c.head).where(domain.c.undefined_at.is_(None))
    if compiler.within is not None:
        wanted = wanted.where(compiler.among_few())
    wanted = wanted.where(compiler.holds(question)).order_by(domain.c.name)
    rows = connection.execute(wanted.limit(limit) if limit else wanted).all()
    if not columns:
        return [Found(row.uuid, row.name, row.head, {}) for row in rows]
    return [
        Found(row.uuid, row.name, row.head, _values(_leaves(connection, row.id, row.head), columns)) for row in rows
    ]


def find_past(
    connection: Connection, question: Question, columns: list[str], at: int | None, limit: int
) -> Iterator[Found]:
    """Find among what was defined at a moment (microseconds since 1970), or among all revisions for None."""
    wanted = select(revision.c.n, revision.c.name, revision.c.document, domain.c.uuid).join_from(revision, domain)
    wanted = wanted.where(revision.c.kind != "undefine")
    if at is not None:
        last = select(func.max(revision.c.n)).where(revision.c.domain == domain.c.id, revision.c.at <= at)
        wanted = wanted.where(revision.c.n == last.correlate(domain).scalar_subquery())
    ordered = wanted.order_by(domain.c.name, revision.c.domain, revision.c.n).execution_options(yield_per=_ROWS)
    count = 0
    for row in connection.execute(ordered):
        leaves = leaves_of(document.completed(bytes(row.document)))
        if holds_for(question, leaves):
            yield Found(row.uuid, row.name, row.n, _values(leaves, columns))
            count += 1
            if limit and count >= limit:
                return


def holds_for(question: Question, leaves: list[Leaf]) -> bool:
    """Say whether a question holds for a document with these leaves."""
    if isinstance(question, Not):
        return not holds_for(question.inner, leaves)
    if isinstance(question, Both):
        return (all if question.every else any)(holds_for(part, leaves) for part in question.parts)
    matches = pattern(question.path).match
    mine = [(path, value) for path, value in leaves if matches(path)]
    if question.amount is None:
        holds = _test(question)
        return any(holds(value) for _, value in mine)
    units = dict(leaves)
    for path, value in mine:
        found, factor = number(value), bytes_of(units.get(unit_path(path), usual_unit(path)))
        if found is not None and factor and _COMPARISONS[question.op](found * factor, question.amount):
            return True
    return False


def _test(term: Term) -> Callable[[str], bool]:
    if term.op == "exists":
        return lambda value: True
    if term.op == "!~":
        expression = re.compile(term.value)
        return lambda value: expression.search(value) is None
    if term.op == "like":
        like = re.compile(re.escape(term.value).replace("%", ".*").replace("_", "."), re.DOTALL)
        return lambda value: like.fullmatch(value) is not None
    if term.op in ("<=", ">="):
        strict, same = test(term.op[0], term.value), test("=", term.value)
        return lambda value: strict(value) or same(value)
    return test(term.op, term.value)


class _Compiler:
    """Makes SQL of a question."""

    def __init__(self, connection: Connection, paths: dict[int, str]) -> None:
        self._connection, self._paths = connection, paths
        self._ids = {path: number_ for number_, path in paths.items()}
        self._count = 0
        self._within: list[int] | None = None
        """The only domains that may be found, where there are few."""

    def holds(self, question: Question) -> ColumnElement[bool]:
        """Say when a question holds for a row of `domain`."""
        if isinstance(question, Not):
            return not_(self.holds(question.inner))
        if isinstance(question, Both):
            return (and_ if question.every else or_)(*(self.holds(part) for part in question.parts))
        return self._term(question)

    def narrow(self, question: Question) -> None:
        """Find out whether only few domains come into question, which no planner can know: the rest is asked of those alone."""
        self._within = self._few(question)

    @property
    def within(self) -> list[int] | None:
        """The few domains that come into question; None where there are many."""
        return self._within

    def _few(self, question: Question) -> list[int] | None:
        if isinstance(question, Not):
            return None
        if isinstance(question, Term):
            wanted = select(domain.c.id).where(self._term(question)).limit(_FEW + 1)
            found = list(self._connection.execute(wanted).scalars())
            return found if len(found) <= _FEW else None
        ordered = sorted(question.parts, key=lambda part: not (isinstance(part, Term) and part.op == "="))
        if question.every:
            return next((few for part in ordered if (few := self._few(part)) is not None), None)
        union: set[int] = set()
        for part in ordered:
            few = self._few(part)
            if few is None or len(union) > _FEW:
                return None
            union |= set(few)
        return sorted(union)

    def among_few(self) -> ColumnElement[bool]:
        """Say that a row of `domain` is one of the few."""
        return self._among(domain.c.id, self._within or [])

    def _term(self, question: Term) -> ColumnElement[bool]:
        matches = pattern(question.path).match
        paths = [number_ for number_, path in self._paths.items() if matches(path)]
        if not paths:
            return false()
        return self._amount(question, paths) if question.amount is not None else self._plain(question, paths)

    def _plain(self, term: Term, paths: list[int]) -> ColumnElement[bool]:
        limit = number(term.value)
        pairs = select(leaf_pair.c.id).where(self._among(leaf_pair.c.path_id, paths))
        if term.op == "exists":
            return self._having(pairs)
        if term.op == "=" and limit is None:
            return self._having_one_of([pair_number(self._paths[path], term.value) for path in paths])
        if term.op == "=":
            return self._having(pairs.where(leaf_pair.c.number == limit))
        holds = _test(term)
        if limit is not None and term.op in ("<", "<=", ">", ">="):
            numbers = pairs.where(leaf_pair.c.number.is_not(None), _COMPARISONS[term.op](leaf_pair.c.number, limit))
            return or_(self._having(numbers), self._texts(paths, holds, leaf_pair.c.number.is_(None)))
        return self._texts(paths, holds)

    def _texts(self, paths: list[int], holds: Callable[[str], bool], *more: ColumnElement[bool]) -> ColumnElement[bool]:
        """Ask each distinct value once, here."""
        wanted = select(leaf_pair.c.id, leaf_pair.c.value).where(self._among(leaf_pair.c.path_id, paths), *more)
        return self._having_one_of([pair for pair, value in self._connection.execute(wanted) if holds(value)])

    def _amount(self, term: Term, paths: list[int]) -> ColumnElement[bool]:
        """Compare in the unit that each document says beside the value."""
        assert term.amount is not None
        conditions = []
        for path in paths:
            beside = self._ids.get(unit_path(self._paths[path]))
            units: dict[str, int | None] = dict(self._units(beside)) if beside is not None else {}
            for unit, pair in (units or {usual_unit(self._paths[path]): None}).items():
                factor = bytes_of(unit)
                if not factor:
                    continue
                compared = _COMPARISONS[term.op](leaf_pair.c.number, term.amount / factor)
                found = self._having(select(leaf_pair.c.id).where(leaf_pair.c.path_id == path, compared))
                conditions.append(
                    found if pair is None or len(units) == 1 else and_(found, self._having_one_of([pair]))
                )
        return or_(false(), *conditions)

    def _units(self, path: int) -> dict[str, int]:
        rows = self._connection.execute(select(leaf_pair.c.value, leaf_pair.c.id).where(leaf_pair.c.path_id == path))
        return {row.value: row.id for row in rows}

    def _having(self, pairs: Select[Any]) -> ColumnElement[bool]:
        return domain.c.id.in_(self._limited(select(leaf.c.domain).where(leaf.c.pair.in_(pairs))))

    def _having_one_of(self, pairs: list[int]) -> ColumnElement[bool]:
        if not pairs:
            return false()
        return domain.c.id.in_(self._limited(select(leaf.c.domain).where(self._among(leaf.c.pair, pairs))))

    def _limited(self, domains: Select[Any]) -> Select[Any]:
        return domains if self._within is None else domains.where(self._among(leaf.c.domain, self._within))

    def _among(self, column: ColumnElement[Any], numbers: list[int]) -> ColumnElement[bool]:
        """Compare with many numbers as one parameter, for there may be more of them than parameters."""
        if len(numbers) == 1:
            return column == numbers[0]
        if self._connection.dialect.name == "postgresql":
            return column == any_(literal(numbers, ARRAY(BigInteger)))
        self._count += 1
        name = f"numbers_{self._count}"
        encoded = msgspec.json.encode(numbers).decode()
        among = text(f"SELECT value FROM json_each(:{name})").bindparams(**{name: encoded})  # noqa: S608   our own name
        return column.in_(among.columns(column_named("value", BigInteger)))


def _leaves(connection: Connection, domain_id: int, n: int) -> list[Leaf]:
    wanted = select(revision.c.document).where(revision.c.domain == domain_id, revision.c.n == n)
    return leaves_of(document.completed(bytes(connection.execute(wanted).scalar_one())))


def _values(leaves: Iterable[Leaf], columns: list[str]) -> dict[str, list[str]]:
    kept = list(leaves)
    found = {}
    for column in columns:
        matches = pattern(column).match
        found[column] = [value for path, value in kept if matches(path)]
    return found
