"""The host in the numbers that nodeinfo, nodememstats and nodecpustats show, and version numbers as the wire carries them.

The front doors ask; everything is read from the kernel at that moment.
"""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from domicile.base.errors import FROM_NONE, OPERATION_FAILED, HostFailure
from domicile.host import inspect

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_NODES = Path("/sys/devices/system/node")
_KSM = Path("/sys/kernel/mm/ksm")
_UINT, _ULLONG = 2, 4
#: Virtual CPUs of a domain by libvirt's rule for QEMU without KVM.
_MAX_VCPUS_EMULATED = 16
# Source: linux/kvm.h.
_KVM_CHECK_EXTENSION, _KVM_CAP_MAX_VCPUS = 0xAE03, 66

hostname = inspect.hostname


def version_number(version: Sequence[int]) -> int:
    """Give a version as one number: 9.1.2 is 9001002."""
    major, minor, micro = (*version, 0, 0)[:3]
    return major * 1_000_000 + minor * 1000 + micro


def info() -> inspect.Node:
    """Sum the host up. Its memory is that of its NUMA nodes, as libvirt counts; it may grow and shrink."""
    return replace(inspect.node(), memory_kib=sum(cell.memory_kib for cell in inspect.cells()))


def max_vcpus(*, kvm: bool) -> int:
    """Give the most virtual CPUs of a domain, whatever its machine type says.

    Raises: HostFailure where KVM cannot be asked.
    """
    if not kvm:
        return _MAX_VCPUS_EMULATED
    try:
        fd = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as fault:
        raise HostFailure(f"Unable to open /dev/kvm: {fault.strerror}", domain=FROM_NONE) from fault
    try:
        return fcntl.ioctl(fd, _KVM_CHECK_EXTENSION, _KVM_CAP_MAX_VCPUS)
    finally:
        os.close(fd)


@functools.lru_cache(maxsize=1)
def host_uuid() -> str:
    """Give the host's identity: the firmware's, else the installation's, else none at all."""
    for path in ("/sys/class/dmi/id/product_uuid", "/etc/machine-id"):
        try:
            return str(UUID(Path(path).read_text().strip()))
        except (OSError, ValueError):
            continue
    return str(UUID(int=0))


@functools.lru_cache(maxsize=1)
def last_cell() -> int:
    """Give the number of the last NUMA node."""
    return max((cell.id for cell in inspect.cells()), default=0)


def memory_stats(cell: int) -> dict[str, int]:
    """Give the memory of the host (-1) or of a NUMA node, in KiB, under libvirt's names."""
    path = Path("/proc/meminfo") if cell < 0 else _NODES / f"node{cell}" / "meminfo"
    if cell >= 0 and not path.exists():
        path = Path("/proc/meminfo")
    wanted = {"MemTotal": "total", "MemFree": "free"}
    if cell < 0:
        wanted |= {"Buffers": "buffers", "Cached": "cached"}
    found = {}
    for line in path.read_text().splitlines():
        head, _, rest = line.partition(":")
        name = wanted.get(head.split()[-1]) if head else None
        if name is not None:
            found[name] = int(rest.split()[0])
    return found


def free_pages(cell: int, size_kib: int) -> int:
    """Count the free pages of a size on a NUMA node. Raises: HostFailure for a size that the host does not have."""
    if size_kib == inspect.page_size() // 1024:
        return memory_stats(cell)["free"] // size_kib
    path = _NODES / f"node{cell}/hugepages/hugepages-{size_kib}kB/free_hugepages"
    try:
        return int(path.read_text())
    except OSError as error:
        what = f"page size {size_kib} is not available on node {cell}"
        raise HostFailure(what, code=OPERATION_FAILED, domain=FROM_NONE) from error


def cpu_stats(cpu: int) -> dict[str, int] | None:
    """Give what the host's CPUs (-1) or one of them did since boot, in nanoseconds; None where there is none."""
    head = "cpu" if cpu == -1 else f"cpu{cpu}"
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words and words[0] == head:
            user, nice, system, idle, iowait, irq, softirq = (int(word) * _TICK_NS for word in words[1:8])
            return {"kernel": system + irq + softirq, "user": user + nice, "idle": idle, "iowait": iowait}
    return None


def cpu_map() -> tuple[bytes, int, int]:
    """Say which CPUs are online: a bit each, how many, and how many are present."""
    online = [cpu.id for cell in inspect.cells() for cpu in cell.cpus]
    present = os.sysconf("SC_NPROCESSORS_CONF")
    bits = bytearray((present + 7) // 8)
    for cpu in online:
        bits[cpu // 8] |= 1 << cpu % 8
    return bytes(bits), len(online), present


# Source: virsh node-memory-tune; the kernel's file, and whether libvirt gives it as a 64-bit number.
_MERGING = {
    "pages_to_scan": _UINT,
    "sleep_millisecs": _UINT,
    "pages_shared": _ULLONG,
    "pages_sharing": _ULLONG,
    "pages_unshared": _ULLONG,
    "pages_volatile": _ULLONG,
    "full_scans": _ULLONG,
    "merge_across_nodes": _UINT,
}


def page_merging() -> list[tuple[str, int, int]]:
    """Give the kernel's page merging: name, libvirt's type number, value; nothing where the kernel has none."""
    found = []
    for name, type in _MERGING.items():
        try:
            found.append((f"shm_{name}", type, int((_KSM / name).read_text())))
        except OSError:
            continue
    return found
