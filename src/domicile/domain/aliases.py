"""The names devices have in a running machine. Called when a machine is planned, on a copy of its definition."""

from __future__ import annotations

from domicile.devices import FAMILIES
from domicile.devices.console import Console, mirrors
from domicile.devices.disk import Disk
from domicile.devices.parts.device import Alias, Device
from domicile.devices.serial import Serial
from domicile.domain.domain import DeviceLists
from domicile.domain.rules import disks
from domicile.plan.facts import Planning


def assign(devices: DeviceLists, p: Planning) -> None:
    """Name every device that its owner did not name; a mirroring console is called like its serial port."""
    disks.number(devices.of(Disk))
    taken = {d.alias.name for d in devices.every() if d.alias is not None and d.alias.name}
    for family in FAMILIES:
        index = 0
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


def _name(device: Device, name: str) -> None:
    if device.alias is None:
        device.alias = Alias(name=name)
    else:
        device.alias.name = name
