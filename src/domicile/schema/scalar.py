"""Scalars: how one value stands in an attribute or a text, and what would be accepted there.

Every declared field names one; the reader and the writer call them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from domicile.base import ids


@dataclass(frozen=True, slots=True)
class Scalar:
    """One kind of value: `parse` raises ValueError on anything else, `show` gives libvirt's text form.

    `spec` says the same as `show` as a format specification, where that is all there is to it.
    """

    name: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str]
    accepted: str
    values: tuple[str, ...] = ()
    spec: str = ""


def plain(text: str) -> str:
    """Give a text as it is."""
    return text


def _filled(text: str) -> str:
    if not text:
        raise ValueError
    return text


_DIGITS = frozenset("0123456789")
_SPACES = " \t\n\r\v\f"


def _integer(text: str) -> int:
    if text.isdigit() and text.isascii() and len(text) <= 20:
        return int(text)
    body = text.lstrip(_SPACES)
    digits = body[1:] if body[:1] in "+-" else body
    if not digits or not _DIGITS.issuperset(digits) or len(digits) > 20:
        raise ValueError
    return int(body)


def _bounded(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = _integer(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return parse


def _any_base(text: str) -> int:
    """Read as C's strtol does with base 0: decimal, 0x… or 0… octal."""
    if len(text) > 24 or "_" in text:
        raise ValueError
    body = text.strip(_SPACES)
    if len(body) > 1 and body[0] == "0" and _DIGITS.issuperset(body):
        return int(body, 8)
    return int(body, 0)


def integer(low: int, high: int) -> Scalar:
    """A decimal number between two bounds, both included."""
    return Scalar("integer", _bounded(low, high), str, f"a whole number from {low} to {high}", spec="d")


def hexadecimal(width: int, high: int) -> Scalar:
    """A number written as 0x with `width` digits and read in any base C knows."""

    def parse(text: str) -> int:
        value = _any_base(text)
        if not 0 <= value <= high:
            raise ValueError
        return value

    spec = f"#0{width + 2}x"
    return Scalar("hexadecimal", parse, lambda value: format(value, spec), f"a number from 0 to {high:#x}", spec=spec)


def enum(*values: str) -> Scalar:
    """One word of a fixed list."""
    known = dict.fromkeys(values)

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError
        return text

    return Scalar("enum", parse, plain, ", ".join(values), values)


def _switch(yes: str, no: str) -> Scalar:
    table = {yes: True, no: False}

    def parse(text: str) -> bool:
        try:
            return table[text]
        except KeyError:
            raise ValueError from None

    return Scalar("switch", parse, lambda value: yes if value else no, f"{yes}, {no}", (yes, no))


def _known(parse: Callable[[str], str | None]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        value = parse(text)
        if value is None:
            raise ValueError
        return value

    return checked


def _name(text: str) -> str:
    if not text or text.strip() == "" or "/" in text or "\n" in text or text in (".", ".."):
        raise ValueError
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or "\0" in text:
        raise ValueError
    return text


#: The greatest number of a set of CPUs or nodes, and one more.
MOST_NUMBERS = 16384


def _numbers(text: str) -> str:
    """Read a set of numbers such as ``0-3,^2`` and give it in libvirt's form, ``0-1,3``."""
    found: set[int] = set()
    for part in text.split(","):
        word = part.strip(_SPACES)
        low, dash, high = word.removeprefix("^").partition("-")
        if not all(w and len(w) < 6 and _DIGITS.issuperset(w) for w in ((low, high) if dash else (low,))):
            raise ValueError
        span = range(int(low), int(high if dash else low) + 1)
        if not span or span[-1] >= MOST_NUMBERS or (word.startswith("^") and dash):
            raise ValueError
        found = found - set(span) if word.startswith("^") else found | set(span)
    return spans(found)


def spans(numbers: Iterable[int]) -> str:
    """Write a set of numbers as ``0-1,3``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def numbers(text: str) -> list[int]:
    """List the numbers of a set in libvirt's form."""
    parts = [part.split("-") for part in text.split(",") if part]
    return [number for part in parts for number in range(int(part[0]), int(part[-1]) + 1)]


STR = Scalar("string", plain, plain, "any text")
FILLED = Scalar("string", _filled, plain, "a text that is not empty")
NAME = Scalar("name", _name, plain, "a name that is not empty and has neither a slash nor a line break")
NUMBERS = Scalar("numbers", _numbers, plain, "a set of numbers such as 0-3,^2,8")
PATH = Scalar("path", _path, plain, "an absolute path")
INT = integer(-(2**31), 2**31 - 1)
UINT = integer(0, 2**32 - 1)
PUINT = integer(1, 2**32 - 1)
ULONG = integer(0, 2**64 - 1)
YES_NO = _switch("yes", "no")
ON_OFF = _switch("on", "off")
UUID = Scalar("uuid", _known(ids.parse_uuid), plain, "a UUID such as c47e19d5-b25c-4581-8a95-fcb1cb02fd04")
#: A UUID, or nothing where a new one is to be made.
UUID_OR_NEW = Scalar("uuid", lambda text: UUID.parse(text) if text else "", plain, f"{UUID.accepted}, or nothing")
MAC = Scalar("mac", _known(ids.parse_mac), plain, "a MAC address such as 52:54:00:8c:ed:f9")
