"""Where and how a thread runs: the host's CPUs it is held to, its scheduling policy.

The service uses both for QEMU's threads; nothing here asks QEMU.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from domicile.base.errors import FROM_NONE, HostFailure, InvalidRequest


def hold(threads: Iterable[int], cpus: Collection[int] | None) -> None:
    """Hold threads to host CPUs (None: to none in particular); a thread that has ended meanwhile is passed over.

    Raises:
        HostFailure: the kernel refuses, for instance as none of these CPUs is there.
    """
    wanted = set(cpus) if cpus is not None else set(range(host_cpus()))
    for thread in threads:
        try:
            os.sched_setaffinity(thread, wanted)
        except ProcessLookupError:
            continue
        except OSError as error:
            raise HostFailure(
                f"cannot set CPU affinity on process {thread}: {error.strerror}", domain=FROM_NONE
            ) from error


_POLICIES = {"batch": os.SCHED_BATCH, "idle": os.SCHED_IDLE, "fifo": os.SCHED_FIFO, "rr": os.SCHED_RR}


def schedule(threads: Iterable[int], policy: str, priority: int) -> None:
    """Give threads a scheduling policy; one that has ended meanwhile is passed over.

    Args:
        threads: the kernel's numbers of threads.
        policy: batch, idle, fifo or rr.
        priority: of the last two, 1 to 99; 0 for the others.

    Raises:
        HostFailure: the kernel refuses, for instance a priority that the policy does not have.
    """
    for thread in threads:
        try:
            os.sched_setscheduler(thread, _POLICIES[policy], os.sched_param(priority))
        except ProcessLookupError:
            continue
        except OSError as error:
            message = f"cannot set scheduler '{policy}' with priority {priority} on thread {thread}: {error.strerror}"
            raise HostFailure(message, domain=FROM_NONE) from error


def tasks_of(pid: int) -> set[int]:
    """List the threads of a process; none where it has ended."""
    try:
        return {int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()}
    except OSError:
        return set()


def host_cpus() -> int:
    """Count the host's CPUs, those that are off included."""
    return os.sysconf("SC_NPROCESSORS_CONF")


def of_map(bits: bytes) -> list[int]:
    """List the CPUs of a wire's bit map that this host has. Raises: InvalidRequest where it names none."""
    found = [cpu for cpu in range(min(len(bits) * 8, host_cpus())) if bits[cpu // 8] >> cpu % 8 & 1]
    if not found:
        raise InvalidRequest("Empty cpu list for pinning; a CPU that this host has would be accepted")
    return found


def to_map(cpus: Iterable[int] | None, length: int) -> bytes:
    """Write CPUs as a bit map of so many bytes; None means all of the host's."""
    bits = bytearray(length)
    for cpu in range(host_cpus()) if cpus is None else cpus:
        if cpu // 8 < length:
            bits[cpu // 8] |= 1 << cpu % 8
    return bytes(bits)
