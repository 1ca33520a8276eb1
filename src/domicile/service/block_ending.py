"""What becomes of documents, images and block nodes when a block job is ready or has ended. Called by machines and `block_jobs`.

The stored definition changes first, then the machine's document, then QEMU is told to forget the job: a daemon that was killed
in between leaves a job that its successor finds, and ends in the same way.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base import tasks
from domicile.base.errors import OPERATION_FAILED, DeadlineExceeded, DomicileError, QemuRefused
from domicile.devices.disk import Disk
from domicile.domain import block_chain
from domicile.domain.domain import Domain
from domicile.domain.snapshot_plan import disks, target
from domicile.runtime.block_job import BlockJob, JobStatus, JobType
from domicile.schema import tree
from domicile.service import hotplug
from domicile.store.values import Author

if TYPE_CHECKING:
    from domicile.service.changes import Running
    from domicile.service.entry import Entry
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
_AUTHOR = Author("root", "domiciled", "block job")
_MIRRORED = (JobType.COPY, JobType.ACTIVE_COMMIT)
#: Seconds a job that moves no more may take until nobody waits for it.
_STALL = 120.0
_FIRST_LOOK, _LOOKS_APART = 0.005, 0.2


def heard(service: Service, entry: Entry, name: str, data: Any) -> None:
    """Hear one of QEMU's events; jobs that are ready or have ended are seen to, where nobody waits for them."""
    if name != "JOB_STATUS_CHANGE" or entry.live is None or data.get("status") not in ("ready", "concluded"):
        return
    job = next((each for each in entry.live.jobs.values() if each.name == data.get("id")), None)
    if job is not None and not job.waited:
        tasks.spawn(f"block job of {entry.name}", _follow(service, entry, job.disk, job.name))


async def _follow(service: Service, entry: Entry, disk: str, name: str) -> None:
    async with entry.changes(patience=600):
        if entry.live is None or entry.machine is None:
            return
        job = entry.live.jobs.get(disk)
        if job is None or job.name != name:
            return
        try:
            await look(service.changes.running(entry), job)
        except DomicileError as error:
            # A machine that is destroyed ends its jobs, too.
            log.info("block job not seen to", domain=entry.name, disk=disk, reason=error.message)


async def take_up(service: Service, entry: Entry) -> None:
    """See to the jobs that went on while no daemon watched."""
    if entry.live is None or entry.machine is None or not entry.live.jobs:
        return
    for job in list(entry.live.jobs.values()):
        job.waited = False
        async with entry.changes():
            await look(service.changes.running(entry), job)


async def look(state: Running, job: BlockJob) -> bool:
    """Look how a job is, and do what follows; say whether it has ended."""
    found = next((each for each in await state.qmp("query-jobs") if each.get("id") == job.name), None)
    if found is None:
        await _ended(state, job, "QEMU does not know the job any more")
        return True
    if found.get("status") == "ready" and not job.ready:
        job.ready = True
        disk = _disk(state.domain, job)
        if disk is not None and disk.mirror is not None and not job.wish:
            disk.mirror.ready = "yes"
        await state.service.changes.keep(state)
        _tell(state, job, JobStatus.READY)
    if found.get("status") != "concluded":
        return False
    await _ended(state, job, str(found.get("error") or ""))
    return True


async def wait(state: Running, job: BlockJob) -> None:
    """Wait until a job has ended and all that follows is done. Raises: QemuRefused, DeadlineExceeded."""
    await _until(state, job, lambda: job.disk not in state.live.jobs)
    failed = state.live.failures.pop(job.name, "")
    if failed:
        raise QemuRefused(failed, code=OPERATION_FAILED)


async def until_ready(state: Running, job: BlockJob) -> None:
    """Wait until a job that copies has caught up. Raises: QemuRefused, DeadlineExceeded."""
    await _until(state, job, lambda: job.ready or job.disk not in state.live.jobs)
    if job.disk not in state.live.jobs:
        raise QemuRefused(state.live.failures.pop(job.name, "") or "the job ended too early", code=OPERATION_FAILED)


