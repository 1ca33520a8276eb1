"""Handlers of block jobs: pull, commit, copy, and how they go on. `doors` merges them with the others."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest
from domicile.devices.disk import Disk
from domicile.devices.disk.source import DiskSource
from domicile.domain.snapshot import read_element
from domicile.rpc.calls import domain_block as calls
from domicile.rpc.types import Domain, TypedParam

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()


class Rebase(IntFlag):
    """How to pull or, the old way, to copy. Source: virDomainBlockRebaseFlags."""

    SHALLOW = 1
    REUSE_EXT = 2
    COPY_RAW = 4
    COPY = 8
    RELATIVE = 16
    COPY_DEV = 32
    BANDWIDTH_BYTES = 64


class Commit(IntFlag):
    """How to commit. Source: virDomainBlockCommitFlags."""

    SHALLOW = 1
    DELETE = 2
    ACTIVE = 4
    RELATIVE = 8
    BANDWIDTH_BYTES = 16


class Copy(IntFlag):
    """How to copy. Source: virDomainBlockCopyFlags."""

    SHALLOW = 1
    REUSE_EXT = 2
    TRANSIENT_JOB = 4
    SYNCHRONOUS_WRITES = 8


_ASYNC, _PIVOT = 1, 2
_BYTES = 1
_COPYING = Rebase.SHALLOW | Rebase.REUSE_EXT | Rebase.COPY_RAW | Rebase.COPY_DEV


def _bytes(bandwidth: int, *, counted: bool) -> int:
    """Give a speed in bytes a second, from that or from MiB. Raises: InvalidRequest."""
    speed = bandwidth if counted else bandwidth << 20
    if speed > 2**63 - 1:
        raise InvalidRequest(f"bandwidth must be less than {(2**63 - 1) >> 20} MiB/s")
    return speed


@handlers.handle(calls.domain_block_pull)
async def block_pull(conn: Session[Service], dom: Domain, path: str, bandwidth: int, flags: int) -> None:
    """Take into a disk's top all that the layers below it hold."""
    known(flags, Rebase.BANDWIDTH_BYTES, "domain_block_pull")
    entry, _ = machine_of(conn, dom)
    speed = _bytes(bandwidth, counted=bool(flags & Rebase.BANDWIDTH_BYTES))
    await conn.context.block_jobs.pull(entry, path, None, speed, author(conn, "blockpull"))


@handlers.handle(calls.domain_block_rebase)
async def block_rebase(
    conn: Session[Service], dom: Domain, path: str, base: str | None, bandwidth: int, flags: int
) -> None:
    """Pull down to a layer or, with COPY, copy to another place."""
    known(flags, 127, "domain_block_rebase")
    entry, _ = machine_of(conn, dom)
    speed = _bytes(bandwidth, counted=bool(flags & Rebase.BANDWIDTH_BYTES))
    jobs = conn.context.block_jobs
    if not flags & Rebase.COPY:
        if flags & _COPYING:
            raise InvalidRequest("the flags for a destination need VIR_DOMAIN_BLOCK_REBASE_COPY")
        relative = bool(flags & Rebase.RELATIVE)
        await jobs.pull(entry, path, base, speed, author(conn, "blockpull"), relative=relative)
        return
    if not base:
        raise InvalidRequest("a copy needs a destination")
    kind = "block" if flags & Rebase.COPY_DEV else "file"
    source = DiskSource(dev=base) if kind == "block" else DiskSource(file=base)
    await jobs.copy(
        entry, path, kind, source, "raw" if flags & Rebase.COPY_RAW else None, author(conn, "blockcopy"), bandwidth=speed,
        shallow=bool(flags & Rebase.SHALLOW), reuse=bool(flags & Rebase.REUSE_EXT),
    )  # fmt: skip


@handlers.handle(calls.domain_block_copy)
async def block_copy(
    conn: Session[Service], dom: Domain, path: str, destxml: str, params: list[TypedParam], flags: int
) -> None:
    """Copy a disk to the place that a document describes."""
    known(flags, 15, "domain_block_copy")
    entry, _ = machine_of(conn, dom)
    wished: Disk = read_element(Disk, destxml, strict=False, domain=20)
    given = {param.field: int(param.value) for param in params if not isinstance(param.value, str)}
    unknown = [param.field for param in params if param.field not in ("bandwidth", "granularity", "buf-size")]
    if unknown:
        raise InvalidRequest(f"parameter '{unknown[0]}' is not known; bandwidth, granularity and buf-size are")
    format = wished.driver.type if wished.driver is not None else None
    await conn.context.block_jobs.copy(
        entry, path, wished.type or "file", wished.source or DiskSource(), format, author(conn, "blockcopy"),
        bandwidth=_bytes(given.get("bandwidth", 0), counted=True), granularity=given.get("granularity", 0),
        buffer=given.get("buf-size", 0), shallow=bool(flags & Copy.SHALLOW), reuse=bool(flags & Copy.REUSE_EXT),
        transient=bool(flags & Copy.TRANSIENT_JOB), synchronous=bool(flags & Copy.SYNCHRONOUS_WRITES),
    )  # fmt: skip


@handlers.handle(calls.domain_block_commit)
async def block_commit(
    conn: Session[Service], dom: Domain, disk: str, base: str | None, top: str | None, bandwidth: int, flags: int
) -> None:
    """Write what a disk's upper layers hold into a lower one."""
    known(flags, 31, "domain_block_commit")
    entry, _ = machine_of(conn, dom)
    await conn.context.block_jobs.commit(
        entry, disk, base, top, _bytes(bandwidth, counted=bool(flags & Commit.BANDWIDTH_BYTES)), author(conn, "blockcommit"),
        active=bool(flags & Commit.ACTIVE), shallow=bool(flags & Commit.SHALLOW), delete=bool(flags & Commit.DELETE),
        relative=bool(flags & Commit.RELATIVE),
    )  # fmt: skip


@handlers.handle(calls.domain_get_block_job_info)
async def get_block_job_info(
    conn: Session[Service], dom: Domain, path: str, flags: int
) -> tuple[int, int, int, int, int]:
    """Say which job goes on with a disk: whether there is one, its kind, its speed (MiB/s, or bytes), where it is, its end."""
    known(flags, _BYTES, "domain_get_block_job_info")
    entry, _ = machine_of(conn, dom)
    found = await conn.context.block_jobs.info(entry, path)
    if found is None:
        return 0, 0, 0, 0, 0
    kind, speed, done, end = found
    return 1, kind, speed if flags & _BYTES else -(-speed >> 20), done, end


@handlers.handle(calls.domain_block_job_abort)
async def block_job_abort(conn: Session[Service], dom: Domain, path: str, flags: int) -> None:
    """End the job that goes on with a disk, or let the disk go on with its copy."""
    known(flags, _ASYNC | _PIVOT, "domain_block_job_abort")
    entry, _ = machine_of(conn, dom)
    await conn.context.block_jobs.abort(
        entry, path, author(conn, "blockjob"), pivot=bool(flags & _PIVOT), wait=not flags & _ASYNC
    )


@handlers.handle(calls.domain_block_job_set_speed)
async def block_job_set_speed(conn: Session[Service], dom: Domain, path: str, bandwidth: int, flags: int) -> None:
    """Limit the speed of the job that goes on with a disk, in MiB or bytes a second."""
    known(flags, _BYTES, "domain_block_job_set_speed")
    entry, _ = machine_of(conn, dom)
    await conn.context.block_jobs.set_speed(entry, path, _bytes(bandwidth, counted=bool(flags & _BYTES)))
