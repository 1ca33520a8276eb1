"""What a disk gets when its owner left it open, and where it wants to stand. Used by this slice's FAMILY."""

from __future__ import annotations

import re
from collections.abc import Iterator

from domicile.devices.disk.model import Disk, DiskDriver
from domicile.devices.disk.protocol import PORTS
from domicile.devices.disk.secret import Encryption
from domicile.devices.disk.source import BackingStore, DiskSource, MetadataCache
from domicile.devices.parts.bus import want_virtio
from domicile.devices.parts.device import DriveAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.place import Want, WantDrive, WantUsb

_NAME = re.compile(r"(fd|hd|vd|sd|xvd|ubd)([a-z]+)([0-9]*)\Z")
_PREFIX_BUS = {"fd": "fdc", "hd": "ide", "vd": "virtio", "sd": "scsi", "xvd": "xen", "ubd": "uml"}
UNITS = {"ide": (2, 2), "sata": (1, 6), "scsi": (1, 7), "fdc": (1, 2)}


def index_of(dev: str) -> int | None:
    """Count a target name in the order of disks: hda is 0, hdz 25, hdaa 26; None where the name is none."""
    found = _NAME.match(dev)
    if found is None:
        return None
    index = 0
    for letter in found[2]:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index - 1


def _nothing_inside(disk: Disk) -> bool:
    source = disk.source
    return source is None or not (source.dev if disk.type == "block" else source.dir)


def defaults(disk: Disk, c: Completion) -> None:
    """Fill in bus, format, read-only and the place on the controller, as libvirt does."""
    target = disk.target
    if target is None or target.dev is None:
        return
    if target.bus is None:
        found = _NAME.match(target.dev)
        bus = "fdc" if disk.device == "floppy" else _PREFIX_BUS.get(found[1]) if found else None
        if bus is not None:
            c.default(target, "bus", bus, f"the name {target.dev} says so", f"由名称 {target.dev} 得出")
    if disk.device in ("cdrom", "floppy") and disk.type in ("block", "dir") and _nothing_inside(disk):
        c.default(disk, "type", "file", "an empty drive is of no other kind", "空驱动器没有其他种类")
    if disk.driver is None:
        disk.driver = DiskDriver()
        c.add(disk.driver, "every disk has a driver", "每个磁盘都有驱动选项")
    driver = disk.driver
    if driver.name is None and disk.type != "vhostuser":
        c.default(driver, "name", "qemu", "the only backend there is", "唯一的后端")
    known_later = disk.type == "vhostuser" or (disk.type == "volume" and c.host.libvirt >= (10, 0))
    if driver.type in (None, "auto") and not known_later:
        c.default(
            driver,
            "type",
            "raw",
            "no format was given, and guessing one would let a guest choose it",
            "未指定格式；猜测会让客户机有机会更改格式",
        )
    if disk.type == "vhostuser" and disk.snapshot is None:
        c.default(disk, "snapshot", "no", "only its server knows the contents", "内容仅由其服务掌握")
    for kind, source in sources(disk):
        _source_defaults(kind, source, c)
    _caches(disk)
    for encryption in _encryptions(disk):
        if encryption.engine is None:
            c.default(encryption, "engine", "qemu", "QEMU decrypts unless told otherwise", "除非另有说明，由 QEMU 解密")
    if disk.device == "cdrom" and not disk.readonly:
        c.default(disk, "readonly", True, "a CD cannot be written", "光盘不可写")
    _say_nothing(disk)
    if disk.address is None and target.bus in UNITS:
        _drive_address(disk, target.bus, target.dev, c)


def sources(disk: Disk) -> Iterator[tuple[str, DiskSource]]:
    """List every source of a disk with its type: the top, its data file, the layers below and theirs."""
    source, layer = disk.source, disk.backingStore
    if layer is None and (source is None or source.dataStore is None):  # one file, as most have
        return iter(()) if source is None else iter(((disk.type or "file", source),))
    return _all_sources(disk)


def _all_sources(disk: Disk) -> Iterator[tuple[str, DiskSource]]:
    yield from _with_data(disk.type or "file", disk.source)
    layer = disk.backingStore
    while layer is not None:
        yield from _with_data(layer.type or "file", layer.source)
        layer = layer.backingStore


def _with_data(kind: str, source: DiskSource | None) -> Iterator[tuple[str, DiskSource]]:
    if source is not None:
        yield kind, source
        if source.dataStore is not None and source.dataStore.source is not None:
            yield source.dataStore.type or "file", source.dataStore.source


