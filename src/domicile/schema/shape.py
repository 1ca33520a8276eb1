"""The decorator that makes an element: a slotted dataclass with a Shape derived from its fields, once.

Slices use `element`; read, write and walk use the Shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from domicile.schema import field as fields
from domicile.schema.field import KEY, Field

T = TypeVar("T", bound="Element")


@dataclass(slots=True, kw_only=True)
class Element:
    """The root of all declared elements; `source_line` is the line of the document it was read from, 0 when made."""

    shape: ClassVar[Shape]
    source_line: int = dataclasses.field(default=0, compare=False, repr=False)

    if TYPE_CHECKING:
        # The decorator makes the constructor: every field by keyword, each with a default. A type checker cannot know
        # that of our field functions unless each call repeats its default.
        def __init__(self, **values: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Variant:
    """A child element whose class depends on one of its attributes (``address`` on ``type``)."""

    attribute: str
    cases: Mapping[str, type[Element]]
    otherwise: type[Element] | None = None


@dataclass(slots=True)
class Shape:
    """All that is known of one element class."""

    tag: str
    cls: type[Any]
    en: str
    zh: str
    fields: tuple[Field, ...]
    attrs: dict[str, Field]
    elements: dict[str, Field]
    text: Field | None
    identity: tuple[str, ...]
    nested: tuple[Field, ...]


def element(tag: str, zh: str, *, identity: tuple[str, ...] = ()) -> Callable[[type[T]], type[T]]:
    """Declare an element: its tag and its words in Chinese; the docstring's first line are its words in English.

    `identity` names the slots by which two documents' elements are known to be the same device (dotted where nested).
    """

    def make(cls: type[T]) -> type[T]:
        made: Any = dataclasses.dataclass(slots=True, kw_only=True)(cls)
        found = []
        for item in dataclasses.fields(made):
            declared = item.metadata.get(KEY)
            if declared is None:
                continue
            declared = dataclasses.replace(declared, slot=item.name, name=declared.name or item.name)
            if declared.of == fields.SELF:
                declared.of = made
            found.append(declared)
        found.sort(key=lambda f: f.order)
        made.shape = Shape(
            tag=tag,
            cls=made,
            en=(cls.__doc__ or "").strip().splitlines()[0],
            zh=zh,
            fields=tuple(found),
            attrs={f.name: f for f in found if f.kind == "attr"},
            elements={f.name: f for f in found if f.kind not in ("attr", "text")},
            text=next((f for f in found if f.kind == "text"), None),
            identity=identity,
            nested=tuple(f for f in found if f.kind in ("child", "children") and f.of is not None),
        )
        return made  # type: ignore[no-any-return]

    return make