async def _until(state: Running, job: BlockJob, done: Any) -> None:
    pause, moved, last = _FIRST_LOOK, time.monotonic(), ""
    while True:
        await look(state, job)
        if done():
            return
        found = [each for each in await state.qmp("query-jobs") if each.get("id") == job.name]
        if repr(found) != last:
            moved, last = time.monotonic(), repr(found)
        if time.monotonic() - moved > _STALL:
            raise DeadlineExceeded(f"the block job of disk '{job.disk}' did not move for {_STALL:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LOOKS_APART)


def _disk(domain: Domain, job: BlockJob) -> Disk | None:
    return next((disk for disk in disks(domain) if target(disk) == job.disk), None)


async def _ended(state: Running, job: BlockJob, error: str) -> None:
    """Change the documents as the job's end demands, then clear up in QEMU and on the host."""
    service, entry = state.service, state.entry
    given_up = job.type in _MIRRORED and job.wish != "pivot"
    status = JobStatus.FAILED if error else JobStatus.COMPLETED
    if job.wish == "abort" and (error or given_up):
        status = JobStatus.CANCELED
    done = not error and not given_up
    gone = []
    disk = _disk(state.domain, job)
    if disk is not None:
        before = block_chain.layers(disk)
        state.live.numbers = hotplug.last_number(state)
        if done:
            live = tree.copy(disk)
            await _stored(service, entry, job, live)
            gone = _between(before, job) if job.delete else []
            _change(disk, job, disk)
        disk.mirror = None
    state.live.jobs.pop(job.disk, None)
    if status is JobStatus.FAILED and job.waited:
        state.live.failures[job.name] = error
    await service.changes.keep(state)
    await _clear(state, job, done=done)
    for path in gone:
        await asyncio.to_thread(_remove, path)
    _tell(state, job, status)
    if error and status is JobStatus.FAILED:
        log.error("block job failed", domain=entry.name, disk=job.disk, reason=error)


def _between(layers: list[block_chain.Layer], job: BlockJob) -> list[str]:
    """List the files of the layers that a commit made superfluous."""
    paths = [layer.path for layer in layers]
    if job.top not in paths or job.base not in paths:
        return []
    found = layers[paths.index(job.top) : paths.index(job.base)]
    return [layer.path for layer in found if layer.kind == "file"]


def _change(disk: Disk, job: BlockJob, live: Disk) -> None:
    """Change one document's disk; `live` is the running machine's, from which a copy's place is taken."""
    paths = [layer.path for layer in block_chain.layers(disk)]
    if job.type == JobType.PULL:
        base = paths.index(job.base) if job.base in paths else len(paths)
        if base > 1:
            block_chain.without(disk, 1, base - 1)
    elif job.type == JobType.COMMIT and job.top in paths and job.base in paths:
        first, place = paths.index(job.top), paths.index(job.base)
        block_chain.without(disk, first, place - 1)
    elif job.type == JobType.ACTIVE_COMMIT and job.base in paths:
        block_chain.become(disk, paths.index(job.base))
    elif job.type == JobType.COPY and live.mirror is not None and live.mirror.source is not None:
        made = live.mirror
        below = disk.backingStore if job.shallow else made.backingStore
        format = made.format_name or "raw"
        block_chain.replace_top(disk, made.type or "file", format, live.mirror.source, live.mirror.source.index, below)


async def _stored(service: Service, entry: Entry, job: BlockJob, live: Disk) -> None:
    """Change the stored definition's disk in the same way, where it is on the same image."""

    def edit(domain: Domain) -> None:
        disk = _disk(domain, job)
        if disk is None:
            return
        layers, running = block_chain.layers(disk), block_chain.layers(live)
        if layers[0].path != running[0].path:
            return
        named = len(layers) > 1
        if job.type in (JobType.PULL, JobType.COMMIT) and not named:
            return
        # A base that the definition does not name is the machine's: its image's header names it.
        if not {job.base, job.top} <= {layer.path for layer in layers} | {""}:
            disk.backingStore = tree.copy(live.backingStore) if live.backingStore is not None else None
        _change(disk, job, live)
        if disk.source is not None:
            disk.source.index = None
        if not named or (job.type == JobType.PULL and not job.base):
            disk.backingStore = None

    try:
        await service.changes.store(entry, edit, _AUTHOR)
    except DomicileError as error:
        log.error("the definition does not follow a block job", domain=entry.name, disk=job.disk, reason=error.message)
        raise


async def _clear(state: Running, job: BlockJob, *, done: bool) -> None:
    """Have QEMU forget the job and close what nobody needs any more."""
    try:
        await state.qmp("job-dismiss", {"id": job.name})
    except QemuRefused:
        log.debug("block job was dismissed already", job=job.name)
    for name in job.nodes if done else job.undone:
        base = name.removesuffix("-format").removesuffix("-storage").removesuffix("-slice-sto")
        for ending in ("-format", "-slice-sto", "-storage"):
            try:
                await state.qmp("blockdev-del", {"node-name": f"{base}{ending}"})
            except QemuRefused:
                continue  # not every layer has all of them


def _remove(path: str) -> None:
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        log.warning("a layer's file stays", path=path, reason=error.strerror)


def _tell(state: Running, job: BlockJob, status: JobStatus) -> None:
    disk = _disk(state.domain, job)
    source = disk.source if disk is not None else None
    path = (source.file or source.dev or "") if source is not None else ""
    state.service.happened(state.entry, "block_job", path, int(job.type), int(status))
    state.service.happened(state.entry, "block_job_2", job.disk, int(job.type), int(status))
