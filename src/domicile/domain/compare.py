"""The difference of two domains as a person means it: by element and by which device it is, not by line.

Called by the service (diff, edit, pending changes) and by `provenance`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from domicile.devices.controller import Controller
from domicile.domain.domain import Domain
from domicile.schema import tree
from domicile.schema.field import Field
from domicile.schema.shape import Element
from domicile.schema.write import verbatim, write

Kind = Literal["added", "removed", "changed", "moved"]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `path` stands in the new document (in the old one for what was removed).

    `subject` names the device it belongs to (``disk hda``), `effect` says when it counts, `guest` whether the guest sees it.
    """

    kind: Kind
    path: str
    subject: str
    old: str
    new: str
    en: str
    zh: str
    effect: str
    guest: bool


def compare(old: Domain, new: Domain) -> list[Change]:
    """List what changed from one domain to the other."""
    walk = _Walk([])
    walk.element(old, new, "", "", "", None)
    return walk.changes


def name_of(element: Element) -> str:
    """Name a device by its tag and its identity: ``disk hda``, ``interface 52:54:00:…``."""
    values = identity(element)
    words = [value for value in values or () if value]
    return " ".join([element.shape.tag, *words])


def identity(element: Element) -> tuple[str, ...] | None:
    """Give the values by which an element is known to be the same one, None where it has none."""
    if not element.shape.identity:
        return None
    values = tuple(_text(_follow(element, dotted)) for dotted in element.shape.identity)
    return values if any(values) else None


def _follow(element: Any, dotted: str) -> Any:
    for slot in dotted.split("."):
        element = getattr(element, slot, None)
    return element


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def pair(olds: list[Any], news: list[Any]) -> list[Pair]:
    """Say which of the old elements is which of the new: by identity, name, likeness, address, then resemblance."""
    pairs: list[Pair] = []
    left, right = list(range(len(olds))), list(range(len(news)))
    for key in (_same_identity, _same_alias, _same_number, _same_leaves, _same_address):
        _take(olds, news, left, right, pairs, key)
    for i in list(left):
        best = max(right, key=lambda j: likeness(olds[i], news[j]), default=None)
        if best is not None and likeness(olds[i], news[best]) >= 0.5:
            left.remove(i)
            right.remove(best)
            pairs.append((i, best))
    return sorted(pairs, key=lambda p: p[1])


def _take(
    olds: list[Any], news: list[Any], left: list[int], right: list[int], pairs: list[Pair], key: Callable[[Any], Any]
) -> None:
    """Pair those with equal keys, in order; a key of None pairs nothing."""
    waiting: dict[Any, list[int]] = {}
    for j in right:
        value = key(news[j])
        if value is not None:
            waiting.setdefault(value, []).append(j)
    for i in list(left):
        value = key(olds[i])
        if value is not None and waiting.get(value):
            j = waiting[value].pop(0)
            left.remove(i)
            right.remove(j)
            pairs.append((i, j))


def _same_identity(item: Any) -> Any:
    return identity(item) if isinstance(item, Element) else None


def _same_alias(item: Any) -> Any:
    """Give the name that its owner gave a device; a run's own names say nothing of another document."""
    alias = getattr(item, "alias", None)
    name = getattr(alias, "name", None)
    return name if name and name.startswith("ua-") else None


def _same_number(item: Any) -> Any:
    """A controller that became another model is the same one where its number says so."""
    return (item.type, item.index) if isinstance(item, Controller) and item.index is not None else None


def _same_leaves(item: Any) -> Any:
    return tuple(_leaves(item))


def _same_address(item: Any) -> Any:
    address = getattr(item, "address", None)
    return tuple(tree.leaves(address)) if isinstance(address, Element) else None


def _leaves(item: Any) -> list[tuple[str, str]]:
    if isinstance(item, Element):
        return list(tree.leaves(item))
    return [("", shown(item))]


def likeness(one: Any, other: Any) -> float:
    """Say from 0 to 1 how much two elements have in common, measured by the poorer of them."""
    a, b = Counter(_leaves(one)), Counter(_leaves(other))
    least = min(a.total(), b.total())
    return (a & b).total() / least if least else 0.0


def shown(value: Any, declared: Field | None = None) -> str:
    """Give a value as it would stand in a document."""
    if isinstance(value, Element):
        return write(value, secrets=False, tag=declared.name if declared is not None else "").rstrip("\n")
    if declared is not None and declared.of is None and declared.kind != "raw":
        return "yes" if value is True and declared.kind == "flag" else declared.scalar.show(value)
    if hasattr(value, "tag"):
        return "\n".join(verbatim(value, ""))
    return str(value)


def _masked(value: Any, declared: Field | None) -> str:
    return "***" if declared is not None and declared.secret else shown(value, declared)


def step(declared: Field, index: int, count: int) -> str:
    """Name the n-th of some children as paths do."""
    return f"{declared.name}[{index + 1}]" if count > 1 else declared.name


def join(base: str, last: str) -> str:
    """Put a step behind a path; an element's own text has its element's path."""
    if last == "text()":
        return base
    return f"{base}/{last}" if base else last


