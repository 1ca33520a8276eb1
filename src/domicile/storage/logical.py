"""Volume groups of LVM as pools, their logical volumes as volumes. The service calls it through `drivers`.

Source: lvm(8), lvs(8), lvcreate(8) of LVM 2.03.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from domicile.storage import exports, files, images, programs
from domicile.storage.driver import Made, Order, View
from domicile.storage.failure import broken, unsupported, wrong_state
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
_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*\Z")
_DEVICE = re.compile(r"(.+)\((\d+)\)\Z")


def group(pool: Pool) -> str:
    """Name a pool's volume group. Raises: HostFailure where it can be none."""
    name = (pool.source.name if pool.source is not None else None) or pool.name or ""
    if not _NAME.match(name):
        raise broken(f"'{name}' cannot be the name of a volume group: letters, digits and + _ . - are accepted")
    return name


class Logical:
    """Volume groups."""

    async def active(self, pool: Pool) -> bool:
        """Say whether any volume of the group is ready."""
        said = await _ask("lvs", "lv", "lv_attr", group(pool), accepted=(0, 3, 5))
        return any(each.get("lv_attr", "")[4:5] == "a" for each in said)

    async def start(self, pool: Pool) -> None:
        """Make the group's volumes ready."""
        await programs.run(["vgchange", "-aly", group(pool)])

    async def stop(self, pool: Pool) -> None:
        """Let the group's volumes go."""
        await programs.run(["vgchange", "-aln", group(pool)])

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make the group of its devices."""
        devices = pool.device_paths
        if not devices:
            raise wrong_state(f"pool '{pool.name}' names no device that a volume group could be made of")
        for device in devices:
            if not overwrite:
                known = await programs.run(["blkid", "-p", "-o", "export", device], accepted=(0, 2))
                if known.strip():
                    words = f"there is something on '{device}' already; it would only be lost with the overwrite flag"
                    raise wrong_state(words)
            await programs.run(["pvcreate", *(["-ff", "-y"] if overwrite else []), device])
        try:
            await programs.run(["vgcreate", group(pool), *devices])
        except BaseException:
            for device in devices:
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
        found: dict[str, list[str]] = {}
        for each in await _ask("pvs", "pv", "pv_name,vg_name", accepted=(0, 5)):
            if each.get("vg_name"):
                found.setdefault(each["vg_name"], []).append(each["pv_name"])
        return exports.groups(found)

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
        words = ["lvcreate", "--yes", "--wipesignatures", "y", "--name", name]
        below = volume.backingStore
        if below is not None:
            words += ["-s", below.path or "", "-L", f"{capacity}b"]
        elif volume.allocation is not None and 0 < taken < capacity:
            words += ["-L", f"{taken}b", "--virtualsize", f"{capacity}b", group(pool)]
        else:
            words += ["-L", f"{capacity}b", group(pool)]
        await programs.run(words)
        path = volume.target.path = volume.key = f"{pool.path}/{name}"
        try:
            if order.source is not None or order.key is not None:
                await images.write_into(order, path)
            rights = volume.target.permissions
            await asyncio.to_thread(_give, path, rights.owner if rights else None, rights.group if rights else None)
            return Made(await self.renew(pool, volume))
        except BaseException:
            await programs.run(["lvremove", "-f", f"{group(pool)}/{name}"], accepted=tuple(range(256)))
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
