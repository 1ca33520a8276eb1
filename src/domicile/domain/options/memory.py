"""The guest's memory in QEMU's words: how much, how it is held on the host, whose node it is. Called by domain/machine_options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from domicile.base.errors import Unsupported
from domicile.devices.memory import MemoryDevice, size_kib
from domicile.domain.domain import Domain
from domicile.plan.backing import Backing, Cell, Pages, Piece
from domicile.plan.facts import Facts, Planning
from domicile.plan.host import Host
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Keyed
from domicile.schema.scalar import numbers, spans


def backing(domain: Domain, host: Host) -> Backing:
    """Gather what a domain says of how its memory is held."""
    held, tune = domain.memoryBacking, domain.numatune
    numa = domain.cpu.numa if domain.cpu is not None else None
    pages: list[Pages] = []
    if held is not None and held.hugepages is not None:
        pages = [
            Pages(page.size, frozenset(numbers(page.nodeset)) if page.nodeset is not None else None)
            for page in held.hugepages.page
        ] or [Pages(None)]
    whole = tune.memory if tune is not None else None
    hosts: tuple[int, ...] | None = None
    if whole is not None:
        hosts = host.advised_nodes if whole.placement == "auto" else tuple(numbers(whole.nodeset or ""))
    allocation = held.allocation if held is not None else None
    nodes = tune.memnode if tune is not None else []
    _there(hosts or (), "memory", host)
    for node in nodes:
        _there(numbers(node.nodeset or ""), "memnode", host)
    return Backing(
        source=held.source.type if held is not None and held.source is not None else None,
        access=held.access.mode if held is not None and held.access is not None else None,
        discard=True if held is not None and held.discard else None,
        immediate=allocation is not None and allocation.mode == "immediate",
        threads=allocation.threads if allocation is not None else None,
        pages=pages,
        cells={cell.id or 0: Cell(cell.memAccess, cell.discard) for cell in numa.cell} if numa is not None else {},
        mode=whole.mode if whole is not None else None,
        host_nodes=hosts or None,
        node_modes={node.cellid or 0: node.mode or "strict" for node in nodes},
        confined=(domain.vcpu is not None and domain.vcpu.cpuset is not None)
        or (domain.cputune is not None and domain.cputune.emulatorpin is not None),
        node_hosts={node.cellid or 0: tuple(numbers(node.nodeset or "")) for node in nodes},
    )


def _there(nodes: Iterable[int], tag: str, host: Host) -> None:
    missing = next((node for node in nodes if node not in host.numa_nodes), None)
    if missing is not None:
        there = spans(host.numa_nodes)
        raise Unsupported(f"element '{tag}' of <numatune> names NUMA node {missing}, this host has {there}")


def machine(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    """Yield the keys of ``-machine`` that speak of memory."""
    held = domain.memoryBacking
    if held is not None and held.nosharepages:
        yield "mem-merge", False
    dump = domain.memory.dumpCore if domain.memory is not None else None
    yield "dump-guest-core", p.host.settings.dump_guest_core if dump is None else dump
    modules = domain.devices.of(MemoryDevice) if domain.devices is not None else []
    if any(module.model == "nvdimm" for module in modules):
        yield "nvdimm", True
    numa = domain.cpu.numa if domain.cpu is not None else None
    if numa is not None and numa.described:
        yield "hmat", True
    ram = _ram_id(domain, p)
    if ram is not None:
        yield "memory-backend", ram


def _ram_id(domain: Domain, p: Planning) -> str | None:
    """Name the machine's own memory, where no nodes share it out."""
    if domain.cpu is not None and domain.cpu.numa is not None and domain.cpu.numa.cell:
        return None
    machine = p.caps.machine(p.machine, p.accel == "kvm") or p.caps.machine(p.machine)
    return machine.default_ram_id if machine is not None else None


def aligned(kib: int, facts: Facts) -> int:
    """Round boot memory up to what the machine takes: 1 MiB, or the board's own unit."""
    unit = facts.board.memory_unit or 1024
    return -(-kib // unit) * unit


def amount(domain: Domain, p: Planning) -> Iterator[Item | Need]:
    """Yield how much memory there is, and the object of it where it is all one."""
    numa = domain.cpu.numa if domain.cpu is not None else None
    if numa is not None and numa.cell:
        kib = sum(aligned(cell.memory or 0, p) for cell in numa.cell)
    else:
        kib = aligned(_at_boot(domain), p)
    pairs: list[tuple[str, Any]] = [("size", f"{kib}k")]
    if domain.maxMemory is not None and domain.maxMemory.value:
        pairs += [("slots", domain.maxMemory.slots or None), ("maxmem", f"{aligned(domain.maxMemory.value, p)}k")]
    yield Keyed("-m", tuple(pairs), origin="memory")
    ram = _ram_id(domain, p)
    if ram is not None:
        whole = Piece(ram, kib * 1024, system=True)
        yield from p.backing.objects(whole, p.caps, p.host, p.short_name, "memory")


def _at_boot(domain: Domain) -> int:
    total = domain.memory.value if domain.memory is not None and domain.memory.value else 0
    modules = domain.devices.of(MemoryDevice) if domain.devices is not None else []
    return total - sum(size_kib(module) or 0 for module in modules)


def locked(domain: Domain) -> Item:
    """Say whether all memory stays in the host's."""
    held = domain.memoryBacking
    return Keyed("-overcommit", (("mem-lock", held is not None and held.locked),), origin="memoryBacking")
