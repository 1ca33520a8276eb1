"""The report of a completion: what was ignored, defaulted, allocated, added at each place, and why.

Made by complete; kept by the store in a compact form that names places by their line in the completed document, since
looking up a hundred paths would cost a definition as much time as writing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

import msgspec

from domicile.base.problem import Problem
from domicile.plan.facts import Note


@dataclass(slots=True)
class Entry:
    """One line of the report: what became of a place of the document (``ignored``, ``defaulted``, ``allocated``, ``added``, ``kept``, ``duplicate``)."""

    path: str
    kind: str
    value: str
    en: str
    zh: str


_encode = msgspec.json.Encoder().encode


def pack(
    notes: Sequence[Note], ignored: Sequence[Problem], marks: Mapping[int, int], twice: Sequence[Entry] = ()
) -> str:
    """Write a report as JSON: reasons (each once), rows of (line, step, kind, number of the reason), and what was ignored.

    `marks` gives the line on which each element begins, by its id(), as schema.write.write_marked does. What other domains
    have, too, is `twice`.
    """
    reasons: dict[tuple[str, str], int] = {}
    rows = []
    for element, slot, kind, en, zh in notes:
        line = marks.get(id(element))
        if line is None:
            continue
        declared = element.shape.by_slot.get(slot)
        reason = (en, zh)
        number = reasons.get(reason)
        if number is None:
            number = reasons[reason] = len(reasons)
        rows.append((line, "" if declared is None else declared.path, kind, number))
    known: dict[str, Any] = {"why": list(reasons), "rows": rows, "ignored": [(p.path, p.message) for p in ignored]}
    if twice:
        known["twice"] = [(entry.path, entry.value, entry.en, entry.zh) for entry in twice]
    return _encode(known).decode()


def unpack(packed: str, completed: str) -> list[Entry]:
    """Read a stored report beside the completed document it belongs to."""
    known: Any = msgspec.json.decode(packed) if packed else {}
    if not isinstance(known, dict) or "rows" not in known:
        return []
    found = [Entry(path, "ignored", "", message, message) for path, message in known["ignored"]]
    found += [Entry(path, "duplicate", value, en, zh) for path, value, en, zh in known.get("twice", ())]
    places = _places(completed) if known["rows"] else {}
    for line, step, kind, number in known["rows"]:
        place = places.get(line)
        if place is not None:
            en, zh = known["why"][number]
            path = "/".join(part for part in (place.path, step) if part)
            found.append(Entry(path, kind, place.value(step) if step else "", en, zh))
    return found


@dataclass(slots=True)
class _Place:
    tag: str
    parent: _Place | None
    attributes: dict[str, str]
    number: int
    text: str = ""
    path: str = ""
    children: list[_Place] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def value(self, step: str) -> str:
        """Give what an attribute, the text, or a child element that is only a text says; empty for anything larger."""
        if step.startswith("@"):
            return self.attributes.get(step[1:], "")
        if step == "text()":
            return self.text.strip()
        child = next((child for child in self.children if child.tag == step), None)
        return child.text.strip() if child is not None and not (child.attributes or child.children) else ""


def _places(completed: str) -> dict[int, _Place]:
    """Find the element that begins on each line; a document this program wrote has one on a line."""
    by_line: dict[int, _Place] = {}
    everything: list[_Place] = []
    opened: list[_Place] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        parent = opened[-1] if opened else None
        number = 1
        if parent is not None:
            number = parent.counts[tag] = parent.counts.get(tag, 0) + 1
        made = _Place(tag, parent, attributes, number)
        if parent is not None:
            parent.children.append(made)
        opened.append(made)
        everything.append(made)
        by_line.setdefault(parser.CurrentLineNumber, made)

    def end(_tag: str) -> None:
        opened.pop()

    def text(data: str) -> None:
        if opened:
            opened[-1].text += data

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.Parse(completed.encode("utf-8", "surrogatepass"), True)
    for place in everything:
        parent = place.parent
        if parent is not None:
            many = parent.counts[place.tag] > 1
            name = f"{place.tag}[{place.number}]" if many else place.tag
            place.path = f"{parent.path}/{name}" if parent.path else name
    return by_line
