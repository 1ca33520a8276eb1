"""Procedures that ask the guest through its agent.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, i64, u32, u64
from domicile.rpc.records import DomainInterface, FsInfo
from domicile.rpc.types import Domain, Params64, Params2048

Keys = Annotated[list[str], Limit(2048)]
Mountpoints = Annotated[list[str], Limit(256)]


@remote.call(277, "domain:write")
def domain_get_hostname(dom: Domain, flags: u32) -> str: ...


@remote.call(294, "domain:fs_trim")
def domain_fstrim(dom: Domain, mountpoint: str | None, minimum: u64, flags: u32) -> None: ...


@remote.call(335, "domain:fs_freeze")
def domain_fsfreeze(dom: Domain, mountpoints: Mountpoints, flags: u32) -> i32: ...


@remote.call(336, "domain:fs_freeze")
def domain_fsthaw(dom: Domain, mountpoints: Mountpoints, flags: u32) -> i32: ...


@remote.call(337, "domain:write")
def domain_get_time(dom: Domain, flags: u32) -> tuple[i64, u32]: ...


@remote.call(338, "domain:set_time")
def domain_set_time(dom: Domain, seconds: i64, nseconds: u32, flags: u32) -> None: ...


@remote.call(349, "domain:fs_freeze")
def domain_get_fsinfo(dom: Domain, flags: u32) -> tuple[Annotated[list[FsInfo], Limit(256)], u32]: ...


@remote.call(353, "domain:read domain:write?VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT")
def domain_interface_addresses(
    dom: Domain, source: u32, flags: u32
) -> Annotated[list[DomainInterface], Limit(2048)]: ...


@remote.call(357, "domain:set_password")
def domain_set_user_password(dom: Domain, user: str | None, password: str | None, flags: u32) -> None: ...


@remote.call(371, "domain:write")
def domain_get_guest_vcpus(dom: Domain, flags: u32) -> Params64: ...


@remote.call(372, "domain:write")
def domain_set_guest_vcpus(dom: Domain, cpumap: str, state: i32, flags: u32) -> None: ...


@remote.call(418, "domain:write")
def domain_get_guest_info(dom: Domain, types: u32, flags: u32) -> Params2048: ...


@remote.call(420, "domain:write")
def domain_agent_set_response_timeout(dom: Domain, timeout: i32, flags: u32) -> i32: ...


@remote.call(424, "domain:write")
def domain_authorized_ssh_keys_get(dom: Domain, user: str, flags: u32) -> Keys: ...


@remote.call(425, "domain:write")
def domain_authorized_ssh_keys_set(dom: Domain, user: str, keys: Keys, flags: u32) -> None: ...
