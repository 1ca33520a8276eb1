"""Saying what an element lacks. Used by the `check` of families whose elements nest."""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.plan.facts import Completion
from domicile.schema.shape import Element


def demand(element: Element | None, slots: tuple[str, ...], whose: str, c: Completion) -> None:
    """Find which of these an element does not say; one that is not there at all lacks nothing."""
    for slot in slots:
        if element is not None and getattr(element, slot) in (None, ""):
            declared = element.shape.by_slot[slot]
            tag = element.shape.tag
            what = "attribute" if declared.kind == "attr" else "element"
            message = f"<{tag}> of {whose} has no {what} '{declared.name or slot}'"
            c.problem(element, message, declared.scalar.accepted, declared.path, XML_ERROR)
