"""Volumes of storage pools: made, copied, resized, wiped, removed, read and written. Part of the service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from domicile.base.errors import INTERNAL_ERROR, INVALID_ARG, NO_SUPPORT, OPERATION_FAILED, InvalidRequest
from domicile.service.images_in_use import Use
from domicile.service.objects import Object
from domicile.storage import files, programs
from domicile.storage import volume as document
from domicile.storage.driver import Order
from domicile.storage.failure import (
    ARGUMENT_UNSUPPORTED,
    OPERATION_UNSUPPORTED,
    OVERFLOW,
    VOLUME_EXISTS,
    conflict,
    failed,
    invalid,
    no_volume,
    unsupported,
    wrong_state,
)  # fmt: skip
from domicile.storage.kinds import KINDS
from domicile.storage.parts import bytes_of, sane
from domicile.storage.pool import Pool
from domicile.storage.volume import Volume, VolumeFormat
from domicile.storage.whole import Filling
from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.service.service import Service

# Source: virStorageVolWipeAlgorithm; the position is the number, the name that of scrub's pattern.
ALGORITHMS = ("zero", "nnsa", "dod", "bsi", "gutmann", "schneier", "pfitzner7", "pfitzner33", "random", "trim")


class Volumes:
    """The use-cases about volumes."""

    def __init__(self, service: Service) -> None:
        self._service, self._pools = service, service.pools

    # Finding.

    def named(self, pool: Object[Pool], name: str) -> Volume:
        """Find a volume of a pool. Raises: WrongState, NotFound."""
        found = self._pools.active(pool).volumes.get(name)
        if found is None:
            raise no_volume(f"no storage vol with matching name '{name}'")
        return found

    def by_path(self, path: str) -> tuple[Object[Pool], Volume]:
        """Find a volume by where it is. Raises: NotFound."""
        wanted = sane(path)
        for pool, volume in self._all():
            if volume.path == wanted:
                return pool, volume
        if wanted.startswith("/"):
            real = os.path.realpath(wanted)
            for pool, volume in self._all():
                if volume.path == real:
                    return pool, volume
        raise no_volume(f"no storage vol with matching path '{path}'")

    def by_key(self, key: str) -> tuple[Object[Pool], Volume]:
        """Find a volume by its key. Raises: NotFound."""
        for pool, volume in self._all():
            if volume.key == key:
                return pool, volume
        raise no_volume(f"no storage vol with matching key {key}")

    def _all(self) -> Iterator[tuple[Object[Pool], Volume]]:
        for pool in self._pools.objects:
            if pool.active:
                for volume in self._pools.held(pool).volumes.values():
                    yield pool, volume

    # Looking.

    async def look(self, pool: Object[Pool], name: str) -> Volume:
        """Measure a volume and give it. Raises: WrongState, NotFound, HostFailure."""
        volume = self.named(pool, name)
        held = self._pools.held(pool)
        if not held.used.get(name):
            with held.use(name):
                volume = await self._pools.driver(pool).renew(pool.document, volume)
                if name in held.volumes:
                    held.volumes[name] = volume
        return volume

    # Making.

    async def create(
        self, pool: Object[Pool], xml: str, author: Author, *, metadata: bool = False, strict: bool = False
    ) -> Volume:
        """Make a volume. Raises: StorageDocument, Conflict, WrongState, HostFailure."""
        held = self._pools.active(pool)
        made = document.read(xml, KINDS[pool.document.type or ""], strict=strict)
        most = max(made.amounts())
        if most >= 2**63:
            raise InvalidRequest(f"value too large: {most}", code=OVERFLOW, domain=18)
        with held.work(), self._name(pool, made):
            key = await self._key(made)
            return await self._make(pool, Order(made, metadata=metadata, key=key), author, "vol-create")

    async def create_from(
        self, pool: Object[Pool], xml: str, origin: Object[Pool], name: str, author: Author, *, metadata: bool, reflink: bool, strict: bool = False,
    ) -> Volume:  # fmt: skip
        """Make a volume that holds what another holds. Raises: StorageDocument, Conflict, WrongState, HostFailure."""
        held = self._pools.active(pool)
        source = self.named(origin, name)
        made = document.read(xml, KINDS[pool.document.type or ""], strict=strict, copied=True)
        if made.name in held.volumes:
            words = f"storage volume name '{made.name}' already in use."
            raise conflict(words, INTERNAL_ERROR)
        others = self._pools.active(origin)
        with held.work(), others.use(name), self._name(pool, made):
            source = await self._pools.driver(origin).renew(origin.document, source)
            capacity = max(made.amounts()[0], source.amounts()[0])
            taken = made.amounts()[1] if made.allocation is not None else capacity
            made.capacity, made.allocation = bytes_of(capacity), bytes_of(taken)
            key, source_key = await self._key(made), await self._key(source)
            order = Order(made, source, metadata, reflink, key, source_key)
            return await self._make(pool, order, author, "vol-create-from")

    async def _make(self, pool: Object[Pool], order: Order, author: Author, verb: str) -> Volume:
        made, figures = await self._pools.driver(pool).create(pool.document, order)
        self._pools.held(pool).volumes[made.name or ""] = made
        await self._pools.recount(pool, figures)
        self._pools.note(verb, author, pool.uuid, f"{pool.name}/{made.name}")
        return made

    def _name(self, pool: Object[Pool], made: Volume) -> _Reserved:
        name, held = made.name or "", self._pools.held(pool)
        if "/" in name:
            raise wrong_state(f"volume name '{name}' cannot contain '/'")
        if name in held.volumes or name in held.names:
            raise conflict(f"storage volume '{name}' exists already", VOLUME_EXISTS)
        if name in (".", ".."):
            raise wrong_state(f"volume target path '{pool.document.path}/{name}' already exists")
        if name.startswith(files.PART) or not name.isprintable() or len(os.fsencode(name)) > 255:
            raise wrong_state(f"'{name[:80]}' cannot be the name of a volume")
        return _Reserved(held.names, name)

    async def _key(self, volume: Volume) -> bytes | None:
        """Look up the passphrase of a volume that is encrypted. Raises: InvalidRequest, NotFound."""
        encryption = volume.encryption
        if encryption is None:
            return None
        if len(encryption.secret) != 1 or encryption.secret[0].type not in (None, "passphrase"):
            words = "A single <secret type='passphrase'...> element is expected in encryption description"
            raise InvalidRequest(words, code=INVALID_ARG, domain=18)
        ref = encryption.secret[0]
        return await self._service.secrets.passphrase(ref.uuid, ref.usage, volume=True)

    # Changing.

    def _free(self, pool: Object[Pool], name: str) -> Volume:
        """Find a volume that no other work of this daemon has. Raises: WrongState, NotFound."""
        volume = self.named(pool, name)
        held = self._pools.held(pool)
        if held.used.get(name):
            raise wrong_state(f"volume '{name}' is still in use.")
        if name in held.names:
            raise wrong_state(f"volume '{name}' is still being allocated.")
        return volume

    @asynccontextmanager
    async def _changing(self, pool: Object[Pool], name: str, verb: str) -> AsyncIterator[Volume]:
        """Hold a volume that nobody uses, on any host. Raises: WrongState, NotFound."""
        volume = self._free(pool, name)
        with self._pools.held(pool).use(name):
            async with self._service.images.work(verb, name, _use(pool.document, volume)):
                yield volume

    async def delete(self, pool: Object[Pool], name: str, author: Author, *, zeroed: bool = False) -> None:
        """Remove a volume; `zeroed` overwrites it first. Raises: WrongState, NotFound, HostFailure."""
        if not zeroed and await self._delete_small(pool, name):
            self._pools.note("vol-delete", author, pool.uuid, f"{pool.name}/{name}")
            return
        async with self._changing(pool, name, "vol-delete") as volume:
            if zeroed and volume.type in ("file", "block"):
                await asyncio.to_thread(files.wipe, volume.path)
            await self._pools.driver(pool).remove(pool.document, volume)
            self._pools.held(pool).volumes.pop(name, None)
            await self._pools.recount(pool)
        self._pools.note("vol-delete", author, pool.uuid, f"{pool.name}/{name}")

    async def _delete_small(self, pool: Object[Pool], name: str) -> bool:
        """Remove a file that goes at once, while the database lets nobody take it; False where that is no way to go.

        Raises: WrongState, NotFound, HostFailure
        """
        volume = self._free(pool, name)
        if volume.type != "file" or not await asyncio.to_thread(files.is_small, volume.path):
            return False
        with self._pools.held(pool).use(name):
            use = _use(pool.document, volume)
            await self._service.images.alone(name, use, lambda: files.remove(volume.path))
            self._pools.held(pool).volumes.pop(name, None)
            await self._pools.recount(pool)
        return True

    async def resize(
        self, pool: Object[Pool], name: str, size: int, author: Author, *, delta: bool, shrink: bool, taken: bool
    ) -> None:
        """Give a volume another size. Raises: InvalidRequest, Conflict, WrongState, HostFailure."""
        async with self._changing(pool, name, "vol-resize") as volume:
            driver = self._pools.driver(pool)
            capacity, allocation, _ = (await driver.renew(pool.document, volume)).amounts()
            wanted = size
            if delta:
                wanted = capacity - min(size, capacity) if shrink else capacity + size
            if wanted < capacity and not shrink:
                raise invalid("Can't shrink capacity below current capacity unless shrink flag explicitly specified")
            if wanted >= 2**63:
                raise failed(f"Failed to truncate file '{volume.path}': File too large")
            if taken and wanted - capacity > self._pools.held(pool).view.available:
                raise conflict("Not enough space left in storage pool", OPERATION_FAILED)
            if not taken and wanted < allocation and volume.format != "raw" and not shrink:
                raise invalid("can't shrink capacity below existing allocation")
            if taken and volume.format not in ("raw", ""):
                raise unsupported("preallocate is only supported for raw type volume", OPERATION_UNSUPPORTED)
            key = await self._key(volume) if volume.encryption is not None else None
            await driver.resize(pool.document, volume, wanted, taken=taken, key=key)
            self._pools.held(pool).volumes[name] = await driver.renew(pool.document, volume)
            await self._pools.recount(pool)
        self._pools.note("vol-resize", author, pool.uuid, f"{pool.name}/{name}")

    async def wipe(self, pool: Object[Pool], name: str, algorithm: int, author: Author) -> None:
        """Overwrite a volume so that nothing of it can be read again. Raises: InvalidRequest, WrongState, HostFailure."""
        if not 0 <= algorithm < len(ALGORITHMS):
            raise invalid(f"wiping algorithm {algorithm} not supported")
        chosen = ALGORITHMS[algorithm]
        async with self._changing(pool, name, "vol-wipe") as volume:
            if chosen == "trim":
                raise unsupported("'trim' algorithm not supported", ARGUMENT_UNSUPPORTED)
            if volume.type not in ("file", "block", "dir"):
                raise unsupported(f"volume '{name}' is of type '{volume.type}', which cannot be wiped", INTERNAL_ERROR)
            if chosen == "zero":
                await asyncio.to_thread(files.wipe, volume.path)
            else:
                words = ["scrub", "-f", "-p", chosen, volume.path]
                await programs.run(words, deadline=programs.LONG)
            if volume.target is not None and volume.type == "file":
                target = volume.target
                target.format, target.encryption, target.compat = VolumeFormat(type="raw"), None, None
                target.clusterSize, target.features, volume.backingStore = None, None, None
            driver = self._pools.driver(pool)
            self._pools.held(pool).volumes[name] = await driver.renew(pool.document, volume)
        self._pools.note("vol-wipe", author, pool.uuid, f"{pool.name}/{name}")

    # Reading and writing.

    @asynccontextmanager
    async def reading(self, pool: Object[Pool], name: str) -> AsyncIterator[int]:
        """Open a volume to be read. Raises: WrongState, NotFound, HostFailure."""
        volume = self.named(pool, name)
        _local(volume, "download")
        if volume.type == "dir":
            raise failed(f"Unable to read {volume.path}: Is a directory")
        with self._pools.held(pool).use(name):
            fd = await asyncio.to_thread(_open, volume.path, os.O_RDONLY)
            try:
                yield fd
            finally:
                os.close(fd)

    @asynccontextmanager
    async def writing(self, pool: Object[Pool], name: str, author: Author) -> AsyncIterator[int]:
        """Open a volume to be written; it is measured again afterwards. Raises: WrongState, NotFound, HostFailure.

        Where the block ends with an exception, the volume stays as it was if it held little.
        """
        _local(self.named(pool, name), "upload")
        async with self._changing(pool, name, "vol-upload") as volume:
            filling = await asyncio.to_thread(Filling, volume.path)
            try:
                yield filling.fd
            except BaseException:
                await asyncio.shield(asyncio.to_thread(filling.drop))
                raise
            await asyncio.shield(asyncio.to_thread(filling.keep))
        self._pools.note("vol-upload", author, pool.uuid, f"{pool.name}/{name}")
        if pool.active and not self._pools.held(pool).works:
            await self._pools.refresh(pool)


class _Reserved:
    """A name that nobody else may take meanwhile."""

    def __init__(self, names: set[str], name: str) -> None:
        self._names, self._name = names, name

    def __enter__(self) -> None:
        self._names.add(self._name)

    def __exit__(self, *_: object) -> None:
        self._names.discard(self._name)


def _local(volume: Volume, verb: str) -> None:
    """Refuse to open what no path of this host leads to. Raises: Unsupported."""
    if volume.type in ("network", "netdir"):
        raise unsupported(f"storage pool does not support volume {verb}", NO_SUPPORT)


def _use(pool: Pool, volume: Volume) -> Use:
    """Say which image a work has alone; one of a server is known as disks know it."""
    identity = ""
    if volume.type == "network" and pool.source is not None:
        hosts = sorted(f"{host.name or ''}:{host.port or ''}" for host in pool.source.host)
        identity = f"{pool.type}:{','.join(hosts)}/{volume.path}"
    return Use(volume.path, written=True, identity=identity)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise failed(f"Unable to open stream for '{path}': {error.strerror}") from error
