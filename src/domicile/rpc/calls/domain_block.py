"""Procedures of a domain's disks: statistics, peeks, block jobs, throttling.

Source: the numbers and layouts are libvirt's remote program.
"""
# mypy: disable-error-code="empty-body"
# ruff: noqa: D103   the names and signatures say it

from __future__ import annotations

from typing import Annotated

from domicile.rpc.calls.programs import remote
from domicile.rpc.layout import Limit, i32, u32, u64
from domicile.rpc.records import BlockStats, DiskError
from domicile.rpc.types import Domain, Params16, Params32

Peek = Annotated[bytes, Limit(4_194_304)]


@remote.call(64, "domain:read")
def domain_block_stats(dom: Domain, path: str) -> BlockStats: ...


@remote.call(103, "domain:block_read")
def domain_block_peek(dom: Domain, path: str, offset: u64, size: u32, flags: u32) -> Peek: ...


@remote.call(104, "domain:mem_read")
def domain_memory_peek(dom: Domain, offset: u64, size: u32, flags: u32) -> Peek: ...


@remote.call(194, "domain:read")
def domain_get_block_info(dom: Domain, path: str, flags: u32) -> tuple[u64, u64, u64]: ...


@remote.call(237, "domain:write")
def domain_block_job_abort(dom: Domain, path: str, flags: u32) -> None: ...


@remote.call(238, "domain:read")
def domain_get_block_job_info(dom: Domain, path: str, flags: u32) -> tuple[i32, i32, u64, u64, u64]: ...


@remote.call(239, "domain:write")
def domain_block_job_set_speed(dom: Domain, path: str, bandwidth: u64, flags: u32) -> None: ...


@remote.call(240, "domain:block_write")
def domain_block_pull(dom: Domain, path: str, bandwidth: u64, flags: u32) -> None: ...


@remote.call(243, "domain:read")
def domain_block_stats_flags(dom: Domain, path: str, nparams: i32, flags: u32) -> tuple[Params16, i32]: ...


@remote.call(251, "domain:block_write")
def domain_block_resize(dom: Domain, disk: str, size: u64, flags: u32) -> None: ...


@remote.call(252, "domain:write domain:save?config")
def domain_set_block_io_tune(dom: Domain, disk: str, params: Params32, flags: u32) -> None: ...


@remote.call(253, "domain:read")
def domain_get_block_io_tune(dom: Domain, disk: str | None, nparams: i32, flags: u32) -> tuple[Params32, i32]: ...


@remote.call(263, "domain:read")
def domain_get_disk_errors(
    dom: Domain, max_errors: u32, flags: u32
) -> tuple[Annotated[list[DiskError], Limit(256)], i32]: ...


@remote.call(266, "domain:block_write")
def domain_block_rebase(dom: Domain, path: str, base: str | None, bandwidth: u64, flags: u32) -> None: ...


@remote.call(290, "domain:block_write")
def domain_block_commit(
    dom: Domain, disk: str, base: str | None, top: str | None, bandwidth: u64, flags: u32
) -> None: ...


@remote.call(345, "domain:block_write")
def domain_block_copy(dom: Domain, path: str, destxml: str, params: Params16, flags: u32) -> None: ...


@remote.call(386, "domain:write")
def domain_set_block_threshold(dom: Domain, dev: str, threshold: u64, flags: u32) -> None: ...


@remote.call(421, "domain:checkpoint domain:block_write")
def domain_backup_begin(dom: Domain, backup_xml: str, checkpoint_xml: str | None, flags: u32) -> None: ...


@remote.call(422, "domain:read")
def domain_backup_get_xml_desc(dom: Domain, flags: u32) -> str: ...


@remote.call(450, "domain:write domain:save?config")
def domain_set_throttle_group(dom: Domain, group: str, params: Params32, flags: u32) -> None: ...


@remote.call(451, "domain:write domain:save?config")
def domain_del_throttle_group(dom: Domain, group: str | None, flags: u32) -> None: ...
