"""The figures of a running machine that cost next to nothing: what the kernel knows of its process and threads.

The front doors ask; nothing here waits for QEMU.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domicile.service.entry import Entry

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Process:
    """A process or thread: times in nanoseconds, resident memory in KiB, its state's letter, the host CPU it was last on."""

    user: int
    system: int
    resident_kib: int
    state: str
    cpu: int


def cpu_time(entry: Entry) -> int:
    """Give the time a domain took of the host's CPUs, in nanoseconds; 0 while it does not run."""
    if entry.machine is None:
        return 0
    found = process(f"/proc/{entry.machine.pid}/stat")
    return 0 if found is None else found.user + found.system


def balloon(entry: Entry) -> int:
    """Give the memory that a domain has now, in KiB: all of it while it runs, unless its balloon was blown up."""
    kib: int = entry.summary["memory_kib" if entry.machine is not None else "current_kib"]
    return kib


def process(path: str) -> Process | None:
    """Read a process's or thread's `stat` file; None once it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(fd, 1024)
    except OSError:
        return None
    finally:
        os.close(fd)
    words = text[text.rfind(b")") + 2 :].split()
    if len(words) < 37:
        return None
    return Process(
        user=int(words[11]) * _TICK_NS,
        system=int(words[12]) * _TICK_NS,
        resident_kib=int(words[21]) * _PAGE_KIB,
        state=words[0].decode(),
        cpu=int(words[36]),
    )


def vcpus(entry: Entry) -> dict[int, Process]:
    """Give the threads of a running domain's virtual CPUs by their number; QEMU names them so."""
    if entry.machine is None:
        return {}
    found = {}
    for number, thread in threads(entry.machine.pid).items():
        seen = process(f"/proc/{entry.machine.pid}/task/{thread}/stat")
        if seen is not None:
            found[number] = seen
    return dict(sorted(found.items()))


def threads(pid: int) -> dict[int, int]:
    """Find the threads of virtual CPUs: thread id by the CPU's number."""
    found = {}
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return {}
    for task in tasks:
        try:
            name = (task / "comm").read_text()
        except OSError:
            continue
        if name.startswith("CPU "):
            number = name[4:].partition("/")[0]
            if number.isdigit():
                found[int(number)] = int(task.name)
    return found


def delay(entry: Entry, number: int) -> int:
    """Give the nanoseconds that a virtual CPU was ready to run and had no CPU of the host."""
    thread = threads(entry.machine.pid).get(number) if entry.machine is not None else None
    if entry.machine is None or thread is None:
        return 0
    try:
        return int(Path(f"/proc/{entry.machine.pid}/task/{thread}/schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


# Source: the order of virDomainInterfaceStatsStruct; the kernel counts on the host's end, so what the guest receives was sent there.
_COUNTERS = (
    "tx_bytes",
    "tx_packets",
    "tx_errors",
    "tx_dropped",
    "rx_bytes",
    "rx_packets",
    "rx_errors",
    "rx_dropped",
)


def interface(name: str) -> tuple[int, ...] | None:
    """Give a tap's bytes, packets, errors and drops, received by the guest and sent by it; None where there is no such tap."""
    directory = Path("/sys/class/net") / name / "statistics"
    try:
        return tuple(int((directory / counter).read_text()) for counter in _COUNTERS)
    except (OSError, ValueError):
        return None


def affinity(entry: Entry, number: int, length: int) -> bytes:
    """Say which of the host's CPUs a virtual CPU may run on: a bit each, in `length` bytes."""
    bits = bytearray(length)
    thread = threads(entry.machine.pid).get(number) if entry.machine is not None else None
    try:
        allowed = os.sched_getaffinity(thread) if thread is not None else set()
    except OSError:
        allowed = set()
    for cpu in allowed:
        if cpu // 8 < length:
            bits[cpu // 8] |= 1 << cpu % 8
    return bytes(bits)
