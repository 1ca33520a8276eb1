"""What a driver of one type of pool can do, and the answer where there is none. The service calls drivers.

A driver keeps nothing: it is given the pool's document and looks at the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from domicile.base.errors import INTERNAL_ERROR, NO_SUPPORT, Unsupported
from domicile.storage import programs
from domicile.storage.failure import no_volume, unsupported
from domicile.storage.parts import Permissions
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume


@dataclass(slots=True)
class View:
    """A pool as it was found: bytes in all and free, who may open its directory, its volumes by name.

    `free` are the parts of its device that no volume has: where each begins and ends, in bytes.
    """

    capacity: int = 0
    available: int = 0
    allocation: int = 0
    permissions: Permissions | None = None
    volumes: dict[str, Volume] = field(default_factory=dict)
    free: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Order:
    """A volume to be made; a copy of `source` where there is one. Passphrases are by the secret's reference."""

    volume: Volume
    source: Volume | None = None
    metadata: bool = False
    reflink: bool = False
    key: bytes | None = field(default=None, repr=False)
    source_key: bytes | None = field(default=None, repr=False)

    @property
    def plain(self) -> bool:
        """Whether it is a raw volume that holds nothing yet."""
        volume = self.volume
        return volume.format == "raw" and volume.encryption is None and self.source is None and not self.reflink


class Made(NamedTuple):
    """A volume that was made; the pool's bytes in all, taken and free afterwards, where they were counted already."""

    volume: Volume
    figures: tuple[int, int, int] | None = None


class Driver(Protocol):
    """One type of pool. Methods raise HostFailure, Unsupported, WrongState."""

    async def active(self, pool: Pool) -> bool:
        """Say whether the host has it ready already."""

    async def start(self, pool: Pool) -> None:
        """Make it ready."""

    async def stop(self, pool: Pool) -> None:
        """Let it go."""

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Make what it is on: with `overwrite` whatever was there is lost, with False only where nothing is."""

    async def delete(self, pool: Pool) -> None:
        """Remove what it is on."""

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """Look through it; with `sweep` what was left half made goes."""

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Count the bytes in all, taken and free."""

    async def renew(self, pool: Pool, volume: Volume) -> Volume:
        """Measure one volume again."""

    async def create(self, pool: Pool, order: Order) -> Made:
        """Make a volume, whole or not at all."""

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Remove a volume."""

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Give a volume another size."""

    async def sources(self, spec: str | None) -> str:
        """List what could be pools of this type, as a document."""


#: The programs without which a type of pool is nothing, each with what to install where it is missing.
NEEDED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "disk": (("parted", "package parted"),),
    "iscsi": (("iscsiadm", "package open-iscsi"),),
    "iscsi-direct": (("iscsi-ls", "package libiscsi-bin"), ("iscsi-readcapacity16", "package libiscsi-bin")),
    "rbd": (("rbd", "package ceph-common"), ("ceph", "package ceph-common")),
    "zfs": (("zfs", "package zfsutils-linux"), ("zpool", "package zfsutils-linux")),
    "vstorage": (("vstorage-mount", "Virtuozzo's client"),),
}
#: Types that no version of Domicile works with, and what would do instead.
LACKING: Mapping[str, str] = {
    "sheepdog": "Sheepdog is not kept up any more; a pool of type 'rbd' would be accepted",
    "gluster": "Gluster's library (libgfapi) is not used by this version; a pool of type 'netfs' with format 'glusterfs' would be accepted",
}  # fmt: skip
#: Types that cannot be defined where their programs are missing, as with a libvirt that was built without them.
_OPTIONAL = frozenset({"iscsi-direct", "rbd", "sheepdog", "gluster", "zfs", "vstorage"})


def lacking(type: str) -> str | None:
    """Say what a type of pool lacks on this host; None where it can be worked with."""
    if type in LACKING:
        return f"pools of type '{type}': {LACKING[type]}"
    for program, where in NEEDED.get(type, ()):
        if not programs.there(program):
            return f"pools of type '{type}' need the program '{program}', which is not installed here ({where})"
    return None


def undefinable(type: str) -> str | None:
    """Say why no pool of a type can even be defined here; None where it can."""
    return lacking(type) if type in _OPTIONAL else None


class Fixed:
    """What drivers have in common whose volumes are made elsewhere: they refuse to change them."""

    type = ""

    async def active(self, pool: Pool) -> bool:
        """Say whether the host has it ready already."""
        return True

    async def start(self, pool: Pool) -> None:
        """Nothing needs doing: looking through it tells whether it can be read."""

    async def stop(self, pool: Pool) -> None:
        """Nothing needs doing."""

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Nothing needs doing."""

    async def delete(self, pool: Pool) -> None:
        """Refuse."""
        raise unsupported("pool does not support pool deletion", NO_SUPPORT)

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """Look through it."""
        raise NotImplementedError

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Count the bytes in all, taken and free."""
        view = await self.look(pool, sweep=False)
        return view.capacity, view.allocation, view.available

    async def renew(self, pool: Pool, volume: Volume) -> Volume:
        """Find one volume again."""
        found = (await self.look(pool, sweep=False)).volumes.get(volume.name or "")
        if found is None:
            raise no_volume(f"no storage vol with matching name '{volume.name}'")
        if found.target is not None and volume.target is not None and found.target.encryption is None:
            found.target.encryption = volume.target.encryption
        return found

    async def create(self, pool: Pool, order: Order) -> Made:
        """Refuse."""
        raise unsupported("storage pool does not support volume creation", NO_SUPPORT)

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Refuse."""
        raise unsupported("storage pool does not support vol deletion", NO_SUPPORT)

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Refuse."""
        raise unsupported("storage pool does not support changing of volume capacity", NO_SUPPORT)

    async def sources(self, spec: str | None) -> str:
        """Refuse."""
        raise unsupported(f"pool type '{self.type}' does not support source discovery", NO_SUPPORT)


class Missing(Fixed):
    """The driver of a type that this version lacks: every use says so."""

    def __init__(self, type: str) -> None:
        self.type = type

    def _refused(self) -> Unsupported:
        return unsupported(f"pools of type '{self.type}': {LACKING[self.type]}", INTERNAL_ERROR)

    async def active(self, pool: Pool) -> bool:
        """Say that it is not."""
        return False

    async def start(self, pool: Pool) -> None:
        """Refuse."""
        raise self._refused()

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Refuse."""
        raise self._refused()

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """Refuse."""
        raise self._refused()
