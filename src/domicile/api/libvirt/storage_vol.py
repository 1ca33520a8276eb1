"""Handlers of storage volumes. Lists answer from memory, one volume is measured when somebody asks of it.

`doors` merges them with the others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import IntFlag
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.storage_pool import pool_of
from domicile.api.libvirt.stream import Stream, StreamAborted
from domicile.base import tasks
from domicile.rpc.calls import storage
from domicile.rpc.records import Hole, VolInfo
from domicile.rpc.types import StoragePool, StorageVol
from domicile.service.objects import Object
from domicile.storage.failure import FROM_STORAGE, failed
from domicile.storage.pool import Pool
from domicile.storage.volume import TYPES, Volume, write

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

P = ParamSpec("P")
R = TypeVar("R")
handlers: Registry[Service] = Registry()
_SPARSE, _GET_PHYSICAL, _ZEROED = 1, 1, 1
_PART = 262_144
_HOLE_AT_LEAST = 4096


class Create(IntFlag):
    """How a volume is made. Source: virStorageVolCreateFlags."""

    PREALLOC_METADATA = 1
    REFLINK = 2
    VALIDATE = 4


class Resize(IntFlag):
    """How a volume gets another size. Source: virStorageVolResizeFlags."""

    ALLOCATE = 1
    DELTA = 2
    SHRINK = 4


def _pool(conn: Session[Service], vol: StorageVol) -> Object[Pool]:
    return conn.context.pools.objects.by_name(vol.pool)


def reference(pool: Object[Pool], volume: Volume) -> StorageVol:
    """Give the reference to a volume."""
    return StorageVol(pool.name, volume.name or "", volume.key or "")


# Finding.


@handlers.handle(storage.storage_pool_num_of_volumes)
def count(conn: Session[Service], pool: StoragePool) -> int:
    """Count a pool's volumes."""
    return len(conn.context.pools.active(pool_of(conn, pool)).volumes)


@handlers.handle(storage.storage_pool_list_volumes)
def names(conn: Session[Service], pool: StoragePool, maxnames: int) -> list[str]:
    """Name a pool's volumes."""
    return list(conn.context.pools.active(pool_of(conn, pool)).volumes)[: max(0, maxnames)]


@handlers.handle(storage.storage_pool_list_all_volumes)
def list_all(conn: Session[Service], pool: StoragePool, need_results: int, flags: int) -> tuple[list[StorageVol], int]:
    """List a pool's volumes."""
    known(flags, 0, "storage_pool_list_all_volumes", FROM_STORAGE)
    found = pool_of(conn, pool)
    volumes = conn.context.pools.active(found).volumes
    return ([reference(found, volume) for volume in volumes.values()] if need_results else []), len(volumes)


@handlers.handle(storage.storage_vol_lookup_by_name)
def by_name(conn: Session[Service], pool: StoragePool, name: str) -> StorageVol:
    """Find a volume by its name in a pool."""
    found = pool_of(conn, pool)
    return reference(found, conn.context.volumes.named(found, name))


@handlers.handle(storage.storage_vol_lookup_by_key)
def by_key(conn: Session[Service], key: str) -> StorageVol:
    """Find a volume by its key."""
    return reference(*conn.context.volumes.by_key(key))


@handlers.handle(storage.storage_vol_lookup_by_path)
def by_path(conn: Session[Service], path: str) -> StorageVol:
    """Find a volume by where it is."""
    return reference(*conn.context.volumes.by_path(path))


# Saying what it is.


@handlers.handle(storage.storage_vol_get_info)
async def get_info(conn: Session[Service], vol: StorageVol) -> VolInfo:
    """Sum a volume up."""
    return await _info(conn, vol, 0)


@handlers.handle(storage.storage_vol_get_info_flags)
async def get_info_flags(conn: Session[Service], vol: StorageVol, flags: int) -> VolInfo:
    """Sum a volume up; with GET_PHYSICAL the file's length stands for what it takes."""
    known(flags, _GET_PHYSICAL, "storage_vol_get_info_flags", FROM_STORAGE)
    return await _info(conn, vol, flags)


async def _info(conn: Session[Service], vol: StorageVol, flags: int) -> VolInfo:
    volume = await conn.context.volumes.look(_pool(conn, vol), vol.name)
    capacity, allocation, physical = volume.amounts()
    return VolInfo(TYPES.index(volume.type or "file"), capacity, physical if flags & _GET_PHYSICAL else allocation)


