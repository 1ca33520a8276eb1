"""Events of domains: the legacy forms, and the forms that carry the callback's number first.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, i64, u32, u64
from domicile.rpc.records import GraphicsAddress, GraphicsIdentity
from domicile.rpc.types import Domain, Params64, Params2048

Identities = Annotated[list[GraphicsIdentity], Limit(20)]


@remote.event(107)
def domain_event_lifecycle(dom: Domain, event: i32, detail: i32) -> None: ...


@remote.event(169)
def domain_event_reboot(dom: Domain) -> None: ...


@remote.event(170)
def domain_event_rtc_change(dom: Domain, offset: i64) -> None: ...


@remote.event(171)
def domain_event_watchdog(dom: Domain, action: i32) -> None: ...


@remote.event(172)
def domain_event_io_error(dom: Domain, src_path: str, dev_alias: str, action: i32) -> None: ...


@remote.event(173)
def domain_event_graphics(
    dom: Domain, phase: i32, local: GraphicsAddress, remote: GraphicsAddress, auth_scheme: str, subject: Identities
) -> None: ...


@remote.event(195)
def domain_event_io_error_reason(dom: Domain, src_path: str, dev_alias: str, action: i32, reason: str) -> None: ...


@remote.event(224)
def domain_event_control_error(dom: Domain) -> None: ...


@remote.event(241)
def domain_event_block_job(dom: Domain, path: str, type: i32, status: i32) -> None: ...


@remote.event(248)
def domain_event_disk_change(
    dom: Domain, old_src_path: str | None, new_src_path: str | None, dev_alias: str, reason: i32
) -> None: ...


@remote.event(268)
def domain_event_tray_change(dom: Domain, dev_alias: str, reason: i32) -> None: ...


@remote.event(269)
def domain_event_pmwakeup(dom: Domain) -> None: ...


@remote.event(270)
def domain_event_pmsuspend(dom: Domain) -> None: ...


@remote.event(276)
def domain_event_balloon_change(dom: Domain, actual: u64) -> None: ...


@remote.event(292)
def domain_event_pmsuspend_disk(dom: Domain) -> None: ...


@remote.event(311)
def domain_event_device_removed(dom: Domain, dev_alias: str) -> None: ...


@remote.event(318)
def domain_event_callback_lifecycle(callback_id: i32, dom: Domain, event: i32, detail: i32) -> None: ...


@remote.event(319)
def domain_event_callback_reboot(callback_id: i32, dom: Domain) -> None: ...


@remote.event(320)
def domain_event_callback_rtc_change(callback_id: i32, dom: Domain, offset: i64) -> None: ...


@remote.event(321)
def domain_event_callback_watchdog(callback_id: i32, dom: Domain, action: i32) -> None: ...


@remote.event(322)
def domain_event_callback_io_error(
    callback_id: i32, dom: Domain, src_path: str, dev_alias: str, action: i32
) -> None: ...


@remote.event(323)
def domain_event_callback_graphics(
    callback_id: i32,
    dom: Domain,
    phase: i32,
    local: GraphicsAddress,
    remote: GraphicsAddress,
    auth_scheme: str,
    subject: Identities,
) -> None: ...


@remote.event(324)
def domain_event_callback_io_error_reason(
    callback_id: i32, dom: Domain, src_path: str, dev_alias: str, action: i32, reason: str
) -> None: ...


@remote.event(325)
def domain_event_callback_control_error(callback_id: i32, dom: Domain) -> None: ...


@remote.event(326)
def domain_event_callback_block_job(callback_id: i32, dom: Domain, path: str, type: i32, status: i32) -> None: ...


@remote.event(327)
def domain_event_callback_disk_change(
    callback_id: i32, dom: Domain, old_src_path: str | None, new_src_path: str | None, dev_alias: str, reason: i32
) -> None: ...


@remote.event(328)
def domain_event_callback_tray_change(callback_id: i32, dom: Domain, dev_alias: str, reason: i32) -> None: ...


@remote.event(329)
def domain_event_callback_pmwakeup(callback_id: i32, reason: i32, dom: Domain) -> None: ...


@remote.event(330)
def domain_event_callback_pmsuspend(callback_id: i32, reason: i32, dom: Domain) -> None: ...


@remote.event(331)
def domain_event_callback_balloon_change(callback_id: i32, dom: Domain, actual: u64) -> None: ...


@remote.event(332)
def domain_event_callback_pmsuspend_disk(callback_id: i32, reason: i32, dom: Domain) -> None: ...


@remote.event(333)
def domain_event_callback_device_removed(callback_id: i32, dom: Domain, dev_alias: str) -> None: ...


@remote.event(339)
def domain_event_block_job_2(callback_id: i32, dom: Domain, dst: str, type: i32, status: i32) -> None: ...


@remote.event(346)
def domain_event_callback_tunable(callback_id: i32, dom: Domain, params: Params2048) -> None: ...


@remote.event(348)
def domain_event_callback_agent_lifecycle(callback_id: i32, dom: Domain, state: i32, reason: i32) -> None: ...


@remote.event(354)
def domain_event_callback_device_added(callback_id: i32, dom: Domain, dev_alias: str) -> None: ...


@remote.event(359)
def domain_event_callback_migration_iteration(callback_id: i32, dom: Domain, iteration: i32) -> None: ...


@remote.event(363)
def domain_event_callback_job_completed(callback_id: i32, dom: Domain, params: Params64) -> None: ...


@remote.event(367)
def domain_event_callback_device_removal_failed(callback_id: i32, dom: Domain, dev_alias: str) -> None: ...


@remote.event(379)
def domain_event_callback_metadata_change(callback_id: i32, dom: Domain, type: i32, nsuri: str | None) -> None: ...


@remote.event(385)
def domain_event_block_threshold(
    callback_id: i32, dom: Domain, dev: str, path: str | None, threshold: u64, excess: u64
) -> None: ...


@remote.event(423)
def domain_event_memory_failure(callback_id: i32, dom: Domain, recipient: i32, action: i32, flags: u32) -> None: ...


@remote.event(438)
def domain_event_memory_device_size_change(callback_id: i32, dom: Domain, alias: str, size: u64) -> None: ...


@remote.event(452)
def domain_event_nic_mac_change(callback_id: i32, dom: Domain, alias: str, old_mac: str, new_mac: str) -> None: ...
