"""Walks over declared elements: every leaf with its path, copies, and the element a path names.

Used by the store's projections, by compare, explain and find.
"""

from __future__ import annotations

import copy as _copy
from collections.abc import Iterator
from typing import Any, TypeVar

from domicile.schema.field import Field
from domicile.schema.shape import Element
from domicile.schema.write import compact

T = TypeVar("T", bound=Element)


def copy(made: T) -> T:
    """Copy an element and all below it; verbatim XML is shared, it is never changed."""
    shape = made.shape
    new = _copy.copy(made)
    for declared in shape.elements.values():
        if declared.kind == "children":
            value = getattr(made, declared.slot)
            setattr(new, declared.slot, [copy(v) if isinstance(v, Element) else v for v in value])
        elif declared.kind == "child":
            value = getattr(made, declared.slot)
            if isinstance(value, Element):
                setattr(new, declared.slot, copy(value))
    return new


def steps(made: Element) -> Iterator[tuple[str, Field, Any]]:
    """Yield (step, field, value) of everything that is set directly below an element, in written order."""
    for declared in made.shape.fields:
        value = getattr(made, declared.slot)
        if value is None or value == [] or (value is False and declared.kind != "attr"):
            continue
        if declared.kind == "children":
            for index, item in enumerate(value):
                yield (f"{declared.name}[{index + 1}]" if len(value) > 1 else declared.name), declared, item
        else:
            yield declared.path, declared, value


def leaves(made: Element, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every value below an element that is no secret; elements that are only a flag have the text ``yes``."""
    for step, declared, value in steps(made):
        path = f"{prefix}{step}"
        if declared.secret:
            continue
        if declared.kind == "flag":
            yield path, "yes"
        elif isinstance(value, Element):
            before = True
            for item in leaves(value, path + "/"):
                before = False
                yield item
            if before and declared.keep_empty:
                yield path, ""
        elif declared.kind == "raw":
            yield path, compact(value)
        elif declared.of is None:
            yield path, declared.scalar.show(value)


def places(made: Element) -> Iterator[tuple[str, Element]]:
    """Yield (path, element) of an element and every element below it; the root's path is empty."""
    found: list[tuple[str, Element]] = []
    _places(made, "", found)
    return iter(found)


def _places(made: Element, prefix: str, found: list[tuple[str, Element]]) -> None:
    found.append((prefix, made))
    inside = made.shape.set_elements(made)
    if not inside:
        return
    start = f"{prefix}/" if prefix else ""
    for declared, value in inside:
        if declared.kind == "children":
            many = len(value) > 1
            for index, item in enumerate(value, 1):
                if isinstance(item, Element):
                    _places(item, f"{start}{declared.name}[{index}]" if many else start + declared.name, found)
        elif isinstance(value, Element):
            _places(value, start + declared.name, found)
