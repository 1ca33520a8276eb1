"""Leaving out what a document says of a device that has no such thing, and saying so.

Used by the `defaults` of families whose elements differ by type.
"""

from __future__ import annotations

from collections.abc import Iterable

from domicile.plan.facts import Completion
from domicile.schema.shape import Element

_EMPTY: dict[str, object] = {"children": [], "flag": False}


def omit(element: Element, slots: Iterable[str], completion: Completion, en: str, zh: str) -> None:
    """Empty the named slots of an element that are set, each with a note of kind ``ignored``."""
    declared = element.shape.by_slot
    for slot in slots:
        value = getattr(element, slot)
        if value is None:
            continue
        empty = _EMPTY.get(declared[slot].kind)
        if value != empty:
            setattr(element, slot, [] if empty == [] else empty)
            completion.notes.append((element, slot, "ignored", en, zh))
