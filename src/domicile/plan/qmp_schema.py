"""QEMU's description of its own protocol, made small enough to keep and quick enough to ask.

`plan/capabilities` holds one; `qemu/probe` makes it from the answer to query-qmp-schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One command, event or type of the protocol; which fields are set depends on `meta`."""

    meta: str
    arg: str = ""
    ret: str = ""
    element: str = ""
    tag: str = ""
    members: Mapping[str, str] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    values: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    member_features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def compact(entries: Iterable[Mapping[str, Any]]) -> dict[str, Entry]:
    """Turn the answer to query-qmp-schema into entries by name."""
    return {raw["name"]: _entry(raw) for raw in entries}


def _entry(raw: Mapping[str, Any]) -> Entry:
    meta = raw["meta-type"]
    members = raw.get("members", ()) if meta in ("object", "enum", "alternate") else ()
    named = [m for m in members if isinstance(m, dict) and "name" in m]
    return Entry(
        meta=meta,
        arg=raw.get("arg-type", ""),
        ret=raw.get("ret-type", ""),
        element=raw.get("element-type", ""),
        tag=raw.get("tag", ""),
        members={m["name"]: m["type"] for m in named} if meta == "object" else {},
        optional=tuple(m["name"] for m in named if "default" in m) if meta == "object" else (),
        variants={v["case"]: v["type"] for v in raw.get("variants", ())},
        choices=tuple(m["type"] for m in members) if meta == "alternate" else (),
        values=frozenset(raw.get("values", ())) | frozenset(m["name"] for m in named)
        if meta == "enum"
        else frozenset(),
        features=frozenset(raw.get("features", ())),
        member_features={m["name"]: tuple(m["features"]) for m in named if m.get("features")},
    )


def reaches(schema: Mapping[str, Entry], path: str) -> bool:
    """Say whether a path through the schema leads anywhere.

    The first word is a command or an event, the second ``arg-type`` or ``ret-type``; then a plain word is a member,
    ``*word`` an optional member, ``+word`` the variant of that tag value, ``^word`` a value of an enumeration,
    ``!word`` a feature of what was reached so far. Arrays and alternatives are looked through.
    """
    name, *steps = path.split("/")
    entry = schema.get(name)
    return entry is not None and entry.meta in ("command", "event") and _walk(schema, entry, steps, frozenset())


def _walk(schema: Mapping[str, Entry], entry: Entry, steps: list[str], member_features: frozenset[str]) -> bool:
    """Follow the remaining steps; `member_features` are those of the member that led here."""
    if not steps:
        return True
    if entry.meta == "array":
        return _into(schema, entry.element, steps, member_features)
    step, rest = steps[0], steps[1:]
    sign, word = step[0], step[1:]
    if sign == "!" and not rest:
        return word in entry.features or word in member_features
    if entry.meta == "alternate":
        return any(_into(schema, choice, steps, member_features) for choice in entry.choices)
    if sign == "^":
        if rest and rest[0].startswith("!"):
            return rest[0][1:] in entry.member_features.get(word, ())
        return word in entry.values and not rest
    if entry.meta in ("command", "event"):
        return _into(schema, {"arg-type": entry.arg, "ret-type": entry.ret}.get(step, ""), rest, frozenset())
    if sign == "+":
        return _into(schema, entry.variants.get(word, ""), rest, frozenset())
    if sign == "*":
        if word not in entry.optional:
            return False
        step = word
    found = entry.members.get(step)
    return found is not None and _into(schema, found, rest, frozenset(entry.member_features.get(step, ())))


def _into(schema: Mapping[str, Entry], name: str, steps: list[str], member_features: frozenset[str]) -> bool:
    entry = schema.get(name)
    return entry is not None and _walk(schema, entry, steps, member_features)
