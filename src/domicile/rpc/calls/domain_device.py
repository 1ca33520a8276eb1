"""Procedures of a running domain's devices: hot-plug, console, display, keys.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i64, u32
from domicile.rpc.types import Domain


@remote.call(8, "domain:write")
def domain_attach_device(dom: Domain, xml: str) -> None: ...


@remote.call(13, "domain:write")
def domain_detach_device(dom: Domain, xml: str) -> None: ...


@remote.call(160, "domain:write domain:save?config")
def domain_attach_device_flags(dom: Domain, xml: str, flags: u32) -> None: ...


@remote.call(161, "domain:write domain:save?config")
def domain_detach_device_flags(dom: Domain, xml: str, flags: u32) -> None: ...


@remote.call(174, "domain:write domain:save?config")
def domain_update_device_flags(dom: Domain, xml: str, flags: u32) -> None: ...


@remote.call(201, "domain:open_device", stream="read")
def domain_open_console(dom: Domain, device: str | None, flags: u32) -> None: ...


@remote.call(210, "domain:inject_nmi")
def domain_inject_nmi(dom: Domain, flags: u32) -> None: ...


@remote.call(211, "domain:screenshot", stream="read")
def domain_screenshot(dom: Domain, screen: u32, flags: u32) -> str | None: ...


@remote.call(226, "domain:send_input")
def domain_send_key(
    dom: Domain, codeset: u32, holdtime: u32, keycodes: Annotated[list[u32], Limit(16)], flags: u32
) -> None: ...


@remote.call(249, "domain:open_graphics", files="in")
def domain_open_graphics(dom: Domain, index: u32, flags: u32) -> None: ...


@remote.call(295, "domain:send_signal")
def domain_send_process_signal(dom: Domain, pid: i64, signal: u32, flags: u32) -> None: ...


@remote.call(296, "domain:open_device", stream="read")
def domain_open_channel(dom: Domain, name: str | None, flags: u32) -> None: ...


@remote.call(343, "domain:open_graphics", files="out")
def domain_open_graphics_fd(dom: Domain, index: u32, flags: u32) -> None: ...


@remote.call(392, "domain:write domain:save?config")
def domain_detach_device_alias(dom: Domain, alias: str, flags: u32) -> None: ...


@remote.call(447, "domain:write")
def domain_graphics_reload(dom: Domain, type: u32, flags: u32) -> None: ...
