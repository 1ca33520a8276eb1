"""Devices of a running machine: added, taken out, changed. The front doors' handlers call it, within `Changes.apply`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base import ids, tasks
from domicile.base.errors import (
    INTERNAL_ERROR,
    OPERATION_FAILED,
    DomicileError,
    InvalidRequest,
    NotFound,
    Unsupported,
    WrongState,
)
from domicile.devices.channel import Channel
from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.devices.disk.complete import layers, sources
from domicile.devices.disk.model import BackingStore
from domicile.devices.graphics.model import Graphics, Listen
from domicile.devices.hostdev import lent_name
from domicile.devices.interface import Interface, InterfaceTarget
from domicile.devices.interface.model import Mac
from domicile.devices.memory import MemoryDevice, size_kib
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.device import Device
from domicile.domain import live
from domicile.domain.domain import Domain
from domicile.domain.edit import devices as edit
from domicile.domain.edit import memory
from domicile.domain.plan import planning
from domicile.domain.rules import disks
from domicile.domain.rules.unplanned import gaps
from domicile.schema import tree
from domicile.service import live_net, media, plugging, removal
from domicile.service.changes import Running

if TYPE_CHECKING:
    from domicile.runtime.machine import MachineEvent
    from domicile.service.entry import Entry
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
OPERATION_UNSUPPORTED = 84
_BUSES = ("virtio", "scsi", "usb")
_PLUGGED = (
    "disk", "interface", "controller", "hostdev", "redirdev", "rng", "memory", "shmem", "watchdog", "input", "vsock",
    "channel", "serial", "parallel", "console", "lease",
)  # fmt: skip


def refused(words: str) -> Unsupported:
    """Say that something cannot be done while the machine runs."""
    return Unsupported(words, code=OPERATION_UNSUPPORTED)


def agree(device: Device) -> None:
    """Choose once what is left to chance, so that the stored and the running machine get the same device."""
    if isinstance(device, Interface) and device.mac is None:
        device.mac = Mac(address=ids.new_mac())


def check_attach(domain: Domain, device: Device) -> None:
    """Say what stands against a device in a running machine. Raises: Unsupported, InvalidRequest."""
    tag = device.shape.tag
    if tag not in _PLUGGED:
        raise refused(f"live attach of device '{tag}' is not supported; accepted are {', '.join(_PLUGGED)}")
    if device.shape.tag == "input" and getattr(device, "bus", None) not in (None, "usb", "virtio"):
        raise refused("an input device on this bus cannot be hot plugged; on usb and virtio it can")
    others = [(each.type, each.index) for each in edit.lists(domain).of(Controller)]
    if isinstance(device, Controller) and device.index is not None and (device.type, device.index) in others:
        raise InvalidRequest(f"target {device.type}:{device.index} already exists", code=OPERATION_FAILED)
    if isinstance(device, Controller) and device.type not in ("scsi",):
        raise refused(f"'{device.type}' controller cannot be hot plugged; scsi would be accepted")
    if isinstance(device, Disk) and device.device not in ("cdrom", "floppy"):
        name = edit.target(device)
        if any(edit.target(each) == name for each in edit.siblings(domain, device)):
            raise edit.duplicate(name)


async def attach(state: Running, device: Device) -> str:
    """Add a device to a running machine; returns its name there, nothing for a medium. All of it comes, or nothing stays.

    Raises: Unsupported, InvalidRequest, InvalidDocument, HostFailure, QemuRefused
    """
    if isinstance(device, Disk) and device.device in ("cdrom", "floppy"):
        there = [each for each in edit.siblings(state.domain, device) if edit.target(each) == edit.target(device)]
        if there:
            await media.change(state, there[0], device, force=False)
            return ""
    wanted, new = wanted_for(state, device)
    for controller in new:
        # It stays, whatever becomes of the device: without its guest it could not be taken out again.
        edit.place(state.domain, controller)
        await _plug(state, controller)
        await state.service.changes.keep(state)
    edit.place(state.domain, wanted)
    if isinstance(wanted, Disk):
        disks.arrange(edit.lists(state.domain))
    if not isinstance(wanted, Interface):
        return await _plug(state, wanted)
    ports = state.service.networks.ports
    ports.given = state.service.machines.networks
    ports.plug(wanted, state.domain)
    try:
        return await _plug(state, wanted)
    except BaseException:
        ports.unplug(wanted)
        raise


def wanted_for(state: Running, device: Device) -> tuple[Device, list[Controller]]:
    """Complete a device for a running machine, and list the controllers that must come before it. Raises: as `attach`."""
    before = {(each.type, each.index) for each in edit.lists(state.domain).of(Controller)}
    wanted: Device = tree.copy(device)
    probe = plugging.completed(state, lambda domain: edit.place(domain, wanted))
    if isinstance(wanted, Disk):
        bus = wanted.target.bus if wanted.target is not None else None
        if wanted.device == "floppy":
            raise refused("floppy device hotplug isn't supported")
        if bus not in _BUSES:
            words = f"disk bus '{bus}' cannot be hotplugged; {', '.join(_BUSES)} can"
            raise Unsupported(words, code=INTERNAL_ERROR)
    missing = [gap.what for gap in gaps(probe) if gap.refused]
    if missing:
        raise Unsupported(f"this version of Domicile cannot do yet: {', '.join(missing)}")
    new = [c for c in edit.lists(probe).of(Controller) if (c.type, c.index) not in before and c is not wanted]
    _refuse_controllers(new)
    return wanted, new


def _refuse_controllers(new: list[Controller]) -> None:
    for controller in new:
        if controller.type != "scsi":
            raise InvalidRequest(
                f"no place is left for the device: a controller of type '{controller.type}' would be needed, "
                "which cannot be added while the machine runs",
                code=INTERNAL_ERROR,
            )


async def _plug(state: Running, device: Any) -> str:
    """Add what the document has already; where that fails the document stays as it was stored last."""
    named, items, needs = plugging.wishes(state, [device])
    needs = await plugging.check_needs(state, needs, device)
    number = [each is device for each in edit.siblings(state.domain, device)].index(True)
    device.alias = edit.siblings(named, device)[number].alias
    added = await plugging.add(state, items, needs, device)
    try:
        await _finish(state, device, added.taps)
    except BaseException:
        await added.take_back()
        raise
    return _alias(device)


async def _finish(state: Running, device: Device, taps: dict[str, str]) -> None:
    """Write down what the new device was given."""
    name = _alias(device)
    if isinstance(device, Interface):
        if name in taps:
            device.target = device.target or InterfaceTarget()
            device.target.dev = taps[name]
        if device.bandwidth is not None:
            await live_net.apply_bandwidth(state.service, device)
    if isinstance(device, Disk):
        show_layers(state, device)
    if isinstance(device, CharDevice) and device.type in (None, "pty"):
        listed = await state.qmp("query-chardev")
        ptys = {each["label"]: each["filename"].removeprefix("pty:") for each in listed}
        live.terminal(device, {f"char{name}": ptys.get(f"char{name}", "")})
    if isinstance(device, Channel):
        live.show_socket(device, planning(state.domain, state.caps, state.service.host, state.machine.id))
    if isinstance(device, MemoryDevice):
        memory.grow(state.domain, size_kib(device))


def last_number(state: Running) -> int:
    """Give the greatest number that a layer of a disk has, or had since the daemon began."""
    known = [state.live.numbers]
    for other in edit.lists(state.domain).of(Disk):
        known += [source.index or 0 for _, source in sources(other)] + [layer.index or 0 for layer in layers(other)]
    return max(known)


def show_layers(state: Running, disk: Disk) -> None:
    """Number the layers of a disk that came later: after all numbers that were given out before."""
    for _, source in sources(disk):
        source.index = None
    for layer in layers(disk):
        layer.index = None
    number = last_number(state)
    for _, source in sources(disk):
        number += 1
        source.index = number
    state.live.numbers = number
    live.show_layers(disk)
    if disk.backingStore is None:
        disk.backingStore = BackingStore()


def _alias(device: Device) -> str:
    return device.alias.name if device.alias is not None else ""


# Taking out.


def check_detach(domain: Domain, device: Device, *, by_name: bool = False) -> Device:
    """Find a device that is to be taken out, and say what stands against that. Raises: NotFound, Unsupported, WrongState."""
    tag = device.shape.tag
    if tag not in (*_PLUGGED, "filesystem"):
        raise refused(f"live detach of device '{tag}' is not supported; accepted are {', '.join(_PLUGGED)}")
    found = device if by_name else edit.find(domain, device)
    if isinstance(found, Disk):
        bus = found.target.bus if found.target is not None else None
        if found.device in ("floppy",) or bus not in _BUSES:
            raise refused(
                f"disk device type '{found.device}' on bus '{bus}' cannot be detached from a running machine"
            )
    if isinstance(found, Controller):
        _unused(domain, found)
    return found


async def detach(state: Running, device: Device, *, by_name: bool = False) -> bool:
    """Take a device out of a running machine; False where the guest has not let go of it yet.

    Raises: NotFound, Unsupported, QemuRefused
    """
    found = check_detach(state.domain, device, by_name=by_name)
    if isinstance(found, Disk) and edit.target(found) in state.live.jobs:
        raise WrongState(f"disk '{edit.target(found)}' cannot be detached: it has an active block job")
    alias = _alias(found)
    if not await removal.remove(state, alias):
        return False
    await _forget(state, alias)
    return True


def _unused(domain: Domain, controller: Controller) -> None:
    """Refuse to take out a controller that something hangs on, or that cannot be taken out. Raises: Unsupported, WrongState."""
    if controller.type != "scsi":
        raise refused(f"'{controller.type}' controller cannot be hot unplugged")
    for device in edit.lists(domain).every():
        place = device.address
        if place is not None and place.type == "drive" and place.controller == controller.index:
            bus = device.target.bus if isinstance(device, Disk) and device.target is not None else "scsi"
            if bus == "scsi":
                raise WrongState("device cannot be detached: device is busy")


async def _forget(state: Running, alias: str) -> None:
    """Remove what stood behind a device that is gone, and take it out of the document."""
    try:
        found = edit.named(state.domain, alias)
    except NotFound:
        return
    await plugging.drop_rest(state.machine, alias, edit.target(found) if isinstance(found, Disk) else "")
    device = lent_name(found)
    if device:
        state.service.resources.lending.give_back(state.machine.uuid, device)
    if isinstance(found, Interface):
        await plugging.drop_link(state, alias)
        state.service.networks.ports.unplug(found)
        if found.target is not None and found.target.dev:
            await state.service.filters.bindings.forget([found.target.dev])
    edit.remove(state.domain, found)
    if isinstance(found, MemoryDevice):
        memory.grow(state.domain, -size_kib(found))
    state.service.happened(state.entry, "device_removed", alias)


def happened(service: Service, entry: Entry, event: MachineEvent) -> None:
    """Hear one of QEMU's events: what the guest lets go of late goes, too."""
    alias = removal.happened(entry, event.name, event.data)
    if alias:
        tasks.spawn(f"{alias} of {entry.name}", _gone(service, entry, alias))


