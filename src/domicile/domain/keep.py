"""What a domain keeps when a new document of it leaves things open: MAC addresses and places of the devices that are the same.

Called by complete, before anything is generated and before addresses are given out. Guests know their hardware by these; a
new document that says nothing of them is no wish for others. What the document does say always counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from domicile.devices import FAMILIES
from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.interface import Interface
from domicile.devices.interface.model import Mac
from domicile.devices.parts.device import Device, PciAddress
from domicile.domain.compare import identity, pair
from domicile.domain.domain import DeviceLists, Domain
from domicile.domain.rules import controllers
from domicile.plan import boards
from domicile.plan.facts import Completion
from domicile.schema import tree
from domicile.schema.shape import Element

# What makes a device another one to its bus: where these differ it gets a place of its own.
_KIND = ("type", "model", "bus", "device", "mode")


@dataclass(slots=True)
class Former:
    """What a domain was: its newest revision, read only where the new document leaves something open."""

    revision: int
    read: Callable[[], Domain]
    _domain: Domain | None = None

    @property
    def domain(self) -> Domain:
        """The completed definition."""
        if self._domain is None:
            self._domain = self.read()
        return self._domain

    @property
    def en(self) -> str:
        """Why something has the value it has."""
        return f"kept from revision {self.revision}"

    @property
    def zh(self) -> str:
        """The same in Chinese."""
        return f"沿用版本 {self.revision}"


def note(former: Former, c: Completion, element: Element, slot: str = "") -> None:
    """Note that something was kept."""
    c.notes.append((element, slot, "kept", former.en, former.zh))


def macs(lists: DeviceLists, former: Former, c: Completion) -> None:
    """Give cards without a MAC address the one they had."""
    cards = lists.of(Interface)
    if all(card.mac is not None and card.mac.address for card in cards):
        return
    taken = {card.mac.address for card in cards if card.mac is not None}
    for old, new in _same(former.domain, "interface", lists):
        if (new.mac is None or not new.mac.address) and old.mac is not None and old.mac.address not in taken:
            new.mac = new.mac or Mac()
            new.mac.address = old.mac.address
            taken.add(old.mac.address)
            note(former, c, new.mac, "address")


def places(lists: DeviceLists, former: Former, c: Completion) -> None:
    """Give devices without an address the place they had, with the PCI bridges and ports that lead there."""
    open_ = dict(_without(lists, c))
    if not open_ or not _same_board(former.domain, c):
        return
    taken = {_slot(each.address) for each in lists.every() if isinstance(each.address, PciAddress)}
    buses: set[int] = set()
    for tag, devices in open_.items():
        for old, new in _same(former.domain, tag, lists):
            address = old.address
            if not any(new is each for each in devices) or address is None or not _alike(old, new):
                continue
            if isinstance(address, PciAddress):
                if _slot(address) in taken:
                    continue
                taken.add(_slot(address))
                buses.add(address.bus or 0)
            new.address = tree.copy(address)
            note(former, c, new, "address")
    _lead_there(lists, former, c, max(buses, default=0))


def _lead_there(lists: DeviceLists, former: Former, c: Completion, top: int) -> None:
    """Bring back the bridges and ports up to a bus; all of them, free ones included, where the new document names none itself."""
    mine = lists.of(Controller)
    there = {each.index for each in mine if each.type == "pci"}
    if not any(there - {None}):
        top = 255
    for old in former.domain.devices.of(Controller) if former.domain.devices is not None else []:
        if old.type == "pci" and old.index is not None and old.index not in there and old.index <= top:
            new = tree.copy(old)
            controllers.insert(mine, new)
            note(former, c, new)


def _without(lists: DeviceLists, c: Completion) -> Iterator[tuple[str, list[Any]]]:
    """List by family the devices that want a place and have none."""
    for family in FAMILIES:
        found = [each for each in getattr(lists, family.tag) if not _has(each) and family.place(each, c) is not None]
        if found:
            yield family.tag, found


def _has(device: Device) -> bool:
    address = device.address
    return address is not None and not (isinstance(address, PciAddress) and not address.given)


def _slot(address: PciAddress) -> tuple[int, int, int, int]:
    return address.domain or 0, address.bus or 0, address.slot or 0, address.function or 0


def _same(old: Domain, tag: str, lists: DeviceLists) -> Iterator[tuple[Any, Any]]:
    """Pair the devices of a family that are the same ones: by what identifies them, else by likeness."""
    olds: list[Any] = getattr(old.devices, tag) if old.devices is not None else []
    news: list[Any] = getattr(lists, tag)
    for i, j in pair(olds, news):
        one, other = identity(olds[i]), identity(news[j])
        if one is None or other is None or one == other or _alias(olds[i]) == _alias(news[j]) != "":
            yield olds[i], news[j]


def _alias(device: Device) -> str:
    name = device.alias.name if device.alias is not None else None
    return name if name and name.startswith("ua-") else ""


def _alike(old: Any, new: Any) -> bool:
    """Whether two devices want the same kind of place."""
    if isinstance(old, Disk) and isinstance(new, Disk):
        buses = [each.target.bus if each.target is not None else None for each in (old, new)]
        return buses[0] == buses[1] and old.device == new.device
    slots = _KIND[1:] if isinstance(old, Interface) and "hostdev" not in (old.type, new.type) else _KIND
    return all(_word(getattr(old, slot, None)) == _word(getattr(new, slot, None)) for slot in slots)


def _word(value: Any) -> Any:
    return getattr(value, "type", None) or getattr(value, "name", None) if isinstance(value, Element) else value


def _same_board(old: Domain, c: Completion) -> bool:
    """Whether the machine has the same buses."""
    kind = old.os.type if old.os is not None else None
    if kind is None or kind.arch != c.arch:
        return False
    return boards.board(c.arch, kind.machine or "").name == c.board.name
