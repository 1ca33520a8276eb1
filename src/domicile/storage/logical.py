"""Volume groups of LVM as pools, their logical volumes as volumes. The service calls it through `drivers`.

Source: lvm(8), lvs(8), lvcreate(8) of LVM 2.03.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from pathlib import Path

from domicile.base.errors import CONFIG_UNSUPPORTED
from domicile.storage import devices, exports, files, images, programs
from domicile.storage.driver import Made, Order, View
from domicile.storage.failure import broken, unsupported
from domicile.storage.parts import bytes_of
from domicile.storage.pool import Pool
from domicile.storage.volume import (
    Extent,
    Volume,
    VolumeBacking,
    VolumeDevice,
    VolumeSource,
    VolumeTarget,
)  # fmt: skip

_COLUMNS = "lv_name,origin,lv_uuid,devices,seg_size_pe,vg_extent_size,lv_size,lv_attr"
_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix")
_PART = "domicile-part-"
_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*\Z")
_DEVICE = re.compile(r"(.+)\((\d+)\)\Z")


def group(pool: Pool) -> str:
    """Name a pool's volume group. Raises: HostFailure where it can be none."""
    name = (pool.source.name if pool.source is not None else None) or pool.name or ""
    if not _NAME.match(name):
        raise broken(f"'{name}' cannot be the name of a volume group: letters, digits and + _ . - are accepted")
    return name


