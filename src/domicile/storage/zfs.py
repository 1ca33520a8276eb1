"""ZFS pools as pools, their ZVOLs as volumes. The service calls it through `drivers`.

Source: zpool-list(8), zfs-list(8), zfs-create(8) of OpenZFS 2; its JSON is newer than what hosts have, -H -p is made to be read.
"""

from __future__ import annotations

import re

from domicile.storage import devices, images, programs
from domicile.storage.driver import Fixed, Made, Order, View
from domicile.storage.failure import broken, built, unsupported, wrong_state
from domicile.storage.parts import bytes_of
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume, VolumeTarget

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]*(/[A-Za-z0-9][A-Za-z0-9_.:-]*)*\Z")
_BLOCK = 8192


def dataset(pool: Pool) -> str:
    """Name the pool, or the data set in it. Raises: HostFailure."""
    name = (pool.source.name if pool.source is not None else None) or pool.name or ""
    if not _NAME.match(name):
        raise broken(f"'{name}' cannot be the name of a ZFS pool or data set")
    return name


class Zfs(Fixed):
    """Pools of ZFS."""

    type = "zfs"

    async def active(self, pool: Pool) -> bool:
        """Say whether the pool is imported."""
        said = await programs.run(["zpool", "list", "-Hp", "-o", "name", _root(pool)], accepted=(0, 1))
        return said.strip() == _root(pool)

    async def start(self, pool: Pool) -> None:
        """Refuse: the host imports its pools itself."""
        raise wrong_state(f"the ZFS pool '{_root(pool)}' is not imported on this host")

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make a ZFS pool of the devices."""
        if not pool.device_paths:
            raise wrong_state("Failed to build zfs pool: no devices specified")
        if await self.active(pool):
            raise built(f"the ZFS pool '{_root(pool)}' is there")
        forced = ["-f"] if overwrite else []
        await programs.run(["zpool", "create", *forced, "--", _root(pool), *pool.device_paths])

    async def delete(self, pool: Pool) -> None:
        """Destroy the ZFS pool."""
        await programs.run(["zpool", "destroy", "--", _root(pool)])

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the ZVOLs."""
        name = dataset(pool)
        view = View()
        view.capacity, view.allocation, view.available = await self.figures(pool)
        words = ["zfs", "list", "-Hp", "-t", "volume", "-r", "-o", "name,volsize,refreservation", "--", name]
        for each, size, taken in volumes(await programs.run(words), name):
            view.volumes[each] = _volume(name, each, size, taken)
        return view

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Ask ZFS."""
        said = await programs.run(["zpool", "list", "-Hp", "-o", "size,allocated,free", "--", _root(pool)])
        try:
            size, taken, free = (int(part) for part in said.split())
        except ValueError:
            raise broken(f"zpool said of '{_root(pool)}' what is no three numbers: {said.strip()[:200]}") from None
        return size, taken, free

    async def create(self, pool: Pool, order: Order) -> Made:
        """Make a ZVOL; whatever goes wrong with it, it does not stay."""
        volume, name = order.volume, f"{dataset(pool)}/{order.volume.name}"
        if not _NAME.match(name):
            raise broken(f"'{volume.name}' cannot be the name of a ZVOL")
        if volume.encryption is not None and order.key is None:
            raise unsupported("an encrypted volume needs a <secret>")
        capacity, taken, _ = volume.amounts()
        capacity = max(_BLOCK, -(-capacity // _BLOCK) * _BLOCK)
        sparse = ["-s"] if volume.allocation is not None and taken < capacity else []
        held = ["-o", f"refreservation={taken}"] if sparse and taken else []
        await programs.run(["zfs", "create", *sparse, *held, "-V", str(capacity), "--", name])
        try:
            path = f"/dev/zvol/{name}"
            if order.source is not None or order.key is not None:
                await devices.appear(path)
                await images.write_into(order, path)
            return Made(await self.renew(pool, volume))
        except BaseException:
            await programs.run(["zfs", "destroy", "--", name], accepted=tuple(range(256)))
            raise

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Destroy a ZVOL."""
        await programs.run(["zfs", "destroy", "--", f"{dataset(pool)}/{volume.name}"])

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Give a ZVOL another size."""
        size = -(-capacity // _BLOCK) * _BLOCK
        await programs.run(["zfs", "set", f"volsize={size}", "--", f"{dataset(pool)}/{volume.name}"])


def _root(pool: Pool) -> str:
    return dataset(pool).split("/", 1)[0]


def volumes(said: str, name: str) -> list[tuple[str, int, int]]:
    """Read names, sizes and what is set aside from what zfs listed. Raises: HostFailure."""
    found = []
    for line in said.splitlines():
        try:
            whole, size, held = line.split("\t")
            taken = int(held) if held.isdigit() else 0
            found.append((whole.removeprefix(f"{name}/"), int(size), taken))
        except ValueError:
            raise broken(f"zfs listed what cannot be followed: {line[:200]}") from None
    return found


def _volume(pool: str, name: str, size: int, taken: int) -> Volume:
    path = f"/dev/zvol/{pool}/{name}"
    return Volume(
        type="block", name=name, key=path, capacity=bytes_of(size), allocation=bytes_of(taken), physical=bytes_of(size),
        target=VolumeTarget(path=path),
    )  # fmt: skip
