"""Handlers of storage pools. Looking answers from memory.

`doors` merges them with the others.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import UnknownFlags, known
from domicile.api.libvirt.object_events import event_handlers
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import INTERNAL_ERROR, NO_SUPPORT, InvalidRequest
from domicile.rpc.calls import storage
from domicile.rpc.records import PoolInfo
from domicile.rpc.types import StoragePool, StorageVol
from domicile.service.objects import Object
from domicile.storage import capabilities
from domicile.storage.driver import undefinable
from domicile.storage.failure import FROM_STORAGE, unsupported
from domicile.storage.kinds import KINDS
from domicile.storage.pool import Pool

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_INACTIVE, _RUNNING = 0, 2
_VALIDATE = 1


class Build(IntFlag):
    """How to build. Source: virStoragePoolBuildFlags."""

    NEW = 0
    REPAIR = 1
    RESIZE = 2
    NO_OVERWRITE = 4
    OVERWRITE = 8


class Create(IntFlag):
    """What to do at a start. Source: virStoragePoolCreateFlags."""

    WITH_BUILD = 1
    WITH_BUILD_OVERWRITE = 2
    WITH_BUILD_NO_OVERWRITE = 4


# Source: virConnectListAllStoragePoolsFlags; the types' flags follow, by one bit each.
_TYPES = (
    "dir", "fs", "netfs", "logical", "disk", "iscsi", "scsi", "mpath", "rbd", "sheepdog", "gluster", "zfs", "vstorage",
    "iscsi-direct",
)  # fmt: skip
_TYPE_BIT = 6
Test = Callable[[Object[Pool]], bool]
GROUPS: tuple[tuple[tuple[int, Test], ...], ...] = (
    ((1, lambda p: not p.active), (2, lambda p: p.active)),
    ((4, lambda p: p.persistent), (8, lambda p: not p.persistent)),
    ((16, lambda p: p.autostart), (32, lambda p: not p.autostart)),
    tuple((1 << (_TYPE_BIT + n), lambda p, t=t: p.document.type == t) for n, t in enumerate(_TYPES)),  # type: ignore[misc]
)
_ALL = (1 << (_TYPE_BIT + len(_TYPES))) - 1


def pool_of(conn: Session[Service], ref: StoragePool) -> Object[Pool]:
    """Find what a client's reference means; its UUID decides. Raises: NotFound."""
    return conn.context.pools.objects.by_uuid(str(UUID(bytes=ref.uuid)), ref.name)


def reference(found: Object[Pool]) -> StoragePool:
    """Give the reference to a pool."""
    return StoragePool(found.name, UUID(found.uuid).bytes)


def _overwrite(flags: int, yes: int, no: int) -> bool | None:
    if flags & yes and flags & no:
        words = "Flags 'VIR_STORAGE_POOL_BUILD_OVERWRITE' and 'VIR_STORAGE_POOL_BUILD_NO_OVERWRITE' are mutually exclusive"
        raise UnknownFlags(words, domain=FROM_STORAGE)
    return True if flags & yes else False if flags & no else None


# Finding.


@handlers.handle(storage.connect_list_all_storage_pools)
def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[StoragePool], int]:
    """List pools."""
    known(flags, _ALL, "connect_list_all_storage_pools", FROM_STORAGE)
    found = list(conn.context.pools.objects)
    for group in GROUPS:
        wanted = [test for flag, test in group if flags & flag]
        if wanted and len(wanted) < len(group):
            found = [pool for pool in found if any(test(pool) for test in wanted)]
    return ([reference(pool) for pool in found] if need_results else []), len(found)


def _names(conn: Session[Service], *, active: bool) -> list[str]:
    return [pool.name for pool in conn.context.pools.objects if pool.active is active]


@handlers.handle(storage.connect_num_of_storage_pools)
def count_active(conn: Session[Service]) -> int:
    """Count active pools."""
    return len(_names(conn, active=True))


@handlers.handle(storage.connect_list_storage_pools)
def list_active(conn: Session[Service], maxnames: int) -> list[str]:
    """Name active pools."""
    return _names(conn, active=True)[: max(0, maxnames)]


