"""Which snapshot (or checkpoint) of a domain came from which, and which of them a question means. Pure.

`service/snapshots` and `service/checkpoints` keep one for each domain that has some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from domicile.base.errors import Conflict, NotFound


@dataclass(slots=True)
class Moment:
    """One of them: its name, its parent's (empty where it has none), and the few facts that lists ask for."""

    name: str
    parent: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Lineage:
    """All moments of one domain; `current` is the name of the one that the next will come from."""

    def __init__(self, noun: str, missing: int) -> None:
        self._noun, self._missing = noun, missing
        self._all: dict[str, Moment] = {}
        self._children: dict[str, dict[str, None]] = {"": {}}
        self.current = ""

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, name: object) -> bool:
        return name in self._all

    def __iter__(self) -> Iterator[Moment]:
        return iter(list(self._all.values()))

    def find(self, name: str) -> Moment:
        """Find one. Raises: NotFound."""
        found = self._all.get(name)
        if found is None:
            raise NotFound(f"no domain {self._noun} with matching name '{name}'", code=self._missing)
        return found

    def add(self, moment: Moment) -> None:
        """Take one in, in place of one of that name; a parent that is not there counts as none."""
        if moment.name in self._all:
            self._unlink(self._all[moment.name])
        self._all[moment.name] = moment
        self._children.setdefault(moment.name, {})
        self._link(moment)

    def _link(self, moment: Moment) -> None:
        self._children.setdefault(moment.parent, {})[moment.name] = None

    def _unlink(self, moment: Moment) -> None:
        self._children.get(moment.parent, {}).pop(moment.name, None)

    def settle(self) -> None:
        """Make roots of those whose parent is not there, once all are taken in."""
        for moment in self._all.values():
            if moment.parent and moment.parent not in self._all:
                self._unlink(moment)
                moment.parent = ""
                self._link(moment)

    def remove(self, name: str) -> list[Moment]:
        """Let one go; its children become its parent's, and are returned."""
        gone = self._all.pop(name)
        self._unlink(gone)
        orphans = [self._all[child] for child in self._children.pop(name, {})]
        for child in orphans:
            child.parent = gone.parent
            self._link(child)
        if self.current == name:
            self.current = ""
        return orphans

    def may_descend(self, name: str, parent: str) -> None:
        """Refuse a parent that is not there, or that comes from the child itself. Raises: NotFound, Conflict."""
        seen, step = {name}, parent
        while step:
            if step in seen:
                raise Conflict(f"parent {parent} would create cycle to {name}", code=8)
            seen.add(step)
            step = self.find(step).parent

    def children(self, name: str) -> list[Moment]:
        """List those that came directly from one; those without a parent where no name is given."""
        return [self._all[child] for child in self._children.get(name, {})]

    def descendants(self, name: str) -> list[Moment]:
        """List all that came from one, parents before their children; all there are where no name is given."""
        found: list[Moment] = []
        waiting = list(reversed(self.children(name)))
        while waiting:
            moment = waiting.pop()
            found.append(moment)
            waiting += reversed(self.children(moment.name))
        return found

    def is_leaf(self, moment: Moment) -> bool:
        """Whether nothing came from it."""
        return not self._children.get(moment.name)
