"""The decorator that makes an element: a slotted dataclass with a Shape derived from its fields, once.

Slices use `element`; read, write and walk use the Shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from domicile.schema import field as fields
from domicile.schema.field import KEY, Field

T = TypeVar("T", bound="Element")


@dataclass(slots=True, kw_only=True, init=False, repr=False, eq=False)
class Element:
    """The root of all declared elements; `source_line` is the line of the document it was read from, 0 when made."""

    shape: ClassVar[Shape]
    source_line: int = dataclasses.field(default=0, compare=False, repr=False)

    # Every field by keyword, each with a default. A type checker cannot know that of our field functions unless each call
    # repeats its default.
    def __init__(self, **values: Any) -> None:
        """Make the class's constructor when the first element of it is made, then use it: most are never needed."""
        made: Any = type(self)
        made.__init__ = _constructor(made)
        made.__init__(self, **values)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Compare all fields, but not the lines they stood on."""
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, f.slot) == getattr(other, f.slot) for f in self.shape.fields)

    def __repr__(self) -> str:
        """Show what is set."""
        values = ((f.slot, getattr(self, f.slot)) for f in self.shape.fields)
        return f"{type(self).__name__}({', '.join(f'{slot}={v!r}' for slot, v in values if v is not None and v != [])})"


@dataclass(frozen=True, slots=True)
class Variant:
    """A child element whose class depends on one of its attributes (``address`` on ``type``)."""

    attribute: str
    cases: Mapping[str, type[Element]]
    otherwise: type[Element] | None = None


def _none(_made: Any) -> Sequence[tuple[Field, Any]]:
    return ()


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
    by_slot: dict[str, Field]
    closed: bool = False
    spread: bool = False
    required: tuple[Field, ...] = ()
    """The attributes without which the element means nothing."""
    set_attrs: Callable[[Any], Sequence[tuple[Field, Any]]] = _none
    """Gives the attributes that are set, in their order, with their values."""
    set_elements: Callable[[Any], Sequence[tuple[Field, Any]]] = _none
    """Gives the child elements that are set, in their order, with their values; a list that is not empty counts as set."""
    readers: Any = None
    """What reading its attributes asks of their declarations, see schema.read; None until the first is read."""
    writer: Any = None
    """Writes such an element, see schema.write.writer_of; None until the first is written."""


def element(
    tag: str, zh: str, *, identity: tuple[str, ...] = (), closed: bool = False, spread: bool = False
) -> Callable[[type[T]], type[T]]:
    """Declare an element: its tag and its words in Chinese; the docstring's first line are its words in English.

    `identity` names the slots by which two documents' elements are known to be the same device (dotted where nested);
    a `closed` element refuses children it does not know, where others report them and go on; a `spread` one has its end on
    a line of its own even where it holds nothing.
    """

    def make(cls: type[T]) -> type[T]:
        made: Any = dataclasses.dataclass(slots=True, kw_only=True, init=False, repr=False, eq=False)(cls)
        made.__init__ = Element.__init__  # its own, not the one that its base may have made meanwhile
        found = []
        for item in dataclasses.fields(made):
            declared = item.metadata.get(KEY)
            if declared is None:
                continue
            declared = dataclasses.replace(declared, slot=item.name, name=declared.name or item.name)
            kind, name = declared.kind, declared.name
            declared.path = f"@{name}" if kind == "attr" else "text()" if kind == "text" else name
            if declared.of == fields.SELF:
                declared.of = made
            found.append(declared)
        found.sort(key=lambda f: f.order)
        attrs = {f.name: f for f in found if f.kind == "attr"}
        elements = {f.name: f for f in found if f.kind not in ("attr", "text")}
        made.shape = Shape(
            tag=tag,
            cls=made,
            en=(cls.__doc__ or "").strip().splitlines()[0],
            zh=zh,
            fields=tuple(found),
            attrs=attrs,
            elements=elements,
            text=next((f for f in found if f.kind == "text"), None),
            identity=identity,
            by_slot={f.slot: f for f in found},
            closed=closed,
            spread=spread,
            required=tuple(f for f in attrs.values() if f.required),
        )
        for declared in found:
            hold(declared, declared.of)
        _finder(made.shape, "set_attrs", attrs)
        _finder(made.shape, "set_elements", elements)
        return made  # type: ignore[no-any-return]

    return make


def hold(declared: Field, of: Any) -> None:
    """Say what a field holds; for one whose class could not be named yet where it was declared."""
    declared.of = of
    declared.nested = of.shape if isinstance(of, type) and issubclass(of, Element) else None


def _constructor(cls: type[Any]) -> Callable[..., None]:
    """Write a class's constructor: straight assignments, some ten times as fast as a loop over the fields."""
    names: dict[str, Any] = {}
    words, lines = [], []
    for item in dataclasses.fields(cls):
        name = item.name
        if item.default_factory is not dataclasses.MISSING:
            names[f"new_{name}"] = item.default_factory
            words.append(f"{name}=None")
            lines.append(f" self.{name} = new_{name}() if {name} is None else {name}")
        else:
            names[f"default_{name}"] = item.default
            words.append(f"{name}=default_{name}")
            lines.append(f" self.{name} = {name}")
    exec(f"def __init__(self, {', '.join(words)}):\n" + "\n".join(lines), names)  # noqa: S102  our own declarations
    made: Callable[..., None] = names["__init__"]
    return made


def _finder(shape: Shape, name: str, among: Mapping[str, Field]) -> None:
    """Give a shape the function that finds which fields of an element are set; its code is written when it is first called.

    One test after the other in plain code is three times as fast as a loop with getattr, and most fields are not set.
    """

    def first(made: Any) -> Sequence[tuple[Field, Any]]:
        names: dict[str, Any] = {}
        lines = ["def find(made):", " found = []"]
        for number, declared in enumerate(among.values()):
            names[f"field_{number}"] = declared
            test = "value" if declared.kind in ("flag", "children") else "value is not None"
            lines += [f" value = made.{declared.slot}", f" if {test}: found.append((field_{number}, value))"]
        exec("\n".join([*lines, " return found"]), names)  # noqa: S102  our own declarations
        setattr(shape, name, names["find"])
        return names["find"](made)  # type: ignore[no-any-return]

    if among:
        setattr(shape, name, first)
