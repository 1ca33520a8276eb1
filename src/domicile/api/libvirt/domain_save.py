"""Handlers that save machines, let them go on, and dump them; and what becomes of such long operations.

`doors` merges them with the others.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest, Unsupported
from domicile.rpc.calls import domain
from domicile.rpc.records import JobInfo
from domicile.rpc.types import Domain, TypedParam
from domicile.runtime.job import Job, Kind
from domicile.service.migration import limits

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()


class Save(IntFlag):
    """How to save and to let go on. Source: virDomainSaveRestoreFlags."""

    BYPASS_CACHE = 1
    RUNNING = 2
    PAUSED = 4
    RESET_NVRAM = 8


class Dump(IntFlag):
    """How to dump. Source: virDomainCoreDumpFlags."""

    CRASH = 1
    LIVE = 2
    BYPASS_CACHE = 4
    RESET = 8
    MEMORY_ONLY = 16


_SAVE = Save.BYPASS_CACHE | Save.RUNNING | Save.PAUSED
_RESTORE = _SAVE | Save.RESET_NVRAM
_DUMP = Dump.CRASH | Dump.LIVE | Dump.BYPASS_CACHE | Dump.RESET | Dump.MEMORY_ONLY
_SECURE = 1
_COMPLETED, _KEEP = 1, 2
_POSTCOPY = 1
_INT, _ULLONG = 1, 4
# Source: virDomainCoreDumpFormat; the position is the number, the name QEMU's.
FORMATS = ("elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "win-dmp")


def _running(flags: int) -> bool | None:
    """Say how a machine shall go on: running, paused, or as it was."""
    if flags & Save.RUNNING and flags & Save.PAUSED:
        raise InvalidRequest("Flags 'VIR_DOMAIN_SAVE_RUNNING' and 'VIR_DOMAIN_SAVE_PAUSED' are mutually exclusive")
    if flags & (Save.RUNNING | Save.PAUSED):
        return bool(flags & Save.RUNNING)
    return None


@handlers.handle(domain.domain_save)
async def save(conn: Session[Service], dom: Domain, to: str) -> None:
    """Save a machine into a file and end it."""
    await _save(conn, dom, to, None, 0)


@handlers.handle(domain.domain_save_flags)
async def save_flags(conn: Session[Service], dom: Domain, to: str, dxml: str | None, flags: int) -> None:
    """Save a machine into a file and end it."""
    known(flags, _SAVE, "domain_save_flags")
    await _save(conn, dom, to, dxml, flags)


@handlers.handle(domain.domain_save_params)
async def save_params(conn: Session[Service], dom: Domain, params: list[TypedParam], flags: int) -> None:
    """Save a machine into a file and end it; without a file's name into the managed one."""
    known(flags, _SAVE, "domain_save_params")
    given = _texts(params)
    if "file" not in given:
        if given:
            raise InvalidRequest("without a 'file' there is nothing that 'dxml' could go into")
        await _save_managed(conn, dom, flags)
        return
    await _save(conn, dom, given["file"], given.get("dxml"), flags)


async def _save(conn: Session[Service], dom: Domain, to: str, dxml: str | None, flags: int) -> None:
    running = _running(flags)
    entry, _ = machine_of(conn, dom)
    uncached = bool(flags & Save.BYPASS_CACHE)
    await conn.context.saves.save(entry, to, author(conn, "save"), xml=dxml, running=running, uncached=uncached)


@handlers.handle(domain.domain_restore)
async def restore(conn: Session[Service], source: str) -> None:
    """Let a saved machine go on."""
    await _restore(conn, source, None, 0)


@handlers.handle(domain.domain_restore_flags)
async def restore_flags(conn: Session[Service], source: str, dxml: str | None, flags: int) -> None:
    """Let a saved machine go on."""
    known(flags, _RESTORE, "domain_restore_flags")
    await _restore(conn, source, dxml, flags)


@handlers.handle(domain.domain_restore_params)
async def restore_params(conn: Session[Service], params: list[TypedParam], flags: int) -> None:
    """Let a saved machine go on."""
    known(flags, _RESTORE, "domain_restore_params")
    given = _texts(params)
    if "file" not in given:
        raise InvalidRequest("parameter 'file' is missing: which file to restore from")
    await _restore(conn, given["file"], given.get("dxml"), flags)