@handlers.handle(storage.connect_num_of_defined_storage_pools)
def count_inactive(conn: Session[Service]) -> int:
    """Count pools that are not active."""
    return len(_names(conn, active=False))


@handlers.handle(storage.connect_list_defined_storage_pools)
def list_inactive(conn: Session[Service], maxnames: int) -> list[str]:
    """Name pools that are not active."""
    return _names(conn, active=False)[: max(0, maxnames)]


@handlers.handle(storage.storage_pool_lookup_by_name)
def by_name(conn: Session[Service], name: str) -> StoragePool:
    """Find a pool by name."""
    return reference(conn.context.pools.objects.by_name(name))


@handlers.handle(storage.storage_pool_lookup_by_uuid)
def by_uuid(conn: Session[Service], uuid: bytes) -> StoragePool:
    """Find a pool by UUID."""
    return reference(conn.context.pools.objects.by_uuid(str(UUID(bytes=uuid))))


@handlers.handle(storage.storage_pool_lookup_by_volume)
def by_volume(conn: Session[Service], vol: StorageVol) -> StoragePool:
    """Find the pool of a volume."""
    return reference(conn.context.pools.objects.by_name(vol.pool))


@handlers.handle(storage.storage_pool_lookup_by_target_path)
def by_target_path(conn: Session[Service], path: str) -> StoragePool:
    """Find a pool by where it is on the host."""
    return reference(conn.context.pools.by_target(path))


# Saying what it is.


@handlers.handle(storage.storage_pool_get_info)
def get_info(conn: Session[Service], pool: StoragePool) -> PoolInfo:
    """Sum a pool up."""
    found = pool_of(conn, pool)
    view = conn.context.pools.held(found).view
    state = _RUNNING if found.active else _INACTIVE
    return PoolInfo(state, view.capacity, view.allocation, view.available)


@handlers.handle(storage.storage_pool_get_xml_desc)
def get_xml_desc(conn: Session[Service], pool: StoragePool, flags: int) -> str:
    """Write a pool's document."""
    known(flags, 1, "storage_pool_get_xml_desc", FROM_STORAGE)
    return conn.context.pools.xml(pool_of(conn, pool), inactive=bool(flags))


@handlers.handle(storage.storage_pool_get_autostart)
def get_autostart(conn: Session[Service], pool: StoragePool) -> int:
    """Say whether the daemon starts it by itself."""
    return int(pool_of(conn, pool).autostart)


@handlers.handle(storage.storage_pool_is_active)
def is_active(conn: Session[Service], pool: StoragePool) -> int:
    """Say whether it is active."""
    return int(pool_of(conn, pool).active)


@handlers.handle(storage.storage_pool_is_persistent)
def is_persistent(conn: Session[Service], pool: StoragePool) -> int:
    """Say whether it is defined."""
    return int(pool_of(conn, pool).persistent)


@handlers.handle(storage.connect_get_storage_pool_capabilities)
def get_capabilities(conn: Session[Service], flags: int) -> str:
    """Write what pools there can be."""
    known(flags, 0, "connect_get_storage_pool_capabilities", FROM_STORAGE)
    return capabilities.document()


@handlers.handle(storage.connect_find_storage_pool_sources)
async def find_sources(conn: Session[Service], type: str, src_spec: str | None, flags: int) -> str:
    """List what could be pools of a type."""
    known(flags, 0, "connect_find_storage_pool_sources", FROM_STORAGE)
    if type not in KINDS:
        words = f"unknown storage pool type {type}; accepted: {', '.join(KINDS)}"
        raise InvalidRequest(words, code=INTERNAL_ERROR, domain=FROM_STORAGE)
    why = undefinable(type)
    if why:
        raise unsupported(why, INTERNAL_ERROR)
    if type == "fs":
        raise unsupported("pool type 'fs' does not support source discovery", NO_SUPPORT)
    return await conn.context.pools.drivers[type].sources(src_spec)


# Changing.


