"""The steps by which a new definition takes effect in a running machine, each with its way back. Called by forecast and applying.

A step changes the machine and its document together. Those that are easily taken back come first; what a guest lets go of
comes last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domicile.base.errors import DeadlineExceeded, NotFound, QemuRefused, WrongState
from domicile.devices.disk import Disk
from domicile.devices.graphics.model import Graphics
from domicile.devices.interface import Interface
from domicile.devices.memballoon import MemBalloon
from domicile.domain.compare import Change
from domicile.domain.domain import Domain
from domicile.domain.edit import cpus, memory
from domicile.domain.edit import devices as edit
from domicile.host import cgroup
from domicile.schema import tree
from domicile.service import hotplug, live_cpus, live_net, live_tuning, media

if TYPE_CHECKING:
    from domicile.devices.parts.device import Device
    from domicile.service.changes import Running

Back = Callable[[], Awaitable[Any]]
#: How often a guest is asked to let go of what was just added, where that is taken back; it has some seconds each time.
_ASKED = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to a running machine: `act` does it and gives the way back, None where there is none.

    `turn` says when it is done among others, `key` tells whether two are the same.
    """

    what: str
    turn: int
    act: Callable[[Running], Awaitable[Back | None]]
    key: str = ""


# What is no device.


async def whole(state: Running, change: Change, new: Domain) -> Step | None:
    """Find the step for a difference outside of the devices; None where only the next start does it. Raises: WrongState, Unsupported."""
    head = change.path.split("/", 1)[0]
    if head in ("title", "description", "metadata"):
        return _text(head, new)
    if head == "currentMemory":
        return _balloon(state, memory.current(new))
    if change.path == "vcpu/@current":
        return await _vcpus(state, new)
    if head in ("cputune", "memtune", "blkiotune") and change.kind != "removed":
        return _tuning(state, change, new)
    return None


def _text(slot: str, new: Domain) -> Step:
    async def act(state: Running) -> Back:
        before = getattr(state.domain, slot)
        setattr(state.domain, slot, getattr(new, slot))

        async def back() -> None:
            setattr(state.domain, slot, before)

        return back

    return Step(slot, 0, act, slot)


def _balloon(state: Running, kib: int) -> Step:
    most = memory.size(state.domain)
    if kib > most:
        raise WrongState(f"the running machine has {most} KiB; more comes with the next start")
    live_tuning.balloon_of(state)

    async def act(state: Running) -> Back:
        before = memory.current(state.domain)
        await live_tuning.set_balloon(state, kib)
        memory.set_current(state.domain, kib)

        async def back() -> None:
            await live_tuning.set_balloon(state, before)
            memory.set_current(state.domain, before)

        return back

    return Step(f"balloon to {kib} KiB", 2, act, "balloon")


async def _vcpus(state: Running, new: Domain) -> Step:
    count = len(cpus.online(new))
    if cpus.maximum(new) != cpus.maximum(state.domain):
        raise WrongState("the most virtual CPUs there can be are fixed while it runs")
    await live_cpus.reachable(state, count)

    async def act(state: Running) -> Back:
        before = len(cpus.online(state.domain))
        await live_cpus.set_count(state, count)

        async def back() -> None:
            await live_cpus.set_count(state, before)

        return back

    # Last: few guests give a CPU back.
    return Step(f"{count} virtual CPUs", 9, act, "vcpus")


_CONTROLLERS = {"cputune": "cpu", "memtune": "memory", "blkiotune": "io"}
_PINS = ("vcpupin", "emulatorpin", "iothreadpin")


def _tuning(state: Running, change: Change, new: Domain) -> Step | None:
    """Grant what <cputune>, <memtune> or <blkiotune> says, as a whole."""
    head, *rest = change.path.split("/")
    pin = bool(rest) and rest[0].split("[")[0] in _PINS
    if rest and rest[0].split("[")[0] in ("vcpusched", "iothreadsched", "emulatorsched", "cachetune", "memorytune"):
        return None
    if not pin:
        cgroup.needed(_CONTROLLERS[head])

    async def act(state: Running) -> Back:
        before = getattr(state.domain, head)
        setattr(state.domain, head, tree.copy(getattr(new, head)))

        async def back() -> None:
            setattr(state.domain, head, before)
            await _grant(state, head, changed=True)

        try:
            await _grant(state, head, changed=True)
        except BaseException:
            await back()
            raise
        return back

    return Step(head, 1, act, head)


async def _grant(state: Running, head: str, *, changed: bool) -> None:
    if head == "cputune":
        if cgroup.find("cpu") is not None:
            await live_tuning.apply_scheduler(state.machine, state.domain)
        await live_cpus.hold_all(state.machine, state.domain)
    elif head == "memtune":
        await asyncio.to_thread(live_tuning.apply_memory, state.machine, state.domain, changed=changed)
    else:
        await asyncio.to_thread(live_tuning.apply_block, state.machine, state.domain)


# Devices that come and go.


def attach(device: Device) -> Step:
    """Add a device."""

    async def act(state: Running) -> Back | None:
        alias = await hotplug.attach(state, tree.copy(device))
        if not alias:
            return None

        async def back() -> None:
            await _let_go(state, alias)

        return back

    # A controller comes before what hangs on it.
    return Step(f"attach {device.shape.tag}", 5 if device.shape.tag == "controller" else 6, act)


async def _let_go(state: Running, alias: str) -> None:
    """Take out what was just added; a guest that does not know it yet may take its time."""
    found = edit.named(state.domain, alias)
    for _ in range(_ASKED):
        if await hotplug.detach(state, found, by_name=True):
            return
    raise DeadlineExceeded(f"the guest does not let go of '{alias}', which was just added; it may do so later")


