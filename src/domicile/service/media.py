"""The media of a running machine's drives: taken out, put in, exchanged. Used by hotplug."""

from __future__ import annotations

import asyncio
from typing import Any

from domicile.base.errors import DomicileError, QemuRefused, Unsupported
from domicile.devices.disk import Disk
from domicile.devices.disk.model import DiskTarget
from domicile.devices.disk.plan import has_medium
from domicile.devices.disk.source import DiskSource
from domicile.domain.edit import devices as edit
from domicile.plan.qemu import Structured
from domicile.schema import tree
from domicile.service import hotplug, plugging
from domicile.service.changes import Running

OPERATION_UNSUPPORTED = 84
#: How often, and how far apart in seconds, a guest is asked to open its drive.
_ASKED, _PAUSE = 10, 0.3
# What a disk of a running machine cannot change.
_FIXED = ("target", "readonly", "shareable", "transient", "serial", "wwn", "vendor", "product", "geometry", "blockio")


async def update(state: Running, found: Disk, wanted: Disk, *, force: bool) -> None:
    """Change a disk of a running machine: its medium. Raises: Unsupported, QemuRefused."""
    if wanted.device != found.device:
        raise _refused("device", found)
    for slot in _FIXED:
        value, before = getattr(wanted, slot), getattr(found, slot)
        same = edit.covers(value, before, leave=("tray",)) if isinstance(value, DiskTarget) else value == before
        removable = found.device in ("cdrom", "floppy") and slot in ("readonly", "transient")
        if value not in (None, False) and not same and not removable:
            raise _refused(slot, found)
    if found.device in ("cdrom", "floppy"):
        await change(state, found, wanted, force=force)
        return
    if wanted.source is not None and not (
        found.source is not None and edit.covers(wanted.source, found.source, leave=())
    ):
        raise Unsupported("disk source can be changed only in removable drives")
    if wanted.iotune is not None and wanted.iotune != found.iotune:
        raise _refused("iotune", found)


def _refused(field: str, disk: Disk) -> Unsupported:
    words = f"cannot modify field '{field}' of the disk '{edit.target(disk)}' while the domain runs"
    return Unsupported(words, code=OPERATION_UNSUPPORTED)


async def change(state: Running, found: Disk, wanted: Disk, *, force: bool) -> None:
    """Exchange the medium of a drive; where the new one cannot be had, the old one stays.

    Raises: HostFailure, QemuRefused
    """
    name, dev = found.alias.name if found.alias is not None else "", edit.target(found)
    new: Disk = tree.copy(wanted)
    new.target, new.address, new.alias = tree.copy(found.target) if found.target else None, None, None
    items: list[Any] = []
    needs: list[Any] = []
    top, keep = "", set()
    if has_medium(new):
        probe = plugging.completed(state, lambda domain: _exchange(domain, new))
        new = next(each for each in edit.siblings(probe, found) if edit.target(each) == dev)
        # Nodes are called by the target; the new ones get names of their own, so that both can be there at once.
        apart: Disk = tree.copy(new)
        assert apart.target is not None
        apart.target.dev, apart.alias = f"m{hotplug.last_number(state) + 1}-{dev}", found.alias
        items, needs = _nodes(state, found, apart)
        nodes = [item for item in items if isinstance(item, Structured) and item.flag == "blockdev"]
        top, keep = str(nodes[-1].props["node-name"]), {str(node.props["node-name"]) for node in nodes}
    needs = await plugging.check_needs(state, needs, new)
    added = await plugging.add(state, items, needs, new)
    before = await _inside(state, name)
    try:
        await _exchanged(state, name, top, force=force)
    except DomicileError:
        if before and not await _inside(state, name):
            await _exchanged(state, name, before, force=True)
        await added.take_back()
        raise
    await plugging.drop_nodes(state.machine, dev, keep)
    _show(state, found, new)


def _exchange(domain: Any, new: Disk) -> None:
    """Put the new medium's disk in the old one's place in a copy."""
    others: list[Disk] = edit.siblings(domain, new)
    number = next(n for n, each in enumerate(others) if edit.target(each) == edit.target(new))
    new.address = others[number].address
    others[number] = new


def _nodes(state: Running, found: Disk, apart: Disk) -> tuple[list[Any], list[Any]]:
    """Plan the block nodes of a medium, without its drive."""
    others = edit.siblings(state.domain, found)
    number = [each is found for each in others].index(True)
    others[number] = apart
    try:
        _, items, needs = plugging.wishes(state, [apart])
    finally:
        others[number] = found
    return [item for item in items if isinstance(item, Structured) and item.flag in ("blockdev", "object")], needs


async def _exchanged(state: Running, name: str, top: str, *, force: bool) -> None:
    """Take out what is in a drive and put in a node, if one is named; a guest may shut its drive in between."""
    for attempt in range(_ASKED):
        await _open(state, name, force)
        try:
            if await _inside(state, name):
                await state.qmp("blockdev-remove-medium", {"id": name})
            if top:
                await state.qmp("blockdev-insert-medium", {"id": name, "node-name": top})
                await state.qmp("blockdev-close-tray", {"id": name})
        except QemuRefused as fault:
            if "not open" not in fault.message or attempt + 1 == _ASKED:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _inside(state: Running, name: str) -> str:
    """Name the node that is in a drive; nothing where it is empty."""
    for each in await state.qmp("query-block"):
        if each.get("qdev") in (name, f"/machine/peripheral/{name}"):
            return str((each.get("inserted") or {}).get("node-name") or "")
    return ""


async def _open(state: Running, name: str, force: bool) -> None:
    """Open a drive, asking its guest. Raises: QemuRefused where the guest keeps it locked."""
    for attempt in range(_ASKED):
        try:
            await state.qmp("blockdev-open-tray", {"id": name, "force": force})
        except QemuRefused as fault:
            if "locked" not in fault.message:
                raise
        if await _is_open(state, name):
            return
        if attempt + 1 < _ASKED:
            await asyncio.sleep(_PAUSE)
    raise QemuRefused(f"the guest keeps the drive '{name}' locked; --force would take the medium all the same", code=9)


async def _is_open(state: Running, name: str) -> bool:
    for each in await state.qmp("query-block"):
        if each.get("qdev") in (name, f"/machine/peripheral/{name}"):
            return bool(each.get("tray_open", True)) or "tray_open" not in each
    return True


def _show(state: Running, found: Disk, new: Disk) -> None:
    """Write down what is in the drive now."""
    found.type, found.source, found.backingStore = new.type, new.source, new.backingStore
    if new.driver is not None:
        found.driver = new.driver
    found.readonly = new.readonly or found.readonly
    if found.source is not None:
        hotplug.show_layers(state, found)
        return
    found.source = DiskSource()
    hotplug.show_layers(state, found)
    found.backingStore = None