async def _gone(service: Service, entry: Entry, alias: str) -> None:
    try:
        async with entry.changes():
            state = service.changes.running(entry)
            await _forget(state, alias)
            await service.changes.keep(state)
    except DomicileError as fault:
        log.warning("device left something behind", domain=entry.name, device=alias, reason=fault.message)


# Changing.


def changes(device: Device) -> bool:
    """Whether a device of that family can change at all."""
    return isinstance(device, Disk | Interface | Graphics) or device.shape.tag == "memory"


async def update(state: Running, device: Device, *, force: bool = False) -> None:
    """Change a device of a running machine. Raises: NotFound, InvalidRequest, Unsupported, QemuRefused."""
    if isinstance(device, Disk):
        found = edit.updated(state.domain, device, "live")
        await media.update(state, found, device, force=force)
    elif isinstance(device, Interface):
        await _update_interface(state, edit.updated(state.domain, device, "live"), device)
    elif isinstance(device, Graphics):
        await _update_graphics(state, edit.updated(state.domain, device, "live"), device)
    else:
        raise Unsupported(
            f"live update of device '{device.shape.tag}' is not supported; accepted are disk, graphics, interface"
        )


_FIXED = ("model", "driver", "backend", "tune", "boot", "address", "rom", "mtu", "teaming", "virtualport")