async def _restore(conn: Session[Service], source: str, dxml: str | None, flags: int) -> None:
    uncached = bool(flags & Save.BYPASS_CACHE)
    who = author(conn, "restore")
    await conn.context.saves.restore(source, who, xml=dxml, running=_running(flags), uncached=uncached)


def _texts(params: list[TypedParam]) -> dict[str, str]:
    for param in params:
        if param.field not in ("file", "dxml"):
            raise InvalidRequest(f"parameter '{param.field}' is not known; file and dxml are")
    return {param.field: str(param.value) for param in params}


@handlers.handle(domain.domain_save_image_get_xml_desc)
async def image_xml(conn: Session[Service], file: str, flags: int) -> str:
    """Give the document in an image."""
    known(flags, _SECURE, "domain_save_image_get_xml_desc")
    return await conn.context.saves.image_xml(file, secrets=bool(flags & _SECURE))


@handlers.handle(domain.domain_save_image_define_xml)
async def image_define(conn: Session[Service], file: str, dxml: str, flags: int) -> None:
    """Give an image another document."""
    known(flags, Save.RUNNING | Save.PAUSED, "domain_save_image_define_xml")
    await conn.context.saves.image_define(file, dxml, author(conn, "save-image-define"), running=_running(flags))


@handlers.handle(domain.domain_managed_save)
async def managed_save(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Save a machine where its next start finds it."""
    known(flags, _SAVE, "domain_managed_save")
    await _save_managed(conn, dom, flags)


async def _save_managed(conn: Session[Service], dom: Domain, flags: int) -> None:
    running = _running(flags)
    entry, _ = machine_of(conn, dom)
    uncached = bool(flags & Save.BYPASS_CACHE)
    await conn.context.saves.save_managed(entry, author(conn, "managedsave"), running=running, uncached=uncached)


@handlers.handle(domain.domain_has_managed_save_image)
def has_managed_save_image(conn: Session[Service], dom: Domain, flags: int) -> int:
    """Say whether a saved state waits for the next start."""
    known(flags, 0, "domain_has_managed_save_image")
    return int(entry_of(conn, dom).saved)


@handlers.handle(domain.domain_managed_save_remove)
async def managed_save_remove(conn: Session[Service], dom: Domain, flags: int) -> None:
    """Throw the managed image away."""
    known(flags, 0, "domain_managed_save_remove")
    await conn.context.saves.remove(entry_of(conn, dom), author(conn, "managedsave-remove"))


@handlers.handle(domain.domain_managed_save_get_xml_desc)
async def managed_xml(conn: Session[Service], dom: Domain, flags: int) -> str:
    """Give the document in the managed image."""
    known(flags, _SECURE, "domain_managed_save_get_xml_desc")
    saves = conn.context.saves
    return await saves.image_xml(saves.managed(entry_of(conn, dom)), secrets=bool(flags & _SECURE))


@handlers.handle(domain.domain_managed_save_define_xml)
async def managed_define(conn: Session[Service], dom: Domain, dxml: str | None, flags: int) -> None:
    """Give the managed image another document."""
    known(flags, Save.RUNNING | Save.PAUSED, "domain_managed_save_define_xml")
    saves, running = conn.context.saves, _running(flags)
    path = saves.managed(entry_of(conn, dom))
    if dxml is None:
        dxml = await saves.image_xml(path, secrets=True)
    await saves.image_define(path, dxml, author(conn, "managedsave-define"), running=running)


@handlers.handle(domain.domain_core_dump)
async def core_dump(conn: Session[Service], dom: Domain, to: str, flags: int) -> None:
    """Write a machine's state into a file for debuggers."""
    known(flags, _DUMP, "domain_core_dump")
    await _dump(conn, dom, to, 0, flags)


@handlers.handle(domain.domain_core_dump_with_format)
async def core_dump_with_format(conn: Session[Service], dom: Domain, to: str, format: int, flags: int) -> None:
    """Write the guest's memory into a file for debuggers, in one of several formats."""
    known(flags, _DUMP, "domain_core_dump_with_format")
    await _dump(conn, dom, to, format, flags)


async def _dump(conn: Session[Service], dom: Domain, to: str, format: int, flags: int) -> None:
    for one, other in ((Dump.CRASH, Dump.LIVE), (Dump.RESET, Dump.LIVE), (Dump.CRASH, Dump.RESET)):
        if flags & one and flags & other:
            raise InvalidRequest(f"Flags 'VIR_DUMP_{one.name}' and 'VIR_DUMP_{other.name}' are mutually exclusive")
    if not 0 <= format < len(FORMATS):
        raise InvalidRequest(f"dump format {format} is not known; 0 to {len(FORMATS) - 1} are: {', '.join(FORMATS)}")
    entry, _ = machine_of(conn, dom)
    memory_only = bool(flags & Dump.MEMORY_ONLY)
    if format and not memory_only:
        raise Unsupported(f"dump format {FORMATS[format]} is for memory-only dumps", code=84)
    await conn.context.saves.dump(
        entry, to, author(conn, "dump"), memory_only=memory_only, format=FORMATS[format] if memory_only else None,
        live=bool(flags & Dump.LIVE), crash=bool(flags & Dump.CRASH), reset=bool(flags & Dump.RESET),
        uncached=bool(flags & Dump.BYPASS_CACHE),
    )  # fmt: skip


# What becomes of them.


@handlers.handle(domain.domain_get_job_info)
def get_job_info(conn: Session[Service], dom: Domain) -> JobInfo:
    """Say how far the long operation under way is."""
    _, machine = machine_of(conn, dom)
    job = machine.job
    if job is None:
        return JobInfo(*[0] * 12)
    seen = job.amounts()
    data, memory, disk = (
        [seen.get(f"{kind}_{part}", 0) for part in ("total", "processed", "remaining")]
        for kind in ("data", "memory", "disk")
    )
    return JobInfo(int(job.kind), job.elapsed_ms, 0, *data, *memory, *disk)


@handlers.handle(domain.domain_get_job_stats)
def get_job_stats(conn: Session[Service], dom: Domain, flags: int) -> tuple[int, list[TypedParam]]:
    """Say all that is known of the long operation under way, or of the last that has ended."""
    known(flags, _COMPLETED | _KEEP, "domain_get_job_stats")
    if flags & _KEEP and not flags & _COMPLETED:
        raise InvalidRequest("Flag 'VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED' needs 'VIR_DOMAIN_JOB_STATS_COMPLETED'")
    entry = entry_of(conn, dom)
    if not flags & _COMPLETED:
        _, machine = machine_of(conn, dom)
        return (int(Kind.NONE), []) if machine.job is None else (int(machine.job.kind), job_params(machine.job))
    job = entry.machine.last_job if entry.machine is not None and entry.machine.last_job else entry.last_job
    if job is None or job.kind is not Kind.COMPLETED:
        return int(Kind.NONE), []
    if not flags & _KEEP:
        entry.last_job = None
        if entry.machine is not None:
            entry.machine.last_job = None
    return int(job.kind), job_params(job)


def job_params(job: Job) -> list[TypedParam]:
    """Write a job's figures as libvirt names them."""
    params = [TypedParam("operation", _INT, int(job.operation)), TypedParam("time_elapsed", _ULLONG, job.elapsed_ms)]
    params += [TypedParam(name, _ULLONG, value) for name, value in job.amounts().items()]
    for name, told in job.outcome.items():
        params.append(TypedParam.boolean(name, told) if isinstance(told, bool) else TypedParam.string(name, told))
    return params


@handlers.handle(domain.domain_abort_job)
async def abort_job(conn: Session[Service], dom: Domain) -> None:
    """End the long operation under way."""
    await _abort(conn, dom)


@handlers.handle(domain.domain_abort_job_flags)
async def abort_job_flags(conn: Session[Service], dom: Domain, flags: int) -> None:
    """End the long operation under way."""
    known(flags, _POSTCOPY, "domain_abort_job_flags")
    if flags & _POSTCOPY:
        limits.stop_post_copy(conn.context, machine_of(conn, dom)[0])
    await _abort(conn, dom)


async def _abort(conn: Session[Service], dom: Domain) -> None:
    entry, _ = machine_of(conn, dom)
    await conn.context.backups.abort(entry)
