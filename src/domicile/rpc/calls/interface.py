"""Procedures of the host's network interfaces.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, u32
from domicile.rpc.types import LIST_MAX, Interface, Names


@remote.call(126, "connect:search_interfaces")
def connect_num_of_interfaces() -> i32: ...


@remote.call(127, "connect:search_interfaces")
def connect_list_interfaces(maxnames: i32) -> Names: ...


@remote.call(128, "interface:getattr")
def interface_lookup_by_name(name: str) -> Interface: ...


@remote.call(129, "interface:getattr")
def interface_lookup_by_mac_string(mac: str) -> Interface: ...


@remote.call(130, "interface:read")
def interface_get_xml_desc(iface: Interface, flags: u32) -> str: ...


@remote.call(131, "interface:write interface:save")
def interface_define_xml(xml: str, flags: u32) -> Interface: ...


@remote.call(132, "interface:delete")
def interface_undefine(iface: Interface) -> None: ...


@remote.call(133, "interface:start")
def interface_create(iface: Interface, flags: u32) -> None: ...


@remote.call(134, "interface:stop")
def interface_destroy(iface: Interface, flags: u32) -> None: ...


@remote.call(137, "connect:search_interfaces")
def connect_num_of_defined_interfaces() -> i32: ...


@remote.call(138, "connect:search_interfaces")
def connect_list_defined_interfaces(maxnames: i32) -> Names: ...


@remote.call(156, "interface:read")
def interface_is_active(iface: Interface) -> i32: ...


@remote.call(220, "connect:interface_transaction")
def interface_change_begin(flags: u32) -> None: ...


@remote.call(221, "connect:interface_transaction")
def interface_change_commit(flags: u32) -> None: ...


@remote.call(222, "connect:interface_transaction")
def interface_change_rollback(flags: u32) -> None: ...


@remote.call(284, "connect:search_interfaces")
def connect_list_all_interfaces(
    need_results: i32, flags: u32
) -> tuple[Annotated[list[Interface], Limit(LIST_MAX)], u32]: ...
