"""New layers on the disks of domains: made, lent to QEMU, put on top in one transaction, and shown in the documents.

`service/snapshot_making` calls it for external snapshots. All of them become tops at once, or none does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from domicile.base.errors import DomicileError
from domicile.base.undo import Undo
from domicile.devices.disk import Disk
from domicile.devices.disk.chain import Chain
from domicile.devices.disk.chain import Layer as Planned
from domicile.devices.disk.model import DiskDriver
from domicile.devices.disk.source import DiskSource
from domicile.domain import block_chain
from domicile.domain.block_chain import Layer
from domicile.domain.domain import Domain
from domicile.domain.plan import planning
from domicile.domain.snapshot_plan import LAYERED, Overlay, disk_of, disks, target, with_overlay
from domicile.plan.need import File
from domicile.plan.qemu import Structured
from domicile.qemu import render
from domicile.runtime import bitmap as bitmaps
from domicile.runtime import snapshot as nodes
from domicile.service import disk_sources, hotplug, plugging
from domicile.service.changes import Running
from domicile.service.images_in_use import Use
from domicile.storage import snapshots as images

#: The block copy that is under way already. Source: virErrorNumber.
BLOCK_COPY_ACTIVE = 83


class Busy(DomicileError):
    """A disk has a job already."""

    code, status = BLOCK_COPY_ACTIVE, 409


def check(overlays: Sequence[Overlay]) -> None:
    """Refuse new layers whose files are in the way, or are missing where they were to be there. Raises: Unsupported, HostFailure."""
    for overlay in overlays:
        if overlay.reused:
            images.check_there(overlay.path, f"missing existing file for disk {overlay.target}")
        else:
            images.check_free(overlay.path, f"external snapshot file for disk {overlay.target}")


def check_idle(state: Running, names: Sequence[str]) -> None:
    """Refuse disks that have a job. Raises: Busy."""
    for name in names:
        if name in state.live.jobs:
            raise Busy(f"disk '{name}' already in active block job")


async def make(domain: Domain, overlays: Sequence[Overlay], undo: Undo, sizes: dict[str, int] | None = None) -> None:
    """Make the files of new layers above what the disks have now; `sizes` are the guest's, in bytes, by targets."""
    for overlay in overlays:
        if overlay.reused:
            continue
        disk = disk_of(domain, overlay.target)
        source = disk.source or DiskSource()
        below = source.file or source.dev or ""
        kind = (disk.driver.type if disk.driver is not None else None) or "raw"
        path = Path(overlay.path)
        if not await asyncio.to_thread(path.is_block_device):
            undo.push(f"remove {path}", lambda path=path: asyncio.to_thread(path.unlink, missing_ok=True))  # type: ignore[misc]
        await images.overlay(overlay.path, overlay.format, below, kind, (sizes or {}).get(overlay.target))


def node_items(
    state: Running, disk: Disk, source: DiskSource, kind: str, format: str, name: str, below: str | None = None
) -> list[Structured]:
    """Plan the block nodes of one more image for a disk, above a node or with nothing below it; they are called by `name`."""
    host = disk_sources.host_for(state.service, state.domain)
    facts = planning(state.domain, state.caps, host, state.machine.id)
    chain = Chain(disk, disk.driver or DiskDriver(), facts, facts.origin(disk), [])
    layer = Planned(kind, source, format, name, False, top=True, ends=format in LAYERED)
    layer.encryption, layer.below = source.encryption, below
    chain.layer(layer)
    return [item for item in chain.items if isinstance(item, Structured)]


def alias_of(disk: Disk) -> str:
    """Give the name QEMU has for a disk's device."""
    return (disk.alias.name if disk.alias is not None else None) or ""


async def sizes(state: Running) -> dict[str, int]:
    """Give the bytes that the guest sees of each disk, by targets."""
    found = {}
    for each in await state.qmp("query-block"):
        inserted = each.get("inserted")
        for disk in disks(state.domain) if inserted else ():
            if nodes.is_of(str(each.get("qdev") or ""), alias_of(disk)):
                found[target(disk)] = int(inserted["image"]["virtual-size"])
    return found


async def open_nodes(state: Running, items: Sequence[Structured], path: str, source: DiskSource, undo: Undo) -> str:
    """Lend QEMU an image and let it open it; the uppermost node's name is returned."""
    machine = state.machine
    await state.service.images.take(machine.uuid, state.entry.name, [Use(path, written=True)])
    undo.push("images in use", lambda: state.service.machines.claim_images(state.entry))
    added = await plugging.add(state, list(items), [File(path, writable=True)], source)
    undo.push("close the new layer", added.take_back)
    return str(items[-1].props["node-name"])


