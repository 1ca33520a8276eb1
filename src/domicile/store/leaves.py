"""Every leaf of a document: its attributes and texts, each with the path that names it.

Used by `leaf_index`; pure. Paths leave out the root: ``devices/disk[2]/source/@file``, ``memory``, ``features/acpi``.
An element is numbered where it has siblings of its name; an empty element without attributes is a leaf of value "".
Whoever changes what `leaves_of` returns adds a migration that empties the leaf tables (docs/adr/0003).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar
from xml.parsers import expat

from domicile.base.errors import InvalidRequest

Leaf = tuple[str, str]
_Value = TypeVar("_Value", str, float)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?\Z")


class _Open:
    """An element whose end has not come yet; `leaves` are those of it and below, with paths relative to it."""

    __slots__ = ("children", "leaves", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.text: list[str] = []
        self.leaves: list[Leaf] = [("@" + name, value) for name, value in attributes.items()]
        self.children: dict[str, list[list[Leaf]]] = {}


def leaves_of(completed: str) -> list[Leaf]:
    """Return the leaves of a completed document; a document that cannot be parsed has none."""
    root = _Open("", {})
    stack = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        stack.append(_Open(tag, attributes))

    def end(_tag: str) -> None:
        element = stack.pop()
        stack[-1].children.setdefault(element.tag, []).append(_gathered(element))

    def text(data: str) -> None:
        stack[-1].text.append(data)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(completed.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError:
        return []
    return [leaf for documents in root.children.values() for leaves in documents for leaf in leaves if leaf[0]]


def _gathered(element: _Open) -> list[Leaf]:
    leaves = element.leaves
    text = "".join(element.text).strip()
    if text or not (leaves or element.children):
        leaves.append(("", text))
    for tag, siblings in element.children.items():
        several = len(siblings) > 1
        for number, below in enumerate(siblings, 1):
            prefix = f"{tag}[{number}]" if several else tag
            leaves += [(f"{prefix}/{path}" if path else prefix, value) for path, value in below]
    return leaves


def number(value: str) -> float | None:
    """Return a value as a number where it is a decimal one."""
    return float(value) if _NUMBER.match(value) else None


def pattern(path: str) -> re.Pattern[str]:
    """Compile a path pattern: ``*`` stands for anything within a step, ``**`` for any steps, no number for any.

    The root may be given or left out; ``disk[1]`` is also the only disk.
    """
    steps = [step for step in re.sub(r"^(/?domain)?/", "", path).split("/") if step]
    if not steps:
        raise InvalidRequest(f"an empty path: '{path}' (accepted: for instance devices/interface/mac/@address)")
    out = []
    for place, step in enumerate(steps):
        last = place == len(steps) - 1
        if step == "**":
            out.append(".*" if last else "(?:[^/]+/)*")
            continue
        name, _, numbered = step.partition("[")
        words = re.escape(name).replace(r"\*", "[^/@]*" if not name.startswith("@") else "[^/]*")
        index = "" if name.startswith("@") else _index(path, numbered)
        out.append(words + index + ("" if last else "/"))
    return re.compile("".join(out) + r"\Z")


def _index(path: str, numbered: str) -> str:
    if not numbered:
        return r"(?:\[\d+\])?"
    count = numbered.removesuffix("]")
    if not count.isdecimal():
        raise InvalidRequest(f"not a number between the brackets: '{path}' (accepted: for instance disk[2])")
    return r"(?:\[1\])?" if count == "1" else rf"\[{count}\]"


def test(op: str, wanted: str) -> Callable[[str], bool]:
    """Return the question that `op` and `wanted` ask of a value. Numbers compare as numbers where both are."""
    if op == "contains":
        return lambda value: wanted in value
    if op == "~":
        try:
            return _searcher(re.compile(wanted))
        except re.error as error:
            raise InvalidRequest(f"not a regular expression: '{wanted}': {error}") from None
    limit = number(wanted)

    def compare(value: str) -> bool:
        found = number(value)
        if limit is not None and found is not None:
            return _holds(op, found, limit)
        return _holds(op, value, wanted)

    if op not in ("=", "!=", "<", ">"):
        raise InvalidRequest(f"unknown operator '{op}' (accepted: = != < > ~ contains)")
    return compare


def _searcher(expression: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda value: expression.search(value) is not None


def _holds(op: str, found: _Value, wanted: _Value) -> bool:
    if op == "=":
        return found == wanted
    if op == "!=":
        return found != wanted
    return found < wanted if op == "<" else found > wanted