class Logical:
    """Volume groups. It keeps the names of volumes that it is filling, so that a look does not take them for left over."""

    def __init__(self) -> None:
        self._filling: set[str] = set()

    async def active(self, pool: Pool) -> bool:
        """Say whether any volume of the group is ready."""
        said = await _ask("lvs", "lv", "lv_attr", group(pool), accepted=(0, 3, 5))
        return any(each.get("lv_attr", "")[4:5] == "a" for each in said)

    async def start(self, pool: Pool) -> None:
        """Make the group's volumes ready."""
        name, found = group(pool), await _groups()
        if name not in found:
            raise unsupported(f"cannot find logical volume group name '{name}'", CONFIG_UNSUPPORTED)
        await programs.run(["vgchange", "-aly", group(pool)])

    async def stop(self, pool: Pool) -> None:
        """Let the group's volumes go."""
        await programs.run(["vgchange", "-aln", group(pool)])

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make the group of its devices."""
        parts = pool.device_paths
        if not parts:
            raise broken(f"pool '{pool.name}' names no device that a volume group could be made of")
        for device in parts:
            if not overwrite:
                await devices.empty(device, "LVM2_member")
            await programs.run(["pvcreate", *(["-ff", "-y"] if overwrite else []), device])
        try:
            await programs.run(["vgcreate", group(pool), *parts])
        except BaseException:
            for device in parts:
                await programs.run(["pvremove", device], accepted=tuple(range(256)))
            raise

    async def delete(self, pool: Pool) -> None:
        """Remove the group and let its devices go."""
        await programs.run(["vgremove", "-f", group(pool)])
        for device in pool.device_paths:
            await programs.run(["pvremove", device])

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the group's volumes."""
        said = await _ask("lvs", "lv", _COLUMNS, group(pool))
        parts = {row["lv_name"] for row in said if row.get("lv_name", "").startswith(_PART)}
        for name in sorted(parts - self._filling) if sweep else ():
            # One that somebody still has open is not removed.
            await programs.run(["lvremove", "-f", f"{group(pool)}/{name}"], accepted=tuple(range(256)))
        said = [row for row in said if row.get("lv_name") not in parts]
        view = View()
        view.capacity, view.allocation, view.available = await self.figures(pool)
        await asyncio.to_thread(_collect, pool, said, view)
        return view

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Ask the group."""
        said = await _ask("vgs", "vg", "vg_size,vg_free", group(pool))
        try:
            size, free = (int(said[0][column]) for column in ("vg_size", "vg_free"))
        except (IndexError, KeyError, ValueError):
            raise broken(f"vgs said of '{group(pool)}' no two numbers") from None
        return size, size - free, free

    async def sources(self, spec: str | None) -> str:
        """List the volume groups of this host."""
        return exports.groups(await _groups())

    async def renew(self, pool: Pool, volume: Volume) -> Volume:
        """Find one volume again."""
        found = (await self.look(pool, sweep=False)).volumes.get(volume.name or "")
        if found is None:
            raise broken(f"volume '{volume.name}' is not in group '{group(pool)}' any more")
        found.target = volume.target if found.target is None else found.target
        return found

    async def create(self, pool: Pool, order: Order) -> Made:
        """Make a logical volume; whatever goes wrong, it does not stay."""
        volume = order.volume
        assert volume.target is not None
        name = volume.name or ""
        if not _NAME.match(name) or name in (".", ".."):
            raise broken(f"'{name}' cannot be the name of a logical volume: letters, digits and + _ . - are accepted")
        if volume.encryption is not None and order.key is None:
            raise unsupported("an encrypted volume needs a <secret>")
        capacity, taken, _ = volume.amounts()
        filled = order.source is not None or order.key is not None
        # One that is yet to be filled gets its name when it is whole; the next look removes what a crash left.
        first = f"{_PART}{uuid.uuid4().hex[:12]}" if filled else name
        words = ["lvcreate", "--yes", "--wipesignatures", "y", "--name", first]
        below = volume.backingStore
        if below is not None:
            words += ["-s", below.path or "", "-L", f"{capacity}b"]
        elif volume.allocation is not None and 0 < taken < capacity:
            words += ["-L", f"{taken}b", "--virtualsize", f"{capacity}b", group(pool)]
        else:
            words += ["-L", f"{capacity}b", group(pool)]
        self._filling.add(first)
        try:
            await programs.run(words)
            return Made(await self._fill(pool, order, first, name))
        finally:
            self._filling.discard(first)

    async def _fill(self, pool: Pool, order: Order, first: str, name: str) -> Volume:
        """Fill a new volume, where that is asked for, and give it its name."""
        volume = order.volume
        assert volume.target is not None
        path = volume.target.path = volume.key = f"{pool.path}/{name}"
        try:
            if first != name:
                await images.write_into(order, f"{pool.path}/{first}")
                await programs.run(["lvrename", group(pool), first, name])
                first = name
            rights = volume.target.permissions
            await asyncio.to_thread(_give, path, rights.owner if rights else None, rights.group if rights else None)
            return await self.renew(pool, volume)
        except BaseException:
            await programs.run(["lvremove", "-f", f"{group(pool)}/{first}"], accepted=tuple(range(256)))
            raise

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Remove a logical volume."""
        await programs.run(["lvremove", "-f", f"{group(pool)}/{volume.name}"])

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Give a logical volume another size."""
        words = ["lvresize", "--force", "-L", f"{capacity}b", f"{group(pool)}/{volume.name}"]
        await programs.run(words)


def _give(path: str, owner: int | None, group_id: int | None) -> None:
    os.chown(path, -1 if owner is None else owner, -1 if group_id is None else group_id)


async def _groups() -> dict[str, list[str]]:
    """List the volume groups of this host, each with its devices."""
    found: dict[str, list[str]] = {}
    for each in await _ask("pvs", "pv", "pv_name,vg_name", accepted=(0, 5)):
        if each.get("vg_name"):
            found.setdefault(each["vg_name"], []).append(each["pv_name"])
    return found


async def _ask(
    program: str, kind: str, columns: str, *names: str, accepted: tuple[int, ...] = (0,)
) -> list[dict[str, str]]:
    """Ask LVM for a report; the rows of it. Raises: HostFailure."""
    said = await programs.ask([program, *_REPORT, "-o", columns, *names], accepted=accepted)
    try:
        return [row for part in said["report"] for row in part.get(kind, ())]
    except (KeyError, TypeError, AttributeError):
        raise broken(f"the report of {program} cannot be followed") from None


def _collect(pool: Pool, said: list[dict[str, str]], view: View) -> None:
    """Read what lvs said: a row a segment, several for a volume that lies in pieces."""
    for row in said:
        name, origin, uuid, devices, extents, extent, size, attributes = (
            row.get(column, "") for column in _COLUMNS.split(",")
        )
        # Snapshots' own parts, thin pools and what LVM keeps for itself are no volumes. Source: lvs(8), lv_attr.
        if attributes[:1] in ("t", "e", "l", "T", "I") or name.startswith("["):
            continue
        volume = view.volumes.get(name)
        if volume is None:
            path = f"{pool.path}/{name}"
            measured = files.measure(path, name) if attributes[4:5] == "a" else None
            target = (
                measured.target if measured is not None and measured.target is not None else VolumeTarget(path=path)
            )
            target.format = None
            volume = view.volumes[name] = Volume(
                type="block", name=name, key=uuid, source=VolumeSource(), capacity=bytes_of(int(size)),
                allocation=bytes_of(int(size)), target=target,
            )  # fmt: skip
            if origin and attributes[:1] not in ("V",):
                below = origin.strip("[]")
                volume.backingStore = VolumeBacking(path=f"{Path(pool.path)}/{below}")
        length = int(extents) * int(extent)
        for device in devices.split(","):
            found = _DEVICE.match(device)
            if found is not None and volume.source is not None:
                start = int(found.group(2)) * int(extent)
                part = Extent(start=start, end=start + length)
                volume.source.device.append(VolumeDevice(path=found.group(1), extent=[part]))
