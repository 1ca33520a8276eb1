"""What the host grants a running machine: CPU time, memory, disk and network traffic. Called by the front doors' handlers and at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from domicile.base.errors import FROM_NONE, HostFailure, WrongState
from domicile.devices.disk import Disk
from domicile.devices.disk.plan import backend, throttle
from domicile.devices.disk.tune import IoTune
from domicile.devices.memballoon import MemBalloon
from domicile.domain.domain import Domain
from domicile.domain.edit import memory as memory_edit
from domicile.domain.edit import tune as edit
from domicile.host import cgroup
from domicile.host.affinity import tasks_of
from domicile.runtime.machine import Machine
from domicile.service.changes import Running
from domicile.service.live_cpus import io_threads, vcpu_threads

_PERIOD = 100_000
# Kernel's default share of CPU time, by the version of the hierarchy.
_SHARES = {1: 1024, 2: 100}
_WEIGHT = 100


def _group(controller: str, machine: Machine) -> cgroup.Group:
    group = cgroup.Group(cgroup.needed(controller), machine.record().partition, machine.uuid, machine.pid)
    group.enter(controller)
    return group


# CPU time.


def scheduler(domain: Domain) -> dict[str, int]:
    """Give a running domain's share of CPU time. Raises: WrongState where the host has no control groups."""
    found = edit.scheduler(domain)
    defaults = {"shares": _SHARES[cgroup.needed("cpu").version], "period": _PERIOD, "quota": -1}
    return {name: value or defaults[name.rpartition("_")[2]] for name, value in found.items()}


async def apply_scheduler(machine: Machine, domain: Domain) -> None:
    """Grant a machine and its threads the CPU time its document names. Raises: WrongState, HostFailure."""
    told = edit.scheduler(domain)
    if not any(told.values()):
        return
    vcpus, threads = await vcpu_threads(machine), await io_threads(machine)
    await asyncio.to_thread(_schedule, machine, told, vcpus, threads)


def _schedule(machine: Machine, told: Mapping[str, int], vcpus: Mapping[int, int], threads: Mapping[int, int]) -> None:
    group = _group("cpu", machine)
    if told["cpu_shares"]:
        group.write({"cpu.shares" if group.version == 1 else "cpu.weight": str(told["cpu_shares"])})
    _limit(group, "", told["global_period"], told["global_quota"])
    if told["emulator_period"] or told["emulator_quota"]:
        others = tasks_of(machine.pid) - set(vcpus.values()) - set(threads.values())
        group.part("emulator", others)
        _limit(group, "emulator", told["emulator_period"], told["emulator_quota"])
    for kind, known in (("vcpu", vcpus), ("iothread", threads)):
        if told[f"{kind}_period"] or told[f"{kind}_quota"]:
            for number, thread in known.items():
                group.part(f"{kind}{number}", [thread])
                _limit(group, f"{kind}{number}", told[f"{kind}_period"], told[f"{kind}_quota"])


def _limit(group: cgroup.Group, part: str, period: int, quota: int) -> None:
    if not period and not quota:
        return
    if group.version == 2:
        group.write({"cpu.max": f"{quota if quota > 0 else 'max'} {period or _PERIOD}"}, part)
        return
    group.write({"cpu.cfs_period_us": str(period or _PERIOD), "cpu.cfs_quota_us": str(quota or -1)}, part)


# Memory.


def memory_limits(domain: Domain) -> dict[str, int]:
    """Give a running domain's limits of memory. Raises: WrongState where the host has no control groups."""
    cgroup.needed("memory")
    return memory_edit.limits(domain)


def apply_memory(machine: Machine, domain: Domain, *, changed: bool = False) -> None:
    """Hold a machine to the memory its document names, or to none where that changed. Raises: WrongState, HostFailure."""
    if domain.memtune is None and not changed:
        return
    group, told = _group("memory", machine), memory_edit.limits(domain)
    amounts = {name: kib * 1024 if kib < memory_edit.UNLIMITED else -1 for name, kib in told.items()}
    hard, soft, both = (amounts[name] for name in memory_edit.LIMITS)
    if group.version == 2:
        values = {"memory.max": _most(hard), "memory.high": _most(soft)}
        if group.has("memory.swap.max"):
            values["memory.swap.max"] = _most(both - hard if both >= 0 and hard >= 0 else -1)
        group.write(values)
        return
    # Both together are never below memory alone, also on the way.
    swap = "memory.memsw.limit_in_bytes" if group.has("memory.memsw.limit_in_bytes") else ""
    if swap:
        group.write({swap: "-1"})
    group.write({"memory.limit_in_bytes": str(hard), "memory.soft_limit_in_bytes": str(soft)})
    if swap and both >= 0:
        group.write({swap: str(both)})


def _most(amount: int) -> str:
    return "max" if amount < 0 else str(amount)


def balloon_of(state: Running) -> MemBalloon:
    """Find a running machine's balloon. Raises: WrongState where it has none."""
    devices = state.domain.devices
    balloon = next(iter(devices.of(MemBalloon)), None) if devices is not None else None
    if balloon is None or balloon.model == "none":
        raise WrongState(
            "Unable to change memory of active domain without the balloon device and guest OS balloon driver"
        )
    return balloon


async def set_balloon(state: Running, kib: int) -> None:
    """Ask the guest to make do with less memory, or give some back. Raises: WrongState where it has no balloon."""
    balloon_of(state)
    await state.qmp("balloon", {"value": kib * 1024})