async def stack(state: Running, overlays: Sequence[Overlay], undo: Undo) -> list[dict[str, Any]]:
    """Open new layers and plan the transaction that makes them tops; documents are not changed yet."""
    actions = []
    number = hotplug.last_number(state)
    known = await bitmaps.known(state.qmp)
    for overlay in overlays:
        number += 1
        disk = disk_of(state.domain, overlay.target)
        (top,) = await nodes.tops(state.qmp, [alias_of(disk)])
        items = node_items(state, disk, overlay.source, overlay.kind, overlay.format, f"m{number}-{overlay.target}")
        node = await open_nodes(state, items, overlay.path, overlay.source, undo)
        actions.append({"type": "blockdev-snapshot", "data": {"node": top, "overlay": node}})
        if overlay.format == "qcow2":
            # What checkpoints note goes on in the layer that the guest writes to.
            for name, each in known.get(top, {}).items():
                if each.get("persistent") and bitmaps.usable(each):
                    actions.append(bitmaps.add(node, name, int(each["granularity"])))
    state.live.numbers = number
    return actions


async def lend(state: Running, layers: Sequence[Layer]) -> None:
    """Lend QEMU layers that it had for reading alone; another machine that reads them stands in the way. Raises: ImageInUse."""
    paths = [layer.path for layer in layers if layer.path]
    machine = state.machine
    await state.service.images.take(machine.uuid, state.entry.name, [Use(path, written=True) for path in paths])
    needs = [File(path, writable=True) for path in paths]
    given = await asyncio.to_thread(state.service.resources.add, machine.uuid, needs)
    machine.note(lent=given.lent)


@asynccontextmanager
async def written(state: Running, disk: Disk, place: int) -> AsyncIterator[None]:
    """Have QEMU open a lower layer for writing meanwhile; the top is that already. Raises: ImageInUse, QemuRefused."""
    if not place:
        yield
        return
    chain = block_chain.layers(disk)
    known = await nodes.layers(state.qmp)
    names = next(found for path, found in known.items() if nodes.is_of(path, alias_of(disk)))
    layer, node = chain[place], names[place]
    below = names[place + 1] if place + 1 < len(names) else None
    base = node.removesuffix("-format").removesuffix("-storage")
    items = node_items(state, disk, layer.source, layer.kind, layer.format, base, below)
    options = dict(items[-1].props)
    await lend(state, [layer])
    try:
        await state.qmp("blockdev-reopen", {"options": [_plain({**options, "read-only": False})]})
        yield
    finally:
        await state.qmp("blockdev-reopen", {"options": [_plain({**options, "read-only": True})]})
        await state.service.machines.claim_images(state.entry)


def _plain(props: Mapping[str, Any]) -> dict[str, Any]:
    """Write a node's properties as QEMU's commands take them."""
    _, arguments = render.qmp(Structured("blockdev", dict(props)))
    return dict(arguments)


def show(state: Running, overlays: Sequence[Overlay]) -> None:
    """Put new layers into the running machine's document, with the numbers that `stack` named them by."""
    number = state.live.numbers - len(overlays)
    for overlay in overlays:
        number += 1
        with_overlay(disk_of(state.domain, overlay.target), overlay, number)


def stored_edit(overlays: Sequence[Overlay], before: Domain, *, layers: bool) -> Any:
    """Make the edit of the stored definition: the same disks with the same images (as in `before`) get the new layers, too.

    Without `layers` the definition names the new tops alone.
    """
    old = {overlay.target: _place(disk_of(before, overlay.target)) for overlay in overlays}

    def edit(domain: Domain) -> None:
        for overlay in overlays:
            disk = next((each for each in disks(domain) if target(each) == overlay.target), None)
            if disk is None or _place(disk) != old[overlay.target]:
                continue
            with_overlay(disk, overlay, None)
            if not layers:
                disk.backingStore = None

    return edit


def _place(disk: Disk) -> tuple[str | None, str | None]:
    source = disk.source or DiskSource()
    return disk.type, source.file or source.dev or source.name


__all__ = ["Busy", "Disk", "check", "check_idle", "make", "show", "stack", "stored_edit"]
