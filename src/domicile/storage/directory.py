"""Pools whose volumes are files of a directory: plain ones, and those on a file system that is mounted first.

The service calls it through `drivers`.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from domicile.base.errors import NO_SUPPORT, HostFailure
from domicile.storage import devices, files, images, programs, whole
from domicile.storage.driver import Made, Order, View
from domicile.storage.failure import conflict, failed, invalid, unsupported, wrong_state
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume, VolumeTarget

_DEFAULT_MODE = 0o711
_MOUNTS = Path("/proc/self/mounts")


class Directory:
    """Plain directories."""

    # The directory.

    async def active(self, pool: Pool) -> bool:
        """Say whether the directory is there."""
        return await asyncio.to_thread(Path(pool.path).is_dir)

    async def start(self, pool: Pool) -> None:
        """Nothing needs doing: looking through it tells whether it can be read."""
        absolute(pool)

    async def stop(self, pool: Pool) -> None:
        """Nothing needs doing."""

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make the directory; one that is there gets the rights that the document names."""
        if overwrite is not None:
            raise wrong_state(f"No source device specified when formatting pool '{pool.name}'")
        absolute(pool)
        await asyncio.to_thread(_make, pool)

    async def delete(self, pool: Pool) -> None:
        """Remove the directory, which must be empty."""
        await asyncio.to_thread(_unmake, pool)

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List what is in it."""
        return await asyncio.to_thread(_look, pool, sweep)

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Ask the file system."""
        return await asyncio.to_thread(_figures, pool.path)

    async def sources(self, spec: str | None) -> str:
        """Refuse: any directory could be one."""
        raise unsupported("pool type 'dir' does not support source discovery", NO_SUPPORT)

    # Its files.

    async def renew(self, pool: Pool, volume: Volume) -> Volume:
        """Measure a file again."""
        return await asyncio.to_thread(files.renew, volume)

    async def create(self, pool: Pool, order: Order) -> Made:
        """Make a file."""
        volume = order.volume
        assert volume.target is not None
        images.check(order)
        below = volume.backingStore
        if below is not None and not await asyncio.to_thread(os.access, below.path or "", os.R_OK):
            raise failed(f"inaccessible backing store volume {below.path}: No such file or directory")
        if order.plain:
            return await asyncio.to_thread(_make_raw, pool, volume)
        draft = await asyncio.to_thread(files.Draft, pool.path, volume.name or "")
        try:
            await _fill(order, draft)
            return await asyncio.to_thread(_place, pool, volume, draft)
        except HostFailure as error:
            words = error.message.replace(draft.path, draft.final)
            raise HostFailure(words, code=error.wire_code, domain=error.wire_domain) from error
        finally:
            await asyncio.to_thread(draft.end)

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Remove a file."""
        if volume.type not in ("file", "dir"):
            words = f"removing block or network volumes is not supported: {volume.path}"
            raise unsupported(words, NO_SUPPORT)
        await asyncio.to_thread(files.remove, volume.path)

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Give a file's image another size."""
        if volume.type == "dir":
            raise unsupported(f"volume '{volume.name}' is a directory, which has no size", NO_SUPPORT)
        if volume.format in ("raw", "iso") and volume.encryption is None:
            await asyncio.to_thread(files.resize_raw, volume.path, capacity, taken=taken)
        else:
            await images.resize(volume, capacity, taken=taken, key=key)


def _make_raw(pool: Pool, volume: Volume) -> Made:
    capacity, allocation, _ = volume.amounts()
    taken = allocation if volume.allocation is not None else capacity
    rights = volume.target.permissions if volume.target is not None else None
    made = whole.make_raw(pool.path, volume.name or "", max(capacity, taken), taken, rights)
    # What the document says besides stays said.
    volume.target = volume.target or VolumeTarget()
    volume.target.path = made.path
    return Made(files.told(volume, made), _figures(pool.path))


def _place(pool: Pool, volume: Volume, draft: files.Draft) -> Made:
    assert volume.target is not None
    draft.place(volume.target.permissions)
    volume.target.path = volume.key = draft.final
    return Made(files.renew(volume), _figures(pool.path))


async def _fill(order: Order, draft: files.Draft) -> None:
    volume = order.volume
    if order.reflink:
        if order.source is None or order.source.format != volume.format:
            raise invalid("a copy that shares its blocks has its source's format")
        await asyncio.to_thread(files.reflink, order.source.path, draft.path)
    elif order.source is not None:
        await images.copy(order, draft.path)
    elif volume.format == "dir":
        await asyncio.to_thread(os.mkdir, draft.path, 0o700)
    else:
        await images.create(order, draft.path)


def absolute(pool: Pool) -> None:
    """Look whether a pool says where on the host it is. Raises: InvalidRequest."""
    if not pool.path.startswith("/"):
        raise invalid(f"the target path '{pool.path}' of pool '{pool.name}' is not absolute")


