"""Procedures of a domain's definition and life: lookup, define, start, stop, save, and what it is.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, Uuid, i32, u32, u64
from domicile.rpc.records import DomainInfo, JobInfo, SecurityLabel
from domicile.rpc.types import Domain, Params64


@remote.call(9, "domain:start")
def domain_create(dom: Domain) -> None: ...


@remote.call(10, "domain:write domain:start")
def domain_create_xml(xml: str, flags: u32) -> Domain: ...


@remote.call(11, "domain:write domain:save")
def domain_define_xml(xml: str) -> Domain: ...


@remote.call(12, "domain:stop")
def domain_destroy(dom: Domain) -> None: ...


@remote.call(14, "domain:read domain:read_secure?VIR_DOMAIN_XML_SECURE|MIGRATABLE")
def domain_get_xml_desc(dom: Domain, flags: u32) -> str: ...


@remote.call(15, "domain:read")
def domain_get_autostart(dom: Domain) -> i32: ...


@remote.call(16, "domain:read")
def domain_get_info(dom: Domain) -> DomainInfo: ...


@remote.call(17, "domain:read")
def domain_get_max_memory(dom: Domain) -> u64: ...


@remote.call(18, "domain:read")
def domain_get_max_vcpus(dom: Domain) -> i32: ...


@remote.call(19, "domain:read")
def domain_get_os_type(dom: Domain) -> str: ...


@remote.call(22, "domain:getattr")
def domain_lookup_by_id(id: i32) -> Domain: ...


@remote.call(23, "domain:getattr")
def domain_lookup_by_name(name: str) -> Domain: ...


@remote.call(24, "domain:getattr")
def domain_lookup_by_uuid(uuid: Uuid) -> Domain: ...


@remote.call(27, "domain:init_control domain:write?VIR_DOMAIN_REBOOT_GUEST_AGENT")
def domain_reboot(dom: Domain, flags: u32) -> None: ...


@remote.call(28, "domain:suspend")
def domain_resume(dom: Domain) -> None: ...


@remote.call(29, "domain:write")
def domain_set_autostart(dom: Domain, autostart: i32) -> None: ...


@remote.call(33, "domain:init_control")
def domain_shutdown(dom: Domain) -> None: ...


@remote.call(34, "domain:suspend")
def domain_suspend(dom: Domain) -> None: ...


@remote.call(35, "domain:delete")
def domain_undefine(dom: Domain) -> None: ...


@remote.call(53, "domain:core_dump")
def domain_core_dump(dom: Domain, to: str, flags: u32) -> None: ...


@remote.call(54, "domain:start domain:write")
def domain_restore(source: str) -> None: ...


@remote.call(55, "domain:hibernate")
def domain_save(dom: Domain, to: str) -> None: ...


@remote.call(121, "domain:read")
def domain_get_security_label(dom: Domain) -> SecurityLabel: ...


@remote.call(150, "domain:read")
def domain_is_active(dom: Domain) -> i32: ...


@remote.call(151, "domain:read")
def domain_is_persistent(dom: Domain) -> i32: ...


@remote.call(163, "domain:read")
def domain_get_job_info(dom: Domain) -> JobInfo: ...


@remote.call(164, "domain:write")
def domain_abort_job(dom: Domain) -> None: ...


@remote.call(182, "domain:hibernate")
def domain_managed_save(dom: Domain, flags: u32) -> None: ...


@remote.call(183, "domain:read")
def domain_has_managed_save_image(dom: Domain, flags: u32) -> i32: ...


@remote.call(184, "domain:hibernate")
def domain_managed_save_remove(dom: Domain, flags: u32) -> None: ...


@remote.call(196, "domain:start")
def domain_create_with_flags(dom: Domain, flags: u32) -> Domain: ...


@remote.call(202, "domain:read")
def domain_is_updated(dom: Domain) -> i32: ...


@remote.call(212, "domain:read")
def domain_get_state(dom: Domain, flags: u32) -> tuple[i32, i32]: ...


@remote.call(229, "domain:read")
def domain_get_control_info(dom: Domain, flags: u32) -> tuple[u32, u32, u64]: ...


@remote.call(231, "domain:delete")
def domain_undefine_flags(dom: Domain, flags: u32) -> None: ...


@remote.call(232, "domain:hibernate")
def domain_save_flags(dom: Domain, to: str, dxml: str | None, flags: u32) -> None: ...


@remote.call(233, "domain:start domain:write")
def domain_restore_flags(source: str, dxml: str | None, flags: u32) -> None: ...


@remote.call(234, "domain:stop")
def domain_destroy_flags(dom: Domain, flags: u32) -> None: ...


@remote.call(235, "domain:write")
def domain_save_image_get_xml_desc(file: str, flags: u32) -> str: ...


@remote.call(236, "domain:write domain:hibernate")
def domain_save_image_define_xml(file: str, dxml: str, flags: u32) -> None: ...


@remote.call(245, "domain:reset")
def domain_reset(dom: Domain, flags: u32) -> None: ...


@remote.call(258, "domain:init_control domain:write?VIR_DOMAIN_SHUTDOWN_GUEST_AGENT")
def domain_shutdown_flags(dom: Domain, flags: u32) -> None: ...


@remote.call(261, "domain:pm_control")
def domain_pm_suspend_for_duration(dom: Domain, target: u32, duration: u64, flags: u32) -> None: ...


@remote.call(264, "domain:write domain:save?config")
def domain_set_metadata(
    dom: Domain, type: i32, metadata: str | None, key: str | None, uri: str | None, flags: u32
) -> None: ...


@remote.call(265, "domain:read")
def domain_get_metadata(dom: Domain, type: i32, uri: str | None, flags: u32) -> str: ...


@remote.call(267, "domain:pm_control")
def domain_pm_wakeup(dom: Domain, flags: u32) -> None: ...


@remote.call(278, "domain:read")
def domain_get_security_label_list(dom: Domain) -> tuple[Annotated[list[SecurityLabel], Limit(64)], i32]: ...


@remote.call(298, "domain:read")
def domain_get_job_stats(dom: Domain, flags: u32) -> tuple[i32, Params64]: ...


@remote.call(309, "domain:write domain:start", files="in")
def domain_create_xml_with_files(xml: str, flags: u32) -> Domain: ...


@remote.call(310, "domain:start", files="in")
def domain_create_with_files(dom: Domain, flags: u32) -> Domain: ...


@remote.call(334, "domain:core_dump")
def domain_core_dump_with_format(dom: Domain, to: str, format: u32, flags: u32) -> None: ...


@remote.call(350, "domain:write domain:save")
def domain_define_xml_flags(xml: str, flags: u32) -> Domain: ...


@remote.call(358, "domain:write domain:save")
def domain_rename(dom: Domain, new_name: str | None, flags: u32) -> i32: ...


@remote.call(388, "domain:read domain:read_secure?VIR_DOMAIN_SAVE_IMAGE_XML_SECURE")
def domain_managed_save_get_xml_desc(dom: Domain, flags: u32) -> str: ...


@remote.call(389, "domain:write domain:hibernate")
def domain_managed_save_define_xml(dom: Domain, dxml: str | None, flags: u32) -> None: ...


@remote.call(390, "domain:write")
def domain_set_lifecycle_action(dom: Domain, type: u32, action: u32, flags: u32) -> None: ...


@remote.call(396, "domain:read")
def domain_get_launch_security_info(dom: Domain, flags: u32) -> Params64: ...


@remote.call(426, "domain:read")
def domain_get_messages(dom: Domain, flags: u32) -> Annotated[list[str], Limit(2048)]: ...


@remote.call(439, "domain:write")
def domain_set_launch_security_state(dom: Domain, params: Params64, flags: u32) -> None: ...


@remote.call(440, "domain:hibernate")
def domain_save_params(dom: Domain, params: Params64, flags: u32) -> None: ...


@remote.call(441, "domain:start domain:write")
def domain_restore_params(params: Params64, flags: u32) -> None: ...


@remote.call(442, "domain:write")
def domain_abort_job_flags(dom: Domain, flags: u32) -> None: ...


@remote.call(443, "domain:write", files="in")
def domain_fd_associate(dom: Domain, name: str, flags: u32) -> None: ...


@remote.call(448, "domain:read")
def domain_get_autostart_once(dom: Domain) -> i32: ...


@remote.call(449, "domain:write")
def domain_set_autostart_once(dom: Domain, autostart: i32) -> None: ...