async def _update_interface(state: Running, found: Interface, wanted: Interface) -> None:
    """Change an interface's cable, limits and bridge; the rest is fixed while it runs."""
    tap = wanted.target.dev if wanted.target is not None else None
    if tap and (found.target is None or tap != found.target.dev):
        raise refused("cannot modify network device <target> of a running domain")
    before_kind = live_net.kind_of(found)
    if wanted.type != before_kind and not {wanted.type, before_kind} <= {"bridge", "network"}:
        raise refused(f"cannot change network interface type from '{before_kind}' to '{wanted.type}'")
    for slot in _FIXED:
        value, before = getattr(wanted, slot), getattr(found, slot)
        if value is not None and not (before is not None and edit.covers(value, before, leave=())):
            raise refused(f"cannot modify network device <{slot}> of a running domain")
    moved = not live_net.same_source(wanted, found)
    if moved:
        await live_net.move(state, found, wanted)
    if wanted.filterref != found.filterref or (moved and wanted.filterref is not None):
        await state.service.filters.bindings.update((state.entry.name, state.entry.uuid), _filtered(found, wanted))
        found.filterref = wanted.filterref
    state_now = found.link.state if found.link is not None else None
    asked = wanted.link.state if wanted.link is not None else None
    found.link = wanted.link
    if (asked or "up") != (state_now or "up"):
        await live_net.set_link(state, found)
    if wanted.bandwidth != found.bandwidth and wanted.bandwidth is not None:
        await live_net.limit(state.service, found, wanted.bandwidth)


