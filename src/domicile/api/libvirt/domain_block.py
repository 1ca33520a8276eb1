"""Handlers of a domain's disks: how large they are, what was counted on them, what failed; their size and their watches.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.params import STRING_OKAY, Kind, answer
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import HostFailure, InvalidRequest, Unsupported, WrongState
from domicile.domain.edit import tune
from domicile.rpc.calls import domain_block as calls
from domicile.rpc.records import BlockStats, DiskError
from domicile.rpc.types import Domain, TypedParam
from domicile.service import block_stats, disk_sources, glance, images

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
OPERATION_UNSUPPORTED = 84
_BYTES = 1
_PEEK_MAX = 4_194_304
# Source: virDomainDiskErrorCode.
_ERRORS = {"failed": 1, "nospace": 2}


@handlers.handle(calls.domain_get_block_info)
async def get_block_info(conn: Session[Service], dom: Domain, path: str, flags: int) -> tuple[int, int, int]:
    """Give the bytes a disk (named by its target or its file) takes on the host, has for the guest, and has as a file."""
    known(flags, 0, "domain_get_block_info")
    disks = glance.of(conn.context, entry_of(conn, dom)).disks
    disk = next((each for each in disks if path and path in (each.target, each.path)), None)
    if disk is None:
        raise InvalidRequest(f"invalid path {path} not assigned to domain")
    place = disk.path
    if disk.pool and disk.volume:
        place = disk_sources.volume(conn.context, disk.pool, disk.volume).path
    if not place:
        raise InvalidRequest(f"disk '{path}' does not currently have a source assigned")
    found = await asyncio.to_thread(images.size, place, disk.format)
    return found.allocation, found.capacity, found.physical


@handlers.handle(calls.domain_get_disk_errors)
async def get_disk_errors(
    conn: Session[Service], dom: Domain, max_errors: int, flags: int
) -> tuple[list[DiskError], int]:
    """List the disks whose errors stopped the machine; without room, say how many disks there are."""
    known(flags, 0, "domain_get_disk_errors")
    entry, machine = machine_of(conn, dom)
    state = conn.context.changes.running(entry)
    disks = glance.of(conn.context, entry).disks
    if not max_errors:
        return [], len(disks)
    found = []
    for each in await machine.qmp("query-block"):
        code = _ERRORS.get(str(each.get("io-status")))
        disk = block_stats.disk_at(state.domain, str(each.get("qdev") or ""))
        if code is not None and disk is not None and disk.target is not None:
            found.append(DiskError(disk.target.dev or "", code))
    return found[:max_errors], len(found[:max_errors])


async def _counted(conn: Session[Service], dom: Domain, path: str) -> block_stats.Counted:
    entry, _ = machine_of(conn, dom)
    state = conn.context.changes.running(entry)
    return await (block_stats.one(state, path) if path else block_stats.total(state))


@handlers.handle(calls.domain_block_stats)
async def get_block_stats(conn: Session[Service], dom: Domain, path: str) -> BlockStats:
    """Count requests and bytes of a disk, or of all disks where none is named."""
    found = await _counted(conn, dom, path)
    reads, writes = found.counter("rd_operations"), found.counter("wr_operations")
    return BlockStats(reads, found.counter("rd_bytes"), writes, found.counter("wr_bytes"), -1)


@handlers.handle(calls.domain_block_stats_flags)
async def get_block_stats_flags(
    conn: Session[Service], dom: Domain, path: str, nparams: int, flags: int
) -> tuple[list[TypedParam], int]:
    """Count requests, bytes and nanoseconds of a disk, or of all disks where none is named."""
    known(flags, STRING_OKAY, "domain_block_stats_flags")
    counted = await _counted(conn, dom, path)
    found = {name: counted.counter(name) for name in block_stats.COUNTERS}
    return answer(found, dict.fromkeys(found, Kind.LLONG), nparams)


@handlers.handle(calls.domain_block_resize)
async def block_resize(conn: Session[Service], dom: Domain, disk: str, size: int, flags: int) -> None:
    """Change the size of a running machine's disk, in KiB or bytes."""
    known(flags, _BYTES | 2, "domain_block_resize")
    entry, _ = machine_of(conn, dom)
    if not flags & _BYTES:
        if size > (2**64 - 1) // 1024:
            raise InvalidRequest(f"size must be less than {(2**64 - 1) // 1024} KiB")
        size *= 1024
    async with entry.changes():
        await block_stats.resize(conn.context.changes.running(entry), disk, size)
    conn.context.machines.done("blockresize", entry, author(conn, "blockresize"), disk=disk, size=size)


@handlers.handle(calls.domain_set_block_threshold)
async def set_block_threshold(conn: Session[Service], dom: Domain, dev: str, threshold: int, flags: int) -> None:
    """Have clients told when a disk is written beyond so many bytes."""
    known(flags, 0, "domain_set_block_threshold")
    entry, _ = machine_of(conn, dom)
    await block_stats.set_threshold(conn.context.changes.running(entry), dev, threshold)


@handlers.handle(calls.domain_block_peek)
async def block_peek(conn: Session[Service], dom: Domain, path: str, offset: int, size: int, flags: int) -> bytes:
    """Read some bytes of a raw disk."""
    known(flags, 0, "domain_block_peek")
    entry = entry_of(conn, dom)
    try:
        disk = tune.disk_of(conn.context.domain(entry), path)
    except InvalidRequest:
        raise InvalidRequest(f"disk '{path}' not found in domain") from None
    kind = disk.driver.type if disk.driver is not None else "raw"
    if kind not in (None, "raw"):
        words = f"peeking is only supported for disk with 'raw' format not '{kind}'"
        raise Unsupported(words, code=OPERATION_UNSUPPORTED)
    file = (disk.source.file or disk.source.dev) if disk.source is not None else None
    if not file:
        raise WrongState(f"disk '{path}' has no file of the host that could be read")
    return await asyncio.to_thread(_read, file, offset, min(size, _PEEK_MAX))


def _read(path: str, offset: int, size: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)
    except OSError as error:
        raise HostFailure(f"{path}: {error.strerror}") from error


# Source: virDomainMemoryFlags.
_VIRTUAL, _PHYSICAL = 1, 2


@handlers.handle(calls.domain_memory_peek)
async def memory_peek(conn: Session[Service], dom: Domain, offset: int, size: int, flags: int) -> bytes:
    """Read some bytes of a running guest's memory, by physical or by virtual address."""
    known(flags, _VIRTUAL | _PHYSICAL, "domain_memory_peek")
    if flags not in (_VIRTUAL, _PHYSICAL):
        raise InvalidRequest("flags parameter must be VIR_MEMORY_VIRTUAL or VIR_MEMORY_PHYSICAL")
    _, machine = machine_of(conn, dom)
    return await block_stats.peek(machine, offset, min(size, _PEEK_MAX), physical=flags == _PHYSICAL)
