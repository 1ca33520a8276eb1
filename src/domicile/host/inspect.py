"""What the host says of itself, as data: for nodeinfo, the capabilities document and `doctor`.

The service and the daemon's wiring ask; each function only reads.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from domicile.plan import boards

_CPU = Path("/sys/devices/system/cpu")
_NODE = Path("/sys/devices/system/node")
_PCI = Path("/sys/bus/pci/devices")


@dataclass(frozen=True, slots=True)
class CpuPlace:
    """Where one CPU of the host sits."""

    id: int
    socket: int
    die: int
    core: int
    siblings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A NUMA node: its memory in KiB, its pages (size in KiB, total, free), the distances to all nodes, its CPUs."""

    id: int
    memory_kib: int
    pages: tuple[tuple[int, int, int], ...]
    distances: tuple[tuple[int, int], ...]
    cpus: tuple[CpuPlace, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """The host in the numbers of nodeinfo. `sockets` counts those of one NUMA node, as libvirt does."""

    model: str
    memory_kib: int
    cpus: int
    mhz: int
    nodes: int
    sockets: int
    cores: int
    threads: int


@dataclass(frozen=True, slots=True)
class HostCpuFacts:
    """The host's processor as the kernel names it."""

    arch: str
    vendor: str
    model_name: str
    family: int
    model: int
    stepping: int
    flags: frozenset[str]
    microcode: int
    physical_bits: int


def hostname() -> str:
    """Name this host, with its domain where it is known without asking anyone."""
    return socket.gethostname()


def memory_kib() -> int:
    """Give the host's memory."""
    return os.sysconf("SC_PHYS_PAGES") * page_size() // 1024


def memory_free_kib() -> int:
    """Give the memory that new programs can have, what can be swapped out included."""
    found = {}
    for line in _text(Path("/proc/meminfo")).splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0])
    return found.get("MemAvailable", memory_kib()) + found.get("SwapFree", 0)


def has_ipv6() -> bool:
    """Say whether the host has addresses of the newer kind."""
    return bool(_text(Path("/proc/net/if_inet6")).strip())


def page_size() -> int:
    """Give the size of a page in bytes."""
    return os.sysconf("SC_PAGE_SIZE")


