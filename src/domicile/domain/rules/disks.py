"""Disks: the order in which they are kept, and the numbers of their layers in a run."""

from __future__ import annotations

from domicile.devices.disk import Disk
from domicile.devices.disk.complete import index_of, sources
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


def number(disks: list[Disk]) -> int:
    """Number the layers of all disks from 1, the last disk's top layer first; an empty drive takes a number too.

    The number that follows is returned.

    Source: observed with libvirt 9.0 and 11.3, which call block nodes and their secrets by these numbers.
    """
    following = 1
    for disk in reversed(disks):
        found = [source for _, source in sources(disk)]
        for source in found:
            source.index = following
            following += 1
        following += not found
        following += len(disk.throttlefilters.throttlefilter) if disk.throttlefilters is not None else 0
    return following
