"""Procedures of live migration, in all of their generations.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import i32, u32, u64
from domicile.rpc.types import Cookie, Domain, Params64

_TARGET = "domain:migrate domain:start domain:write"


@remote.call(61, _TARGET)
def domain_migrate_prepare(
    uri_in: str | None, flags: u64, dname: str | None, resource: u64
) -> tuple[Cookie, str | None]: ...


@remote.call(62, "domain:migrate")
def domain_migrate_perform(
    dom: Domain, cookie: Cookie, uri: str, flags: u64, dname: str | None, resource: u64
) -> None: ...


@remote.call(63, "domain:migrate")
def domain_migrate_finish(dname: str, cookie: Cookie, uri: str, flags: u64) -> Domain: ...


@remote.call(108, _TARGET)
def domain_migrate_prepare2(
    uri_in: str | None, flags: u64, dname: str | None, resource: u64, dom_xml: str
) -> tuple[Cookie, str | None]: ...


@remote.call(109, "domain:migrate")
def domain_migrate_finish2(dname: str, cookie: Cookie, uri: str, flags: u64, retcode: i32) -> Domain: ...


@remote.call(148, _TARGET, stream="write")
def domain_migrate_prepare_tunnel(flags: u64, dname: str | None, resource: u64, dom_xml: str) -> None: ...


@remote.call(166, "domain:migrate")
def domain_migrate_set_max_downtime(dom: Domain, downtime: u64, flags: u32) -> None: ...


@remote.call(207, "domain:migrate")
def domain_migrate_set_max_speed(dom: Domain, bandwidth: u64, flags: u32) -> None: ...


@remote.call(213, "domain:migrate")
def domain_migrate_begin3(
    dom: Domain, xmlin: str | None, flags: u64, dname: str | None, resource: u64
) -> tuple[Cookie, str]: ...


@remote.call(214, _TARGET)
def domain_migrate_prepare3(
    cookie_in: Cookie, uri_in: str | None, flags: u64, dname: str | None, resource: u64, dom_xml: str
) -> tuple[Cookie, str | None]: ...


@remote.call(215, _TARGET, stream="write")
def domain_migrate_prepare_tunnel3(
    cookie_in: Cookie, flags: u64, dname: str | None, resource: u64, dom_xml: str
) -> Cookie: ...


@remote.call(216, "domain:migrate")
def domain_migrate_perform3(
    dom: Domain,
    xmlin: str | None,
    cookie_in: Cookie,
    dconnuri: str | None,
    uri: str | None,
    flags: u64,
    dname: str | None,
    resource: u64,
) -> Cookie: ...


@remote.call(217, "domain:migrate")
def domain_migrate_finish3(
    dname: str, cookie_in: Cookie, dconnuri: str | None, uri: str | None, flags: u64, cancelled: i32
) -> tuple[Domain, Cookie]: ...


@remote.call(218, "domain:migrate")
def domain_migrate_confirm3(dom: Domain, cookie_in: Cookie, flags: u64, cancelled: i32) -> None: ...


@remote.call(242, "domain:migrate")
def domain_migrate_get_max_speed(dom: Domain, flags: u32) -> u64: ...


@remote.call(299, "domain:migrate")
def domain_migrate_get_compression_cache(dom: Domain, flags: u32) -> u64: ...


@remote.call(300, "domain:migrate")
def domain_migrate_set_compression_cache(dom: Domain, cache_size: u64, flags: u32) -> None: ...


@remote.call(302, "domain:migrate")
def domain_migrate_begin3_params(dom: Domain, params: Params64, flags: u32) -> tuple[Cookie, str]: ...


@remote.call(303, _TARGET)
def domain_migrate_prepare3_params(params: Params64, cookie_in: Cookie, flags: u32) -> tuple[Cookie, str | None]: ...


@remote.call(304, _TARGET, stream="write")
def domain_migrate_prepare_tunnel3_params(params: Params64, cookie_in: Cookie, flags: u32) -> Cookie: ...


@remote.call(305, "domain:migrate")
def domain_migrate_perform3_params(
    dom: Domain, dconnuri: str | None, params: Params64, cookie_in: Cookie, flags: u32
) -> Cookie: ...


@remote.call(306, "domain:migrate")
def domain_migrate_finish3_params(
    params: Params64, cookie_in: Cookie, flags: u32, cancelled: i32
) -> tuple[Domain, Cookie]: ...


@remote.call(307, "domain:migrate")
def domain_migrate_confirm3_params(
    dom: Domain, params: Params64, cookie_in: Cookie, flags: u32, cancelled: i32
) -> None: ...


@remote.call(364, "domain:migrate")
def domain_migrate_start_post_copy(dom: Domain, flags: u32) -> None: ...


@remote.call(387, "domain:migrate")
def domain_migrate_get_max_downtime(dom: Domain, flags: u32) -> u64: ...