def _make(pool: Pool) -> None:
    rights = pool.target.permissions if pool.target is not None else None
    path = Path(pool.path)
    try:
        there = path.is_dir()
        if not there:
            # With its rights from the beginning: one that is there keeps those it has.
            path.mkdir(mode=_DEFAULT_MODE if rights is None or rights.mode is None else rights.mode, parents=True)
        mode = rights.mode if rights is not None and rights.mode is not None else None if there else _DEFAULT_MODE
        if rights is not None and (rights.owner is not None or rights.group is not None):
            owner = -1 if rights.owner is None else rights.owner
            os.chown(path, owner, -1 if rights.group is None else rights.group)
        if mode is not None:
            path.chmod(mode)
    except OSError as error:
        raise failed(f"cannot create path '{pool.path}': {error.strerror}") from error


def _unmake(pool: Pool) -> None:
    try:
        Path(pool.path).rmdir()
    except OSError as error:
        raise failed(f"failed to remove pool '{pool.path}': {error.strerror}") from error


def _figures(path: str) -> tuple[int, int, int]:
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise failed(f"cannot statvfs path '{path}': {error.strerror}") from error
    capacity, free = found.f_blocks * found.f_frsize, found.f_bfree * found.f_frsize
    return capacity, capacity - free, free


def _look(pool: Pool, sweep: bool) -> View:
    path = pool.path
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208  names are all that is needed
        if sweep:
            files.sweep(path, names)
        facts = Path(path).stat()
    except OSError as error:
        raise failed(f"cannot open directory '{path}': {error.strerror}") from error
    view = View(permissions=files.rights(facts))
    view.capacity, view.allocation, view.available = _figures(path)
    for name in names:
        if name.startswith(files.PART) or not name.isprintable():
            continue
        found = files.measure(f"{path}/{name}", name)
        if found is not None:
            view.volumes[name] = found
    return view


class Mounted(Directory):
    """Directories on which a file system of a device or of a server is mounted."""

    async def active(self, pool: Pool) -> bool:
        """Say whether it is mounted."""
        return await asyncio.to_thread(_mounted, pool)

    async def start(self, pool: Pool) -> None:
        """Mount it."""
        absolute(pool)
        source = _source(pool)
        held = await asyncio.to_thread(_what_is_at, pool.path)
        if held == source:
            return
        if held is not None:
            raise conflict(f"'{held}' is mounted at '{pool.path}', where pool '{pool.name}' would be")
        options = ["nodev", "nosuid", "noexec", *pool.options()]
        fmt = pool.source.format.type if pool.source is not None and pool.source.format is not None else "auto"
        version = pool.source.protocol.ver if pool.source is not None and pool.source.protocol is not None else None
        if version:
            options.append(f"nfsvers={version}")
        if fmt == "glusterfs":
            options.append("direct-io-mode=1")
        if fmt == "cifs":
            options.append("guest")
        kind = [] if fmt == "auto" and pool.type == "netfs" else ["-t", fmt or "auto"]
        await programs.run(["mount", "-o", ",".join(options), *kind, source, pool.path])

    async def stop(self, pool: Pool) -> None:
        """Unmount it."""
        if await asyncio.to_thread(_mounted, pool):
            await programs.run(["umount", pool.path])

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make the directory, and a file system where that is asked for."""
        absolute(pool)
        await asyncio.to_thread(_make, pool)
        if overwrite is None:
            return
        if pool.type != "fs":
            raise unsupported(f"a file system of a server (pool '{pool.name}') cannot be made from here", NO_SUPPORT)
        device = pool.device_paths[0]
        if not await asyncio.to_thread(Path(device).exists):
            raise wrong_state(f"Source device does not exist when formatting pool '{pool.name}'")
        fmt = pool.source.format.type if pool.source is not None and pool.source.format is not None else None
        if fmt in (None, "auto"):
            raise unsupported(
                f"pool '{pool.name}' says no format of a file system to be made; ext4 or xfs would be accepted"
            )
        if not overwrite:
            await devices.empty(device, fmt or "")
        forced = ["-f"] if fmt == "xfs" else ["-F"] if fmt in ("ext2", "ext3", "ext4") else []
        await programs.run([f"mkfs.{fmt}", *forced, device], deadline=programs.LONG)

    async def sources(self, spec: str | None) -> str:
        """Ask a server what it exports."""
        from domicile.storage.exports import exports

        return await exports(spec)


def _source(pool: Pool) -> str:
    source = pool.source
    if pool.type == "fs" or source is None:
        return pool.device_paths[0]
    host, directory = source.host[0].name, source.dir.path if source.dir is not None else ""
    if source.format is not None and source.format.type == "cifs":
        return f"//{host}{directory}"
    return f"{host}:{directory}"


def _mounted(pool: Pool) -> bool:
    return _what_is_at(pool.path) is not None


def _what_is_at(path: str) -> str | None:
    """Say what is mounted at a path."""
    wanted, found = os.path.realpath(path), None
    for line in _MOUNTS.read_text().splitlines():
        what, where = line.split(" ")[:2]
        if where.encode().decode("unicode_escape") == wanted:
            found = what.encode().decode("unicode_escape")
    return found
