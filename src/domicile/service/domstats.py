"""Statistics of a domain in libvirt's groups and names, as far as they cost next to nothing.

The front doors ask for many domains at once. Source of the names: libvirt's documentation of virConnectGetAllDomainStats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from domicile.base.errors import HostFailure
from domicile.service import glance, images, stats

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service

#: A name, libvirt's number of the value's type, the value.
Param = tuple[str, int, int | float | str]
_INT, _UINT, _ULLONG, _STRING = 1, 2, 4, 7
_VCPU_RUNNING = 1


def of(service: Service, entry: Entry, groups: int) -> list[Param]:
    """Give the groups asked for, all of them for 0."""
    wanted = groups or KNOWN
    return [param for bit, group in _GROUPS.items() if wanted & bit for param in group(service, entry)]


def _state(service: Service, entry: Entry) -> Iterator[Param]:
    yield "state.state", _INT, int(entry.state)
    yield "state.reason", _INT, int(entry.reason)


def _cpu(service: Service, entry: Entry) -> Iterator[Param]:
    if entry.machine is None:
        return
    seen = stats.process(f"/proc/{entry.machine.pid}/stat")
    if seen is not None:
        yield "cpu.time", _ULLONG, seen.user + seen.system
        yield "cpu.user", _ULLONG, seen.user
        yield "cpu.system", _ULLONG, seen.system


def _balloon(service: Service, entry: Entry) -> Iterator[Param]:
    if entry.machine is not None:
        yield "balloon.current", _ULLONG, stats.balloon(entry)
    yield "balloon.maximum", _ULLONG, entry.summary["memory_kib"]
    if entry.machine is not None:
        seen = stats.process(f"/proc/{entry.machine.pid}/stat")
        if seen is not None:
            yield "balloon.rss", _ULLONG, seen.resident_kib


def _vcpu(service: Service, entry: Entry) -> Iterator[Param]:
    yield "vcpu.current", _UINT, entry.summary["vcpus"]
    yield "vcpu.maximum", _UINT, entry.summary["vcpus_max"]
    for number, seen in stats.vcpus(entry).items():
        yield f"vcpu.{number}.state", _INT, _VCPU_RUNNING
        yield f"vcpu.{number}.time", _ULLONG, seen.user + seen.system


_COUNTERS = ("rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop")


def _interface(service: Service, entry: Entry) -> Iterator[Param]:
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


def _block(service: Service, entry: Entry) -> Iterator[Param]:
    disks = glance.of(service, entry).disks
    yield "block.count", _UINT, len(disks)
    for index, disk in enumerate(disks):
        if disk.target:
            yield f"block.{index}.name", _STRING, disk.target
        if not disk.path:
            continue
        yield f"block.{index}.path", _STRING, disk.path
        try:
            size = images.size(disk.path, disk.format)
        except HostFailure:
            continue
        yield f"block.{index}.allocation", _ULLONG, size.allocation
        yield f"block.{index}.capacity", _ULLONG, size.capacity
        yield f"block.{index}.physical", _ULLONG, size.physical


# Source: virDomainStatsTypes. Groups that need more than the kernel (perf, iothread, memory, dirtyrate, vm) are empty.
_GROUPS: dict[int, Callable[[Service, Entry], Iterator[Param]]] = {
    1: _state,
    2: _cpu,
    4: _balloon,
    8: _vcpu,
    16: _interface,
    32: _block,
}
KNOWN = 0x7FF
