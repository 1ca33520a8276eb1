"""Procedures of the host: its processors, memory, devices, and power.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Chars, Limit, i32, u32, u64
from domicile.rpc.records import NamedCount, NodeInfo
from domicile.rpc.types import NODE_DEVICE_LIST_MAX, CpuMap, NodeDevice, Params64

DeviceNames = Annotated[list[str], Limit(NODE_DEVICE_LIST_MAX)]
Cells = Annotated[list[u64], Limit(1024)]


@remote.call(6, "connect:read")
def node_get_info() -> NodeInfo: ...


@remote.call(101, "connect:read")
def node_get_cells_free_memory(start_cell: i32, maxcells: i32) -> Cells: ...


@remote.call(102, "connect:read")
def node_get_free_memory() -> u64: ...


@remote.call(111, "connect:search_node_devices")
def node_num_of_devices(cap: str | None, flags: u32) -> i32: ...


@remote.call(112, "connect:search_node_devices")
def node_list_devices(cap: str | None, maxnames: i32, flags: u32) -> DeviceNames: ...


@remote.call(113, "node_device:getattr")
def node_device_lookup_by_name(name: str) -> NodeDevice: ...


@remote.call(114, "node_device:read")
def node_device_get_xml_desc(name: str, flags: u32) -> str: ...


@remote.call(115, "node_device:read")
def node_device_get_parent(name: str) -> str | None: ...


@remote.call(116, "node_device:read")
def node_device_num_of_caps(name: str) -> i32: ...


@remote.call(117, "node_device:read")
def node_device_list_caps(name: str, maxnames: i32) -> DeviceNames: ...


@remote.call(118, "node_device:detach")
def node_device_dettach(name: str) -> None: ...


@remote.call(119, "node_device:detach")
def node_device_re_attach(name: str) -> None: ...


@remote.call(120, "node_device:detach")
def node_device_reset(name: str) -> None: ...


@remote.call(122, "connect:read")
def node_get_security_model() -> tuple[Annotated[bytes, Chars(257)], Annotated[bytes, Chars(257)]]: ...


@remote.call(123, "node_device:write node_device:start")
def node_device_create_xml(xml: str, flags: u32) -> NodeDevice: ...


@remote.call(124, "node_device:stop")
def node_device_destroy(name: str) -> None: ...


@remote.call(227, "connect:read")
def node_get_cpu_stats(cpu: i32, nparams: i32, flags: u32) -> tuple[Annotated[list[NamedCount], Limit(16)], i32]: ...


@remote.call(228, "connect:read")
def node_get_memory_stats(
    nparams: i32, cell: i32, flags: u32
) -> tuple[Annotated[list[NamedCount], Limit(16)], i32]: ...


@remote.call(250, "connect:pm_control")
def node_suspend_for_duration(target: u32, duration: u64, flags: u32) -> None: ...


@remote.call(285, "connect:search_node_devices")
def connect_list_all_node_devices(
    need_results: i32, flags: u32
) -> tuple[Annotated[list[NodeDevice], Limit(NODE_DEVICE_LIST_MAX)], u32]: ...


@remote.call(288, "connect:write")
def node_set_memory_parameters(params: Params64, flags: u32) -> None: ...


@remote.call(289, "connect:read")
def node_get_memory_parameters(nparams: i32, flags: u32) -> tuple[Params64, i32]: ...


@remote.call(293, "connect:read")
def node_get_cpu_map(need_map: i32, need_online: i32, flags: u32) -> tuple[CpuMap, u32, i32]: ...


@remote.call(297, "node_device:getattr")
def node_device_lookup_scsi_host_by_wwn(wwnn: str, wwpn: str, flags: u32) -> NodeDevice: ...


@remote.call(301, "node_device:detach")
def node_device_detach_flags(name: str, driver: str | None, flags: u32) -> None: ...


@remote.call(340, "connect:read")
def node_get_free_pages(
    pages: Annotated[list[u32], Limit(1024)], start_cell: i32, cell_count: u32, flags: u32
) -> Cells: ...


@remote.call(347, "connect:write")
def node_alloc_pages(
    page_sizes: Annotated[list[u32], Limit(1024)], page_counts: Cells, start_cell: i32, cell_count: u32, flags: u32
) -> i32: ...


@remote.call(374, "connect:search_node_devices")
def connect_node_device_event_register_any(event_id: i32, dev: NodeDevice | None) -> i32: ...


@remote.call(375, "connect:read")
def connect_node_device_event_deregister_any(callback_id: i32) -> None: ...


@remote.event(376)
def node_device_event_lifecycle(callback_id: i32, dev: NodeDevice, event: i32, detail: i32) -> None: ...


@remote.event(377)
def node_device_event_update(callback_id: i32, dev: NodeDevice) -> None: ...


@remote.call(395, "connect:read")
def node_get_sev_info(nparams: i32, flags: u32) -> tuple[Params64, i32]: ...


@remote.call(428, "node_device:write")
def node_device_define_xml(xml: str, flags: u32) -> NodeDevice: ...


@remote.call(429, "node_device:delete")
def node_device_undefine(name: str, flags: u32) -> None: ...


@remote.call(430, "node_device:start")
def node_device_create(name: str, flags: u32) -> None: ...


@remote.call(433, "node_device:read")
def node_device_get_autostart(name: str) -> i32: ...


@remote.call(434, "node_device:write")
def node_device_set_autostart(name: str, autostart: i32) -> None: ...


@remote.call(435, "node_device:read")
def node_device_is_persistent(name: str) -> i32: ...


@remote.call(436, "node_device:read")
def node_device_is_active(name: str) -> i32: ...
