"""Procedures of network filters and their bindings.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, Uuid, i32, u32
from domicile.rpc.types import LIST_MAX, Names, NwFilter, NwFilterBinding


@remote.call(175, "nwfilter:getattr")
def nwfilter_lookup_by_name(name: str) -> NwFilter: ...


@remote.call(176, "nwfilter:getattr")
def nwfilter_lookup_by_uuid(uuid: Uuid) -> NwFilter: ...


@remote.call(177, "nwfilter:read")
def nwfilter_get_xml_desc(nwfilter: NwFilter, flags: u32) -> str: ...


@remote.call(178, "connect:search_nwfilters")
def connect_num_of_nwfilters() -> i32: ...


@remote.call(179, "connect:search_nwfilters")
def connect_list_nwfilters(maxnames: i32) -> Names: ...


@remote.call(180, "nwfilter:write nwfilter:save")
def nwfilter_define_xml(xml: str) -> NwFilter: ...


@remote.call(181, "nwfilter:delete")
def nwfilter_undefine(nwfilter: NwFilter) -> None: ...


@remote.call(286, "connect:search_nwfilters")
def connect_list_all_nwfilters(
    need_results: i32, flags: u32
) -> tuple[Annotated[list[NwFilter], Limit(LIST_MAX)], u32]: ...


@remote.call(397, "nwfilter_binding:getattr")
def nwfilter_binding_lookup_by_port_dev(name: str) -> NwFilterBinding: ...


@remote.call(398, "nwfilter_binding:read")
def nwfilter_binding_get_xml_desc(binding: NwFilterBinding, flags: u32) -> str: ...


@remote.call(399, "nwfilter_binding:create")
def nwfilter_binding_create_xml(xml: str, flags: u32) -> NwFilterBinding: ...


@remote.call(400, "nwfilter_binding:delete")
def nwfilter_binding_delete(binding: NwFilterBinding) -> None: ...


@remote.call(401, "connect:search_nwfilter_bindings")
def connect_list_all_nwfilter_bindings(
    need_results: i32, flags: u32
) -> tuple[Annotated[list[NwFilterBinding], Limit(LIST_MAX)], u32]: ...


@remote.call(431, "nwfilter:write nwfilter:save")
def nwfilter_define_xml_flags(xml: str, flags: u32) -> NwFilter: ...