def layers(disk: Disk) -> Iterator[BackingStore]:
    """List the layers below the top."""
    layer = disk.backingStore
    while layer is not None:
        yield layer
        layer = layer.backingStore


def _encryptions(disk: Disk) -> Iterator[Encryption]:
    if disk.encryption is not None:
        yield disk.encryption
    for _, source in sources(disk):
        if source.encryption is not None:
            yield source.encryption


def _say_nothing(disk: Disk) -> None:
    """Leave out words that say what is so anyway."""
    if disk.driver is not None and disk.driver.cache == "default":
        disk.driver.cache = None
    shape = disk.geometry
    if shape is not None and None in (shape.cyls, shape.heads, shape.secs):
        disk.geometry = None
    disk.serial = disk.serial or None
    for layer in layers(disk):
        if layer.type is None:  # the chain ends here, whatever else is said
            layer.format = layer.source = layer.backingStore = None
    for _, source in sources(disk):
        if source.slices is not None:
            source.slices.slice = [part for part in source.slices.slice if part.type is not None]
    if disk.target is not None and disk.target.tray == "closed":
        disk.target.tray = None
    if disk.readonly and disk.snapshot == "no":
        disk.snapshot = None
    if disk.source is None and disk.device in ("cdrom", "floppy") and disk.type in ("network", "volume"):
        disk.type = "file"


def _source_defaults(kind: str, source: DiskSource, c: Completion) -> None:
    if kind == "nvme" and source.managed is None and source.address is not None:
        c.default(source, "managed", True, "the host hands it over and takes it back", "由主机交出并收回")
    for slot in ("domain", "bus", "slot", "function") if kind == "nvme" and source.address is not None else ():
        if getattr(source.address, slot) is None:
            setattr(source.address, slot, 0)
    if kind != "network":
        return
    port = PORTS.get(source.protocol or "")
    for host in source.host:
        if host.port is None and host.transport in (None, "tcp") and host.socket is None and port is not None:
            c.default(
                host, "port", port, f"where servers of '{source.protocol}' listen", f"{source.protocol} 的默认端口"
            )
    if source.protocol == "iscsi" and source.name is not None and "/" not in source.name:
        c.default(source, "name", f"{source.name}/0", "unit 0 where none is named", "未指定单元时为 0")


def _caches(disk: Disk) -> None:
    """Say the sizes of caches in bytes."""
    found: list[MetadataCache | None] = [disk.driver.metadata_cache if disk.driver is not None else None]
    found += [layer.format.metadata_cache for layer in layers(disk) if layer.format is not None]
    for cache in found:
        if cache is not None and cache.max_size is not None:
            count = cache.max_size.count()
            if count is not None:
                cache.max_size.value, cache.max_size.unit = count, "bytes"


def _drive_address(disk: Disk, bus: str, dev: str, c: Completion) -> None:
    index = index_of(dev)
    if index is None:
        return
    buses, units = UNITS[bus]
    controller, rest = divmod(index, buses * units)
    place = DriveAddress(controller=controller, bus=rest // units, unit=rest % units)
    c.allocate(
        disk,
        "address",
        place,
        f"{dev} is the {index + 1}. place on its kind of controller",
        f"{dev} 是该类控制器上的第 {index + 1} 个位置",
    )


def place(disk: Disk, facts: Facts) -> Want | None:
    """Ask for a place on the bus of virtio devices, a USB port or a place on a controller."""
    bus = disk.target.bus if disk.target is not None else None
    if bus == "virtio":
        return want_virtio(disk, facts, disk.model)
    if bus == "usb":
        return WantUsb()
    return WantDrive(bus) if bus in UNITS else None


def alias(disk: Disk, index: int, p: Planning) -> str:
    """Name the disk by its bus and place; virtio and USB disks by where their target's name stands in the alphabet."""
    bus = disk.target.bus if disk.target is not None else ""
    dev = disk.target.dev if disk.target is not None else None
    address = disk.address
    if bus in ("virtio", "usb"):
        turn = index_of(dev) if dev else None
        return f"{bus}-disk{index if turn is None else turn}"
    if isinstance(address, DriveAddress):
        if bus == "scsi" and p.controller_model("scsi", address.controller) == "lsilogic":
            return f"scsi{address.controller}-{address.bus}-{address.unit}"
        if bus == "scsi":
            return f"scsi{address.controller}-{address.bus}-{address.target}-{address.unit}"
        return f"{bus}{address.controller}-{address.bus}-{address.unit}"
    return f"{bus}-disk{index}"