def detach(device: Device) -> Step:
    """Take a device out; it may be that the guest lets go of it later."""
    alias = device.alias.name if device.alias is not None else ""

    async def act(state: Running) -> Back | None:
        found = edit.named(state.domain, alias)
        copy: Device = tree.copy(found)
        if not await hotplug.detach(state, found, by_name=True):
            return None

        async def back() -> None:
            copy.alias = None
            await hotplug.attach(state, copy)

        return back

    return Step(f"detach {alias}", 8, act)


# Devices that change.

#: Which parts of a device can change while it runs; a part is the first step of the path within the device.
_CARD = ("link", "bandwidth", "source", "@type")
_MEDIUM = ("source", "backingStore", "@type", "driver/@type")
_DISPLAY = ("@passwd", "@passwdValidTo", "@connected")


def changes(old: Any, new: Any, within: str) -> bool:
    """Whether a part of a device can change while it runs; `within` is its path in the device."""
    part = within.split("/")[0].split("[")[0]
    if isinstance(new, Disk):
        drive = new.device in ("cdrom", "floppy") and old.device == new.device
        return part == "iotune" or (drive and (part in _MEDIUM or within in _MEDIUM))
    if isinstance(new, Interface):
        if part == "bandwidth":
            return new.bandwidth is not None and old.target is not None and bool(old.target.dev)
        if part in ("source", "@type"):
            moved = {old.type, new.type} <= {"bridge", "network"} and new.source is not None
            return moved and old.target is not None and bool(old.target.dev)
        return part in _CARD
    if isinstance(new, Graphics):
        return part in _DISPLAY and new.type in ("vnc", "spice") and new.passwd is not None
    return isinstance(new, MemBalloon) and part == "stats" and old.alias is not None


def update(old: Any, new: Any, withins: set[str]) -> list[Step]:
    """Give the steps that change parts of a device."""
    parts = {within.split("/")[0].split("[")[0] for within in withins}
    alias = old.alias.name if old.alias is not None else ""
    if isinstance(new, Disk):
        steps = [_limits(alias, new)] if "iotune" in parts else []
        return steps + ([_medium(alias, new)] if parts - {"iotune"} else [])
    if isinstance(new, Interface):
        return [_card(alias, new, parts)]
    if isinstance(new, Graphics):
        return [_display(new)]
    return [_period(new)]


def _limits(alias: str, new: Disk) -> Step:
    async def act(state: Running) -> Back:
        disk: Disk = edit.named(state.domain, alias)  # type: ignore[assignment]
        before = disk.iotune

        async def put(iotune: Any) -> None:
            disk.iotune = iotune
            await live_tuning.apply_io_tune(state, disk)

        try:
            await put(tree.copy(new.iotune) if new.iotune is not None else None)
        except QemuRefused:
            disk.iotune = before
            raise
        return lambda: put(before)

    return Step(f"limits of {alias}", 1, act)


def _medium(alias: str, new: Disk) -> Step:
    async def act(state: Running) -> Back:
        drive: Disk = edit.named(state.domain, alias)  # type: ignore[assignment]
        before: Disk = tree.copy(drive)
        await media.change(state, drive, tree.copy(new), force=False)
        return lambda: media.change(state, drive, before, force=True)

    return Step(f"medium of {alias}", 3, act)


def _card(alias: str, new: Interface, parts: set[str]) -> Step:
    async def put(state: Running, like: Interface) -> None:
        card: Interface = edit.named(state.domain, alias)  # type: ignore[assignment]
        if parts & {"source", "@type"} and like.source is not None:
            wanted: Interface = tree.copy(card)
            wanted.type, wanted.source = like.type, tree.copy(like.source)
            await live_net.move(state, card, wanted)
        if "link" in parts:
            card.link = tree.copy(like.link) if like.link is not None else None
            await live_net.set_link(state, card)
        if "bandwidth" in parts:
            card.bandwidth = tree.copy(like.bandwidth) if like.bandwidth is not None else None
            await live_net.apply_bandwidth(state.service, card)

    async def act(state: Running) -> Back:
        before: Interface = tree.copy(edit.named(state.domain, alias))  # type: ignore[assignment]
        try:
            await put(state, new)
        except BaseException:
            await put(state, before)
            raise
        return lambda: put(state, before)

    return Step(f"interface {alias}", 1, act)


def _display(new: Graphics) -> Step:
    def of(state: Running) -> Graphics:
        for each in edit.siblings(state.domain, new):
            if each.type == new.type:
                return each
        raise NotFound(f"the running machine has no display of type '{new.type}'")

    async def act(state: Running) -> Back:
        display = of(state)
        before: Graphics = tree.copy(display)
        wanted: Graphics = tree.copy(display)
        wanted.passwd, wanted.passwdValidTo, wanted.connected = new.passwd, new.passwdValidTo, new.connected
        await hotplug.update(state, wanted)
        return lambda: hotplug.update(state, before)

    return Step(f"password of {new.type}", 1, act)


def _period(new: MemBalloon) -> Step:
    seconds = new.stats.period or 0 if new.stats is not None else 0

    async def act(state: Running) -> Back:
        balloon = live_tuning.balloon_of(state)
        before = balloon.stats.period or 0 if balloon.stats is not None else 0

        async def put(period: int) -> None:
            await live_tuning.set_period(state, period)
            memory.set_period(state.domain, period)

        await put(seconds)
        return lambda: put(before)

    return Step("period of the balloon", 1, act)
