"""Statistics of a domain in libvirt's groups and names, as far as they cost next to nothing.

The front doors ask for many domains at once. Source of the names: libvirt's documentation of virConnectGetAllDomainStats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domicile.base.errors import DomicileError, HostFailure, QemuRefused
from domicile.runtime.machine import Machine
from domicile.service import block_stats, glance, images, stats
from domicile.service.block_stats import Counted

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service

#: A name, libvirt's number of the value's type, the value.
Param = tuple[str, int, int | float | str]
_INT, _UINT, _LLONG, _ULLONG, _STRING = 1, 2, 3, 4, 7
_BALLOON, _BLOCK, _IOTHREAD, _DIRTYRATE = 4, 32, 128, 512
#: Seconds a machine's QEMU may take for each question.
_PATIENCE = 2.0
#: What a guest's driver does not report.
_UNKNOWN = 2**64 - 1
#: The guest's memory: libvirt's names, QEMU's, and how many of QEMU's units make one of libvirt's.
GUEST_MEMORY = {
    "swap_in": ("stat-swap-in", 1024), "swap_out": ("stat-swap-out", 1024), "major_fault": ("stat-major-faults", 1),
    "minor_fault": ("stat-minor-faults", 1), "unused": ("stat-free-memory", 1024), "available": ("stat-total-memory", 1024),
    "usable": ("stat-available-memory", 1024), "disk_caches": ("stat-disk-caches", 1024),
    "hugetlb_pgalloc": ("stat-htlb-pgalloc", 1), "hugetlb_pgfail": ("stat-htlb-pgfail", 1),
}  # fmt: skip
_DISK = {
    "rd.reqs": "rd_operations", "rd.bytes": "rd_bytes", "rd.times": "rd_total_times", "wr.reqs": "wr_operations",
    "wr.bytes": "wr_bytes", "wr.times": "wr_total_times", "fl.reqs": "flush_operations", "fl.times": "flush_total_times",
}  # fmt: skip
_VCPU_RUNNING = 1


@dataclass(slots=True)
class Asked:
    """What QEMU answered about one machine; empty where it was not asked or did not answer in time."""

    disks: Mapping[str, Counted] = field(default_factory=dict)
    threads: list[Mapping[str, Any]] = field(default_factory=list)
    guest: Mapping[str, Any] = field(default_factory=dict)
    rate: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, int] = field(default_factory=dict)


async def ask(service: Service, entry: Entry, groups: int) -> Asked:
    """Ask QEMU what the groups need of it, for a short while only; a machine that does not answer has fewer figures."""
    wanted, asked = groups or KNOWN, Asked()
    machine = entry.machine
    if machine is None or not machine.responsive:
        return asked
    with suppress(DomicileError):
        if wanted & _BLOCK:
            aliases = {disk.target: disk.alias for disk in glance.of(service, entry).disks}
            asked.disks = await block_stats.ask(machine, aliases)
            asked.thresholds = await _thresholds(machine, aliases)
        if wanted & _IOTHREAD:
            asked.threads = await machine.qmp("query-iothreads", None, _PATIENCE)
        if wanted & _DIRTYRATE:
            asked.rate = await machine.qmp("query-dirty-rate", None, _PATIENCE)
        if wanted & _BALLOON:
            asked.guest = await guest_memory(machine)
    return asked


async def _thresholds(machine: Machine, aliases: Mapping[str, str]) -> dict[str, int]:
    """Ask at which byte written to each disk's file clients are told."""
    nodes = await machine.qmp("query-named-block-nodes", {"flat": True}, _PATIENCE)
    watched = {node["node-name"]: node.get("write_threshold", 0) for node in nodes}
    return {dev: watched.get(f"{dev}-storage", 0) for dev in aliases}


async def guest_memory(machine: Machine) -> Mapping[str, Any]:
    """Ask what the guest's balloon driver reported last."""
    with suppress(QemuRefused):
        path = {"path": "/machine/peripheral/balloon0", "property": "guest-stats"}
        found: Mapping[str, Any] = await machine.qmp("qom-get", path, _PATIENCE)
        return found
    return {}


def of(service: Service, entry: Entry, groups: int, asked: Asked | None = None) -> list[Param]:
    """Give the groups asked for, all of them for 0."""
    wanted, known = groups or KNOWN, asked or Asked()
    return [param for bit, group in _GROUPS.items() if wanted & bit for param in group(service, entry, known)]


