"""Handlers that read a domain's processors, memory and network counters. They wait for nobody.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known, of_config
from domicile.api.libvirt.params import STRING_OKAY, Kind, answer
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import (
    FROM_DOMAIN,
    INTERNAL_ERROR,
    DomicileError,
    HostFailure,
    InvalidRequest,
    Unsupported,
    WrongState,
)
from domicile.rpc.calls import domain_tune as calls
from domicile.rpc.records import InterfaceStats, MemoryStat, VcpuInfo
from domicile.rpc.types import Domain, TypedParam
from domicile.service import domstats, glance, stats

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
ARGUMENT_UNSUPPORTED = 74
_MAXIMUM, _GUEST = 4, 8
_RUNNING = 1
# Source: virDomainMemoryStatTags.
_ACTUAL_BALLOON, _RSS, _LAST_UPDATE = 6, 7, 9
_TAGS = {
    "swap_in": 0, "swap_out": 1, "major_fault": 2, "minor_fault": 3, "unused": 4, "available": 5, "usable": 8,
    "disk_caches": 10, "hugetlb_pgalloc": 11, "hugetlb_pgfail": 12,
}  # fmt: skip
_BALLOON = 4
OPERATION_UNSUPPORTED = 84


@handlers.handle(calls.domain_get_vcpus_flags)
def get_vcpus_flags(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Count virtual CPUs: those plugged in, or the most there can be; of the running or the stored domain."""
    known(flags, 15, "domain_get_vcpus_flags")
    entry = entry_of(conn, dom)
    config = of_config(entry, flags)
    if flags & _GUEST:
        if entry.machine is None:
            raise InvalidRequest("the guest's own count can only be had of a running domain")
        raise DomicileError("QEMU guest agent is not configured", code=ARGUMENT_UNSUPPORTED)
    summary = entry.stored_summary if config else entry.summary
    count: int = summary["vcpus_max" if flags & _MAXIMUM else "vcpus"]
    return count


@handlers.handle(calls.domain_get_vcpus)
def get_vcpus(conn: Session[Service], dom: Domain, maxinfo: int, maplen: int) -> tuple[list[VcpuInfo], bytes]:
    """Say of each virtual CPU what it took of the host, and where it runs."""
    entry = entry_of(conn, dom)
    if entry.machine is None:
        raise WrongState("cannot retrieve vcpu information for inactive domain")
    found = list(stats.vcpus(entry).items())[: max(0, maxinfo)]
    infos = [VcpuInfo(number, _RUNNING, seen.user + seen.system, seen.cpu) for number, seen in found]
    return infos, b"".join(stats.affinity(entry, number, maplen) for number, _ in found) if maplen > 0 else b""


@handlers.handle(calls.domain_memory_stats)
async def memory_stats(conn: Session[Service], dom: Domain, max_stats: int, flags: int) -> list[MemoryStat]:
    """Give what is known of a guest's memory, in KiB, and what its balloon driver reported last."""
    known(flags, 0, "domain_memory_stats")
    entry, machine = machine_of(conn, dom)
    found = [MemoryStat(_ACTUAL_BALLOON, stats.balloon(entry))]
    asked = await domstats.ask(conn.context, entry, _BALLOON)
    reported = asked.guest.get("stats") or {}
    for name, (theirs, unit) in domstats.GUEST_MEMORY.items():
        value = reported.get(theirs, -1)
        if 0 <= value < 2**64 - 1:
            found.append(MemoryStat(_TAGS[name], value // unit))
    if "last-update" in asked.guest:
        found.append(MemoryStat(_LAST_UPDATE, asked.guest["last-update"]))
    process = stats.process(f"/proc/{machine.pid}/stat")
    if process is not None:
        found.append(MemoryStat(_RSS, process.resident_kib))
    return found[:max_stats]


@handlers.handle(calls.domain_get_cpu_stats)
def get_cpu_stats(
    conn: Session[Service], dom: Domain, nparams: int, start_cpu: int, ncpus: int, flags: int
) -> tuple[list[TypedParam], int]:
    """Give the time a domain took of all the host's CPUs together; the kernel does not count it for each."""
    known(flags, STRING_OKAY, "domain_get_cpu_stats")
    _, machine = machine_of(conn, dom)
    if start_cpu != -1:
        words = "the kernel does not count a domain's time for each CPU of the host; the total is accepted"
        raise Unsupported(words, code=OPERATION_UNSUPPORTED)
    if not nparams:
        return [], 3
    seen = stats.process(f"/proc/{machine.pid}/stat")
    user, system = (seen.user, seen.system) if seen is not None else (0, 0)
    found = {"cpu_time": user + system, "user_time": user, "system_time": system}
    params, count = answer(found, dict.fromkeys(found, Kind.ULLONG), nparams)
    return params, count


@handlers.handle(calls.domain_interface_stats)
def interface_stats(conn: Session[Service], dom: Domain, device: str) -> InterfaceStats:
    """Count what went through an interface, named by its tap or its MAC address, as the guest sees it."""
    entry, _ = machine_of(conn, dom)
    for nic in glance.of(conn.context, entry).nics:
        if device in (nic.tap, nic.mac):
            if not nic.tap:
                raise HostFailure("this interface has no device on the host that could be counted", code=INTERNAL_ERROR)
            counted = stats.interface(nic.tap)
            return InterfaceStats(*(counted or (0,) * 8))
    raise InvalidRequest(f"'{device}' is not a known interface", domain=FROM_DOMAIN)
