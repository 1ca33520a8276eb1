"""Changes of what the host grants a domain: CPU time, disk traffic, network traffic, counted events. Called by service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from domicile.base.errors import FROM_DOMAIN, InvalidRequest
from domicile.devices.disk import Disk
from domicile.devices.disk.tune import IoTune
from domicile.devices.interface import Interface
from domicile.devices.interface.model import Bandwidth, Rate
from domicile.domain.domain import Domain
from domicile.domain.tuning import BlkioDevice, BlkioTune, CpuTune

#: Parameters of CPU time: their names on the wire, and the fields that keep them.
SCHEDULER = {
    "cpu_shares": "shares", "vcpu_period": "period", "vcpu_quota": "quota", "emulator_period": "emulator_period",
    "emulator_quota": "emulator_quota", "global_period": "global_period", "global_quota": "global_quota",
    "iothread_period": "iothread_period", "iothread_quota": "iothread_quota",
}  # fmt: skip
# Microseconds. Source: the kernel's bounds of cpu.cfs_period_us and cpu.cfs_quota_us.
_PERIOD, _QUOTA = (1000, 1_000_000), (1000, (2**64 - 1) >> 20)
#: Limits on single block devices of the host: their names on the wire, and the fields that keep them.
DEVICES = {
    "device_weight": "weight", "device_read_iops_sec": "read_iops_sec", "device_write_iops_sec": "write_iops_sec",
    "device_read_bytes_sec": "read_bytes_sec", "device_write_bytes_sec": "write_bytes_sec",
}  # fmt: skip
_SIDES = ("inbound", "outbound")
_RATES = ("average", "peak", "burst", "floor")
#: Events that can be counted. Source: libvirt's documentation of <perf>.
EVENTS = (
    "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions",
    "branch_misses", "bus_cycles", "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock",
    "task_clock", "page_faults", "context_switches", "cpu_migrations", "page_faults_min", "page_faults_maj",
    "alignment_faults", "emulation_faults",
)  # fmt: skip


# CPU time.


def scheduler(domain: Domain) -> dict[str, int]:
    """Give what was said of CPU time; 0 where nothing was."""
    tune = domain.cputune
    return {name: (getattr(tune, slot) if tune is not None else None) or 0 for name, slot in SCHEDULER.items()}


def check_scheduler(wanted: Mapping[str, int]) -> None:
    """Refuse periods and quotas that the kernel would refuse. Raises: InvalidRequest."""
    for name, value in wanted.items():
        low, high = _PERIOD if name.endswith("period") else _QUOTA
        if name != "cpu_shares" and value > 0 and not low <= value <= high:
            raise InvalidRequest(f"value of '{name}' is out of range [{low}, {high}]")


def set_scheduler(domain: Domain, wanted: Mapping[str, int]) -> None:
    """Say how much CPU time there is; 0 says nothing any more."""
    tune = domain.cputune = domain.cputune or CpuTune()
    for name, value in wanted.items():
        setattr(tune, SCHEDULER[name], value or None)
    if not any(getattr(tune, declared.slot) for declared in tune.shape.fields):
        domain.cputune = None


# Block devices of the host.


def block(domain: Domain) -> dict[str, Any]:
    """Give the weights and limits of the host's block devices, as texts of paths and numbers."""
    tune = domain.blkiotune or BlkioTune()
    found: dict[str, Any] = {"weight": tune.weight or 0}
    for name, slot in DEVICES.items():
        pairs = [f"{device.path},{getattr(device, slot)}" for device in tune.device if getattr(device, slot)]
        found[name] = ",".join(pairs)
    return found


def device_limits(name: str, text: str) -> dict[str, int]:
    """Read ``/dev/sda,500,/dev/sdb,300``. Raises: InvalidRequest."""
    words = text.split(",") if text else []
    paths, numbers = words[::2], words[1::2]
    if len(paths) != len(numbers) or not all(paths) or not all(word.isdecimal() for word in numbers):
        raise InvalidRequest(
            f"unable to parse blkio device '{name}' '{text}'; pairs of a path and a number are accepted",
            domain=FROM_DOMAIN,
        )
    return dict(zip(paths, map(int, numbers), strict=True))


def set_block(domain: Domain, wanted: Mapping[str, Any]) -> None:
    """Change the weights and limits of block devices; 0 removes one. Raises: InvalidRequest."""
    told = {name: device_limits(name, value) for name, value in wanted.items() if name in DEVICES}
    tune = domain.blkiotune = domain.blkiotune or BlkioTune()
    if "weight" in wanted:
        tune.weight = wanted["weight"] or None
    devices = {device.path: device for device in tune.device}
    for name, limits in told.items():
        for path, value in limits.items():
            device = devices.setdefault(path, BlkioDevice(path=path))
            setattr(device, DEVICES[name], value or None)
    tune.device = [each for each in devices.values() if any(getattr(each, slot) for slot in DEVICES.values())]
    if tune.weight is None and not tune.device:
        domain.blkiotune = None


# A disk's traffic.

