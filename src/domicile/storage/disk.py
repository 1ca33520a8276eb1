"""Disks as pools, their partitions as volumes. The service calls it through `drivers`.

Source: parted(8) with its JSON; names and refusals observed with libvirt 9.0.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domicile.base.errors import CONFIG_UNSUPPORTED, INVALID_ARG, DomicileError, InvalidRequest
from domicile.storage import devices, images, programs
from domicile.storage.driver import Fixed, Made, Order, View
from domicile.storage.failure import FROM_STORAGE, broken, failed, unprobed, unsupported
from domicile.storage.parts import bytes_of
from domicile.storage.pool import Pool
from domicile.storage.volume import Extent, Volume, VolumeDevice, VolumeFormat, VolumeSource

_ALIGNED = 1 << 20
_REREAD = 0x125F  # BLKRRPART
_EDGE = 1 << 20
_PRIMARY = 4
# libvirt's names of tables, where parted's are others.
_TABLES = {"dos": "msdos", "unknown": "msdos"}
_MADE = ("dos", "gpt", "mac", "bsd", "pc98", "sun", "dvh", "unknown")
_HINTS = {"linux": "ext2", "fat16": "fat16", "fat32": "fat32", "linux-swap": "linux-swap"}
_FLAGS = {"linux-lvm": "lvm", "linux-raid": "raid"}


@dataclass(frozen=True, slots=True)
class Part:
    """A partition, or room for one (`number` 0): where it begins and ends, in bytes."""

    number: int
    start: int
    end: int
    kind: str
    format: str = "none"

    @property
    def size(self) -> int:
        """Its bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Table:
    """What a disk's table says."""

    label: str
    sector: int
    most: int
    parts: tuple[Part, ...]

    @property
    def taken(self) -> list[Part]:
        """The partitions."""
        return [part for part in self.parts if part.number]

    @property
    def extended(self) -> Part | None:
        """The partition that holds the logical ones."""
        return next((part for part in self.taken if part.kind == "extended"), None)

    def room(self, *, inside: bool) -> Iterator[Part]:
        """List where there is room, inside the extended partition or outside."""
        holder = self.extended
        for part in self.parts:
            within = holder is not None and holder.start <= part.start < holder.end
            if not part.number and within is inside:
                yield part


