"""What may be asked of QEMU, as values: each remembers the element it came from.

Device slices return these from `plan`; qemu/render turns them into a command line or into QMP commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Props = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """Something of QEMU's command line; `origin` is the path of the element it came from, such as ``devices/disk[1]``."""

    origin: str = field(default="", kw_only=True)


class Null:
    """JSON's null, where leaving a property out would mean something else."""


NULL = Null()


@dataclass(frozen=True, slots=True)
class Option(Item):
    """A plain option: ``flag`` with its value, both as QEMU takes them (``-boot strict=on``)."""

    flag: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Keyed(Item):
    """An option of comma-separated keys that has no JSON form: ``-machine``, ``-smp``, ``-chardev``, ``-vnc``, ``-spice``.

    The first pair may have an empty key: its value then stands alone (``pc,usb=off``). A value of None is left out;
    True and False become on and off; commas in values are doubled.
    """

    flag: str
    pairs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Command(Item):
    """A QMP command to send once QEMU is up, before the guest's first instruction."""

    execute: str
    arguments: Props


@dataclass(frozen=True, slots=True)
class Structured(Item):
    """An option with a JSON form and a QMP twin: device, object, netdev, blockdev, audiodev, fsdev.

    ``flag`` is without the dash. Values of None are left out.
    """

    flag: str
    props: Props
