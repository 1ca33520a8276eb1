"""A domain line by line, and beside every element and attribute what it means and what a change of it does.

Called by the service and by `domicile explain`; whose word a value is comes from `provenance`, QEMU's arguments from the plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from domicile.domain.compare import join, name_of, shown, step, when
from domicile.domain.domain import Domain
from domicile.domain.provenance import Owner, Owners
from domicile.schema.field import Field
from domicile.schema.shape import Element
from domicile.schema.write import escape

Safe = Literal["yes", "care", "no", ""]
Argument = tuple[Sequence[str], str]


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be said of one element or attribute.

    `name` is ``<disk>`` or ``@dev``. `owner` says whose word it is. `effect`, `guest` and `safe` say when a change counts,
    whether the guest sees it, and whether to dare it; they are empty for elements that only hold others.
    """

    path: str
    name: str
    value: str
    en: str
    zh: str
    owner: Owner | None
    effect: str = ""
    guest: bool = False
    safe: Safe = ""
    accepted: str = ""


@dataclass(slots=True)
class Line:
    """One line of the document with its notes and the QEMU arguments its element became."""

    depth: int
    xml: str
    path: str = ""
    notes: list[Note] = field(default_factory=list)
    arguments: list[list[str]] = field(default_factory=list)
    subject: str = ""


def explain(domain: Domain, owners: Owners, arguments: Iterable[Argument] = ()) -> list[Line]:
    """Explain a completed domain."""
    became: dict[str, list[list[str]]] = {}
    for words, origin in arguments:
        became.setdefault(origin, []).append(list(words))
    walk = _Walk(owners, became)
    walk.element(domain, "domain", "", 0, None, "")
    _place(walk.lines, became)
    return walk.lines


def _place(lines: list[Line], left: Mapping[str, list[list[str]]]) -> None:
    """Put arguments that came from no element of their own (an attribute, the machine as such) to the nearest above."""
    opening = {line.path: line for line in reversed(lines) if line.notes}
    for origin, arguments in left.items():
        path = origin
        while path not in opening:
            path = path.rpartition("/")[0]
        opening[path].arguments += arguments


@dataclass(slots=True)
class _Walk:
    owners: Mapping[str, Owner]
    became: dict[str, list[list[str]]]
    lines: list[Line] = field(default_factory=list)

    def element(self, made: Any, tag: str, path: str, depth: int, declared: Field | None, subject: str) -> None:
        shape = made.shape
        head, notes = f"<{tag}", [self._holder(made, tag, path, declared)]
        for attribute in shape.attrs.values():
            value = getattr(made, attribute.slot)
            if value is not None and not attribute.secret:
                text = attribute.scalar.show(value)
                head += f" {attribute.name}='{escape(text)}'"
                notes.append(self._value(attribute, declared, join(path, attribute.path), f"@{attribute.name}", text))
        line = Line(depth, head, path, notes, self.became.pop(path, []), subject)
        self.lines.append(line)
        text = self._text(made, path, notes, declared)
        before = len(self.lines)
        for sub in shape.elements.values():
            self._below(made, sub, path, depth + 1)
        if len(self.lines) > before:
            line.xml = f"{head}>{text}"
            self.lines.append(Line(depth, f"</{tag}>"))
        else:
            line.xml = f"{head}>{text}</{tag}>" if text else f"{head}/>"

    def _holder(self, made: Any, tag: str, path: str, declared: Field | None) -> Note:
        """The note of an element itself: what the field says of it and, for devices, what its class says."""
        owner = self.owners.get(path)
        if declared is None or declared.kind == "children":
            return Note(path, f"<{tag}>", "", made.shape.en, made.shape.zh, owner)
        return Note(path, f"<{tag}>", "", declared.en, declared.zh, owner)

    def _text(self, made: Any, path: str, notes: list[Note], parent: Field | None) -> str:
        declared = made.shape.text
        value = getattr(made, declared.slot) if declared is not None else None
        if declared is None or value is None or declared.secret:
            return ""
        text: str = declared.scalar.show(value)
        notes.append(self._value(declared, parent, f"{path}/text()", "text", text))
        return escape(text)

    def _value(self, declared: Field, parent: Field | None, path: str, name: str, text: str) -> Note:
        effect, guest = when(declared, parent)
        safe: Safe = "no" if effect == "never" else "care" if guest else "yes"
        accepted = declared.scalar.accepted
        return Note(path, name, text, declared.en, declared.zh, self.owners.get(path), effect, guest, safe, accepted)

    def _below(self, made: Any, declared: Field, path: str, depth: int) -> None:
        value = getattr(made, declared.slot)
        if value is None or value is False or value == [] or declared.secret:
            return
        if declared.kind == "children":
            for index, item in enumerate(value):
                self._one(declared, item, join(path, step(declared, index, len(value))), depth, path == "devices")
        else:
            self._one(declared, value, join(path, declared.path), depth, False)

    def _one(self, declared: Field, value: Any, path: str, depth: int, device: bool) -> None:
        if isinstance(value, Element):
            self.element(value, declared.name, path, depth, declared, name_of(value) if device else "")
            return
        name = declared.name
        if declared.kind == "flag":
            note = self._value(declared, None, path, f"<{name}>", "yes")
            self.lines.append(Line(depth, f"<{name}/>", path, [note], self.became.pop(path, [])))
        elif declared.of is None and declared.kind != "raw":
            text = shown(value, declared)
            note = self._value(declared, None, path, f"<{name}>", text)
            self.lines.append(Line(depth, f"<{name}>{escape(text)}</{name}>", path, [note], self.became.pop(path, [])))
        else:
            self._raw(declared, value, path, depth)

    def _raw(self, declared: Field, value: Any, path: str, depth: int) -> None:
        first, *rest = shown(value).splitlines() or [f"<{declared.name}/>"]
        note = self._value(declared, None, path, f"<{declared.name}>", "")
        self.lines.append(Line(depth, first, path, [note], self.became.pop(path, [])))
        for more in rest:
            deeper = (len(more) - len(more.lstrip())) // 2
            self.lines.append(Line(depth + deeper, more.strip()))


