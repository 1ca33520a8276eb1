"""Leaving out what a document says of a device that has no such thing, and saying so.

Used by the `defaults` of families whose elements differ by type.
"""

from __future__ import annotations

from collections.abc import Iterable

from domicile.plan.facts import Completion, Note, Why
from domicile.schema.shape import Element


def omit(element: Element, slots: Iterable[str], completion: Completion, en: str, zh: str) -> None:
    """Empty the named slots of an element that are set, each with a note of kind ``ignored``."""
    kinds = {field.slot: field.kind for field in element.shape.fields}
    for slot in slots:
        empty = {"children": [], "flag": False}.get(kinds[slot])
        if getattr(element, slot) != empty:
            setattr(element, slot, empty)
            completion.notes.append(Note(element, slot, "ignored", Why(en, zh)))
