"""A running machine's document as a definition: without what belongs to this run alone. Called by the service's forecast.

What was given at the start (names, terminals, ports, taps, the CPU that was settled) is left out where the definition it is
compared with leaves it open, so that what remains different is different.
"""

from __future__ import annotations

from typing import Any

from domicile.devices.channel import Channel, VirtioTarget
from domicile.devices.console import Console
from domicile.devices.disk import Disk
from domicile.devices.graphics.model import Graphics
from domicile.devices.interface import Interface
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.device import Device
from domicile.domain.compare import pair
from domicile.domain.domain import Domain
from domicile.domain.rules import inactive
from domicile.schema import tree


def definition(live: Domain, like: Domain) -> Domain:
    """Give a copy of a running machine's document in the form of the definition `like`."""
    made: Domain = tree.copy(live)
    inactive.forget_run(made)
    if like.vcpus is None:
        made.vcpus = None
    _forget_cpu(made, like)
    if like.resource is None:
        made.resource = None
    if not like.seclabel:
        made.seclabel = []
    if made.devices is None or like.devices is None:
        return made
    for name in made.devices.shape.elements:
        mine, theirs = getattr(made.devices, name, None), getattr(like.devices, name, None)
        if not isinstance(mine, list) or not isinstance(theirs, list):
            continue
        others = {i: theirs[j] for i, j in pair(mine, theirs)}
        for number, device in enumerate(mine):
            if isinstance(device, Device):
                _forget(device, others.get(number))
    return made


# What of a CPU is settled at the start, and shown then.
_SETTLED = ("mode", "match", "check", "model", "vendor", "feature", "migratable")
_ON = (None, "require", "force", "optional")


def _forget_cpu(made: Domain, like: Domain) -> None:
    """Put the CPU that was asked for in the place of the one that was settled, where that one came of it."""
    mine, theirs = made.cpu, like.cpu
    if theirs is None:
        made.cpu = None
    if mine is None or theirs is None:
        return
    left_open = theirs.mode != "custom" or theirs.match == "minimum"
    known = {feature.name: feature.policy in _ON for feature in mine.feature}
    came = all(f.policy == "optional" or known.get(f.name) == (f.policy in _ON) for f in theirs.feature)
    models = [cpu.model.name if cpu.model is not None else None for cpu in (mine, theirs)]
    if left_open or (models[0] == models[1] and came):
        for slot in _SETTLED:
            setattr(mine, slot, getattr(theirs, slot))


def _forget(device: Any, like: Any) -> None:
    """Leave out of one device what it was given in this run, where its like leaves that open or there is none."""
    if isinstance(device, CharDevice):
        _terminal(device, like)
    if isinstance(device, Disk) and (like is None or like.backingStore is None):
        device.backingStore = None
    if isinstance(device, Disk) and device.source is not None and not any(tree.leaves(device.source)):
        device.source = None
    if isinstance(device, Disk) and device.source is None and like is not None and like.source is None:
        device.driver = like.driver  # a drive that is empty shows no format
    if isinstance(device, Interface) and device.target is not None:
        said = like.target.dev if like is not None and like.target is not None else None
        if not said:
            device.target.dev = None
            if not any(tree.leaves(device.target)):
                device.target = None
    if isinstance(device, Graphics):
        _display(device, like)


def _terminal(device: CharDevice, like: Any) -> None:
    if isinstance(device, Console):
        device.tty = None
    if isinstance(device, Channel) and isinstance(device.target, VirtioTarget):
        device.target.state = None
    if like is None or not like.source:
        if device.type in (None, "pty", "unix"):
            device.source = []
    elif device.type in (None, "pty") and device.source and not like.source[0].path:
        device.source[0].path = None


def _display(display: Graphics, like: Any) -> None:
    """Ports that are given out, and the address where none was named, are of this run."""
    if display.autoport:
        for slot in ("port", "tlsPort", "websocket"):
            setattr(display, slot, getattr(like, slot) if like is not None else -1 if slot == "port" else None)
    display.listen = like.listen if like is not None else None
    for number, listen in enumerate(display.listens):
        other = like.listens[number] if like is not None and number < len(like.listens) else None
        if listen.type in ("address", "network") and (other is None or not other.address):
            listen.address = None
