"""Whose word each place of a completed domain is: its owner's, or generated, and then why.

The author's text is held beside the completed document; what a later author merely copied from what had been generated
before stays generated. Called by explain and by the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from domicile.domain import document
from domicile.domain.compare import join, pair, step, twins
from domicile.domain.domain import Domain
from domicile.schema import read as reading
from domicile.schema.shape import Element
from domicile.schema.tree import steps

#: The kinds of entries of a report that say what its author did not write.
FILLED = ("defaulted", "allocated", "added", "kept")
Who = Literal["yours", "adjusted", "generated"]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who chose a place; `wrote` is what its owner had written where that was put in another form."""

    who: Who
    en: str = ""
    zh: str = ""
    wrote: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """One revision's texts and the report of its completion: entries with ``path``, ``kind``, ``en``, ``zh``."""

    authored: str
    completed: str
    report: Sequence[Mapping[str, str]] = ()


Owners = dict[str, Owner]


def owners(versions: Sequence[Version]) -> Owners:
    """Say of every path of the newest version whose word it is; `versions` are the oldest first."""
    found: Owners = {}
    before: Domain | None = None
    for version in versions:
        completed = document.read_stored(version.completed)
        now = owners_of(version, completed)
        if before is not None:
            _carry(before, completed, found, now)
        found, before = now, completed
    return found


def owners_of(version: Version, completed: Domain) -> Owners:
    """Say of every path of one version whose word it is, from its author's text alone."""
    author, _ = document.read(version.authored)
    why = {entry["path"]: (entry["en"], entry["zh"]) for entry in version.report if entry["kind"] in FILLED}
    added = {entry["path"] for entry in version.report if entry["kind"] in ("added", "kept")}
    walk = _Walk({}, why, added)
    walk.element(author, reading.parse(version.authored), completed, "")
    return walk.found


def _carry(old: Domain, new: Domain, before: Owners, now: Owners) -> None:
    """What was generated and came back unchanged in the next author's text is still generated."""
    for old_path, new_path, one, other in twins(old, new):
        values = {
            declared.path: declared.scalar.show(value) for _, declared, value in steps(one) if _scalar(declared, value)
        }
        known = before.get(old_path)
        if known is not None and known.who == "generated" and one == other:
            now[new_path] = known
        for _, declared, value in steps(other):
            if not _scalar(declared, value):
                continue
            path, was = _at(new_path, declared), before.get(_at(old_path, declared))
            same = values.get(declared.path) == declared.scalar.show(value)
            if was is not None and was.who == "generated" and same:
                now[path] = was


def _scalar(declared: Any, value: Any) -> bool:
    return declared.of is None and declared.kind in ("attr", "text", "leaf")


def _at(base: str, declared: Any) -> str:
    """Give the path of a field; an element's own text has a path of its own here."""
    return f"{base}/text()" if declared.kind == "text" else join(base, declared.path)


@dataclass(slots=True)
class _Walk:
    found: Owners
    why: Mapping[str, tuple[str, str]]
    added: set[str]

    def element(
        self, author: Any, node: Any, completed: Element, path: str, reason: tuple[str, str] = ("", "")
    ) -> None:
        """Judge an element and all below it; `node` is what the author wrote there, None where nothing."""
        reason = self.why.get(path, reason)
        self.found[path] = Owner("yours") if node is not None else Owner("generated", *reason)
        shape = completed.shape
        for declared in shape.fields:
            value = getattr(completed, declared.slot)
            if value is None or (value is False and declared.kind == "flag"):
                continue
            kind = declared.kind
            at = _at(path, declared)
            if kind == "attr":
                self._judge(at, None if node is None else node.get(declared.name), declared, value, reason)
            elif kind == "text":
                wrote = None if node is None else (node.text or "").strip() or None
                self._judge(at, wrote, declared, value, reason)
            elif kind == "children":
                self._list(author, node, declared, value, path, reason)
            else:
                self._single(author, node, declared, value, at, reason)

    def _single(self, author: Any, node: Any, declared: Any, value: Any, at: str, reason: tuple[str, str]) -> None:
        below = None if node is None else node.find(declared.name)
        if isinstance(value, Element):
            self.element(getattr(author, declared.slot, None) if below is not None else None, below, value, at, reason)
        elif declared.kind == "leaf":
            self._judge(at, None if below is None else (below.text or ""), declared, value, reason)
        else:
            self.found[at] = Owner("yours") if below is not None else Owner("generated", *self.why.get(at, reason))

    def _judge(self, at: str, wrote: str | None, declared: Any, value: Any, reason: tuple[str, str]) -> None:
        why = self.why.get(at, reason)
        if wrote is None:
            self.found[at] = Owner("generated", *why)
        elif wrote.strip() == declared.scalar.show(value).strip():
            self.found[at] = Owner("yours")
        else:
            self.found[at] = Owner("adjusted", *why, wrote=wrote.strip())

    def _list(
        self, author: Any, node: Any, declared: Any, values: list[Any], path: str, reason: tuple[str, str]
    ) -> None:
        nodes = [] if node is None else [sub for sub in node if sub.tag == declared.name]
        written: list[Any] = getattr(author, declared.slot, []) if author is not None else []
        if len(written) != len(nodes):
            nodes = [
                sub for sub in nodes if any(w.source_line == sub.sourceline for w in written if isinstance(w, Element))
            ]
        paths = [join(path, step(declared, index, len(values))) for index in range(len(values))]
        mine = [index for index, at in enumerate(paths) if at not in self.added]
        pairs = [(i, mine[j]) for i, j in pair(written, [values[index] for index in mine])]
        rest = [i for i in range(len(written)) if i not in {i for i, _ in pairs}]
        free = [index for index in mine if index not in {j for _, j in pairs}]
        pairs += list(zip(rest, free, strict=False))
        of_new = {j: i for i, j in pairs}
        for index, value in enumerate(values):
            i = of_new.get(index)
            below = nodes[i] if i is not None and i < len(nodes) else None
            if isinstance(value, Element):
                self.element(written[i] if i is not None else None, below, value, paths[index], reason)
            else:
                known = below is not None
                self.found[paths[index]] = (
                    Owner("yours") if known else Owner("generated", *self.why.get(paths[index], reason))
                )