def cells() -> list[Cell]:
    """List the NUMA nodes; a host without NUMA is one."""
    found = []
    for path in sorted(_NODE.glob("node[0-9]*"), key=lambda p: int(p.name[4:])):
        number = int(path.name[4:])
        distances = enumerate(int(word) for word in _text(path / "distance").split())
        cpus = tuple(_place(cpu) for cpu in _list(_text(path / "cpulist")) if _online(cpu))
        memory = _meminfo(path / "meminfo")
        found.append(Cell(number, memory, _pages(path, memory), tuple(distances), cpus))
    if not found:
        cpus = tuple(_place(cpu) for cpu in _list(_text(_CPU / "online")))
        found.append(Cell(0, memory_kib(), ((page_size() // 1024, memory_kib() * 1024 // page_size(), 0),), (), cpus))
    return found


@dataclass(frozen=True, slots=True)
class HugePages:
    """Where files in huge pages may be made, by the size of the pages in KiB, and which size is the usual one."""

    mounts: dict[int, str]
    usual_kib: int


def huge_pages() -> HugePages:
    """Find the mounts of huge pages; a directory of ours in each."""
    usual = next(
        (int(line.split()[1]) for line in _text(Path("/proc/meminfo")).splitlines() if line.startswith("Hugepagesize")),
        2048,
    )
    mounts: dict[int, str] = {}
    for line in _text(Path("/proc/mounts")).splitlines():
        _, directory, kind, options = line.split()[:4]
        if kind == "hugetlbfs":
            size = next((word[9:] for word in options.split(",") if word.startswith("pagesize=")), f"{usual}K")
            kib = int(size.rstrip("KMGkmg")) << {"K": 0, "M": 10, "G": 20}.get(size[-1].upper(), 0)
            mounts.setdefault(kib, f"{directory}/domicile")
    return HugePages(mounts, usual)


def node() -> Node:
    """Sum the host up."""
    nodes = cells()
    cpus = [cpu for cell in nodes for cpu in cell.cpus]
    sockets = {cpu.socket for cpu in cpus}
    cores = {(cpu.socket, cpu.die, cpu.core) for cpu in cpus}
    threads = max((len(cpu.siblings) for cpu in cpus), default=1)
    each = max(1, len(sockets) // len(nodes))
    per_socket = max(1, len(cores) // max(1, len(sockets)))
    # Uneven hosts cannot be told in these numbers: libvirt then shows one socket with all CPUs as cores.
    if len(nodes) * each * per_socket * threads != len(cpus):
        return Node(platform.machine(), memory_kib(), len(cpus), mhz(), 1, 1, len(cpus), 1)
    return Node(platform.machine(), memory_kib(), len(cpus), mhz(), len(nodes), each, per_socket, threads)


def mhz() -> int:
    """Give the speed the first CPU runs at now, 0 where the kernel does not tell."""
    return int(float(_cpuinfo().get("cpu MHz", "0")))


def cpu() -> HostCpuFacts:
    """Describe the host's processor."""
    facts = _cpuinfo()
    sizes = facts.get("address sizes", "0 bits")
    return HostCpuFacts(
        arch=platform.machine(),
        vendor=facts.get("vendor_id", ""),
        model_name=facts.get("model name", ""),
        family=int(facts.get("cpu family", "0")),
        model=int(facts.get("model", "0") if facts.get("model", "0").isdigit() else 0),
        stepping=int(facts.get("stepping", "0") if facts.get("stepping", "0").isdigit() else 0),
        flags=frozenset((facts.get("flags") or facts.get("Features", "")).split()),
        microcode=int(facts.get("microcode", "0"), 0),
        physical_bits=int(sizes.split()[0]),
    )


@dataclass(frozen=True, slots=True)
class Space:
    """Room on the file system of a directory, in bytes."""

    path: str
    total: int
    free: int
    writable: bool


def space(path: Path) -> Space:
    """Measure the room where a directory is, or would be."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    usage = shutil.disk_usage(existing)
    return Space(os.fspath(path), usage.total, usage.free, os.access(existing, os.W_OK | os.X_OK))


@dataclass(frozen=True, slots=True)
class Device:
    """Whether a device file can be opened for reading and writing by this process."""

    path: str
    exists: bool
    accessible: bool


def devices() -> list[Device]:
    """Look at the device files that machines may use."""
    paths = ("/dev/kvm", "/dev/net/tun", "/dev/vhost-net", "/dev/vfio/vfio", "/dev/sev")
    return [Device(path, Path(path).exists(), os.access(path, os.R_OK | os.W_OK)) for path in paths]


def emulators() -> dict[str, Path]:
    """Find the QEMU binaries of this host by libvirt's name of their target, and of what they run beside it."""
    names = {"arm": "armv7l", "i386": "i686"}
    found: dict[str, Path] = {}
    for directory in ("/usr/bin", "/usr/local/bin", "/usr/libexec"):
        for path in sorted(Path(directory).glob("qemu-system-*")):
            target = path.name.removeprefix("qemu-system-")
            if "-" not in target and os.access(path, os.X_OK):
                found.setdefault(names.get(target, target), path)
    for arch, path in list(found.items()):
        for beside in boards.runs(arch):
            found.setdefault(beside, path)
    return found


def cannot_run(path: str) -> str:
    """Say in the system's words why a program cannot be run; empty where it can."""
    if os.access(path, os.X_OK) and not Path(path).is_dir():
        return ""
    return os.strerror(errno.EACCES if os.access(path, os.F_OK) else errno.ENOENT)


def iommu_group(address: str) -> int | None:
    """Read which IOMMU group a PCI device is of, by its address as 0000:00:02.0; None where there is no such device or group."""
    try:
        return int((_PCI / address / "iommu_group").readlink().name)
    except (OSError, ValueError):
        return None


def _cpuinfo() -> dict[str, str]:
    first = _text(Path("/proc/cpuinfo")).split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path, default: int = 0) -> int:
    try:
        return int(_text(path))
    except ValueError:
        return default


def _list(text: str) -> list[int]:
    """Read the kernel's lists, such as ``0-3,8``."""
    found: list[int] = []
    for part in text.split(",") if text else ():
        low, _, high = part.partition("-")
        found += range(int(low), int(high or low) + 1)
    return found


def _online(number: int) -> bool:
    return _text(_CPU / f"cpu{number}" / "online") != "0"


def _place(number: int) -> CpuPlace:
    topology = _CPU / f"cpu{number}" / "topology"
    return CpuPlace(
        id=number,
        socket=max(0, _number(topology / "physical_package_id")),
        die=max(0, _number(topology / "die_id")),
        core=_number(topology / "core_id"),
        siblings=tuple(_list(_text(topology / "thread_siblings_list"))) or (number,),
    )


def _meminfo(path: Path) -> int:
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) >= 4 and words[2] == "MemTotal:":
            return int(words[3])
    return memory_kib()


def _pages(path: Path, memory: int) -> tuple[tuple[int, int, int], ...]:
    huge = []
    for each in sorted(path.glob("hugepages/hugepages-*kB"), key=lambda p: int(p.name[10:-2])):
        huge.append((int(each.name[10:-2]), _number(each / "nr_hugepages"), _number(each / "free_hugepages")))
    small = page_size() // 1024
    return ((small, (memory - sum(size * total for size, total, _ in huge)) // small, 0), *huge)


def render_node() -> str:
    """Name the first graphics card that can draw for others; empty where there is none."""
    found = sorted(Path("/dev/dri").glob("renderD*"))
    return str(found[0]) if found else ""