@handlers.handle(storage.storage_vol_get_xml_desc)
async def get_xml_desc(conn: Session[Service], vol: StorageVol, flags: int) -> str:
    """Write a volume's document."""
    known(flags, 0, "storage_vol_get_xml_desc", FROM_STORAGE)
    return write(await conn.context.volumes.look(_pool(conn, vol), vol.name))


@handlers.handle(storage.storage_vol_get_path)
def get_path(conn: Session[Service], vol: StorageVol) -> str:
    """Say where a volume is."""
    return conn.context.volumes.named(_pool(conn, vol), vol.name).path


# Making and changing.


@handlers.handle(storage.storage_vol_create_xml)
async def create_xml(conn: Session[Service], pool: StoragePool, xml: str, flags: int) -> StorageVol:
    """Make a volume."""
    known(flags, Create.PREALLOC_METADATA | Create.VALIDATE, "storage_vol_create_xml", FROM_STORAGE)
    found = pool_of(conn, pool)
    metadata, strict = bool(flags & Create.PREALLOC_METADATA), bool(flags & Create.VALIDATE)
    who = author(conn, "vol-create")
    return reference(found, await conn.context.volumes.create(found, xml, who, metadata=metadata, strict=strict))


@handlers.handle(storage.storage_vol_create_xml_from)
async def create_xml_from(
    conn: Session[Service], pool: StoragePool, xml: str, clone: StorageVol, flags: int
) -> StorageVol:
    """Make a volume that holds what another holds."""
    known(flags, 7, "storage_vol_create_xml_from", FROM_STORAGE)
    found = pool_of(conn, pool)
    made = await conn.context.volumes.create_from(
        found, xml, _pool(conn, clone), clone.name, author(conn, "vol-create-from"),
        metadata=bool(flags & Create.PREALLOC_METADATA), reflink=bool(flags & Create.REFLINK), strict=bool(flags & Create.VALIDATE),
    )  # fmt: skip
    return reference(found, made)


@handlers.handle(storage.storage_vol_delete)
async def delete(conn: Session[Service], vol: StorageVol, flags: int) -> None:
    """Remove a volume."""
    known(flags, _ZEROED, "storage_vol_delete", FROM_STORAGE)
    zeroed = bool(flags & _ZEROED)
    await conn.context.volumes.delete(_pool(conn, vol), vol.name, author(conn, "vol-delete"), zeroed=zeroed)


@handlers.handle(storage.storage_vol_resize)
async def resize(conn: Session[Service], vol: StorageVol, capacity: int, flags: int) -> None:
    """Give a volume another size."""
    known(flags, 7, "storage_vol_resize", FROM_STORAGE)
    await conn.context.volumes.resize(
        _pool(conn, vol), vol.name, capacity, author(conn, "vol-resize"), delta=bool(flags & Resize.DELTA),
        shrink=bool(flags & Resize.SHRINK), taken=bool(flags & Resize.ALLOCATE),
    )  # fmt: skip


@handlers.handle(storage.storage_vol_wipe)
async def wipe(conn: Session[Service], vol: StorageVol, flags: int) -> None:
    """Overwrite a volume with zeros."""
    known(flags, 0, "storage_vol_wipe", FROM_STORAGE)
    await conn.context.volumes.wipe(_pool(conn, vol), vol.name, 0, author(conn, "vol-wipe"))


@handlers.handle(storage.storage_vol_wipe_pattern)
async def wipe_pattern(conn: Session[Service], vol: StorageVol, algorithm: int, flags: int) -> None:
    """Overwrite a volume in one of several ways."""
    known(flags, 0, "storage_vol_wipe_pattern", FROM_STORAGE)
    await conn.context.volumes.wipe(_pool(conn, vol), vol.name, algorithm, author(conn, "vol-wipe"))


# Reading and writing.


@handlers.handle_stream(storage.storage_vol_download)
async def download(
    conn: Session[Service], stream: Stream, vol: StorageVol, offset: int, length: int, flags: int
) -> None:
    """Read a volume."""
    known(flags, _SPARSE, "storage_vol_download", FROM_STORAGE)
    if flags & _SPARSE:
        stream.sparse()
    held = await _Open.of(stream, conn.context.volumes.reading(_pool(conn, vol), vol.name))
    stream.serve(_send(stream, held, offset, length, sparse=bool(flags & _SPARSE)))


