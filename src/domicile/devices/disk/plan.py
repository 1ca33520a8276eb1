"""A disk as QEMU's block nodes and device. Used by this slice's FAMILY."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.disk.chain import CACHE, Chain, cache_mode, located
from domicile.devices.disk.model import Disk, DiskDriver
from domicile.devices.disk.sd import card
from domicile.devices.disk.source import DiskSource
from domicile.devices.disk.tune import IoTune
from domicile.devices.parts import threads
from domicile.devices.parts.bus import NARROW, alias_of, is_drive, loadparm, virtio_driver, virtio_props, where
from domicile.plan.facts import Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Command, Item, Keyed, Structured

_ERRORS = {"stop": "stop", "report": "report", "ignore": "ignore", "enospace": "enospc"}


def plan(disk: Disk, p: Planning) -> Iterator[Item | Need]:
    """Ask for the nodes of the whole chain, the lowest layer first, then for the device that reads the top one."""
    origin = p.origin(disk)
    driver = disk.driver or DiskDriver()
    if disk.transient is not None and disk.transient.shareBacking:
        return  # its own layer is made, and the device put in, once QEMU is up
    if disk.type == "vhostuser":
        yield from _vhost_user(disk, driver, p, origin)
        return
    if disk.target is not None and disk.target.bus == "sd":
        yield from card(disk, driver, p, origin)
        return
    top: str | None = None
    if has_medium(disk) and (disk.type != "volume" or located("volume", disk.source or DiskSource(), p)[0] != "volume"):
        chain = Chain(disk, driver, p, origin, [])
        top = chain.nodes()
        yield from chain.items
    yield from _device(disk, driver, top, p, origin)
    if disk.iotune is not None and top is not None:
        yield Command("block_set_io_throttle", throttle(disk.iotune, alias_of(disk), backend(disk)), origin=origin)


def has_medium(disk: Disk) -> bool:
    """Whether there is something in the drive."""
    source = disk.source
    if source is None:
        return False
    return any(
        (
            source.file,
            source.dev,
            source.dir,
            source.protocol,
            source.volume,
            disk.type == "nvme" and source.address is not None,
        )
    )


# QEMU's word for each limit.
_LIMITS = {
    "total_bytes": "bps", "read_bytes": "bps_rd", "write_bytes": "bps_wr",
    "total_iops": "iops", "read_iops": "iops_rd", "write_iops": "iops_wr",
}  # fmt: skip
_GROUP = {
    "total_bytes": "bps-total", "read_bytes": "bps-read", "write_bytes": "bps-write",
    "total_iops": "iops-total", "read_iops": "iops-read", "write_iops": "iops-write",
}  # fmt: skip


def throttle(tune: IoTune, name: str, backend: str) -> dict[str, Any]:
    """Say a disk's limits as the arguments of QEMU's command; all six limits must be told, bursts only where given."""
    found: dict[str, Any] = {"id": backend, "group": tune.group_name or name}
    for ours, theirs in _LIMITS.items():
        found[theirs] = getattr(tune, f"{ours}_sec") or 0
    for ours, theirs in _LIMITS.items():
        for ending, suffix in (("_max", "_max"), ("_max_length", "_max_length")):
            value = getattr(tune, f"{ours}_sec{ending}")
            if value:
                found[f"{theirs}{suffix}"] = value
    if tune.size_iops_sec:
        found["iops_size"] = tune.size_iops_sec
    return found


def backend(disk: Disk) -> str:
    """Name the part of the device that QEMU's commands about its traffic know.

    Source: observed with QEMU 7.2: virtio and USB disks keep their backend in a part of their own.
    """
    name, bus = alias_of(disk), disk.target.bus if disk.target is not None else None
    if bus == "virtio":
        return f"/machine/peripheral/{name}/virtio-backend"
    return f"/machine/peripheral/{name}/{name}.0/legacy[0]" if bus == "usb" else name


def throttle_group(tune: IoTune, origin: str) -> Structured:
    """Ask for a group of limits that disks share by its name."""
    limits: dict[str, Any] = {}
    for ours, theirs in _GROUP.items():
        limits[theirs] = getattr(tune, f"{ours}_sec") or 0
    for ours, theirs in _GROUP.items():
        limits[f"{theirs}-max"] = getattr(tune, f"{ours}_sec_max") or 0
    for ours, theirs in _GROUP.items():
        limits[f"{theirs}-max-length"] = getattr(tune, f"{ours}_sec_max_length") or None
    limits["iops-size"] = tune.size_iops_sec or 0
    props = {"qom-type": "throttle-group", "id": f"throttle-{tune.group_name}", "limits": limits}
    return Structured("object", props, origin=origin)


def _vhost_user(disk: Disk, driver: DiskDriver, p: Planning, origin: str) -> Iterator[Item]:
    source, name = disk.source, alias_of(disk)
    again = source.reconnect if source is not None else None
    tries = again is not None and again.enabled is not None
    seconds = (again.timeout or 0 if again.enabled else 0) if tries and again is not None else None
    # QEMU 9.2 counts in milliseconds.
    finer = seconds is not None and p.caps.has_schema("chardev-add/arg-type/backend/+socket/data/reconnect-ms")
    wait = ("reconnect-ms", seconds * 1000) if finer and seconds is not None else ("reconnect", seconds)
    pairs: tuple[tuple[str, Any], ...] = (
        ("", "socket"),
        ("id", f"chr-vu-{name}"),
        ("path", source.path if source is not None else None),
        wait,
    )
    yield Keyed("-chardev", pairs, origin=origin)
    props = {
        "driver": virtio_driver("vhost-user-blk", disk, disk.model),
        "num-queues": driver.queues,
        "queue-size": driver.queue_size,
        **virtio_props(driver),
        **where(disk, p),
        "chardev": f"chr-vu-{name}",
        "id": name,
        "bootindex": p.boot_index(disk),
        "loadparm": loadparm(disk, p),
    }
    yield Structured("device", props, origin=origin)


def _device(disk: Disk, driver: DiskDriver, node: str | None, p: Planning, origin: str) -> Iterator[Item]:
    target = disk.target
    bus = target.bus if target is not None else None
    boot = p.boot_index(disk)
    props: dict[str, Any] = {
        "share-rw": True if disk.shareable else None,
        "drive": node,
        "id": alias_of(disk),
        "bootindex": boot,
        "loadparm": loadparm(disk, p),
    }
    if disk.blockio is not None:
        props["logical_block_size"] = disk.blockio.logical_block_size
        props["physical_block_size"] = disk.blockio.physical_block_size
        props["discard_granularity"] = disk.blockio.discard_granularity
    if disk.geometry is not None and disk.geometry.cyls:
        geometry = disk.geometry
        props |= {
            "cyls": geometry.cyls,
            "heads": geometry.heads,
            "secs": geometry.secs,
            "bios-chs-trans": geometry.trans,
        }
    props["wwn"] = int(disk.wwn, 16) if disk.wwn else None
    if target is not None and target.rotation_rate:
        props["rotation_rate"] = target.rotation_rate
    props["vendor"], props["model" if bus in ("ide", "sata") else "product"] = disk.vendor, disk.product
    if bus == "fdc":
        yield from _floppy(disk, props, boot, p, origin)
        return
    if target is not None and bus == "scsi":
        props["removable"], props["dpofua"] = target.removable, target.dpofua
    mode = cache_mode(disk)
    if mode in CACHE and disk.device != "lun":
        props["write-cache"] = "on" if CACHE[mode][2] else "off"
    props["werror"] = _ERRORS.get(driver.error_policy or "")
    props["rerror"] = _ERRORS.get(
        driver.rerror_policy or (driver.error_policy if driver.error_policy != "enospace" else "") or ""
    )
    props["serial"] = disk.serial
    if driver.statistics is not None:
        props["stats-intervals"] = [statistic.interval for statistic in driver.statistics.statistic]
    yield Structured("device", {**_frontend(disk, driver, bus or "", p), **props}, origin=origin)


def _frontend(disk: Disk, driver: DiskDriver, bus: str, p: Planning) -> dict[str, Any]:
    cd = disk.device == "cdrom"
    if bus == "virtio":
        return {
            "driver": virtio_driver("virtio-blk", disk, disk.model),
            "iothread": f"iothread{driver.iothread}" if driver.iothread else None,
            "ioeventfd": driver.ioeventfd,
            "event_idx": driver.event_idx,
            "num-queues": driver.queues,
            "queue-size": driver.queue_size,
            "iothread-vq-mapping": threads.props(driver.iothreads),
            **virtio_props(driver),
            **where(disk, p),
        }
    if bus == "usb":
        removable = disk.target.removable if disk.target is not None else None
        return {"driver": "usb-storage", **where(disk, p), "removable": bool(removable)}
    place = is_drive(disk)
    if bus == "ide":
        return {"driver": "ide-cd" if cd else "ide-hd", "bus": f"ide.{place.bus}", "unit": place.unit}
    if bus == "sata":
        name = p.controller("sata", place.controller)
        return {"driver": "ide-cd" if cd else "ide-hd", "bus": f"{name}.{place.unit}"}
    kind = "scsi-block" if disk.device == "lun" else "scsi-cd" if cd else "scsi-hd"
    props: dict[str, Any] = {"driver": kind, "bus": f"{p.controller('scsi', place.controller)}.0"}
    if p.controller_model("scsi", place.controller) in NARROW:
        props["scsi-id"] = place.unit
    else:
        props |= {"channel": 0, "scsi-id": place.target, "lun": place.unit}
    identity = f"drive-{alias_of(disk)}"
    if disk.device != "lun":
        props["device_id"] = disk.serial or identity
    return props


def _floppy(disk: Disk, props: dict[str, Any], boot: int | None, p: Planning, origin: str) -> Iterator[Item]:
    place = is_drive(disk)
    if boot is not None and not p.q35:
        letter = "AB"[place.unit]
        yield Keyed("-global", ((f"isa-fdc.bootindex{letter}", boot),), origin=origin)
    kept = {k: v for k, v in props.items() if k not in ("bootindex", "wwn", "rotation_rate")}
    yield Structured("device", {"driver": "floppy", "unit": place.unit, **kept}, origin=origin)