_STEP = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<key>[^\]]+)\])?\Z")


def select(lines: list[Line], wanted: str | None) -> list[Line]:
    """Keep what a path names, with all below it: ``/devices/disk``, ``devices/disk[2]``, ``disk[hda]``, ``memory``, ``hda``.

    Returns nothing where nothing has that path.
    """
    steps = [part for part in re.sub(r"^/?domain(/|\Z)", "", (wanted or "").strip()).strip("/").split("/") if part]
    if not steps:
        return lines
    kept: list[Line] = []
    inside: int | None = None
    for line in lines:
        if inside is not None:
            kept.append(line)
            if line.depth == inside and not line.path:
                inside = None
            elif line.depth <= inside:
                kept.pop()
                inside = None
        if inside is None and line.path and _fits(line, steps):
            kept.append(_only(line, steps))
            if not (line.xml.endswith("/>") or "</" in line.xml) and not steps[-1].startswith("@"):
                inside = line.depth
    return kept


def _only(line: Line, steps: list[str]) -> Line:
    """Keep the note of one attribute alone where the path ends in one."""
    if not steps[-1].startswith("@"):
        return line
    return Line(
        line.depth, line.xml, line.path, [n for n in line.notes if n.name == steps[-1]], line.arguments, line.subject
    )


def _fits(line: Line, steps: list[str]) -> bool:
    if len(steps) == 1 and line.subject and steps[0] in line.subject.split()[1:]:
        return True
    asked = steps
    if steps[-1].startswith("@"):
        asked = steps[:-1]
        if not any(note.name == steps[-1] for note in line.notes):
            return False
    has = line.path.split("/")
    if len(asked) > len(has):
        return False
    # A path may begin anywhere: `disk` is `devices/disk`; where it begins with a slash it was given whole.
    return all(_step_fits(line, one, other) for one, other in zip(reversed(asked), reversed(has), strict=False))


def _step_fits(line: Line, asked: str, has: str) -> bool:
    one, other = _STEP.match(asked), _STEP.match(has)
    if one is None or other is None or one["name"] != other["name"]:
        return False
    key = one["key"]
    if key is None or key == (other["key"] or "1"):
        return True
    return not key.isdecimal() and key in line.subject.split()
