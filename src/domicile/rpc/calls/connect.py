"""Procedures of the connection itself: opening, the host's capabilities, lists, event registration, authentication.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, u32, u64
from domicile.rpc.records import StatsRecord
from domicile.rpc.types import LIST_MAX, Domain, Names, Sasl, TypedParam


@remote.call(1, "connect:getattr")
def connect_open(name: str | None, flags: u32) -> None: ...


@remote.call(2)
def connect_close() -> None: ...


@remote.call(3, "connect:getattr")
def connect_get_type() -> str: ...


@remote.call(4, "connect:getattr")
def connect_get_version() -> u64: ...


@remote.call(5, "connect:read")
def connect_get_max_vcpus(type: str | None) -> i32: ...


@remote.call(7, "connect:read")
def connect_get_capabilities() -> str: ...


@remote.call(21, "connect:search_domains")
def connect_list_defined_domains(maxnames: i32) -> Names: ...


@remote.call(25, "connect:search_domains")
def connect_num_of_defined_domains() -> i32: ...


@remote.call(37, "connect:search_domains")
def connect_list_domains(maxids: i32) -> Annotated[list[i32], Limit(LIST_MAX)]: ...


@remote.call(51, "connect:search_domains")
def connect_num_of_domains() -> i32: ...


@remote.call(59, "connect:getattr")
def connect_get_hostname() -> str: ...


@remote.call(60, "connect:getattr")
def connect_supports_feature(feature: i32) -> i32: ...


@remote.call(66)
def auth_list() -> Annotated[list[i32], Limit(20)]: ...


@remote.call(67)
def auth_sasl_init() -> str: ...


@remote.call(68)
def auth_sasl_start(mech: str, nil: i32, data: Sasl) -> tuple[i32, i32, Sasl]: ...


@remote.call(69)
def auth_sasl_step(nil: i32, data: Sasl) -> tuple[i32, i32, Sasl]: ...


@remote.call(70)
def auth_polkit() -> i32: ...


@remote.call(105, "connect:search_domains")
def connect_domain_event_register() -> i32: ...


@remote.call(106, "connect:read")
def connect_domain_event_deregister() -> i32: ...


@remote.call(110, "connect:getattr")
def connect_get_uri() -> str: ...


@remote.call(135, "connect:write")
def connect_domain_xml_from_native(format: str, config: str, flags: u32) -> str: ...


@remote.call(136, "connect:write")
def connect_domain_xml_to_native(format: str, xml: str, flags: u32) -> str: ...


@remote.call(149)
def connect_is_secure() -> i32: ...


@remote.call(157, "connect:getattr")
def connect_get_lib_version() -> u64: ...


@remote.call(158, "connect:read")
def connect_compare_cpu(xml: str, flags: u32) -> i32: ...


@remote.call(162, "connect:read")
def connect_baseline_cpu(xml_cpus: Annotated[list[str], Limit(256)], flags: u32) -> str: ...


@remote.call(167, "connect:search_domains")
def connect_domain_event_register_any(event_id: i32) -> None: ...


@remote.call(168, "connect:read")
def connect_domain_event_deregister_any(event_id: i32) -> None: ...


@remote.call(203, "connect:read")
def connect_get_sysinfo(flags: u32) -> str: ...


@remote.call(273, "connect:search_domains")
def connect_list_all_domains(need_results: i32, flags: u32) -> tuple[Annotated[list[Domain], Limit(LIST_MAX)], u32]: ...


@remote.call(312, "connect:read")
def connect_get_cpu_model_names(
    arch: str, need_results: i32, flags: u32
) -> tuple[Annotated[list[str], Limit(8192)], i32]: ...


@remote.call(316, "connect:search_domains")
def connect_domain_event_callback_register_any(event_id: i32, dom: Domain | None) -> i32: ...


@remote.call(317, "connect:read")
def connect_domain_event_callback_deregister_any(callback_id: i32) -> None: ...


@remote.call(342, "connect:write")
def connect_get_domain_capabilities(
    emulator: str | None, arch: str | None, machine: str | None, virttype: str | None, flags: u32
) -> str: ...


@remote.call(344, "connect:search_domains")
def connect_get_all_domain_stats(
    doms: Annotated[list[Domain], Limit(LIST_MAX)], stats: u32, flags: u32
) -> Annotated[list[StatsRecord], Limit(LIST_MAX)]: ...


@remote.call(360, "connect:getattr")
def connect_register_close_callback() -> None: ...


@remote.call(361, "connect:getattr")
def connect_unregister_close_callback() -> None: ...


@remote.event(362)
def connect_event_connection_closed(reason: i32) -> None: ...


@remote.call(393, "connect:write")
def connect_compare_hypervisor_cpu(
    emulator: str | None, arch: str | None, machine: str | None, virttype: str | None, xml_cpu: str, flags: u32
) -> i32: ...


@remote.call(394, "connect:write")
def connect_baseline_hypervisor_cpu(
    emulator: str | None,
    arch: str | None,
    machine: str | None,
    virttype: str | None,
    xml_cpus: Annotated[list[str], Limit(256)],
    flags: u32,
) -> str: ...


@remote.call(419, "connect:write")
def connect_set_identity(params: Annotated[list[TypedParam], Limit(20)], flags: u32) -> None: ...
