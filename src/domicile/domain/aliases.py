"""The names devices have in a running machine. Called when a machine is planned, on a copy of its definition."""

from __future__ import annotations

from collections.abc import Iterable

from domicile.devices import FAMILIES
from domicile.devices.console import Console, mirrors
from domicile.devices.disk import Disk
from domicile.devices.family import Family
from domicile.devices.hostdev import Hostdev
from domicile.devices.parts.device import Alias, Device
from domicile.devices.serial import Serial
from domicile.domain.domain import DeviceLists
from domicile.domain.rules import disks
from domicile.plan.facts import Planning

# Families that count only what their owners did not name; the others count every device.
_FREE = ("interface", "hostdev", "filesystem", "redirdev", "rng", "crypto")


def assign(devices: DeviceLists, p: Planning) -> None:
    """Name every device that its owner did not name; a mirroring console is called like its serial port."""
    first = disks.number(devices.of(Disk))
    scsi = (device for device in devices.of(Hostdev) if device.type == "scsi")
    p.storage_numbers = {id(device): turn for turn, device in enumerate(scsi, first)}
    taken = {d.alias.name for d in devices.every() if d.alias is not None and d.alias.name}
    for family in FAMILIES:
        index = 0
        if family.tag in _FREE:
            _count(getattr(devices, family.tag), family, taken, p)
            continue
        for device in getattr(devices, family.tag):
            if device.alias is not None and device.alias.name:
                index += 1
                continue
            if family.tag == "memory":
                index = 0  # every model counts its own
            name = family.alias(device, index, p)
            if not name:
                continue
            if family.tag != "controller":
                while name in taken:
                    index += 1
                    following = family.alias(device, index, p)
                    if following == name:
                        break
                    name = following
            taken.add(name)
            _name(device, name)
            index += 1
    serials, consoles = devices.of(Serial), devices.of(Console)
    if serials and consoles and mirrors(consoles[0]):
        _name(consoles[0], serials[0].alias.name if serials[0].alias is not None else "serial0")


def _count(devices: Iterable[Device], family: Family, taken: set[str], p: Planning) -> None:
    """Name devices by the next number of their kind that is free."""
    following: dict[str, int] = {}
    for device in devices:
        first = family.alias(device, 0, p)
        if not first or (device.alias is not None and device.alias.name):
            continue
        index = following.get(first, 0)
        while (name := family.alias(device, index, p)) in taken:
            index += 1
        following[first] = index + 1
        taken.add(name)
        _name(device, name)


def _name(device: Device, name: str) -> None:
    if device.alias is None:
        device.alias = Alias(name=name)
    else:
        device.alias.name = name
