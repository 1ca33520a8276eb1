"""What limits and threads a disk may not have. Used by this slice's checks, and by the domain's rules for all disks."""

from __future__ import annotations

from collections.abc import Iterable

from domicile.base.errors import XML_ERROR
from domicile.devices.disk.model import Disk
from domicile.devices.disk.tune import IoTune
from domicile.devices.parts import threads
from domicile.plan.facts import Completion

# Source: QEMU's THROTTLE_VALUE_MAX.
MOST = 10**15
_KINDS = ("bytes_sec", "iops_sec")
_SIDES = ("total", "read", "write")


def check_tuning(disk: Disk, dev: str, bus: str, c: Completion) -> None:
    """Find limits and threads that cannot be."""
    if disk.iotune is not None:
        check_limits(disk.iotune, f"disk '{dev}'", c)
    filters = disk.throttlefilters
    if filters is not None:
        if disk.iotune is not None:
            what = f"for disk '{dev}', 'throttlefilters' must not be used together with 'iotune'"
            c.problem(disk, what, "one of them", "throttlefilters")
        names = [one.group for one in filters.throttlefilter]
        for name in {name for name in names if names.count(name) > 1}:
            c.problem(filters, f"disk '{dev}' passes the throttle group '{name}' twice", "once", "throttlefilter")
        if disk.device in ("cdrom", "floppy"):
            c.problem(
                disk, f"'throttlefilters' of disk '{dev}' are not for a '{disk.device}'", "none", "throttlefilters"
            )
    wanted = disk.driver.statistics if disk.driver is not None else None
    if wanted is not None and not c.caps.has_property("virtio-blk-pci", "stats-intervals"):
        c.problem(disk.driver, f"this QEMU knows no <statistics> of disk '{dev}'", "none", "statistics")
    _check_threads(disk, dev, bus, c)


def check_limits(tune: IoTune, owner: str, c: Completion) -> None:
    """Find limits that exclude or lack each other."""
    for kind in _KINDS:
        for ending in ("", "_max"):
            total, read, write = (getattr(tune, f"{side}_{kind}{ending}") for side in _SIDES)
            if total and (read or write):
                c.problem(
                    tune,
                    f"{owner} has a limit on all of '{kind}{ending}' and one on reading or writing alone",
                    "total, or read and write",
                    f"total_{kind}{ending}",
                    code=XML_ERROR,
                )
        for side in _SIDES:
            name = f"{side}_{kind}"
            base, burst, length = (getattr(tune, f"{name}{ending}") for ending in ("", "_max", "_max_length"))
            if burst and not base:
                c.problem(tune, f"'{name}_max' of {owner} stands without '{name}'", f"<{name}>", f"{name}_max")
            if length and not burst:
                c.problem(tune, f"'{name}_max_length' of {owner} stands without '{name}_max'", f"<{name}_max>", name)
            for ending, value in (("", base), ("_max", burst), ("_max_length", length)):
                if value and value > MOST:
                    c.problem(tune, f"'{name}{ending}' of {owner} is {value}", f"0 to {MOST}", f"{name}{ending}")


def check_together(disks: Iterable[Disk], groups: Iterable[IoTune], existing: Iterable[int], c: Completion) -> None:
    """Find limits of one name that differ, and groups and threads that are named but not there."""
    known, existing = {group.group_name for group in groups}, set(existing)
    tunes: dict[str, IoTune] = {}
    for disk in disks:
        dev = disk.target.dev if disk.target is not None else ""
        name = disk.iotune.group_name if disk.iotune is not None else None
        if name is not None and disk.iotune is not None and tunes.setdefault(name, disk.iotune) != disk.iotune:
            c.problem(disk.iotune, f"disk '{dev}' gives the group '{name}' other limits", "the same", "group_name")
        if disk.throttlefilters is not None:
            for one in disk.throttlefilters.throttlefilter:
                if one.group not in known:
                    c.problem(one, f"throttle group '{one.group}' of disk '{dev}' does not exist", "", "@group")
        driver = disk.driver
        for number in threads.named(driver) if driver is not None else []:
            if number is not None and number not in existing:
                c.problem(
                    driver, f"I/O thread '{number}' of disk '{dev}' does not exist", "one of <iothreadids>", "@iothread"
                )


def _check_threads(disk: Disk, dev: str, bus: str, c: Completion) -> None:
    driver = disk.driver
    if driver is None or (driver.iothread is None and driver.iothreads is None):
        return
    if bus != "virtio":
        c.problem(driver, f"disk '{dev}' on bus '{bus}' has an I/O thread", "bus='virtio'", "@iothread")
    threads.check(driver, f"disk '{dev}'", "virtio-blk-pci", c)
