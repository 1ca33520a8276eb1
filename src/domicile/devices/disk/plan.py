"""A disk as QEMU's block nodes and device. Used by this slice's FAMILY."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.disk.model import BackingStore, Disk, DiskDriver, DiskSource
from domicile.devices.parts.bus import alias_of, is_drive, virtio_driver, virtio_props, where
from domicile.plan.facts import Planning
from domicile.plan.need import File, Need
from domicile.plan.qemu import NULL, Item, Keyed, Structured

# cache mode → (direct, no-flush, the guest's write cache)
# Source: QEMU's documentation of -drive cache=, table of cache modes.
_CACHE = {
    "none": (True, False, True),
    "writethrough": (False, False, False),
    "writeback": (False, False, True),
    "directsync": (True, False, False),
    "unsafe": (False, True, True),
}
_ERRORS = {"stop": "stop", "report": "report", "ignore": "ignore", "enospace": "enospc"}


def plan(disk: Disk, p: Planning) -> Iterator[Item | Need]:
    """Ask for the nodes of the whole chain, the lowest layer first, then for the device that reads the top one."""
    origin = p.origin(disk)
    driver = disk.driver or DiskDriver()
    top: str | None = None
    if _has_medium(disk):
        top, items = _chain(disk, driver, p, origin)
        yield from items
    yield from _device(disk, driver, top, p, origin)


def _has_medium(disk: Disk) -> bool:
    source = disk.source
    return source is not None and any((source.file, source.dev, source.dir, source.protocol))


def _chain(disk: Disk, driver: DiskDriver, p: Planning, origin: str) -> tuple[str, list[Item | Need]]:
    """Make the nodes of a disk; the name of the top one is returned with them."""
    target = disk.target.dev if disk.target is not None and disk.target.dev else "disk"
    items: list[Item | Need] = []
    below: str | None = None
    ends = False
    stack: list[BackingStore] = []
    layer = disk.backingStore
    while layer is not None:
        if layer.source is None:
            ends = True
            break
        stack.append(layer)
        layer = layer.backingStore
    for number, item in reversed(list(enumerate(stack, 1))):
        fmt = item.format.type if item.format is not None and item.format.type else "raw"
        if item.source is not None:
            node = f"{target}-{number}"
            made = _layer(
                item.type or "file", item.source, fmt, node, True, driver, False, below, ends and below is None, origin
            )
            items += made[1]
            below = made[0]
    source = disk.source or DiskSource()
    made = _layer(
        disk.type or "file",
        source,
        driver.type or "raw",
        target,
        disk.readonly,
        driver,
        True,
        below,
        ends and below is None,
        origin,
    )
    return made[0], items + made[1]


def _layer(
    kind: str,
    source: DiskSource,
    fmt: str,
    name: str,
    readonly: bool,
    driver: DiskDriver,
    top: bool,
    below: str | None,
    ends: bool,
    origin: str,
) -> tuple[str, list[Item | Need]]:
    cache = None
    if driver.cache in _CACHE:
        direct, no_flush, _ = _CACHE[driver.cache]
        cache = {"direct": direct, "no-flush": no_flush}
    file = _protocol(kind, source, fmt, readonly)
    file["aio"] = driver.io
    node = f"{name}-storage"
    discards = {"discard": driver.discard, "detect-zeroes": _zeroes(driver)} if top else {}
    needs: list[Item | Need] = []
    path = source.file or source.dev
    if path:
        needs.append(File(path, writable=not readonly, origin=origin))
    copying = top and driver.copy_on_read
    if fmt == "raw" and not copying:
        storage = {**file, "node-name": node, "read-only": readonly, **discards, "cache": cache}
        return node, [*needs, Structured("blockdev", storage, origin=origin)]
    storage = {**file, "node-name": node, "auto-read-only": True, "discard": "unmap", "cache": cache}
    shaped: dict[str, Any] = {
        "node-name": f"{name}-format",
        "read-only": readonly,
        **discards,
        "cache": cache,
        "driver": _FORMATS.get(fmt, fmt),
        "discard-no-unref": driver.discard_no_unref if top else None,
        "file": node,
    }
    items: list[Item | Need] = [*needs, Structured("blockdev", storage, origin=origin)]
    if below is not None:
        shaped["backing"] = below
    elif ends and fmt in ("qcow", "qcow2", "qed", "vmdk"):
        shaped["backing"] = NULL
    items.append(Structured("blockdev", shaped, origin=origin))
    if copying:
        cor = {"driver": "copy-on-read", "node-name": f"{name}-cor", "file": f"{name}-format"}
        items.append(Structured("blockdev", cor, origin=origin))
        return f"{name}-cor", items
    return f"{name}-format", items


_FORMATS = {"vhd": "vpc", "iso": "raw", "fat": "raw"}


def _zeroes(driver: DiskDriver) -> str | None:
    if driver.detect_zeroes == "unmap" and driver.discard != "unmap":
        return "on"
    return driver.detect_zeroes


def _protocol(kind: str, source: DiskSource, fmt: str, readonly: bool) -> dict[str, Any]:
    if kind == "block":
        path = source.dev or ""
        cdrom = path.startswith(("/dev/cdrom", "/dev/sr")) and path == "/dev/cdrom"
        return {"driver": "host_cdrom" if cdrom else "host_device", "filename": path}
    if kind == "dir":
        return {"driver": "vvfat", "dir": source.dir, "floppy": False, "rw": not readonly}
    return {"driver": "file", "filename": source.file}


def _device(disk: Disk, driver: DiskDriver, node: str | None, p: Planning, origin: str) -> Iterator[Item]:
    bus = disk.target.bus if disk.target is not None else None
    boot = p.boot_index(disk)
    props: dict[str, Any] = {
        "share-rw": True if disk.shareable else None,
        "drive": node,
        "id": alias_of(disk),
        "bootindex": boot,
        "loadparm": disk.boot.loadparm if disk.boot is not None else None,
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
    if disk.target is not None and disk.target.rotation_rate:
        props["rotation_rate"] = disk.target.rotation_rate
    props["vendor"], props["model" if bus in ("ide", "sata") else "product"] = disk.vendor, disk.product
    if bus == "fdc":
        yield from _floppy(disk, props, boot, p, origin)
        return
    if driver.cache in _CACHE and disk.device != "lun":
        props["write-cache"] = "on" if _CACHE[driver.cache][2] else "off"
    props["werror"] = _ERRORS.get(driver.error_policy or "")
    props["rerror"] = _ERRORS.get(
        driver.rerror_policy or (driver.error_policy if driver.error_policy != "enospace" else "") or ""
    )
    props["serial"] = disk.serial
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
        name = "ide" if p.q35 and place.controller == 0 else f"sata{place.controller}"
        return {"driver": "ide-cd" if cd else "ide-hd", "bus": f"{name}.{place.unit}"}
    kind = "scsi-block" if disk.device == "lun" else "scsi-cd" if cd else "scsi-hd"
    props: dict[str, Any] = {"driver": kind, "bus": f"scsi{place.controller}.0"}
    if p.controller_model("scsi", place.controller) == "lsilogic":
        props["scsi-id"] = place.unit
        identity = f"drive-scsi{place.controller}-{place.bus}-{place.unit}"
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