def read(said: Any) -> Table:
    """Read what parted said. Raises: HostFailure."""
    try:
        disk = said["disk"]
        found = tuple(_part(each) for each in disk.get("partitions", ()))
        return Table(disk["label"], disk["logical-sector-size"], disk.get("max-partitions", 0), found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(f"parted's answer cannot be followed: {type(error).__name__} {error}") from None


def _part(said: dict[str, Any]) -> Part:
    kind, file_system, flags = said["type"], said.get("filesystem", ""), said.get("flags", [])
    fmt = next((name for name, flag in _FLAGS.items() if flag in flags), "none")
    if kind == "extended":
        fmt = "extended"
    elif fmt == "none":
        fmt = next((name for name, hint in _HINTS.items() if file_system.startswith(hint)), "none")
    number = 0 if kind == "free" else int(said["number"])
    return Part(number, int(said["start"].rstrip("B")), int(said["end"].rstrip("B")) + 1, kind, fmt)


def place(table: Table, size: int, fmt: str) -> tuple[str, int, int, int]:
    """Choose where a new partition goes: its kind, number, first byte and the first after it. Raises: HostFailure."""
    numbers = {part.number for part in table.taken}
    logical = table.label == "msdos" and table.extended is not None and fmt != "extended"
    for inside in (True, False) if logical else (False,):
        if inside:
            number = max((n for n in numbers if n > _PRIMARY), default=_PRIMARY) + 1
        else:
            most = _PRIMARY if table.label == "msdos" else table.most
            number = next((n for n in range(1, most + 1) if n not in numbers), 0)
        if not number:
            continue
        # A logical partition's own table takes a sector before it.
        before = table.sector if inside else 0
        for unit in (_ALIGNED, table.sector):
            fitting = []
            for room in table.room(inside=inside):
                start = -(-(room.start + before) // unit) * unit
                if start + size <= room.end:
                    fitting.append((room.size, start))
            if fitting:
                start = min(fitting)[1]
                kind = "extended" if fmt == "extended" else "logical" if inside else "primary"
                return kind, number, start, start + size
    raise broken("no large enough free extent")


def name_of(device: str, number: int, separator: bool | None) -> str:
    """Name a partition's device as the kernel does."""
    base = Path(os.path.realpath(device)).name
    return f"{base}{'p' if separator or (separator is None and base[-1:].isdigit()) else ''}{number}"


class Disk(Fixed):
    """Disks with a partition table."""

    type = "disk"

    async def active(self, pool: Pool) -> bool:
        """Say whether its disk is there, with the table that the document names."""
        try:
            await self.start(pool)
        except DomicileError:
            return False
        return True

    async def start(self, pool: Pool) -> None:
        """Look whether the disk has the table that the document names."""
        device = pool.device_paths[0]
        await asyncio.to_thread(devices.require, device)
        label, wanted = (await _table(device)).label, _format(pool)
        if label == "unknown":
            raise unprobed(f"Device '{device}' is unrecognized, requires build")
        if wanted not in ("unknown", "") and _TABLES.get(wanted, wanted) != label:
            words = f"Format of device '{device}' ('{label}') does not match the expected format '{wanted}'"
            raise unprobed(f"{words}, forced overwrite is necessary")

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make an empty table; unless it shall be overwritten, only where nothing is on the disk."""
        device, fmt = pool.device_paths[0], _format(pool)
        if fmt not in _MADE:
            raise unsupported(f"a table of the format '{fmt}' cannot be made; accepted: {', '.join(_MADE)}")
        if not await asyncio.to_thread(Path(device).is_block_device):
            raise unprobed(f"Failed to create filesystem probe for device {device}")
        if not overwrite:
            await devices.empty(device, "dos" if fmt == "unknown" else fmt)
        await programs.run(["parted", "-s", "--", device, "mklabel", _TABLES.get(fmt, fmt)])

    async def delete(self, pool: Pool) -> None:
        """Remove the table; what was in the partitions is lost with it."""
        device = pool.device_paths[0]
        await asyncio.to_thread(devices.require, device)
        await asyncio.to_thread(_clear, device)

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the partitions, and the room between them."""
        device = pool.device_paths[0]
        table = await _table(device)
        return await asyncio.to_thread(_view, pool, device, table)

    async def create(self, pool: Pool, order: Order) -> Made:
        """Make a partition; whatever goes wrong with it, it does not stay."""
        volume, device = order.volume, pool.device_paths[0]
        if volume.encryption is not None and order.key is None:
            raise unsupported("an encrypted volume needs a <secret>")
        if volume.encryption is not None and volume.encryption.format not in ("luks", "default"):
            raise unsupported(
                f"partitions are encrypted as 'luks', not '{volume.encryption.format}'", CONFIG_UNSUPPORTED
            )
        table = await _table(device)
        size = max(table.sector, -(-volume.amounts()[0] // table.sector) * table.sector)
        kind, number, start, end = place(table, size, volume.format)
        expected = name_of(device, number, pool.source.device[0].part_separator if pool.source else None)
        if volume.name != expected:
            words = f"invalid partition name '{volume.name}', expected '{expected}'"
            raise InvalidRequest(words, code=INVALID_ARG, domain=FROM_STORAGE)
        hint = [_HINTS[volume.format]] if volume.format in _HINTS else []
        try:
            await _parted(device, "unit", "B", "mkpart", kind, *hint, f"{start}B", f"{end - 1}B")
            if volume.format in _FLAGS:
                await _parted(device, "set", str(number), _FLAGS[volume.format], "on")
            path = f"/dev/{expected}"
            await devices.appear(path)
            if kind != "extended" and (order.source is not None or order.key is not None):
                await images.write_into(order, path)
            found = (await self.look(pool, sweep=False)).volumes[expected]
        except BaseException:
            # Only what is exactly this partition goes, should another have come meanwhile.
            for part in (await _table(device)).taken:
                if (part.number, part.start) == (number, start):
                    await _parted(device, "rm", str(number))
            raise
        if found.target is not None and volume.target is not None and volume.format not in ("none", ""):
            found.target.format = volume.target.format
        if found.target is not None and volume.encryption is not None:
            found.target.encryption = volume.encryption
        return Made(found)

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Remove a partition."""
        device = pool.device_paths[0]
        number = await asyncio.to_thread(_number, volume.path)
        await _parted(device, "rm", str(number))


def _format(pool: Pool) -> str:
    source = pool.source
    return (source.format.type if source is not None and source.format is not None else None) or "unknown"


async def _parted(device: str, *words: str) -> None:
    """Change a table to the byte, without parted's own idea of good places."""
    await programs.run(["parted", "-s", "-a", "none", "--", device, *words])


async def _table(device: str) -> Table:
    # A disk without a table makes it fail, and say so in JSON all the same.
    return read(await programs.ask(["parted", "-s", "-j", "--", device, "unit", "B", "print", "free"], accepted=(0, 1)))


def _view(pool: Pool, device: str, table: Table) -> View:
    view = View()
    separator = pool.source.device[0].part_separator if pool.source is not None else None
    for part in table.taken:
        name = name_of(device, part.number, separator)
        path = devices.lasting(f"/dev/{name}", pool.path)
        found = devices.volume(path, name, part.size)
        found.source = VolumeSource(device=[VolumeDevice(path=device, extent=[Extent(start=part.start, end=part.end)])])
        assert found.target is not None
        found.target.format = VolumeFormat(type=part.format)
        if part.kind == "extended":
            # All but a sector of it is the logical partitions'.
            found.allocation = bytes_of(0)
        view.volumes[name] = found
        if part.kind != "extended":
            view.allocation += part.size
    holder = table.extended
    for room in [*table.room(inside=False), *table.room(inside=True)]:
        view.free.append((room.start, room.end))
        view.available += room.size
    view.free.sort()
    view.capacity = max((part.end for part in table.parts), default=0)
    if holder is not None:
        view.capacity = max(view.capacity, holder.end)
    return view


def _number(path: str) -> int:
    """Say which partition a device is. Raises: HostFailure."""
    try:
        facts = Path(path).stat()
        home = devices.SYS / f"dev/block/{os.major(facts.st_rdev)}:{os.minor(facts.st_rdev)}"
        return int((home / "partition").read_text())
    except (OSError, ValueError):
        raise failed(f"cannot parse partition number from target '{path}'") from None


def _clear(device: str) -> None:
    """Overwrite where tables are: the beginning, and GPT's copy at the end."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        try:
            size = os.lseek(fd, 0, os.SEEK_END)
            for start in (0, max(0, size - _EDGE)):
                os.pwrite(fd, bytes(min(_EDGE, size - start)), start)
            os.fsync(fd)
            with suppress(OSError):  # a disk whose partitions are in use keeps them until they are let go
                fcntl.ioctl(fd, _REREAD)
        finally:
            os.close(fd)
    except OSError as error:
        raise failed(f"cannot clear the partition table of '{device}': {error.strerror}") from error
