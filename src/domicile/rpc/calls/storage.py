"""Procedures of storage pools and volumes.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, Uuid, i32, u32, u64
from domicile.rpc.records import PoolInfo, VolInfo
from domicile.rpc.types import LIST_MAX, Names, StoragePool, StorageVol


@remote.call(71, "connect:search_storage_pools")
def connect_num_of_storage_pools() -> i32: ...


@remote.call(72, "connect:search_storage_pools")
def connect_list_storage_pools(maxnames: i32) -> Names: ...


@remote.call(73, "connect:search_storage_pools")
def connect_num_of_defined_storage_pools() -> i32: ...


@remote.call(74, "connect:search_storage_pools")
def connect_list_defined_storage_pools(maxnames: i32) -> Names: ...


@remote.call(75, "connect:detect_storage_pools")
def connect_find_storage_pool_sources(type: str, src_spec: str | None, flags: u32) -> str: ...


@remote.call(76, "storage_pool:start storage_pool:write")
def storage_pool_create_xml(xml: str, flags: u32) -> StoragePool: ...


@remote.call(77, "storage_pool:write storage_pool:save")
def storage_pool_define_xml(xml: str, flags: u32) -> StoragePool: ...


@remote.call(78, "storage_pool:start")
def storage_pool_create(pool: StoragePool, flags: u32) -> None: ...


@remote.call(79, "storage_pool:format")
def storage_pool_build(pool: StoragePool, flags: u32) -> None: ...


@remote.call(80, "storage_pool:stop")
def storage_pool_destroy(pool: StoragePool) -> None: ...


@remote.call(81, "storage_pool:format")
def storage_pool_delete(pool: StoragePool, flags: u32) -> None: ...


@remote.call(82, "storage_pool:delete")
def storage_pool_undefine(pool: StoragePool) -> None: ...


@remote.call(83, "storage_pool:refresh")
def storage_pool_refresh(pool: StoragePool, flags: u32) -> None: ...


@remote.call(84, "storage_pool:getattr")
def storage_pool_lookup_by_name(name: str) -> StoragePool: ...


@remote.call(85, "storage_pool:getattr")
def storage_pool_lookup_by_uuid(uuid: Uuid) -> StoragePool: ...


@remote.call(86, "storage_pool:getattr")
def storage_pool_lookup_by_volume(vol: StorageVol) -> StoragePool: ...


@remote.call(87, "storage_pool:read")
def storage_pool_get_info(pool: StoragePool) -> PoolInfo: ...


@remote.call(88, "storage_pool:read")
def storage_pool_get_xml_desc(pool: StoragePool, flags: u32) -> str: ...


@remote.call(89, "storage_pool:read")
def storage_pool_get_autostart(pool: StoragePool) -> i32: ...


@remote.call(90, "storage_pool:write")
def storage_pool_set_autostart(pool: StoragePool, autostart: i32) -> None: ...


@remote.call(91, "storage_pool:search_storage_vols")
def storage_pool_num_of_volumes(pool: StoragePool) -> i32: ...


@remote.call(92, "storage_pool:search_storage_vols")
def storage_pool_list_volumes(pool: StoragePool, maxnames: i32) -> Names: ...


@remote.call(93, "storage_vol:create")
def storage_vol_create_xml(pool: StoragePool, xml: str, flags: u32) -> StorageVol: ...


@remote.call(94, "storage_vol:delete")
def storage_vol_delete(vol: StorageVol, flags: u32) -> None: ...


@remote.call(95, "storage_vol:getattr")
def storage_vol_lookup_by_name(pool: StoragePool, name: str) -> StorageVol: ...


@remote.call(96, "storage_vol:getattr")
def storage_vol_lookup_by_key(key: str) -> StorageVol: ...


@remote.call(97, "storage_vol:getattr")
def storage_vol_lookup_by_path(path: str) -> StorageVol: ...


@remote.call(98, "storage_vol:read")
def storage_vol_get_info(vol: StorageVol) -> VolInfo: ...


@remote.call(99, "storage_vol:read")
def storage_vol_get_xml_desc(vol: StorageVol, flags: u32) -> str: ...


@remote.call(100, "storage_vol:read")
def storage_vol_get_path(vol: StorageVol) -> str: ...


@remote.call(125, "storage_vol:create")
def storage_vol_create_xml_from(pool: StoragePool, xml: str, clone: StorageVol, flags: u32) -> StorageVol: ...


@remote.call(154, "storage_pool:read")
def storage_pool_is_active(pool: StoragePool) -> i32: ...


@remote.call(155, "storage_pool:read")
def storage_pool_is_persistent(pool: StoragePool) -> i32: ...


@remote.call(165, "storage_vol:format")
def storage_vol_wipe(vol: StorageVol, flags: u32) -> None: ...


@remote.call(208, "storage_vol:data_write", stream="write")
def storage_vol_upload(vol: StorageVol, offset: u64, length: u64, flags: u32) -> None: ...


@remote.call(209, "storage_vol:data_read", stream="read")
def storage_vol_download(vol: StorageVol, offset: u64, length: u64, flags: u32) -> None: ...


@remote.call(259, "storage_vol:format")
def storage_vol_wipe_pattern(vol: StorageVol, algorithm: u32, flags: u32) -> None: ...


@remote.call(260, "storage_vol:resize")
def storage_vol_resize(vol: StorageVol, capacity: u64, flags: u32) -> None: ...


@remote.call(281, "connect:search_storage_pools")
def connect_list_all_storage_pools(
    need_results: i32, flags: u32
) -> tuple[Annotated[list[StoragePool], Limit(LIST_MAX)], u32]: ...


@remote.call(282, "storage_pool:search_storage_vols")
def storage_pool_list_all_volumes(
    pool: StoragePool, need_results: i32, flags: u32
) -> tuple[Annotated[list[StorageVol], Limit(LIST_MAX)], u32]: ...


@remote.call(368, "connect:search_storage_pools")
def connect_storage_pool_event_register_any(event_id: i32, pool: StoragePool | None) -> i32: ...


@remote.call(369, "connect:read")
def connect_storage_pool_event_deregister_any(callback_id: i32) -> None: ...


@remote.event(370)
def storage_pool_event_lifecycle(callback_id: i32, pool: StoragePool, event: i32, detail: i32) -> None: ...


@remote.event(373)
def storage_pool_event_refresh(callback_id: i32, pool: StoragePool) -> None: ...


@remote.call(378, "storage_vol:read")
def storage_vol_get_info_flags(vol: StorageVol, flags: u32) -> VolInfo: ...


@remote.call(391, "storage_pool:getattr")
def storage_pool_lookup_by_target_path(path: str) -> StoragePool: ...


@remote.call(403, "connect:read")
def connect_get_storage_pool_capabilities(flags: u32) -> str: ...
