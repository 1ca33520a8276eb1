"""The guest's NUMA nodes in QEMU's words. Called by domain/machine_options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.domain.domain import Domain
from domicile.domain.numa import Cell, Latency, MemoryCache, NodeBandwidth, Numa
from domicile.domain.options.memory import aligned
from domicile.plan.backing import Piece
from domicile.plan.facts import Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Keyed, Option

LOCAL, REMOTE = 10, 20
_LEVELS = ("memory", "first-level", "second-level", "third-level")
_ASSOCIATIVITY = {"direct": "direct", "full": "complex"}
_POLICIES = {"writeback": "write-back", "writethrough": "write-through"}


def nodes(domain: Domain, p: Planning) -> Iterator[Item | Need]:
    """Yield each node with its memory, then how they reach each other."""
    numa = domain.cpu.numa if domain.cpu is not None else None
    if numa is None or not numa.cell:
        return
    pieces = [Piece(f"ram-node{cell.id}", aligned(cell.memory or 0, p) * 1024, cell.id) for cell in numa.cell]
    plain = _by_amount(p) and all(p.backing.plain(piece, p.host) for piece in pieces)
    for cell, piece in zip(numa.cell, pieces, strict=True):
        origin = p.origin(cell)
        if not plain and cell.memory:
            yield from p.backing.objects(piece, p.caps, p.host, p.short_name, origin)
        pairs: list[tuple[str, Any]] = [("", "node"), ("nodeid", cell.id)]
        pairs += [("cpus", span) for span in (cell.cpus or "").split(",") if span]
        if numa.described:
            pairs.append(("initiator", _initiator(numa, cell)))
        if plain:
            pairs.append(("mem", piece.size // 2**20))
        elif cell.memory:
            pairs.append(("memdev", piece.name))
        yield Keyed("-numa", tuple(pairs), origin=origin)
    if plain and p.backing.immediate:
        yield Option("-mem-prealloc", None, origin="memoryBacking/allocation")
    yield from _distances(numa, p)
    yield from _speeds(numa, p)


def _by_amount(p: Planning) -> bool:
    """Whether the machine type takes an amount instead of an object, as old ones do."""
    machine = p.caps.machine(p.machine, p.accel == "kvm") or p.caps.machine(p.machine)
    return machine is not None and machine.numa_mem_supported


def _initiator(numa: Numa, cell: Cell) -> int | None:
    """Say which node's CPUs are nearest: its own, those with the fastest way told, or the first there are."""
    if cell.cpus:
        return cell.id
    ways = numa.interconnects
    if ways is not None:
        slow = [way for way in ways.latency if way.target == cell.id and not way.cache]
        if slow:
            return min(slow, key=lambda way: way.value or 0).initiator
        wide = [way for way in ways.bandwidth if way.target == cell.id and not way.cache]
        if wide:
            return max(wide, key=lambda way: way.value or 0).initiator
    return next((other.id for other in numa.cell if other.cpus), None)


def _distances(numa: Numa, p: Planning) -> Iterator[Item]:
    if not any(cell.distances is not None and cell.distances.sibling for cell in numa.cell):
        return
    for cell in numa.cell:
        told = {s.id: s.value for s in cell.distances.sibling} if cell.distances is not None else {}
        for other in numa.cell:
            value = told.get(other.id) or (LOCAL if other is cell else REMOTE)
            pairs = (("", "dist"), ("src", cell.id), ("dst", other.id), ("val", value))
            yield Keyed("-numa", pairs, origin=p.origin(cell))


def _speeds(numa: Numa, p: Planning) -> Iterator[Item]:
    ways = numa.interconnects
    told: list[Latency | NodeBandwidth] = [*ways.latency, *ways.bandwidth] if ways is not None else []
    for way in told:
        yield Keyed("-numa", _way(way), origin=p.origin(way))
    for cell in numa.cell:
        for cache in cell.cache:
            yield Keyed("-numa", _cache(cell, cache), origin=p.origin(cache))


def _way(way: Latency | NodeBandwidth) -> tuple[tuple[str, Any], ...]:
    what = "latency" if isinstance(way, Latency) else "bandwidth"
    return (
        ("", "hmat-lb"), ("initiator", way.initiator), ("target", way.target), ("hierarchy", _LEVELS[min(way.cache or 0, 3)]),
        ("data-type", f"{way.type}-{what}"), (what, way.value if isinstance(way, Latency) else f"{way.value}K"),
    )  # fmt: skip


def _cache(cell: Cell, cache: MemoryCache) -> tuple[tuple[str, Any], ...]:
    size = (cache.size.value or 0) if cache.size is not None else 0
    return (
        ("", "hmat-cache"), ("node-id", cell.id), ("size", f"{size}K"), ("level", cache.level),
        ("associativity", _ASSOCIATIVITY.get(cache.associativity or "", "none")), ("policy", _POLICIES.get(cache.policy or "", "none")),
        ("line", cache.line.value if cache.line is not None else None),
    )  # fmt: skip
