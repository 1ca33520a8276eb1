"""Deleting snapshots that are layers of their own: what came after is written into the layer below, which takes the place.

`service/snapshots` calls `check` for all that are to go, then `merge` for each while it holds the domain.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from domicile.base.errors import Unsupported
from domicile.devices.disk.source import DiskSource
from domicile.domain import block_chain
from domicile.domain.domain import Domain
from domicile.domain.lineage import Lineage
from domicile.domain.snapshot import DomainSnapshot
from domicile.domain.snapshot_plan import disks, target
from domicile.host import chain
from domicile.storage import snapshots as images

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author


def check(lineage: Lineage, gone: list[str]) -> None:
    """Refuse to merge layers that others keep their state in. Raises: Unsupported."""
    for name in gone:
        if not lineage.find(name).facts.get("external"):
            continue
        for child in lineage.descendants(name):
            if child.name not in gone and not child.facts.get("external"):
                raise Unsupported(
                    "deletion of external disk snapshots with internal children disk snapshots not supported"
                )


def _layers(snapshot: DomainSnapshot) -> list[tuple[str, str]]:
    """List target and file of the layers that a snapshot made."""
    return [
        (made.name or "", (made.source.file or made.source.dev or "") if made.source is not None else "")
        for made in snapshot.disks_in("external")
    ]


async def in_use(service: Service, entry: Entry, snapshot: DomainSnapshot) -> None:
    """Make sure that every layer of a snapshot is where the domain has it now. Raises: Unsupported, HostFailure."""
    domain = service.domain(entry, inactive=entry.machine is None)
    for dev, path in _layers(snapshot):
        if path not in [name for name, _ in await _chain(domain, dev)][:-1]:
            words = f"layer '{path}' of snapshot '{snapshot.name}' is no layer above another of disk '{dev}' now"
            raise Unsupported(f"{words}; --metadata forgets the snapshot alone")


async def _chain(domain: Domain, dev: str) -> list[tuple[str, str]]:
    """List file and format of a disk's layers, the top first."""
    disk = next((each for each in disks(domain) if target(each) == dev), None)
    if disk is None:
        return []
    found = [(layer.path, layer.format) for layer in block_chain.layers(disk)]
    if len(found) == 1 and found[0][0] and found[0][1] == "qcow2":
        found += [(path, kind or "raw") for path, kind in await asyncio.to_thread(chain.described, found[0][0])]
    return found


async def merge(service: Service, entry: Entry, snapshot: DomainSnapshot, author: Author) -> None:
    """Write the layers of a snapshot into those below them; what is merged already is passed over.

    Raises: QemuRefused, HostFailure, DeadlineExceeded
    """
    for dev, path in _layers(snapshot):
        domain = service.domain(entry, inactive=entry.machine is None)
        if path not in [name for name, _ in (await _chain(domain, dev))[:-1]]:
            continue
        if entry.machine is not None:
            await service.block_jobs.commit_whole(service.changes.running(entry), dev, path, author)
        else:
            await _merge_offline(service, entry, domain, dev, path, author)
    memory = snapshot.memory.file if snapshot.memory is not None else None
    if memory:
        with suppress(OSError):
            await asyncio.to_thread(Path(memory).unlink, missing_ok=True)


async def _merge_offline(service: Service, entry: Entry, domain: Domain, dev: str, path: str, author: Author) -> None:
    layers = await _chain(domain, dev)
    place = [name for name, _ in layers].index(path)
    (below, kind), (_, format) = layers[place + 1], layers[place]
    await images.commit(path, format)
    if place:
        await images.rebase(layers[place - 1][0], layers[place - 1][1], below, kind)

    def edit(stored: Domain) -> None:
        disk = next(each for each in disks(stored) if target(each) == dev)
        paths = [layer.path for layer in block_chain.layers(disk)]
        if path not in paths:
            return
        if place:
            block_chain.without(disk, place, place)
        elif len(paths) > 1:
            block_chain.become(disk, 1)
        else:
            is_block = Path(below).is_block_device()
            source = DiskSource(dev=below) if is_block else DiskSource(file=below)
            block_chain.replace_top(disk, "block" if is_block else "file", kind, source, None, disk.backingStore)

    await service.changes.store(entry, edit, author)
    await asyncio.to_thread(_remove, path)


def _remove(path: str) -> None:
    place = Path(path)
    if place.is_file():
        place.unlink(missing_ok=True)