_KINDS = ("total", "read", "write")
_GROUPS = tuple(
    tuple(f"{kind}_{unit}_sec{ending}" for kind in _KINDS)
    for ending in ("", "_max", "_max_length")
    for unit in ("bytes", "iops")
)
#: The parameters of a disk's limits that are numbers, in the wire's order.
IO_LIMITS = (*_GROUPS[0], *_GROUPS[1], *_GROUPS[2], *_GROUPS[3], "size_iops_sec", *_GROUPS[4], *_GROUPS[5])


def disk_of(domain: Domain, name: str, whose: str = "in the domain config") -> Disk:
    """Find a disk by its target's name or its path. Raises: InvalidRequest."""
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        source = disk.source
        places = (source.file, source.dev) if source is not None else ()
        if name and name in (disk.target.dev if disk.target is not None else None, *places):
            return disk
    raise InvalidRequest(f"disk '{name}' was not found {whose}")


def target_of(domain: Domain, name: str) -> str:
    """Name a disk by its target. Raises: InvalidRequest."""
    disk = disk_of(domain, name)
    return (disk.target.dev if disk.target is not None else None) or ""


def io_tune(disk: Disk) -> dict[str, Any]:
    """Give a disk's limits; 0 is none."""
    tune = disk.iotune or IoTune()
    return {**{name: getattr(tune, name) or 0 for name in IO_LIMITS}, "group_name": tune.group_name or ""}


def set_io_tune(disk: Disk, wanted: Mapping[str, Any], *, live: bool = False) -> None:
    """Change a disk's limits: those of one kind (such as bytes a second) together, for they exclude each other.

    Raises: InvalidRequest
    """
    for group in _GROUPS[:4]:
        total, *ways = group
        if wanted.get(total) and any(wanted.get(way) for way in ways):
            words = total.removeprefix("total_")
            raise InvalidRequest(f"total and read/write of {words} cannot be set at the same time")
    found = io_tune(disk)
    for group in _GROUPS:
        if any(name in wanted for name in group):
            found |= {name: wanted.get(name, 0) for name in group}
    for name in ("size_iops_sec", "group_name"):
        if name in wanted:
            found[name] = wanted[name]
    if live:
        _check_bursts(found)
    made = IoTune(**{name: value or None for name, value in found.items()})
    disk.iotune = made if any(found.values()) else None


def _check_bursts(found: Mapping[str, Any]) -> None:
    """Refuse bursts that QEMU would refuse. Raises: InvalidRequest."""
    for name in (*_GROUPS[0], *_GROUPS[1]):
        burst, length = found[f"{name}_max"], found[f"{name}_max_length"]
        if burst and found[name] >= burst:
            raise InvalidRequest(f"value '{name}_max' must be greater than value '{name}'")
        if burst and not found[name]:
            raise InvalidRequest(f"value '{name}' must be set if '{name}_max' is set")
        if length and not burst:
            raise InvalidRequest(f"value '{name}_max' must be set if '{name}_max_length' is set")


# An interface's traffic.


def interface_of(domain: Domain, name: str) -> Interface:
    """Find an interface by its MAC address or its tap. Raises: InvalidRequest."""
    for interface in domain.devices.of(Interface) if domain.devices is not None else []:
        mac = interface.mac.address if interface.mac is not None else None
        tap = interface.target.dev if interface.target is not None else None
        if name and (name == tap or name.lower() == (mac or "").lower()):
            return interface
    raise InvalidRequest(f"'{name}' is not a known interface", domain=FROM_DOMAIN)


def bandwidth(interface: Interface) -> dict[str, int]:
    """Give the limits on an interface's traffic; 0 is none."""
    found = {}
    for side in _SIDES:
        rate = getattr(interface.bandwidth, side) if interface.bandwidth is not None else None
        for name in _RATES if side == "inbound" else _RATES[:3]:
            found[f"{side}.{name}"] = (getattr(rate, name) if rate is not None else None) or 0
    return found


def set_bandwidth(interface: Interface, wanted: Mapping[str, int], *, live: bool = False) -> None:
    """Change the limits of each side that is given its average (or, inwards, its floor); 0 takes a side's limits away.

    A definition keeps the empty element, as libvirt's do.
    """
    made = interface.bandwidth or Bandwidth()
    for side in _SIDES:
        told = {name: wanted[f"{side}.{name}"] for name in _RATES if f"{side}.{name}" in wanted}
        if "average" not in told and "floor" not in told:
            continue
        rate = Rate(**{name: value or None for name, value in told.items()})
        setattr(made, side, rate if rate.average or rate.floor else None)
    interface.bandwidth = made if not live or made.inbound is not None or made.outbound is not None else None


# Events.


def events(domain: Domain) -> dict[str, bool]:
    """Say which events are counted."""
    found = dict.fromkeys(EVENTS, False)
    for node in domain.perf if domain.perf is not None else ():
        if isinstance(node.tag, str) and node.get("name") in found:
            found[node.get("name")] = node.get("enabled") == "yes"
    return found


def set_events(domain: Domain, wanted: Mapping[str, bool]) -> None:
    """Say which events shall be counted."""
    known = [node.get("name") for node in domain.perf] if domain.perf is not None else []
    state = {**events(domain), **wanted}
    perf = etree.Element("perf")
    for name in EVENTS:
        if name in known or name in wanted:
            etree.SubElement(perf, "event", name=name, enabled="yes" if state[name] else "no")
    domain.perf = perf
