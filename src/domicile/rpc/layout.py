"""Layouts: what a Python annotation means on the wire (XDR, RFC 4506).

The compiler in ``xdr`` turns them into code; ``types`` and ``calls`` write the annotations.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

STRING_MAX = 4_194_304


@dataclass(frozen=True, slots=True)
class Number:
    """A number: `code` is its letter in the struct module (XDR widens everything to four or eight bytes)."""

    code: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The greatest length of a string, an opaque or an array."""

    count: int


@dataclass(frozen=True, slots=True)
class Fixed:
    """Opaque bytes of exactly this length (a multiple of four)."""

    count: int


@dataclass(frozen=True, slots=True)
class Chars:
    """C's ``char[]``, each character in four bytes: of any length up to `count`, or of exactly `count`."""

    count: int
    fixed: bool = False


u32 = Annotated[int, Number("I")]
i32 = Annotated[int, Number("i")]
u64 = Annotated[int, Number("Q")]
i64 = Annotated[int, Number("q")]
f64 = Annotated[float, Number("d")]
flag = Annotated[bool, Number("i")]
Uuid = Annotated[bytes, Fixed(16)]


@dataclass(frozen=True, slots=True)
class Text:
    """A bounded UTF-8 string."""

    limit: int = STRING_MAX


@dataclass(frozen=True, slots=True)
class Opaque:
    """Bounded bytes."""

    limit: int = STRING_MAX


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be absent."""

    inner: Layout


@dataclass(frozen=True, slots=True)
class Array:
    """A bounded list."""

    inner: Layout
    limit: int


@dataclass(frozen=True, slots=True)
class Struct:
    """A dataclass, field by field."""

    kind: type
    fields: tuple[tuple[str, Layout], ...]


@dataclass(frozen=True, slots=True)
class Custom:
    """A type with a codec of its own: ``wire_pack(value, add)`` and ``wire_unpack(data, offset) -> (value, offset)``."""

    kind: Any


Layout = Number | Fixed | Chars | Text | Opaque | Optional | Array | Struct | Custom


def layout(annotation: Any) -> Layout:
    """Read the layout of one annotation.

    Raises: TypeError where the annotation has none.
    """
    marks: tuple[Any, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        marks = tuple(rest)
    for mark in marks:
        if isinstance(mark, Number | Fixed | Chars):
            return mark
    limit = next((mark.count for mark in marks if isinstance(mark, Limit)), None)
    if annotation is str:
        return Text(limit or STRING_MAX)
    if annotation is bytes:
        return Opaque(limit or STRING_MAX)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (types.UnionType, typing.Union) and len(args) == 2 and args[1] is types.NoneType:
        return Optional(layout(args[0]))
    if origin is list:
        if limit is None:
            raise TypeError("a list on the wire needs a limit")
        return Array(layout(args[0]), limit)
    if hasattr(annotation, "wire_pack"):
        return Custom(annotation)
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        return struct_layout(annotation)
    raise TypeError(f"{annotation!r} has no wire layout")


def struct_layout(kind: type) -> Struct:
    """Read the layout of a dataclass."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return Struct(kind, tuple((f.name, layout(hints[f.name])) for f in dataclasses.fields(kind)))