@dataclass(slots=True)
class _Walk:
    changes: list[Change]

    def element(self, old: Any, new: Any, before: str, after: str, subject: str, parent: Field | None) -> None:
        """Compare two elements of one place."""
        if type(old) is not type(new):
            self._whole(old, new, before, after, subject, parent)
            return
        for declared in new.shape.fields:
            one, other = getattr(old, declared.slot), getattr(new, declared.slot)
            if declared.kind == "children":
                self._list(declared, one, other, before, after, subject)
                continue
            paths = join(before, declared.path), join(after, declared.path)
            if isinstance(one, Element) and isinstance(other, Element):
                self.element(one, other, *paths, subject, declared)
            else:
                self._value(declared, one, other, *paths, subject, parent)

    def _whole(self, old: Any, new: Any, before: str, after: str, subject: str, parent: Field | None) -> None:
        """One kind of element stands in for another: compare their leaves."""
        ones, others = dict(tree.leaves(old)), dict(tree.leaves(new))
        for path in {**ones, **others}:
            if ones.get(path) != others.get(path):
                declared = parent or Field("child", new.shape.en, new.shape.zh)
                self._add(
                    declared, parent, ones.get(path, ""), others.get(path, ""), join(after or before, path), subject
                )

    def _value(
        self, declared: Field, one: Any, other: Any, before: str, after: str, subject: str, parent: Field | None
    ) -> None:
        one, other = (None if value is False and declared.kind == "flag" else value for value in (one, other))
        if one is None and other is None:
            return
        if one is None or other is None or shown(one, declared) != shown(other, declared):
            old = "" if one is None else _masked(one, declared)
            new = "" if other is None else _masked(other, declared)
            self._add(declared, parent, old, new, before if other is None else after, subject)

    def _list(self, declared: Field, olds: list[Any], news: list[Any], before: str, after: str, subject: str) -> None:
        pairs = pair(olds, news)
        of_old, of_new = dict(pairs), {j: i for i, j in pairs}
        device = after == "devices" or before == "devices"
        for i, old in enumerate(olds):
            if i not in of_old:
                name = name_of(old) if device else subject
                path = join(before, step(declared, i, len(olds)))
                self._add(declared, None, shown(old, declared), "", path, name, "removed")
        for j, new in enumerate(news):
            name = name_of(new) if device else subject
            path = join(after, step(declared, j, len(news)))
            if j not in of_new:
                self._add(declared, None, "", shown(new, declared), path, name, "added")
            elif isinstance(new, Element):
                i = of_new[j]
                name = name_of(olds[i]) if device else subject
                self.element(olds[i], new, join(before, step(declared, i, len(olds))), path, name, declared)
        order = [i for i, _ in pairs]
        if order != sorted(order) and declared.name != "controller":
            old_order, new_order = (
                ", ".join(self._short(items[k]) for k in ks)
                for items, ks in ((olds, sorted(order)), (news, [j for _, j in pairs]))
            )
            self._add(declared, None, old_order, new_order, join(after, declared.name), subject, "moved")

    @staticmethod
    def _short(item: Any) -> str:
        if isinstance(item, Element) and identity(item):
            return name_of(item)
        return " ".join(value for _, value in _leaves(item)[:2])

    def _add(
        self,
        declared: Field,
        parent: Field | None,
        old: str,
        new: str,
        path: str,
        subject: str,
        kind: Kind | None = None,
    ) -> None:
        found: Kind = kind or ("removed" if old and not new else "added" if new and not old else "changed")
        words = parent if parent is not None and declared.kind == "text" else declared
        effect, guest = when(declared, parent)
        self.changes.append(
            Change(found, path, subject, old, new, words.en, words.zh, effect, guest or declared.kind == "children")
        )


def when(declared: Field, parent: Field | None) -> tuple[str, bool]:
    """Say when a change of a field counts and whether the guest sees it; the element it is in may know better."""
    effect = declared.effect
    if effect == "start" and parent is not None and parent.effect != "start":
        effect = parent.effect
    return effect, declared.guest or (parent is not None and parent.guest)


def twins(old: Element, new: Element) -> Iterator[tuple[str, str, Any, Any]]:
    """Yield (old path, new path, old element, new element) of all elements that stand for the same thing."""
    yield from _twins(old, new, "", "")


def _twins(old: Any, new: Any, before: str, after: str) -> Iterator[tuple[str, str, Any, Any]]:
    yield before, after, old, new
    if type(old) is not type(new):
        return
    for declared in new.shape.elements.values():
        one, other = getattr(old, declared.slot), getattr(new, declared.slot)
        if declared.kind == "children":
            for i, j in pair(one, other):
                if isinstance(other[j], Element):
                    paths = (join(b, step(declared, k, len(of))) for b, k, of in ((before, i, one), (after, j, other)))
                    yield from _twins(one[i], other[j], *paths)
        elif isinstance(one, Element) and isinstance(other, Element):
            yield from _twins(one, other, join(before, declared.path), join(after, declared.path))