async def set_period(state: Running, seconds: int) -> None:
    """Say how often the guest reports its use of memory."""
    devices = state.domain.devices
    balloon = next(iter(devices.of(MemBalloon)), None) if devices is not None else None
    if balloon is None or balloon.alias is None:
        raise WrongState("the domain has no memory balloon")
    path = f"/machine/peripheral/{balloon.alias.name}"
    await state.qmp("qom-set", {"path": path, "property": "guest-stats-polling-interval", "value": seconds})


# Disks.


def block(domain: Domain) -> dict[str, Any]:
    """Give a running domain's weights and limits of block devices. Raises: WrongState where the host has no control groups."""
    cgroup.needed("io")
    found = edit.block(domain)
    return {**found, "weight": found["weight"] or _WEIGHT}


_THROTTLES = {
    "read_iops_sec": ("blkio.throttle.read_iops_device", "riops"),
    "write_iops_sec": ("blkio.throttle.write_iops_device", "wiops"),
    "read_bytes_sec": ("blkio.throttle.read_bps_device", "rbps"),
    "write_bytes_sec": ("blkio.throttle.write_bps_device", "wbps"),
}


def apply_block(machine: Machine, domain: Domain, told: Mapping[str, Any] | None = None) -> None:
    """Hold a machine to the disk traffic its document names; `told` are changes, by which limits go, too.

    Raises: WrongState, HostFailure
    """
    tune = domain.blkiotune
    limits: dict[str, dict[str, int]] = {slot: {} for slot in edit.DEVICES.values()}
    for device in tune.device if tune is not None else []:
        for slot in limits:
            if getattr(device, slot):
                limits[slot][device.path or ""] = getattr(device, slot)
    for name, text in (told or {}).items():
        if name in edit.DEVICES:
            limits[edit.DEVICES[name]] |= edit.device_limits(name, text)
    weight = tune.weight if tune is not None else None
    if not weight and not any(limits.values()):
        return
    numbers = {path: cgroup.device_number(path) for each in limits.values() for path in each}
    group = _group("io", machine)
    if weight:
        _weigh(group, str(weight), "default ")
    for path, value in limits["weight"].items():
        _weigh(group, f"{numbers[path]} {value}", "")
    for slot, (old, new) in _THROTTLES.items():
        for path, value in limits[slot].items():
            if group.version == 1:
                group.write({old: f"{numbers[path]} {value}"})
            else:
                group.write({"io.max": f"{numbers[path]} {new}={value or 'max'}"})


def _weigh(group: cgroup.Group, value: str, prefix: str) -> None:
    """Write a weight where the kernel's disk scheduler looks for it; without such a scheduler weights mean nothing."""
    names = ("io.weight", "io.bfq.weight") if group.version == 2 else ("blkio.weight", "blkio.bfq.weight")
    if not prefix:
        names = names if group.version == 2 else ("blkio.weight_device", "blkio.bfq.weight_device")
    name = next((each for each in names if group.has(each)), None)
    if name is not None:
        group.write({name: f"{prefix if group.version == 2 else ''}{value}"})


async def apply_io_tune(state: Running, disk: Disk) -> None:
    """Hold a disk to its limits. Raises: QemuRefused."""
    path = backend(disk)
    await state.qmp("block_set_io_throttle", throttle(disk.iotune or IoTune(), path, path))


async def apply_all(machine: Machine, domain: Domain) -> None:
    """Grant a machine that starts what its document names; without control groups it is as if nothing were named.

    Raises: HostFailure
    """
    if cgroup.find("cpu") is not None:
        await apply_scheduler(machine, domain)
    if cgroup.find("memory") is not None:
        await asyncio.to_thread(apply_memory, machine, domain)
    if cgroup.find("io") is not None:
        await asyncio.to_thread(apply_block, machine, domain)


# What QEMU calls each limit in its list of disks.
_INSERTED = {
    "total_bytes_sec": "bps", "read_bytes_sec": "bps_rd", "write_bytes_sec": "bps_wr",
    "total_iops_sec": "iops", "read_iops_sec": "iops_rd", "write_iops_sec": "iops_wr",
}  # fmt: skip


async def io_tune(state: Running, name: str) -> dict[str, Any]:
    """Ask QEMU for the limits on a disk's traffic. Raises: InvalidRequest."""
    disk = edit.disk_of(state.domain, name)
    path, alias = backend(disk), disk.alias.name if disk.alias is not None else ""
    inserted: dict[str, Any] = {}
    for each in await state.qmp("query-block"):
        if each.get("qdev") in (path, alias, f"/machine/peripheral/{alias}"):
            inserted = each.get("inserted") or {}
    found: dict[str, Any] = dict.fromkeys(edit.IO_LIMITS, 0)
    for ours, theirs in _INSERTED.items():
        for ending in ("", "_max", "_max_length"):
            found[ours + ending] = inserted.get(theirs + ending, 0)
        if not found[f"{ours}_max"]:
            found[f"{ours}_max_length"] = 0
    found["size_iops_sec"] = inserted.get("iops_size", 0)
    return {**found, "group_name": inserted.get("group", "")}


def refuse_events(wanted: Mapping[str, bool]) -> None:
    """Refuse to count events of a running domain. Raises: HostFailure."""
    names = ", ".join(name for name, on in wanted.items() if on)
    raise HostFailure(f"events of a running domain are not counted by this version: {names}", domain=FROM_NONE)


async def apply_nodes(state: Running) -> None:
    """Hold a machine's memory to the NUMA nodes its document names. Raises: WrongState, HostFailure."""
    _, nodes = memory_edit.placement(state.domain)
    if nodes:
        await asyncio.to_thread(_place, state.machine, nodes)


def _place(machine: Machine, nodes: str) -> None:
    group = _group("cpuset", machine)
    if group.version == 1:
        group.write({"cpuset.memory_migrate": "1"})
    group.write({"cpuset.mems": nodes})
