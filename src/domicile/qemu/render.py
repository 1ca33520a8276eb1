"""Turns a plan's values into QEMU's command line, or one of them into a QMP command.

Called by service when a machine starts, and by whoever shows a command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from domicile.plan.qemu import NULL, Command, Item, Keyed, Option, Structured

# Options that take JSON, by the first QEMU release of which that is true. Source: QEMU's change log.
_JSON_SINCE = {
    "object": (6, 0),
    "blockdev": (2, 9),
    "device": (6, 2),
    "netdev": (7, 0),
    "audiodev": (2, 9),
    "compat": (5, 2),
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One option of the command line as words, and the path of the element it came from."""

    words: tuple[str, ...]
    origin: str


def command_line(items: Iterable[Item], version: tuple[int, int, int]) -> Iterator[Argument]:
    """Render all items that stand on the command line; commands to send later are passed over."""
    for item in items:
        if isinstance(item, Option):
            yield Argument((item.flag,) if item.value is None else (item.flag, item.value), item.origin)
        elif isinstance(item, Keyed):
            yield Argument((item.flag, keyed(item.pairs)), item.origin)
        elif isinstance(item, Structured):
            yield Argument((f"-{item.flag}", structured(item, version)), item.origin)


def commands(items: Iterable[Item]) -> list[Command]:
    """List the QMP commands to send before the guest's first instruction."""
    return [item for item in items if isinstance(item, Command)]


def keyed(pairs: Iterable[tuple[str, Any]]) -> str:
    """Render ``key=value`` pairs; commas in values are doubled."""
    parts = []
    for key, value in pairs:
        if value is None:
            continue
        text = _plain(value)
        parts.append(f"{key}={text}" if key else text)
    return ",".join(parts)


def structured(item: Structured, version: tuple[int, int, int]) -> str:
    """Render an option that has a JSON form; older releases get pairs where they know no JSON."""
    if version[:2] >= _JSON_SINCE.get(item.flag, (99, 0)):
        return json.dumps(_pruned(item.props), separators=(",", ":"), ensure_ascii=False)
    return keyed(_flat(item))


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(sub) for key, sub in value.items() if sub is not None}
    if isinstance(value, list | tuple):
        return [_pruned(sub) for sub in value]
    return None if value is NULL else value


def _flat(item: Structured) -> Iterator[tuple[str, Any]]:
    leading = {"device": "driver", "netdev": "type", "object": "qom-type"}.get(item.flag)
    if leading is not None:
        yield "", item.props[leading]
    for key, value in item.props.items():
        if key != leading:
            yield from _flatten(key, value)


def _flatten(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for sub, inner in value.items():
            yield from _flatten(f"{key}.{sub}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _flatten(f"{key}.{index}", inner)
    else:
        yield key, value


def _plain(value: Any) -> str:
    if value is True:
        return "on"
    if value is False:
        return "off"
    return str(value).replace(",", ",,")


def qmp(item: Structured) -> tuple[str, dict[str, Any]]:
    """Render a structured item as the QMP command that does the same to a running machine."""
    names = {"device": "device_add", "netdev": "netdev_add", "object": "object-add", "blockdev": "blockdev-add"}
    return names[item.flag], _pruned(dict(item.props))
