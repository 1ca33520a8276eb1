"""What a driver of one type of pool can do, and the answer where there is none. The service calls drivers.

A driver keeps nothing: it is given the pool's document and looks at the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from domicile.base.errors import INTERNAL_ERROR, NO_SUPPORT
from domicile.storage.failure import unsupported
from domicile.storage.parts import Permissions
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume


@dataclass(slots=True)
class View:
    """A pool as it was found: bytes in all and free, who may open its directory, its volumes by name."""

    capacity: int = 0
    available: int = 0
    allocation: int = 0
    permissions: Permissions | None = None
    volumes: dict[str, Volume] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """A volume to be made; a copy of `source` where there is one. Passphrases are by the secret's reference."""

    volume: Volume
    source: Volume | None = None
    metadata: bool = False
    reflink: bool = False
    key: bytes | None = field(default=None, repr=False)
    source_key: bytes | None = field(default=None, repr=False)


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

    async def create(self, pool: Pool, order: Order) -> Volume:
        """Make a volume, whole or not at all."""

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Remove a volume."""

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Give a volume another size."""

    async def sources(self, spec: str | None) -> str:
        """List what could be pools of this type, as a document."""


#: What each type lacks here: the program or library that would have to be there, and what the driver would be.
LACKING: Mapping[str, str] = {
    "disk": "partitions of a disk are not managed by this version; a pool of type 'logical', 'fs' or 'dir' would be accepted",
    "iscsi": "iSCSI targets are not logged in to by this version; a disk of type 'network' with protocol 'iscsi' would be accepted",
    "scsi": "SCSI adapters are not looked through by this version; a disk of type 'block' would be accepted",
    "mpath": "multipath devices are not looked through by this version; a disk of type 'block' would be accepted",
    "iscsi-direct": "libiscsi's library for pools is not used by this version; a disk of type 'network' would be accepted",
    "rbd": "Ceph's library (librbd) is not used by this version; a disk of type 'network' with protocol 'rbd' would be accepted",
    "sheepdog": "the program 'collie' of Sheepdog is not used by this version",
    "gluster": "Gluster's library (libgfapi) is not used by this version; a pool of type 'netfs' with format 'glusterfs' would be accepted",
    "zfs": "the programs 'zfs' and 'zpool' are not used by this version; a pool of type 'dir' on a ZFS file system would be accepted",
    "vstorage": "Virtuozzo's storage is not used by this version",
}  # fmt: skip
#: Types that cannot even be defined here, as with a libvirt that was built without them.
UNDEFINABLE = frozenset({"iscsi-direct", "rbd", "sheepdog", "gluster", "zfs", "vstorage"})


class Missing:
    """The driver of a type that this host or version lacks: every use says so."""

    def __init__(self, type: str) -> None:
        self._type = type

    def _refuse(self) -> None:
        raise unsupported(f"pools of type '{self._type}': {LACKING[self._type]}", INTERNAL_ERROR)

    async def active(self, pool: Pool) -> bool:
        """Say that it is not."""
        return False

    async def start(self, pool: Pool) -> None:
        """Refuse."""
        self._refuse()

    async def stop(self, pool: Pool) -> None:
        """Refuse."""
        self._refuse()

    async def build(self, pool: Pool, overwrite: bool | None) -> None:
        """Refuse, unless there is nothing that could be made."""
        if self._type not in ("iscsi", "scsi", "mpath"):
            self._refuse()

    async def delete(self, pool: Pool) -> None:
        """Refuse."""
        self._refuse()

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """Refuse."""
        self._refuse()
        return View()

    async def figures(self, pool: Pool) -> tuple[int, int, int]:
        """Refuse."""
        self._refuse()
        return 0, 0, 0

    async def renew(self, pool: Pool, volume: Volume) -> Volume:
        """Refuse."""
        self._refuse()
        return volume

    async def create(self, pool: Pool, order: Order) -> Volume:
        """Refuse."""
        self._refuse()
        return order.volume

    async def remove(self, pool: Pool, volume: Volume) -> None:
        """Refuse."""
        self._refuse()

    async def resize(self, pool: Pool, volume: Volume, capacity: int, *, taken: bool, key: bytes | None) -> None:
        """Refuse."""
        self._refuse()

    async def sources(self, spec: str | None) -> str:
        """Refuse."""
        raise unsupported(f"pool type '{self._type}' does not support source discovery", NO_SUPPORT)
