"""Handlers of the host: its processors and memory.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import FROM_NONE, INTERNAL_ERROR, DomicileError, InvalidRequest
from domicile.host import memory as host_memory
from domicile.rpc.calls import node as calls
from domicile.rpc.records import NamedCount, NodeInfo
from domicile.rpc.types import TypedParam
from domicile.service import node

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_ALL = -1
# Source: virNodeAllocPagesFlags: set the number instead of adding to it.
_SET = 1
_SLEEPS = {0: "Suspend-to-RAM", 1: "Suspend-to-Disk", 2: "Hybrid-Suspend"}


@handlers.handle(calls.node_get_info)
def get_info(conn: Session[Service]) -> NodeInfo:
    """Sum the host up."""
    found = node.info()
    return NodeInfo(
        found.model.encode(),
        found.memory_kib,
        found.cpus,
        found.mhz,
        found.nodes,
        found.sockets,
        found.cores,
        found.threads,
    )


@handlers.handle(calls.node_get_security_model)
def get_security_model(conn: Session[Service]) -> tuple[bytes, bytes]:
    """Name the security model: none but the ownership of files."""
    return b"none\0", b"0\0"


@handlers.handle(calls.node_get_free_memory)
def get_free_memory(conn: Session[Service]) -> int:
    """Give the host's free memory in bytes."""
    return sum(node.memory_stats(cell)["free"] for cell in range(node.last_cell() + 1)) * 1024


@handlers.handle(calls.node_get_cells_free_memory)
def get_cells_free_memory(conn: Session[Service], start_cell: int, maxcells: int) -> list[int]:
    """Give the free memory of NUMA nodes in bytes."""
    return [node.memory_stats(cell)["free"] * 1024 for cell in _cells(start_cell, maxcells)]


@handlers.handle(calls.node_get_free_pages)
def get_free_pages(conn: Session[Service], pages: list[int], start_cell: int, cell_count: int, flags: int) -> list[int]:
    """Count the free pages of each size (in KiB), NUMA node after NUMA node."""
    known(flags, 0, "node_get_free_pages")
    return [node.free_pages(cell, size) for cell in _cells(start_cell, cell_count) for size in pages]


def _cells(start: int, count: int) -> range:
    last = node.last_cell()
    if not 0 <= start <= last:
        raise DomicileError(f"start cell {start} out of range (0-{last})", code=INTERNAL_ERROR, domain=FROM_NONE)
    return range(start, min(start + count, last + 1))


@handlers.handle(calls.node_get_memory_stats)
def get_memory_stats(conn: Session[Service], nparams: int, cell: int, flags: int) -> tuple[list[NamedCount], int]:
    """Give the memory of the host, or of one NUMA node, in KiB."""
    known(flags, 0, "node_get_memory_stats")
    if not _ALL <= cell <= node.last_cell():
        raise InvalidRequest(f"NUMA node {cell} is not among 0 to {node.last_cell()}", domain=FROM_NONE)
    return _counts(node.memory_stats(cell), nparams)


@handlers.handle(calls.node_get_cpu_stats)
def get_cpu_stats(conn: Session[Service], cpu: int, nparams: int, flags: int) -> tuple[list[NamedCount], int]:
    """Give what the host's CPUs, or one of them, did since boot, in nanoseconds."""
    known(flags, 0, "node_get_cpu_stats")
    found = node.cpu_stats(cpu)
    if found is None:
        raise InvalidRequest(f"the host has no CPU {cpu}", domain=FROM_NONE)
    return _counts(found, nparams)


def _counts(found: dict[str, int], nparams: int) -> tuple[list[NamedCount], int]:
    if nparams == 0:
        return [], len(found)
    return [NamedCount(name, value) for name, value in list(found.items())[:nparams]], 0


@handlers.handle(calls.node_get_cpu_map)
def get_cpu_map(conn: Session[Service], need_map: int, need_online: int, flags: int) -> tuple[bytes, int, int]:
    """Say which of the host's CPUs are online: a bit each, how many, and out of how many."""
    known(flags, 0, "node_get_cpu_map")
    bits, online, present = node.cpu_map()
    return (bits if need_map else b""), (online if need_online else 0), present


@handlers.handle(calls.node_get_memory_parameters)
def get_memory_parameters(conn: Session[Service], nparams: int, flags: int) -> tuple[list[TypedParam], int]:
    """Give the settings and figures of the kernel's page merging."""
    known(flags, 4, "node_get_memory_parameters")
    found = node.page_merging()
    if nparams == 0:
        return [], len(found)
    return [TypedParam(name, type, value) for name, type, value in found[:nparams]], 0


@handlers.handle(calls.node_set_memory_parameters)
async def set_memory_parameters(conn: Session[Service], params: list[TypedParam], flags: int) -> None:
    """Change the settings of the kernel's page merging."""
    known(flags, 0, "node_set_memory_parameters")
    given = {param.field: param.value for param in params}
    await asyncio.to_thread(host_memory.tune, given)


@handlers.handle(calls.node_alloc_pages)
async def alloc_pages(
    conn: Session[Service],
    page_sizes: list[int],
    page_counts: list[int],
    start_cell: int,
    cell_count: int,
    flags: int,
) -> int:
    """Reserve huge pages, so many or so many more, on NUMA nodes; say for how many that was done."""
    known(flags, _SET, "node_alloc_pages")
    if len(page_sizes) != len(page_counts):
        raise InvalidRequest(
            f"{len(page_sizes)} sizes of pages stand beside {len(page_counts)} counts", domain=FROM_NONE
        )
    cells = [None] if start_cell == _ALL else [*_cells(start_cell, cell_count)]
    done = 0
    for cell in cells:
        for size, count in zip(page_sizes, page_counts, strict=True):
            await asyncio.to_thread(host_memory.reserve, cell, size, count, add=not flags & _SET)
            done += 1
    return done


@handlers.handle(calls.node_suspend_for_duration)
def suspend_for_duration(conn: Session[Service], target: int, duration: int, flags: int) -> None:
    """Refuse: a host that runs machines is not put to sleep from afar."""
    known(flags, 0, "node_suspend_for_duration")
    raise DomicileError(f"{_SLEEPS.get(target, 'this kind of sleep')} of the host", code=74, domain=FROM_NONE)
