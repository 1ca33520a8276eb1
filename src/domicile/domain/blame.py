"""Who set each value of a definition: the revision since which it is what it is now.

Called by the service. The revisions are walked from the newest back, and the walk ends once every value's origin is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from domicile.domain.explain import Line
from domicile.domain.leaf_table import Table, Tables, join


@dataclass(frozen=True, slots=True)
class Origin:
    """The number of the revision that set a value, and the value's path in that revision."""

    revision: int
    path: str


#: The lasting name of a value: of the part of the document it is in, and of itself there.
Name = tuple[str, str]


@dataclass(slots=True)
class Blame:
    """The origin of each value of a definition at revision `head`, by its lasting name and by its path there."""

    head: int = 0
    names: dict[Name, Origin] = field(default_factory=dict)
    paths: dict[str, Origin] = field(default_factory=dict)

    def of(self, path: str) -> Origin | None:
        """Find the origin of what has this path; an element's text may have that of its element."""
        return self.paths.get(path) or self.paths.get(path.removesuffix("/text()"))

    def below(self, path: str) -> Origin | None:
        """Find the newest origin in an element."""
        start = f"{path}/"
        found = [origin for at, origin in self.paths.items() if at == path or at.startswith(start)]
        return max(found, key=lambda origin: origin.revision, default=None)


def blame(versions: Iterable[tuple[int, Callable[[], str]]], known: Blame | None = None) -> Blame:
    """Find the origins; `versions` are (number, completed document) from the newest back, those without a document left out.

    With what was `known` of an earlier head the walk ends there, if `versions` go back to it.
    """
    tables, found = Tables(), Blame()
    walk: _Walk | None = None
    first: Table = {}
    for n, document in versions:
        table = tables.table(document())
        if walk is None:
            walk, first, found.head = _Walk(n, table, found.names), table, n
            continue
        walk.back(n, table)
        if known is not None and n == known.head:
            walk.take(known)
        if not walk.open:
            break
    if walk is not None:
        walk.rest()
    for name, part in first.items():
        for below, leaf in part.leaves.items():
            found.paths[join(part.path, leaf.path)] = found.names[name, below]
    return found


class _Walk:
    """The walk back: what is still without an origin, by part."""

    def __init__(self, n: int, table: Table, names: dict[Name, Origin]) -> None:
        self.number, self.table, self.names = n, table, names
        self.open = {name: dict(part.leaves) for name, part in table.items()}

    def back(self, n: int, older: Table) -> None:
        """Look at the revision before: what is another there was set by the one after it."""
        for name in list(self.open):
            before, now = older.get(name), self.table[name]
            if before is not None and before.leaves is now.leaves:
                continue
            left = self.open[name]
            there = before.leaves if before is not None else {}
            for below in [key for key, leaf in left.items() if key not in there or there[key].value != leaf.value]:
                self._settle(name, below)
            if not left:
                del self.open[name]
        self.number, self.table = n, older

    def _settle(self, name: str, below: str) -> None:
        part = self.table[name]
        del self.open[name][below]
        self.names[name, below] = Origin(self.number, join(part.path, part.leaves[below].path))

    def take(self, known: Blame) -> None:
        """Take over what is known of this revision."""
        for name, left in list(self.open.items()):
            for below in [key for key in left if (name, key) in known.names]:
                self.names[name, below] = known.names[name, below]
                del left[below]
            if not left:
                del self.open[name]

    def rest(self) -> None:
        """What is as it was from the beginning was set by the oldest revision."""
        for name, left in list(self.open.items()):
            for below in list(left):
                self._settle(name, below)


@dataclass(frozen=True, slots=True)
class Blamed:
    """A line of the document with its newest origin, and its values: (path, name, value, origin)."""

    depth: int
    xml: str
    path: str
    origin: Origin | None
    values: tuple[tuple[str, str, str, Origin | None], ...] = ()


def annotate(lines: Iterable[Line], found: Blame) -> list[Blamed]:
    """Say of each line of an explained document who set what is on it; lines that only end an element have no origin."""
    blamed = []
    inside: Origin | None = None
    for line in lines:
        if not line.notes:
            blamed.append(Blamed(line.depth, line.xml, line.path, None if line.xml.startswith("</") else inside))
            continue
        values = tuple((note.path, note.name, note.value, found.of(note.path)) for note in line.notes)
        # An element that only holds others is as old as itself; what is kept verbatim is as new as anything in it.
        origins = [origin for *_, origin in values if origin is not None]
        origin = max(origins, key=lambda o: o.revision, default=None)
        if len(line.notes) == 1 and not line.notes[0].value and line.notes[0].effect:
            origin = inside = found.below(line.path)
        blamed.append(Blamed(line.depth, line.xml, line.path, origin, values))
    return blamed
