"""Disks: the order in which they are kept."""

from __future__ import annotations

from domicile.devices.disk import Disk
from domicile.devices.disk.complete import index_of
from domicile.domain.domain import DeviceLists


def arrange(devices: DeviceLists) -> None:
    """Keep the disks of one bus together, by their names, where the first of that bus stands."""
    disks = devices.of(Disk)
    groups: dict[str | None, list[Disk]] = {}
    for disk in disks:
        groups.setdefault(disk.target.bus if disk.target is not None else None, []).append(disk)
    disks.clear()
    for group in groups.values():
        disks.extend(sorted(group, key=_turn))


def _turn(disk: Disk) -> int:
    dev = disk.target.dev if disk.target is not None else None
    return (index_of(dev) if dev else None) or 0
