"""What QEMU counted and knows of a running machine's disks, in one question. Called by the front doors' handlers and `domstats`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domicile.base.errors import HostFailure, InvalidRequest, Unsupported
from domicile.devices.disk import Disk
from domicile.domain.domain import Domain
from domicile.domain.edit import tune
from domicile.runtime.machine import Machine
from domicile.runtime.snapshot import is_of
from domicile.service.changes import Running

OPERATION_UNSUPPORTED = 84
#: The names of the counters on the wire, and QEMU's.
COUNTERS = {
    "wr_bytes": "wr_bytes", "wr_operations": "wr_operations", "rd_bytes": "rd_bytes", "rd_operations": "rd_operations",
    "flush_operations": "flush_operations", "wr_total_times": "wr_total_time_ns", "rd_total_times": "rd_total_time_ns",
    "flush_total_times": "flush_total_time_ns",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a disk as QEMU sees it: its format's node, and the highest byte written to its file."""

    node: str
    highest: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What QEMU counted on a disk, and its layers from the top on."""

    counters: Mapping[str, int]
    layers: tuple[Layer, ...]

    def counter(self, name: str) -> int:
        """Give a counter by its name on the wire."""
        return int(self.counters.get(COUNTERS[name], 0))


async def ask(machine: Machine, aliases: Mapping[str, str]) -> dict[str, Counted]:
    """Ask QEMU about disks, by the keys of their names in QEMU."""
    found = {}
    listed = await machine.qmp("query-blockstats")
    for key, alias in aliases.items():
        each = next((one for one in listed if is_of(str(one.get("qdev") or ""), alias)), None)
        if each is not None:
            found[key] = Counted(each.get("stats") or {}, tuple(_layers(each)))
    return found


def _aliases(domain: Domain) -> dict[str, str]:
    disks = domain.devices.of(Disk) if domain.devices is not None else []
    return {
        each.target.dev or "": each.alias.name for each in disks if each.target is not None and each.alias is not None
    }


def disk_at(domain: Domain, path: str) -> Disk | None:
    """Find the disk behind a device of QEMU's; None where it is none of the document."""
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        if is_of(path, disk.alias.name if disk.alias is not None else ""):
            return disk
    return None


def _layers(each: Mapping[str, Any]) -> Iterator[Layer]:
    node: Mapping[str, Any] | None = each
    while node is not None:
        storage = node.get("parent") or {}
        yield Layer(
            str(node.get("node-name") or ""),
            int((storage.get("stats") or {}).get("wr_highest_offset", 0)),
        )
        node = node.get("backing")


async def one(state: Running, path: str) -> Counted:
    """Ask QEMU about one disk, named by its target or its file. Raises: InvalidRequest."""
    try:
        disk = tune.disk_of(state.domain, path)
    except InvalidRequest:
        raise InvalidRequest(f"invalid path: {path}") from None
    dev = disk.target.dev if disk.target is not None and disk.target.dev else ""
    return (await ask(state.machine, _aliases(state.domain))).get(dev) or Counted({}, ())


async def total(state: Running) -> Counted:
    """Add up what QEMU counted on all disks."""
    counted = (await ask(state.machine, _aliases(state.domain))).values()
    sums = {theirs: sum(each.counters.get(theirs, 0) for each in counted) for theirs in COUNTERS.values()}
    return Counted(sums, ())


async def resize(state: Running, path: str, size: int) -> None:
    """Change the size of a disk, in bytes. Raises: InvalidRequest, Unsupported, QemuRefused."""
    disk = tune.disk_of(state.domain, path)
    source = disk.source
    if disk.readonly or source is None or not (source.file or source.dev or source.protocol):
        raise Unsupported(f"can't resize empty or readonly disk '{path}'", code=OPERATION_UNSUPPORTED)
    if disk.driver is not None and disk.driver.type in ("qcow2", "qed"):
        size = -(-size // 512) * 512
    node = await top_node(state, disk)
    await state.qmp("block_resize", {"node-name": node, "size": size})


async def top_node(state: Running, disk: Disk) -> str:
    """Name the topmost block node of a disk. Raises: Unsupported where its drive is empty."""
    for each in await state.qmp("query-block"):
        inserted = each.get("inserted")
        if disk_at(state.domain, str(each.get("qdev") or "")) is disk and inserted is not None:
            return str(inserted["node-name"])
    raise Unsupported("there is nothing in the drive", code=OPERATION_UNSUPPORTED)


async def set_threshold(state: Running, dev: str, threshold: int) -> None:
    """Have QEMU tell when a disk is written beyond so many bytes. Raises: InvalidRequest, QemuRefused."""
    name, _, number = dev.removesuffix("]").partition("[")
    disks = state.domain.devices.of(Disk) if state.domain.devices is not None else []
    disk = next((each for each in disks if each.target is not None and each.target.dev == name), None)
    if disk is None:
        raise InvalidRequest(f"failed to find disk '{dev}'")
    node = await _numbered(state, disk, int(number)) if number.isdigit() else await storage_node(state, disk)
    if node is None:
        raise InvalidRequest(f"failed to find disk '{dev}'")
    await state.qmp("block-set-write-threshold", {"node-name": node, "write-threshold": threshold})


async def storage_node(state: Running, disk: Disk) -> str:
    """Name the node of a disk's file, below its format."""
    top = await top_node(state, disk)
    return top.removesuffix("-format") + "-storage" if top.endswith("-format") else top


async def _numbered(state: Running, disk: Disk, number: int) -> str | None:
    """Name the node of the layer that has this number in the document."""
    top = await storage_node(state, disk)
    if disk.source is not None and disk.source.index == number:
        return top
    layer, depth = disk.backingStore, 1
    while layer is not None:
        if layer.index == number:
            return f"{top.removesuffix('-storage')}-{depth}-storage"
        layer, depth = layer.backingStore, depth + 1
    return None


async def peek(machine: Machine, offset: int, size: int, *, physical: bool) -> bytes:
    """Read a guest's memory through a file in the machine's own directory, which QEMU writes. Raises: QemuRefused, HostFailure."""
    place = machine.directory / f"peek-{secrets.token_hex(8)}"
    arguments = {"val": offset, "size": size, "filename": str(place)}
    try:
        await machine.qmp("pmemsave" if physical else "memsave", arguments)
        return await asyncio.to_thread(place.read_bytes)
    except OSError as error:
        raise HostFailure(f"{place}: {error.strerror}") from error
    finally:
        await asyncio.to_thread(place.unlink, missing_ok=True)
