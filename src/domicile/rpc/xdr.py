"""The XDR codec: compiles layouts into packing and unpacking functions, one pair a message.

``call`` compiles a pair for every stub; runs of numbers become one struct operation, so that a small call costs
about a microsecond. Whatever cannot be packed or unpacked raises ProtocolError and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from domicile.base.errors import RPC, DomicileError
from domicile.rpc.layout import Array, Chars, Custom, Fixed, Layout, Number, Opaque, Optional, Struct, Text

Pack = Callable[..., bytes]
Unpack = Callable[[bytes], Any]
_FAULTS = (struct.error, UnicodeError, AttributeError, TypeError, ValueError, OverflowError)
_PAD = (b"", b"\0\0\0", b"\0\0", b"\0")


class ProtocolError(DomicileError):
    """The other side's bytes make no message, or a value does not fit its layout."""

    code, domain, status = RPC, 7, 400


def packer(name: str, layouts: Sequence[Layout], *, single: bool = False) -> Pack:
    """Compile a function that packs its arguments; with `single` it takes one value, a tuple where there are many."""
    code = _Code()
    values = [f"a{i}" for i in range(len(layouts))]
    for value, item in zip(values, layouts, strict=True):
        code.pack(item, value)
    code.flush_pack()
    head = "value" if single else ", ".join(values)
    opening = (
        [f"{values[0]} = value" if len(values) == 1 else f"{', '.join(values)}, = value"] if single and values else []
    )
    if code.simple is not None:
        body = [*opening, f"return {code.simple}" if layouts else "return b''"]
    else:
        body = [*opening, "out = []", "add = out.append", *code.lines, "return join(out)"]
    return _compile(name, head, body, code.names)


def unpacker(name: str, layouts: Sequence[Layout], *, single: bool = False) -> Unpack:
    """Compile a function that unpacks a payload to a tuple; with `single` to one value (None for no layouts)."""
    code = _Code()
    results = [code.unpack(item) for item in layouts]
    code.flush_unpack()
    if single and len(results) <= 1:
        result = results[0] if results else "None"
    else:
        result = f"({', '.join(results)},)" if results else "()"
    body = [
        "o = 0",
        *code.lines,
        "if o != len(b): raise ProtocolError(f'{len(b)} bytes of payload where {o} are right')",
        f"return {result}",
    ]
    return _compile(name, "b", body, code.names)


def _compile(name: str, head: str, body: list[str], names: dict[str, Any]) -> Callable[..., Any]:
    source = "\n".join(
        [
            f"def {name}({head}):",
            "    try:",
            *("        " + line for line in body),
            "    except faults as fault:",
            f"        raise ProtocolError('{name}: ' + str(fault)) from None",
        ]
    )
    names.update(faults=_FAULTS, ProtocolError=ProtocolError, PAD=_PAD, join=b"".join)
    exec(compile(source, f"<xdr {name}>", "exec"), names)  # noqa: S102  our own declarations, compiled once at import
    return names[name]  # type: ignore[no-any-return]


