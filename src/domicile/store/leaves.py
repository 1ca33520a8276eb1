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


#: Attributes whose values are for nobody who searches.
SECRET = frozenset({"passwd"})


class _Walk:
    """What the parser's calls gather: a flat list of elements, each knowing its parent and its place among siblings."""

    def __init__(self) -> None:
        self.tags = [""]
        self.parents = [0]
        self.places = [1]
        self.attributes: list[list[str]] = [[]]
        self.texts = [""]
        # By parent: how many children of each tag.
        self.counts: list[dict[str, int]] = [{}]
        self.open = [0]

    def start(self, tag: str, attributes: list[str]) -> None:
        parent = self.open[-1]
        counts = self.counts[parent]
        counts[tag] = place = counts.get(tag, 0) + 1
        self.open.append(len(self.tags))
        self.tags.append(tag)
        self.parents.append(parent)
        self.places.append(place)
        self.attributes.append(attributes)
        self.texts.append("")
        self.counts.append({})

    def end(self, _tag: str) -> None:
        self.open.pop()

    def text(self, data: str) -> None:
        if not data.isspace():
            self.texts[self.open[-1]] += data

    def leaves(self) -> list[Leaf]:
        # Element 0 is the document, 1 its root; neither is part of a path.
        prefixes = ["", ""]
        found: list[Leaf] = []
        for number in range(1, len(self.tags)):
            parent, tag = self.parents[number], self.tags[number]
            if number > 1:
                path = prefixes[parent] + tag
                if self.counts[parent][tag] > 1:
                    path = f"{path}[{self.places[number]}]"
                prefixes.append(path + "/")
                text, attributes = self.texts[number], self.attributes[number]
                if text or not (attributes or self.counts[number]):
                    found.append((path, text.strip()))
            prefix, attributes = prefixes[number], self.attributes[number]
            found += [
                (f"{prefix}@{attributes[i]}", attributes[i + 1])
                for i in range(0, len(attributes), 2)
                if attributes[i] not in SECRET
            ]
        return found


def leaves_of(completed: str) -> list[Leaf]:
    """Return the leaves of a completed document; a document that cannot be parsed has none."""
    walk = _Walk()
    parser = expat.ParserCreate()
    parser.ordered_attributes = parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = walk.start, walk.end, walk.text
    try:
        parser.Parse(completed.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError:
        return []
    return walk.leaves()


def parses(text: str) -> bool:
    """Say whether a text is XML."""
    try:
        expat.ParserCreate().Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError:
        return False
    return True


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
