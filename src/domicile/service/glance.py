"""What the figures of a domain need of its document: its disks and its interfaces, read once for each version of it.

`stats`, `domstats` and the front doors ask. Reading the whole document would cost twenty times as much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from domicile.schema import read

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service

_KEPT_MAX = 65_536


@dataclass(frozen=True, slots=True)
class DiskSeen:
    """A disk: its target's name, its file or device (empty where it has none), its format; in a run its name and number.

    Where it is a volume, the names of its pool and its own.
    """

    target: str
    path: str
    format: str
    alias: str = ""
    index: str = ""
    pool: str = ""
    volume: str = ""


@dataclass(frozen=True, slots=True)
class NicSeen:
    """An interface: its MAC address and, where it has one, its tap on the host."""

    mac: str
    tap: str


@dataclass(frozen=True, slots=True)
class Glance:
    """The disks and interfaces of a domain, in the order of its document."""

    disks: tuple[DiskSeen, ...]
    nics: tuple[NicSeen, ...]


_Version = tuple[int, str | None]
_kept: WeakKeyDictionary[Service, dict[str, tuple[_Version, Glance]]] = WeakKeyDictionary()


def of(service: Service, entry: Entry) -> Glance:
    """Look at a domain: the running one where it runs, else the stored one."""
    if entry.live is None and "disks" in entry.stored_summary:
        stored = entry.stored_summary
        return Glance(
            tuple(DiskSeen(*disk) for disk in stored["disks"]), tuple(NicSeen(*nic) for nic in stored["nics"])
        )
    version = (entry.head, entry.live.xml if entry.live is not None else None)
    kept = _kept.get(service)
    if kept is None or len(kept) > _KEPT_MAX:
        kept = _kept[service] = {}
    known = kept.get(entry.uuid)
    if known is not None and known[0] == version:
        return known[1]
    found = look(service.xml(entry, secrets=True))
    kept[entry.uuid] = (version, found)
    return found


def look(text: str) -> Glance:
    """Read the disks and interfaces out of a document that is stored or runs."""
    root = read.parse(text)
    return Glance(
        tuple(_disk(node) for node in root.iterfind("devices/disk")),
        tuple(
            NicSeen(_attribute(node, "mac", "address"), _attribute(node, "target", "dev"))
            for node in root.iterfind("devices/interface")
        ),
    )


def _disk(node: Any) -> DiskSeen:
    path = _attribute(node, "source", "file") or _attribute(node, "source", "dev")
    return DiskSeen(
        _attribute(node, "target", "dev"),
        path,
        _attribute(node, "driver", "type") or "raw",
        _attribute(node, "alias", "name"),
        _attribute(node, "source", "index"),
        _attribute(node, "source", "pool"),
        _attribute(node, "source", "volume"),
    )


def _attribute(node: Any, child: str, name: str) -> str:
    found = node.find(child)
    return "" if found is None else found.get(name) or ""
