"""Ceph's pools as pools, their images as volumes. The service calls it through `drivers`.

Source: rbd(8) and ceph(8) of Ceph 16 to 18, and the JSON that they document.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from domicile.storage import programs
from domicile.storage.auth import Passwords
from domicile.storage.driver import Fixed, Made, Order, View
from domicile.storage.failure import broken, invalid, unsupported
from domicile.storage.parts import bytes_of
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume, VolumeFormat, VolumeTarget

_MIB = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_][^/@\s]*\Z")
_OPTION = re.compile(r"[a-z][a-z0-9_]*\Z")


@contextmanager
def _key(value: bytes | None) -> Iterator[tuple[list[str], list[int]]]:
    """Put a key into a file in memory; give the words for it and the descriptor they need."""
    if value is None:
        yield [], []
        return
    fd = os.memfd_create("domicile-ceph", os.MFD_CLOEXEC)
    try:
        os.write(fd, value)
        yield ["--keyfile", f"/dev/fd/{fd}"], [fd]
    finally:
        os.close(fd)


def pool_of(pool: Pool) -> str:
    """Name the pool in Ceph. Raises: InvalidRequest."""
    name = (pool.source.name if pool.source is not None else None) or ""
    if not _NAME.match(name):
        raise invalid(f"'{name}' cannot be the name of a pool of Ceph")
    return name


def who(pool: Pool) -> list[str]:
    """Say which monitors are asked, as whom, and with which settings. Raises: InvalidRequest."""
    source = pool.source
    assert source is not None
    hosts = []
    for host in source.host:
        name = (
            f"[{host.name}]" if ":" in (host.name or "") and not (host.name or "").startswith("[") else host.name or ""
        )
        hosts.append(f"{name}:{host.port}" if host.port else name)
    words = [f"--mon_host={','.join(hosts)}"] if hosts else []
    if source.auth is not None:
        words += ["--id", source.auth.username or ""]
    options: Any = pool.config_opts if pool.config_opts is not None else ()
    for option in options:
        name, value = option.get("name") or "", option.get("value") or ""
        if not _OPTION.match(name):
            raise invalid(f"'{name}' cannot be the name of a setting of Ceph's client")
        words.append(f"--{name}={value}")
    return words


class Rbd(Fixed):
    """Pools of a Ceph cluster."""

    type = "rbd"

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def _value(self, pool: Pool) -> bytes | None:
        auth = pool.source.auth if pool.source is not None else None
        return await self._passwords.of(auth) if auth is not None else None

    async def _ask(self, pool: Pool, program: str, *words: str) -> Any:
        with _key(await self._value(pool)) as (keys, fds):
            return await programs.ask([program, *who(pool), *keys, "--format", "json", *words], fds=fds)

    async def _run(self, pool: Pool, *words: str, deadline: float = programs.SHORT) -> None:
        with _key(await self._value(pool)) as (keys, fds):
            await programs.run(["rbd", *who(pool), *keys, "--no-progress", *words], fds=fds, deadline=deadline)

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the pool's images."""
        name = pool_of(pool)
        view = View()
        view.capacity, view.allocation, view.available = await self.figures(pool)
        for each in images(await self._ask(pool, "rbd", "ls", "--long", "--", name)):
            view.volumes[each[0]] = _volume(name, *each)
        return view

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Ask the cluster."""
        return figures(await self._ask(pool, "ceph", "df"), pool_of(pool))

    async def create(self, pool: Pool, order: Order) -> Made:
        """Make an image, or a copy of one."""
        volume, source, name = order.volume, order.source, pool_of(pool)
        if not _NAME.match(volume.name or ""):
            raise invalid(f"'{volume.name}' cannot be the name of an image of Ceph")
        if volume.encryption is not None or volume.backingStore is not None:
            raise unsupported("an image of Ceph is made without encryption and backing images")
        if volume.format != "raw":
            raise unsupported("only RAW volumes are supported by this storage pool")
        image = f"{name}/{volume.name}"
        size = f"{-(-volume.amounts()[0] // _MIB)}M"
        if source is None:
            await self._run(pool, "create", "--size", size, "--", image)
        elif source.type == "network":
            await self._run(pool, "cp", "--", source.path, image, deadline=programs.LONG)
        elif source.format in ("raw", "") and source.encryption is None:
            await self._run(pool, "import", "--", source.path, image, deadline=programs.LONG)
        else:
            raise unsupported(
                f"an image of Ceph is copied from another, or from a raw volume, not from '{source.format}'"
            )
        return Made(await self.renew(pool, volume))

    async def renew(self, pool: Pool, volume: Volume) -> Volume:
        """Ask for one image again."""
        name = pool_of(pool)
        said = await self._ask(pool, "rbd", "info", "--", f"{name}/{volume.name}")
        try:
            return _volume(name, volume.name or "", int(said["size"]))
        except (KeyError, TypeError, ValueError):
            raise broken(f"rbd's answer of the image '{name}/{volume.name}' has no size") from None

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Remove an image."""
        await self._run(pool, "rm", "--", f"{pool_of(pool)}/{volume.name}", deadline=programs.LONG)

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Give an image another size."""
        smaller = ["--allow-shrink"] if capacity < volume.amounts()[0] else []
        size = f"{-(-capacity // _MIB)}M"
        await self._run(pool, "resize", *smaller, "--size", size, "--", f"{pool_of(pool)}/{volume.name}")


def images(said: Any) -> list[tuple[str, int]]:
    """Read names and bytes from what rbd listed; snapshots are no volumes. Raises: HostFailure."""
    try:
        return [(each["image"], int(each["size"])) for each in said if "snapshot" not in each]
    except (KeyError, TypeError, ValueError):
        raise broken("rbd's list cannot be followed") from None


def figures(said: Any, name: str) -> tuple[int, int, int]:
    """Read the bytes in all, taken by a pool, and free. Raises: HostFailure."""
    try:
        pools: Sequence[Any] = said["pools"]
        mine = next(each["stats"] for each in pools if each["name"] == name)
        whole = said["stats"]
        return int(whole["total_bytes"]), int(mine["bytes_used"]), int(whole["total_avail_bytes"])
    except StopIteration:
        raise broken(f"the cluster has no pool '{name}'") from None
    except (KeyError, TypeError, ValueError):
        raise broken("ceph's figures cannot be followed") from None


def _volume(pool: str, name: str, size: int) -> Volume:
    path = f"{pool}/{name}"
    return Volume(
        type="network", name=name, key=path, capacity=bytes_of(size), allocation=bytes_of(size), physical=bytes_of(size),
        target=VolumeTarget(path=path, format=VolumeFormat(type="raw")),
    )  # fmt: skip
