"""Procedures of virtual networks and their ports.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, Uuid, i32, u32
from domicile.rpc.records import DhcpLease
from domicile.rpc.types import LIST_MAX, Names, Network, NetworkPort, Params16


@remote.call(36, "connect:search_networks")
def connect_list_defined_networks(maxnames: i32) -> Names: ...


@remote.call(38, "connect:search_networks")
def connect_list_networks(maxnames: i32) -> Names: ...


@remote.call(39, "network:start")
def network_create(net: Network) -> None: ...


@remote.call(40, "network:write network:start")
def network_create_xml(xml: str) -> Network: ...


@remote.call(41, "network:write network:save")
def network_define_xml(xml: str) -> Network: ...


@remote.call(42, "network:stop")
def network_destroy(net: Network) -> None: ...


@remote.call(43, "network:read")
def network_get_xml_desc(net: Network, flags: u32) -> str: ...


@remote.call(44, "network:read")
def network_get_autostart(net: Network) -> i32: ...


@remote.call(45, "network:read")
def network_get_bridge_name(net: Network) -> str: ...


@remote.call(46, "network:getattr")
def network_lookup_by_name(name: str) -> Network: ...


@remote.call(47, "network:getattr")
def network_lookup_by_uuid(uuid: Uuid) -> Network: ...


@remote.call(48, "network:write")
def network_set_autostart(net: Network, autostart: i32) -> None: ...


@remote.call(49, "network:delete")
def network_undefine(net: Network) -> None: ...


@remote.call(50, "connect:search_networks")
def connect_num_of_defined_networks() -> i32: ...


@remote.call(52, "connect:search_networks")
def connect_num_of_networks() -> i32: ...


@remote.call(152, "network:read")
def network_is_active(net: Network) -> i32: ...


@remote.call(153, "network:read")
def network_is_persistent(net: Network) -> i32: ...


@remote.call(283, "connect:search_networks")
def connect_list_all_networks(
    need_results: i32, flags: u32
) -> tuple[Annotated[list[Network], Limit(LIST_MAX)], u32]: ...


@remote.call(291, "network:write network:save?config")
def network_update(net: Network, command: u32, section: u32, parent_index: i32, xml: str, flags: u32) -> None: ...


@remote.call(313, "connect:search_networks")
def connect_network_event_register_any(event_id: i32, net: Network | None) -> i32: ...


@remote.call(314, "connect:read")
def connect_network_event_deregister_any(callback_id: i32) -> None: ...


@remote.event(315)
def network_event_lifecycle(callback_id: i32, net: Network, event: i32, detail: i32) -> None: ...


@remote.call(341, "network:read")
def network_get_dhcp_leases(
    net: Network, mac: str | None, need_results: i32, flags: u32
) -> tuple[Annotated[list[DhcpLease], Limit(65536)], u32]: ...


@remote.call(404, "network:search_ports")
def network_list_all_ports(
    net: Network, need_results: i32, flags: u32
) -> tuple[Annotated[list[NetworkPort], Limit(LIST_MAX)], u32]: ...


@remote.call(405, "network_port:getattr")
def network_port_lookup_by_uuid(net: Network, uuid: Uuid) -> NetworkPort: ...


@remote.call(406, "network_port:create")
def network_port_create_xml(net: Network, xml: str, flags: u32) -> NetworkPort: ...


@remote.call(407, "network_port:read")
def network_port_get_parameters(port: NetworkPort, nparams: i32, flags: u32) -> tuple[Params16, i32]: ...


@remote.call(408, "network_port:write")
def network_port_set_parameters(port: NetworkPort, params: Params16, flags: u32) -> None: ...


@remote.call(409, "network_port:read")
def network_port_get_xml_desc(port: NetworkPort, flags: u32) -> str: ...


@remote.call(410, "network_port:delete")
def network_port_delete(port: NetworkPort, flags: u32) -> None: ...


@remote.call(432, "network:write network:save")
def network_define_xml_flags(xml: str, flags: u32) -> Network: ...


@remote.call(437, "network:write network:start")
def network_create_xml_flags(xml: str, flags: u32) -> Network: ...


@remote.call(444, "network:write network:save?config")
def network_set_metadata(
    net: Network, type: i32, metadata: str | None, key: str | None, uri: str | None, flags: u32
) -> None: ...


@remote.call(445, "network:read")
def network_get_metadata(net: Network, type: i32, uri: str | None, flags: u32) -> str: ...
