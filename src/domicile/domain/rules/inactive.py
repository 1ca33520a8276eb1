"""What belongs to a running machine only, and is dropped from a definition that was copied from one."""

from __future__ import annotations

import re

from domicile.devices.disk import Disk
from domicile.devices.disk.complete import layers, sources
from domicile.domain.domain import Domain

_OWN = re.compile(r"ua-[a-zA-Z0-9_-]*")


def forget_run(domain: Domain) -> None:
    """Drop the id, the names devices had in the run, and the numbers of disk layers; names of the owner's own stay."""
    domain.id = None
    devices = domain.devices
    if devices is None:
        return
    for device in devices.every():
        if device.alias is not None and not _OWN.fullmatch(device.alias.name):
            device.alias = None
    for disk in devices.of(Disk):
        disk.mirror = None
        for _, source in sources(disk):
            source.index = None
        for layer in layers(disk):
            layer.index = None
