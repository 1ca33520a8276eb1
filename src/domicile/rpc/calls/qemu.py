"""The QEMU program: a way through to the monitor and the guest agent.

Source: libvirt's qemu program, 0x20008087.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from domicile.rpc.calls.programs import qemu
from domicile.rpc.layout import i32, i64, u32
from domicile.rpc.types import Domain


@qemu.call(1, "domain:write")
def qemu_domain_monitor_command(dom: Domain, command: str, flags: u32) -> str: ...


@qemu.call(2, "domain:write")
def qemu_domain_attach(pid: u32, flags: u32) -> Domain: ...


@qemu.call(3, "domain:write")
def qemu_domain_agent_command(dom: Domain, command: str, timeout: i32, flags: u32) -> str | None: ...


@qemu.call(4, "connect:write")
def qemu_connect_domain_monitor_event_register(dom: Domain | None, event: str | None, flags: u32) -> i32: ...


@qemu.call(5, "connect:write")
def qemu_connect_domain_monitor_event_deregister(callback_id: i32) -> None: ...


@qemu.event(6)
def qemu_domain_monitor_event(
    callback_id: i32, dom: Domain, event: str, seconds: i64, micros: u32, details: str | None
) -> None: ...


@qemu.call(7, "domain:write", files="both")
def qemu_domain_monitor_command_with_files(dom: Domain, command: str, flags: u32) -> str: ...
