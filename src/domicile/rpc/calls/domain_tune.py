"""Procedures that tune a domain: processors, memory, scheduling, I/O threads, statistics.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, u32, u64
from domicile.rpc.records import InterfaceStats, IoThreadInfo, MemoryStat, VcpuInfo
from domicile.rpc.types import CpuMap, CpuMaps, Domain, Params16, Params64, Params2048


@remote.call(20, "domain:read")
def domain_get_vcpus(
    dom: Domain, maxinfo: i32, maplen: i32
) -> tuple[Annotated[list[VcpuInfo], Limit(16384)], CpuMaps]: ...


@remote.call(26, "domain:write")
def domain_pin_vcpu(dom: Domain, vcpu: u32, cpumap: CpuMap) -> None: ...


@remote.call(30, "domain:write")
def domain_set_max_memory(dom: Domain, memory: u64) -> None: ...


@remote.call(31, "domain:write")
def domain_set_memory(dom: Domain, memory: u64) -> None: ...


@remote.call(32, "domain:write")
def domain_set_vcpus(dom: Domain, nvcpus: u32) -> None: ...


@remote.call(56, "domain:read")
def domain_get_scheduler_type(dom: Domain) -> tuple[str, i32]: ...


@remote.call(57, "domain:read")
def domain_get_scheduler_parameters(dom: Domain, nparams: i32) -> Params16: ...


@remote.call(58, "domain:write")
def domain_set_scheduler_parameters(dom: Domain, params: Params16) -> None: ...


@remote.call(65, "domain:read")
def domain_interface_stats(dom: Domain, device: str) -> InterfaceStats: ...


@remote.call(159, "domain:read")
def domain_memory_stats(dom: Domain, max_stats: u32, flags: u32) -> Annotated[list[MemoryStat], Limit(1024)]: ...


@remote.call(197, "domain:write domain:save?config")
def domain_set_memory_parameters(dom: Domain, params: Params16, flags: u32) -> None: ...


@remote.call(198, "domain:read")
def domain_get_memory_parameters(dom: Domain, nparams: i32, flags: u32) -> tuple[Params16, i32]: ...


@remote.call(199, "domain:write domain:save?config")
def domain_set_vcpus_flags(dom: Domain, nvcpus: u32, flags: u32) -> None: ...


@remote.call(200, "domain:read domain:write?VIR_DOMAIN_VCPU_GUEST")
def domain_get_vcpus_flags(dom: Domain, flags: u32) -> i32: ...


@remote.call(204, "domain:write domain:save?config")
def domain_set_memory_flags(dom: Domain, memory: u64, flags: u32) -> None: ...


@remote.call(205, "domain:write domain:save?config")
def domain_set_blkio_parameters(dom: Domain, params: Params16, flags: u32) -> None: ...


@remote.call(206, "domain:read")
def domain_get_blkio_parameters(dom: Domain, nparams: i32, flags: u32) -> tuple[Params16, i32]: ...


@remote.call(219, "domain:write domain:save?config")
def domain_set_scheduler_parameters_flags(dom: Domain, params: Params16, flags: u32) -> None: ...


@remote.call(223, "domain:read")
def domain_get_scheduler_parameters_flags(dom: Domain, nparams: i32, flags: u32) -> Params16: ...


@remote.call(225, "domain:write domain:save?config")
def domain_pin_vcpu_flags(dom: Domain, vcpu: u32, cpumap: CpuMap, flags: u32) -> None: ...


@remote.call(230, "domain:read")
def domain_get_vcpu_pin_info(dom: Domain, ncpumaps: i32, maplen: i32, flags: u32) -> tuple[CpuMaps, i32]: ...


@remote.call(254, "domain:write domain:save?config")
def domain_set_numa_parameters(dom: Domain, params: Params16, flags: u32) -> None: ...


@remote.call(255, "domain:read")
def domain_get_numa_parameters(dom: Domain, nparams: i32, flags: u32) -> tuple[Params16, i32]: ...


@remote.call(256, "domain:write domain:save?config")
def domain_set_interface_parameters(dom: Domain, device: str, params: Params16, flags: u32) -> None: ...


@remote.call(257, "domain:read")
def domain_get_interface_parameters(dom: Domain, device: str, nparams: i32, flags: u32) -> tuple[Params16, i32]: ...


@remote.call(262, "domain:read")
def domain_get_cpu_stats(
    dom: Domain, nparams: u32, start_cpu: i32, ncpus: u32, flags: u32
) -> tuple[Params2048, i32]: ...


@remote.call(279, "domain:write domain:save?config")
def domain_pin_emulator(dom: Domain, cpumap: CpuMap, flags: u32) -> None: ...


@remote.call(280, "domain:read")
def domain_get_emulator_pin_info(dom: Domain, maplen: i32, flags: u32) -> tuple[CpuMaps, i32]: ...


@remote.call(308, "domain:write domain:save?config")
def domain_set_memory_stats_period(dom: Domain, period: i32, flags: u32) -> None: ...


@remote.call(351, "domain:read")
def domain_get_iothread_info(dom: Domain, flags: u32) -> tuple[Annotated[list[IoThreadInfo], Limit(16384)], u32]: ...


@remote.call(352, "domain:write domain:save?config")
def domain_pin_iothread(dom: Domain, iothread: u32, cpumap: CpuMap, flags: u32) -> None: ...


@remote.call(355, "domain:write domain:save?config")
def domain_add_iothread(dom: Domain, iothread: u32, flags: u32) -> None: ...


@remote.call(356, "domain:write domain:save?config")
def domain_del_iothread(dom: Domain, iothread: u32, flags: u32) -> None: ...


@remote.call(365, "domain:read")
def domain_get_perf_events(dom: Domain, flags: u32) -> Params64: ...


@remote.call(366, "domain:write")
def domain_set_perf_events(dom: Domain, params: Params64, flags: u32) -> None: ...


@remote.call(384, "domain:write domain:save?config")
def domain_set_vcpu(dom: Domain, cpumap: str, state: i32, flags: u32) -> None: ...


@remote.call(402, "domain:write domain:save?config")
def domain_set_iothread_params(dom: Domain, iothread: u32, params: Params64, flags: u32) -> None: ...


@remote.call(427, "domain:write")
def domain_start_dirty_rate_calc(dom: Domain, seconds: i32, flags: u32) -> None: ...


@remote.call(446, "domain:write domain:save?config")
def domain_set_vcpu_dirty_limit(dom: Domain, vcpu: i32, rate: u64, flags: u32) -> None: ...