@handlers.handle(storage.storage_pool_define_xml)
async def define(conn: Session[Service], xml: str, flags: int) -> StoragePool:
    """Store a definition."""
    known(flags, _VALIDATE, "storage_pool_define_xml", FROM_STORAGE)
    return reference(await conn.context.pools.define(xml, author(conn, "pool-define"), strict=bool(flags & _VALIDATE)))


@handlers.handle(storage.storage_pool_create_xml)
async def create_xml(conn: Session[Service], xml: str, flags: int) -> StoragePool:
    """Start a pool that is forgotten when it stops."""
    known(flags, 7, "storage_pool_create_xml", FROM_STORAGE)
    overwrite = _overwrite(flags, Create.WITH_BUILD_OVERWRITE, Create.WITH_BUILD_NO_OVERWRITE)
    build = bool(flags & Create.WITH_BUILD)
    who = author(conn, "pool-create")
    return reference(await conn.context.pools.create(xml, who, build=build, overwrite=overwrite))


@handlers.handle(storage.storage_pool_create)
async def create(conn: Session[Service], pool: StoragePool, flags: int) -> None:
    """Make a pool active."""
    known(flags, 7, "storage_pool_create", FROM_STORAGE)
    overwrite = _overwrite(flags, Create.WITH_BUILD_OVERWRITE, Create.WITH_BUILD_NO_OVERWRITE)
    build = bool(flags & Create.WITH_BUILD)
    await conn.context.pools.start(pool_of(conn, pool), author(conn, "pool-start"), build=build, overwrite=overwrite)


@handlers.handle(storage.storage_pool_build)
async def build(conn: Session[Service], pool: StoragePool, flags: int) -> None:
    """Make what a pool is on."""
    known(flags, 15, "storage_pool_build", FROM_STORAGE)
    overwrite = _overwrite(flags, Build.OVERWRITE, Build.NO_OVERWRITE)
    await conn.context.pools.build(pool_of(conn, pool), author(conn, "pool-build"), overwrite)


@handlers.handle(storage.storage_pool_destroy)
async def destroy(conn: Session[Service], pool: StoragePool) -> None:
    """Let a pool go."""
    await conn.context.pools.stop(pool_of(conn, pool), author(conn, "pool-destroy"))


@handlers.handle(storage.storage_pool_delete)
async def delete(conn: Session[Service], pool: StoragePool, flags: int) -> None:
    """Remove what a pool is on."""
    known(flags, 1, "storage_pool_delete", FROM_STORAGE)
    await conn.context.pools.delete(pool_of(conn, pool), author(conn, "pool-delete"))


@handlers.handle(storage.storage_pool_undefine)
async def undefine(conn: Session[Service], pool: StoragePool) -> None:
    """Take a definition out of service; its history stays."""
    await conn.context.pools.undefine(pool_of(conn, pool), author(conn, "pool-undefine"))


@handlers.handle(storage.storage_pool_refresh)
async def refresh(conn: Session[Service], pool: StoragePool, flags: int) -> None:
    """Look through a pool again."""
    known(flags, 0, "storage_pool_refresh", FROM_STORAGE)
    await conn.context.pools.refresh(pool_of(conn, pool))


@handlers.handle(storage.storage_pool_set_autostart)
async def set_autostart(conn: Session[Service], pool: StoragePool, autostart: int) -> None:
    """Say whether the daemon shall start it by itself."""
    await conn.context.pools.set_autostart(pool_of(conn, pool), bool(autostart), author(conn, "pool-autostart"))


# Events.

event_handlers(
    handlers, storage.connect_storage_pool_event_register_any, storage.connect_storage_pool_event_deregister_any,
    (storage.storage_pool_event_lifecycle, storage.storage_pool_event_refresh),
)  # fmt: skip


def follow(server: Server[Any]) -> None:
    """Tell clients who asked for it what becomes of pools."""
    publish, pools = server.events.publish, server.context.pools

    def tell(found: Object[Pool], event: int, detail: int) -> None:
        publish(storage.storage_pool_event_lifecycle, reference(found), event, detail)

    def refreshed(found: Object[Pool]) -> None:
        publish(storage.storage_pool_event_refresh, reference(found))

    pools.objects.subscribe(tell)
    pools.on_refresh(refreshed)