class _Code:
    """Source lines under construction; numbers wait in `_run` until something else must be written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.simple: str | None = ""
        self._run: list[tuple[str, str]] = []
        self._indent = ""
        self._count = 0

    def _new(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _line(self, text: str) -> None:
        self.lines.append(self._indent + text)

    def _struct(self) -> tuple[struct.Struct, str]:
        shape = struct.Struct(">" + "".join(fmt for fmt, _ in self._run))
        items = ", ".join(item for _, item in self._run)
        self._run = []
        return shape, items

    # Packing.

    def flush_pack(self) -> None:
        if not self._run:
            return
        name = self._new("s")
        shape, items = self._struct()
        self.names[name] = shape.pack
        if not self.lines and self.simple == "":
            self.simple = f"{name}({items})"
            self.lines.append(f"add({self.simple})")
        else:
            self.simple = None
            self._line(f"add({name}({items}))")

    def _block(self, opening: str, inner: Callable[[], None]) -> None:
        self.simple = None
        self._line(opening)
        before, self._indent = self._indent, self._indent + "    "
        inner()
        self.flush_pack()
        self._indent = before

    def pack(self, item: Layout, value: str) -> None:
        match item:
            case Number(code):
                self._run.append((code, value))
            case Fixed(count):
                self._run.append((f"{count}s", value))
            case Text(limit):
                self._pack_bytes(f"{value}.encode()", limit)
            case Opaque(limit):
                self._pack_bytes(value, limit)
            case Chars(count, fixed):
                self._pack_chars(value, count, fixed)
            case Optional(inner):
                self.flush_pack()
                self._block(f"if {value} is None:", lambda: self._run.append(("I", "0")))
                self._block("else:", lambda: self._pack_present(inner, value))
            case Array(inner, limit):
                self._pack_array(inner, limit, value)
            case Struct(_, fields):
                for name, part in fields:
                    self.pack(part, f"{value}.{name}")
            case Custom(kind):
                self.flush_pack()
                self.simple = None
                name = self._new("c")
                self.names[name] = kind.wire_pack
                self._line(f"{name}({value}, add)")

    def _pack_present(self, inner: Layout, value: str) -> None:
        self._run.append(("I", "1"))
        self.pack(inner, value)

    def _pack_bytes(self, value: str, limit: int) -> None:
        self.simple = None
        text, size = self._new("t"), self._new("n")
        self._line(f"{text} = {value}")
        self._line(f"{size} = len({text})")
        self._line(f"if {size} > {limit}: raise ProtocolError(f'{{{size}}} bytes where at most {limit} may be')")
        self._run.append(("I", size))
        self.flush_pack()
        self._line(f"add({text})")
        self._line(f"if {size} & 3: add(PAD[{size} & 3])")

    def _pack_chars(self, value: str, count: int, fixed: bool) -> None:
        self.simple = None
        self.flush_pack()
        name = self._new("c")
        self.names[name] = _pack_fixed_chars if fixed else _pack_chars
        self._line(f"add({name}({value}, {count}))")

    def _pack_array(self, inner: Layout, limit: int, value: str) -> None:
        self.simple = None
        size, one = self._new("n"), self._new("e")
        self._line(f"{size} = len({value})")
        self._line(f"if {size} > {limit}: raise ProtocolError(f'{{{size}}} items where at most {limit} may be')")
        self._run.append(("I", size))
        self.flush_pack()
        if isinstance(inner, Number):
            self.names["pack"] = struct.pack
            self._line(f"add(pack(f'>{{{size}}}{inner.code}', *{value}))")
        else:
            self._block(f"for {one} in {value}:", lambda: self.pack(inner, one))

    # Unpacking: returns the expression that holds the value.

    def flush_unpack(self) -> None:
        if not self._run:
            return
        name = self._new("s")
        shape, items = self._struct()
        self.names[name] = shape.unpack_from
        self._line(f"{items}, = {name}(b, o)")
        self._line(f"o += {shape.size}")

    def _unpack_number(self, code: str) -> str:
        name = self._new("v")
        self._run.append((code, name))
        return name

    def unpack(self, item: Layout) -> str:
        match item:
            case Number(code):
                return self._unpack_number(code)
            case Fixed(count):
                return self._unpack_number(f"{count}s")
            case Text(limit):
                return self._unpack_bytes(limit, text=True)
            case Opaque(limit):
                return self._unpack_bytes(limit, text=False)
            case Chars(count, fixed):
                return self._unpack_call(_unpack_fixed_chars if fixed else _unpack_chars, f", {count}")
            case Optional(inner):
                return self._unpack_optional(inner)
            case Array(inner, limit):
                return self._unpack_array(inner, limit)
            case Struct(kind, fields):
                parts = [self.unpack(part) for _, part in fields]
                name = self._new("k")
                self.names[name] = kind
                return f"{name}({', '.join(parts)})"
            case Custom(kind):
                return self._unpack_call(kind.wire_unpack, "")

    def _unpack_call(self, function: Callable[..., Any], extra: str) -> str:
        self.flush_unpack()
        name, value = self._new("c"), self._new("v")
        self.names[name] = function
        self._line(f"{value}, o = {name}(b, o{extra})")
        return value

    def _unpack_bytes(self, limit: int, *, text: bool) -> str:
        size, value = self._unpack_number("I"), self._new("t")
        self.flush_unpack()
        self._line(f"if {size} > {limit}: raise ProtocolError(f'{{{size}}} bytes where at most {limit} may be')")
        self._line(f"{value} = b[o:o + {size}]" + (".decode()" if text else ""))
        if text:
            self._line(f"if '\\0' in {value}: raise ProtocolError('a NUL inside a string')")
        self._line(f"o += ({size} + 3) & ~3")
        return value

    def _unpack_block(self, opening: str, inner: Layout, closing: str) -> None:
        self._line(opening)
        before, self._indent = self._indent, self._indent + "    "
        value = self.unpack(inner)
        self.flush_unpack()
        self._line(closing.format(value))
        self._indent = before

    def _unpack_optional(self, inner: Layout) -> str:
        present, value = self._unpack_number("I"), self._new("v")
        self.flush_unpack()
        self._line(f"{value} = None")
        self._line(f"if {present} > 1: raise ProtocolError('neither absent nor present')")
        self._unpack_block(f"if {present}:", inner, f"{value} = {{}}")
        return value

    def _unpack_array(self, inner: Layout, limit: int) -> str:
        size, value = self._unpack_number("I"), self._new("v")
        self.flush_unpack()
        self._line(f"if {size} > {limit}: raise ProtocolError(f'{{{size}}} items where at most {limit} may be')")
        if isinstance(inner, Number):
            self.names["unpack_from"] = struct.unpack_from
            width = struct.calcsize(">" + inner.code)
            self._line(f"{value} = list(unpack_from(f'>{{{size}}}{inner.code}', b, o))")
            self._line(f"o += {width} * {size}")
        else:
            self._line(f"{value} = []")
            self._unpack_block(f"for _ in range({size}):", inner, f"{value}.append({{}})")
        return value


def _pack_chars(value: bytes, limit: int) -> bytes:
    if len(value) > limit:
        raise ProtocolError(f"{len(value)} characters where at most {limit} may be")
    return struct.pack(f">{len(value) + 1}I", len(value), *value)


def _pack_fixed_chars(value: bytes, count: int) -> bytes:
    return struct.pack(f">{count}I", *value[:count].ljust(count, b"\0"))


def _unpack_fixed_chars(data: bytes, offset: int, count: int) -> tuple[bytes, int]:
    chars = struct.unpack_from(f">{count}I", data, offset)
    return bytes(char & 255 for char in chars), offset + 4 * count


def _unpack_chars(data: bytes, offset: int, limit: int) -> tuple[bytes, int]:
    (count,) = struct.unpack_from(">I", data, offset)
    if count > limit:
        raise ProtocolError(f"{count} characters where at most {limit} may be")
    return _unpack_fixed_chars(data, offset + 4, count)