def _filtered(found: Interface, wanted: Interface) -> Interface:
    """Give a running interface's own place with another filter."""
    return Interface(mac=found.mac, target=found.target, filterref=wanted.filterref)


async def _update_graphics(state: Running, found: Graphics, wanted: Graphics) -> None:
    """Change a display's password and how long it holds; the rest is fixed while it runs."""
    for slot in ("port", "tlsPort", "websocket", "keymap"):
        value = getattr(wanted, slot)
        if value not in (None, -1) and value != getattr(found, slot):
            raise refused(f"cannot change '{slot}' of a running domain's {found.type} graphics")
    if [_listens(each) for each in wanted.listens] != [_listens(each) for each in found.listens]:
        raise refused(f"cannot change where a running domain's {found.type} graphics listens")
    if found.type not in ("vnc", "spice"):
        raise refused(f"the settings of graphics type '{found.type}' cannot change while the domain runs")
    if wanted.passwd is not None:
        connected = wanted.connected or "keep"
        arguments = {"protocol": found.type, "password": wanted.passwd}
        await state.qmp("set_password", arguments if found.type == "vnc" else {**arguments, "connected": connected})
        when = wanted.passwdValidTo
        await state.qmp("expire_password", {"protocol": found.type, "time": _expiry(when)})
        found.passwd, found.passwdValidTo, found.connected = wanted.passwd, when, wanted.connected


def _listens(listen: Listen) -> tuple[str | None, str | None, str | None]:
    return listen.type, listen.address if listen.type == "address" else None, listen.network


def _expiry(when: str | None) -> str:
    """Say a moment as QEMU takes it."""
    if when is None:
        return "never"
    return str(int(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp()))
