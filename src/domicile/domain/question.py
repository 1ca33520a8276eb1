"""Questions about definitions: `memory >= 2GiB and not devices.disk.source@file ~ '^/srv'`, read into a tree.

Used by the store, which answers them by SQL, and by the front doors; pure. docs/how-to/ask-for-machines.md has the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from domicile.base.errors import InvalidRequest
from domicile.domain.leaves import PLACES

OPERATORS = ("=", "!=", "<=", ">=", "<", ">", "~", "!~", "like", "contains")
_TOKEN = re.compile(
    r"\s*(?:(?P<end>\Z)|(?P<bracket>[()])|(?P<op><=|>=|!=|!~|=|<|>|~)|(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<word>[^\s()=<>!~'\"]+))"
)
_AMOUNT = re.compile(r"(-?[0-9]{1,18}(?:\.[0-9]{1,9})?)([A-Za-z]+)\Z")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
#: What amounts are in where no attribute `unit` beside them says so.
_UNITS = {
    "vram": "KiB",
    "ram": "KiB",
    "vgamem": "KiB",
    "vram64": "KiB",
    "average": "KiB",
    "peak": "KiB",
    "burst": "KiB",
}
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison; `op` is ``exists`` where there is nothing to compare. `amount` is in bytes, of a value with a unit."""

    path: str
    op: str = "exists"
    value: str = ""
    amount: float | None = None


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    inner: Question


@dataclass(frozen=True, slots=True)
class Both:
    """Several questions: all of them, or any."""

    every: bool
    parts: tuple[Question, ...]


Question = Term | Not | Both


def bytes_of(unit: str) -> float | None:
    """Say how many bytes a unit of memory is; None where it is none. ``K`` and ``KiB`` are 1024, ``KB`` is 1000."""
    lowered = unit.lower()
    if lowered in ("b", "byte", "bytes"):
        return 1.0
    power = _POWERS.get(lowered[:1])
    if power is None or lowered[1:] not in ("", "b", "ib"):
        return None
    return float((1000 if lowered[1:] == "b" else 1024) ** power)


def usual_unit(path: str) -> str:
    """Say in what unit an amount is where the document does not."""
    return _UNITS.get(path.rpartition("@")[2], "B")


def unit_path(path: str) -> str:
    """Name the attribute that says a value's unit."""
    if "@" in path:
        return path[: path.rindex("@")] + "@unit"
    return path + "/@unit"


def path_of(word: str) -> str:
    """Write a path as the leaves have them: ``devices.disk.source@file`` is ``devices/disk/source/@file``, ``mac`` its place."""
    if word in PLACES:
        return PLACES[word]
    slashed = word.replace(".", "/") if "/" not in word else word
    return re.sub(r"(?<=[^/])@", "/@", slashed)


class _Reader:
    """Walks over the words of a question."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def _split(self) -> Iterator[tuple[str, str, int]]:
        at = 0
        while True:
            found = _TOKEN.match(self._text, at)
            if found is None or found.lastgroup is None:
                start = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                raise self.wrong("an open quotation or a lone '!'", "quotations that are closed", start)
            yield found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)
            if found.lastgroup == "end":
                return
            at = found.end()

    def wrong(self, what: str, accepted: str, at: int) -> InvalidRequest:
        return InvalidRequest(f"at character {at + 1} of the question: {what} (accepted: {accepted})")

    def peek(self) -> tuple[str, str, int]:
        return self._tokens[self._next]

    def take(self) -> tuple[str, str, int]:
        found = self._tokens[self._next]
        self._next += found[0] != "end"
        return found

    def is_word(self, *words: str) -> bool:
        kind, text, _ = self.peek()
        return kind == "word" and text.lower() in words

    def whole(self) -> Question:
        found = self.any_of()
        kind, text, at = self.peek()
        if kind != "end":
            raise self.wrong(f"'{text}' follows a question that is complete", "and, or", at)
        return found

    def any_of(self) -> Question:
        return self._several("or", self.all_of, every=False)

    def all_of(self) -> Question:
        return self._several("and", self.one, every=True)

    def _several(self, word: str, part: Callable[[], Question], *, every: bool) -> Question:
        parts = [part()]
        while self.is_word(word):
            self.take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(every, tuple(parts))

    def one(self) -> Question:
        kind, text, at = self.take()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.wrong("too many brackets in each other", f"{_DEEPEST} at most", at)
        try:
            if kind == "bracket" and text == "(":
                inner = self.any_of()
                kind, text, end = self.take()
                if text != ")":
                    raise self.wrong("a bracket is not closed", ")", end)
                return inner
            if kind == "word" and text.lower() == "not":
                return Not(self.one())
            if kind == "word" and text.lower() == "exists":
                return Term(self._path(*self.take()))
            return self._comparison(kind, text, at)
        finally:
            self._depth -= 1

    def _path(self, kind: str, text: str, at: int) -> str:
        if kind != "word" or text.lower() in ("and", "or", "not"):
            what = f"'{text}' where a path is expected" if text else "the end where a path is expected"
            raise self.wrong(what, "for instance memory, devices.disk.source@file, mac", at)
        path = path_of(text)
        if not re.fullmatch(r"[\w@*/\[\].:-]+", path):
            raise self.wrong(f"'{text}' is no path", "for instance devices/disk[1]/source/@file", at)
        return path

    def _comparison(self, kind: str, text: str, at: int) -> Term:
        path = self._path(kind, text, at)
        kind, op, at = self.take()
        op = op.lower()
        if op not in OPERATORS or kind not in ("op", "word"):
            what = f"'{op}' where an operator is expected" if op else "the end where an operator is expected"
            raise self.wrong(what, " ".join(OPERATORS), at)
        kind, value, at = self.take()
        if kind == "quoted":
            return Term(path, op, self._judged(op, value[1:-1], at))
        if kind != "word":
            what = f"'{value}' where a value is expected" if value else "the end where a value is expected"
            raise self.wrong(what, "a word, a number with or without unit, 'a quotation'", at)
        amount = _AMOUNT.match(value)
        factor = bytes_of(amount[2]) if amount is not None else None
        if amount is not None and factor is not None and op in ("=", "!=", "<", "<=", ">", ">="):
            return Term(path, op, value, float(amount[1]) * factor)
        return Term(path, op, self._judged(op, value, at))

    def _judged(self, op: str, value: str, at: int) -> str:
        if op in ("~", "!~"):
            try:
                re.compile(value)
            except re.error as error:
                raise self.wrong(
                    f"'{value}' is no regular expression: {error}", "Python's regular expressions", at
                ) from None
        return value


def read(text: str) -> Question:
    """Read a question. Raises: InvalidRequest, with the place of what is wrong."""
    return _Reader(text).whole()


def terms(question: Question) -> Sequence[Term]:
    """List the comparisons of a question."""
    if isinstance(question, Term):
        return [question]
    if isinstance(question, Not):
        return terms(question.inner)
    return [term for part in question.parts for term in terms(part)]