def _state(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    yield "state.state", _INT, int(entry.state)
    yield "state.reason", _INT, int(entry.reason)


def _cpu(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    if entry.machine is None:
        return
    seen = stats.process(f"/proc/{entry.machine.pid}/stat")
    if seen is not None:
        yield "cpu.time", _ULLONG, seen.user + seen.system
        yield "cpu.user", _ULLONG, seen.user
        yield "cpu.system", _ULLONG, seen.system
    yield "cpu.cache.monitor.count", _UINT, 0
    # What a kernel with KVM counts of virtual CPUs that wait for work; without KVM there is none.
    yield "cpu.haltpoll.success.time", _ULLONG, 0
    yield "cpu.haltpoll.fail.time", _ULLONG, 0


def _balloon(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    if entry.machine is not None:
        yield "balloon.current", _ULLONG, stats.balloon(entry)
    yield "balloon.maximum", _ULLONG, entry.summary["memory_kib"]
    if entry.machine is not None:
        reported = asked.guest.get("stats") or {}
        for name, (theirs, unit) in GUEST_MEMORY.items():
            value = reported.get(theirs, -1)
            if 0 <= value < _UNKNOWN:
                yield f"balloon.{name}", _ULLONG, value // unit
        if "last-update" in asked.guest:
            yield "balloon.last-update", _ULLONG, asked.guest["last-update"]
        seen = stats.process(f"/proc/{entry.machine.pid}/stat")
        if seen is not None:
            yield "balloon.rss", _ULLONG, seen.resident_kib


def _vcpu(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    yield "vcpu.current", _UINT, entry.summary["vcpus"]
    yield "vcpu.maximum", _UINT, entry.summary["vcpus_max"]
    for number, seen in stats.vcpus(entry).items():
        yield f"vcpu.{number}.state", _INT, _VCPU_RUNNING
        yield f"vcpu.{number}.time", _ULLONG, seen.user + seen.system
        yield f"vcpu.{number}.wait", _ULLONG, 0
        yield f"vcpu.{number}.delay", _ULLONG, stats.delay(entry, number)


_COUNTERS = ("rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop")


def _interface(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    if entry.machine is None:
        return
    nics = glance.of(service, entry).nics
    yield "net.count", _UINT, len(nics)
    for index, nic in enumerate(nics):
        if not nic.tap:
            continue
        yield f"net.{index}.name", _STRING, nic.tap
        for name, value in zip(_COUNTERS, stats.interface(nic.tap) or (), strict=False):
            yield f"net.{index}.{name}", _ULLONG, value


def _block(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    disks = glance.of(service, entry).disks
    yield "block.count", _UINT, len(disks)
    for index, disk in enumerate(disks):
        if disk.target:
            yield f"block.{index}.name", _STRING, disk.target
        if not disk.path:
            continue
        yield f"block.{index}.path", _STRING, disk.path
        counted = asked.disks.get(disk.target)
        if disk.index.isdigit():
            yield f"block.{index}.backingIndex", _UINT, int(disk.index)
        if counted is not None:
            for name, counter in _DISK.items():
                yield f"block.{index}.{name}", _ULLONG, counted.counter(counter)
        try:
            size = images.size(disk.path, disk.format)
        except HostFailure:
            continue
        # While it runs: how far it was written to; else, what it takes.
        written = counted.layers[0].highest if counted is not None and counted.layers else size.allocation
        yield f"block.{index}.allocation", _ULLONG, written
        yield f"block.{index}.capacity", _ULLONG, size.capacity
        yield f"block.{index}.physical", _ULLONG, size.allocation if counted is not None else size.physical
        if asked.thresholds.get(disk.target):
            yield f"block.{index}.threshold", _ULLONG, asked.thresholds[disk.target]


def _iothread(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    if not asked.threads:
        return
    yield "iothread.count", _UINT, len(asked.threads)
    for thread in asked.threads:
        number = str(thread["id"]).removeprefix("iothread")
        yield f"iothread.{number}.poll-max-ns", _ULLONG, thread.get("poll-max-ns", 0)
        yield f"iothread.{number}.poll-grow", _UINT, thread.get("poll-grow", 0)
        yield f"iothread.{number}.poll-shrink", _UINT, thread.get("poll-shrink", 0)


_RATES = ("unstarted", "measuring", "measured")


def _dirtyrate(service: Service, entry: Entry, asked: Asked) -> Iterator[Param]:
    rate = asked.rate
    if rate.get("status") not in _RATES[1:] and not rate:
        return
    yield "dirtyrate.calc_status", _INT, _RATES.index(rate["status"])
    yield "dirtyrate.calc_start_time", _LLONG, rate.get("start-time", 0)
    yield "dirtyrate.calc_period", _INT, rate.get("calc-time", 0)
    yield "dirtyrate.calc_mode", _STRING, rate.get("mode", "page-sampling")
    if "dirty-rate" in rate:
        yield "dirtyrate.megabytes_per_second", _LLONG, rate["dirty-rate"]
        for each in rate.get("vcpu-dirty-rate") or ():
            yield f"dirtyrate.vcpu.{each['id']}.megabytes_per_second", _LLONG, each["dirty-rate"]


# Source: virDomainStatsTypes. Groups of what is not counted here (perf, memory bandwidth) are empty.
_GROUPS: dict[int, Callable[[Service, Entry, Asked], Iterator[Param]]] = {
    1: _state,
    2: _cpu,
    _BALLOON: _balloon,
    8: _vcpu,
    16: _interface,
    _BLOCK: _block,
    _IOTHREAD: _iothread,
    _DIRTYRATE: _dirtyrate,
}
KNOWN = 0x7FF
