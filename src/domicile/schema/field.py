"""The fields of an element: attribute, text, child, children, flag, raw; each declared with its words.

Slices call these in class bodies; `shape.element` turns them into a dataclass and a Shape.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from domicile.base.errors import XML_ERROR
from domicile.schema.scalar import STR, Scalar

Kind = Literal["attr", "text", "leaf", "flag", "child", "children", "raw", "group"]
Effect = Literal["live", "start", "never"]

KEY = "domicile"
SELF = "self"


@dataclass(slots=True)
class Field:
    """One declared field.

    `effect` says when a change counts: ``live`` now, ``start`` at the next start, ``never``: it is the identity of the thing
    and a change makes another. `guest` says that the guest can see a change of it. `order` moves a field behind those of
    lower order when written, for what a base class declares but libvirt writes last. `code` is libvirt's error number for a
    value that is none, `empty_code` for an empty one.
    """

    kind: Kind
    en: str
    zh: str
    scalar: Scalar = STR
    name: str = ""
    slot: str = ""
    of: Any = None
    effect: Effect = "start"
    guest: bool = False
    keep_empty: bool = True
    secret: bool = False
    required: bool = False
    since: str = ""
    order: int = 0
    foreign: bool = False
    code: int = XML_ERROR
    empty_code: int = XML_ERROR
    nested: Any = None
    """The shape of the elements it holds, where that does not depend on the document; set with the class's own shape."""
    path: str = ""
    """The last step of this field's path: ``@name`` for an attribute, ``name`` for an element, ``text()``; set likewise."""


def _field(kind: Kind, en: str, zh: str, *, many: bool = False, default: Any = None, **options: Any) -> Any:
    declared = Field(kind, en, zh, **options)
    if many:
        return dataclasses.field(default_factory=list, metadata={KEY: declared})
    return dataclasses.field(default=default, metadata={KEY: declared})


def attr(en: str, zh: str, scalar: Scalar = STR, **options: Any) -> Any:
    """Declare an attribute."""
    return _field("attr", en, zh, scalar=scalar, **options)


def text(en: str, zh: str, scalar: Scalar = STR, **options: Any) -> Any:
    """Declare the element's own text."""
    return _field("text", en, zh, scalar=scalar, **options)


def leaf(en: str, zh: str, scalar: Scalar = STR, **options: Any) -> Any:
    """Declare a child element that is only a text."""
    return _field("leaf", en, zh, scalar=scalar, **options)


def flag(en: str, zh: str, **options: Any) -> Any:
    """Declare a child element whose presence alone says yes."""
    return _field("flag", en, zh, default=False, **options)


def child(en: str, zh: str, of: Any, **options: Any) -> Any:
    """Declare a child element that stands once at most; `of` is its class, a Variant, or SELF for an element that nests."""
    return _field("child", en, zh, of=of, **options)


def children(en: str, zh: str, of: Any, **options: Any) -> Any:
    """Declare a child element that may stand any number of times."""
    return _field("children", en, zh, of=of, many=True, **options)


def leaves(en: str, zh: str, scalar: Scalar = STR, **options: Any) -> Any:
    """Declare text-only child elements that may stand any number of times."""
    return _field("children", en, zh, scalar=scalar, many=True, **options)


def raw(en: str, zh: str, **options: Any) -> Any:
    """Declare a child element that is kept verbatim."""
    return _field("raw", en, zh, **options)