class _Open:
    """A volume open for a stream: closed once, however the stream ends, and never while a thread works on it."""

    def __init__(self, held: AbstractAsyncContextManager[int], fd: int) -> None:
        self._held, self.fd, self._ended = held, fd, False

    @classmethod
    async def of(cls, stream: Stream, held: AbstractAsyncContextManager[int]) -> Self:
        """Open it."""
        opened = cls(held, await held.__aenter__())
        stream.on_close(opened.abandoned)
        return opened

    async def work(self, function: Callable[Concatenate[int, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do something with it in a thread; whoever gives up waiting waits until it is done all the same."""
        task = asyncio.ensure_future(asyncio.to_thread(function, self.fd, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    async def end(self, error: BaseException | None = None) -> None:
        """Close it; after an error what was written is given up where that can be."""
        if not self._ended:
            self._ended = True
            await self._held.__aexit__(type(error) if error is not None else None, error, None)

    def abandoned(self) -> None:
        """Close it after a stream that ended before it was served."""
        if not self._ended:
            tasks.spawn("end of a volume's stream", self.end(StreamAborted("the stream ended before it was served")))


async def _send(stream: Stream, held: _Open, offset: int, length: int, *, sparse: bool) -> None:
    try:
        size = await held.work(os.lseek, 0, os.SEEK_END)
        end = min(size, offset + length) if length else size
        place = min(offset, end)
        while place < end:
            data, hole = await held.work(_next, place, end, sparse)
            if hole:
                await stream.write_hole(hole)
                place += hole
            elif data:
                await stream.write(data)
                place += len(data)
            else:
                break
    finally:
        await held.end()


def _next(fd: int, place: int, end: int, sparse: bool) -> tuple[bytes, int]:
    """Read what comes next: data, or the length of a hole."""
    until = end
    if sparse:
        try:
            data = os.lseek(fd, place, os.SEEK_DATA)
        except OSError:
            return b"", end - place
        if data - place >= _HOLE_AT_LEAST or data >= end:
            return b"", min(data, end) - place
        until = min(end, os.lseek(fd, max(data, place), os.SEEK_HOLE))
    return os.pread(fd, min(_PART, until - place), place), 0


@handlers.handle_stream(storage.storage_vol_upload)
async def upload(conn: Session[Service], stream: Stream, vol: StorageVol, offset: int, length: int, flags: int) -> None:
    """Write a volume."""
    known(flags, _SPARSE, "storage_vol_upload", FROM_STORAGE)
    if flags & _SPARSE:
        stream.sparse()
    opened = conn.context.volumes.writing(_pool(conn, vol), vol.name, author(conn, "vol-upload"))
    stream.serve(_receive(stream, await _Open.of(stream, opened), offset, length))


async def _receive(stream: Stream, held: _Open, offset: int, length: int) -> None:
    place, end, fault = offset, offset + length if length else None, None
    try:
        while part := await stream.read_part():
            size = part.length if isinstance(part, Hole) else len(part)
            if end is not None and place + size > end:
                if not isinstance(part, Hole):
                    await held.work(_put, place, part[: end - place])
                words = f"cannot write to stream: No space left on device: {length} bytes were announced"
                raise failed(words)
            if isinstance(part, Hole):
                await held.work(_punch, place, size)
            else:
                await held.work(_put, place, part)
            place += size
    except (StreamAborted, asyncio.CancelledError) as error:
        fault = error
        raise
    finally:
        await held.end(fault)


def _put(fd: int, place: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, place)
        view, place = view[done:], place + done


def _punch(fd: int, place: int, length: int) -> None:
    """Make a part of a volume zero; a file is not shorter than its end."""
    size = os.lseek(fd, 0, os.SEEK_END)
    if place + length > size:
        os.ftruncate(fd, place + length)
    zeros = bytes(_PART)
    end = min(size, place + length)
    while place < end:
        try:
            place = max(place, os.lseek(fd, place, os.SEEK_DATA))
        except OSError:
            return
        if place < end:
            place += os.pwrite(fd, zeros[: min(_PART, end - place)], place)
