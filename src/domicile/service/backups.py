"""Backups of running machines: written by QEMU into files (push), or offered by its NBD server (pull); all, or what changed.

Part of the service. A backup goes on in a task of its own, which holds the machine as every long operation does; it is kept with
the machine's record, so that a later daemon goes on watching it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base import tasks
from domicile.base.errors import (
    OPERATION_FAILED,
    DeadlineExceeded,
    DomicileError,
    InvalidRequest,
    NotFound,
    QemuRefused,
)
from domicile.base.undo import Undo
from domicile.domain import backup as documents
from domicile.domain import checkpoint as checkpoints
from domicile.domain import snapshot_plan
from domicile.domain.backup import BackupDisk, DomainBackup
from domicile.domain.checkpoint import DomainCheckpoint
from domicile.runtime import backup as commands
from domicile.runtime.backup import Backup, Part
from domicile.runtime.block_job import JobStatus, JobType
from domicile.runtime.job import Job, Kind, Operation
from domicile.service import hotplug, overlays
from domicile.service.changes import Running
from domicile.storage import snapshots as images

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

log = structlog.get_logger(__name__)
NO_DOMAIN_BACKUP = 104
_FIRST_LOOK, _LOOKS_APART = 0.01, 0.5
#: Seconds a backup that was aborted may take to end.
_PATIENCE = 30.0
#: Seconds a QEMU whose monitor broke off may take to be known as ended.
_ENDING = 3.0
CANCELED = "Operation canceled"


class Backups:
    """The use-cases about backups."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def xml(self, entry: Entry) -> str:
        """Give the document of the backup under way. Raises: NotFound where there is none."""
        if entry.live is None or entry.live.backup is None:
            raise NotFound("no domain backup job present", code=NO_DOMAIN_BACKUP)
        return entry.live.backup.xml

    async def begin(self, entry: Entry, xml: str, checkpoint: str | None, author: Author, *, reuse: bool) -> None:
        """Begin a backup and, in the same instant, a checkpoint; return when it is under way.

        Raises: WrongState, InvalidDocument, InvalidRequest, Unsupported, Inconsistent, QemuRefused
        """
        backup = documents.read(xml)
        mark = checkpoints.read(checkpoint) if checkpoint else None
        self._service.machines.running(entry)
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tasks.spawn(f"backup of {entry.name}", self._run(entry, backup, mark, begun, reuse=reuse))
        await asyncio.shield(begun)
        self._service.machines.done("backup-begin", entry, author, mode=backup.mode)

    async def _run(
        self,
        entry: Entry,
        backup: DomainBackup,
        mark: DomainCheckpoint | None,
        begun: asyncio.Future[None],
        *,
        reuse: bool,
    ) -> None:
        try:
            async with AsyncExitStack() as stack:
                async with entry.changes():
                    state = self._service.changes.running(entry)
                    job = await stack.enter_async_context(state.machine.working(Operation.BACKUP))
                    run = await self._start(state, backup, mark, reuse=reuse)
                begun.set_result(None)
                await self._watch(entry, state, run, job)
        except BaseException as error:
            if not begun.done():
                begun.set_exception(
                    error if isinstance(error, DomicileError) else QemuRefused(f"the backup ended: {error}")
                )
                return
            if not isinstance(error, DomicileError):
                raise
            log.warning("backup ended", domain=entry.name, reason=error.message)

    # Beginning.

    async def _start(
        self, state: Running, backup: DomainBackup, mark: DomainCheckpoint | None, *, reuse: bool
    ) -> Backup:
        service, entry, now = self._service, state.entry, int(time.time())
        documents.settle(backup, state.domain, now)
        chosen = backup.chosen()
        overlays.check_idle(state, [disk.name or "" for disk in chosen])
        for disk in chosen:
            await asyncio.to_thread(_free, disk, reuse=reuse)
            if disk.incremental and disk.incremental not in service.checkpoints.of(entry):
                words = f"checkpoint '{disk.incremental}' for incremental backup of '{disk.name}' not found"
                raise NotFound(words, code=service.checkpoints.lineages.missing)
        run = Backup("", backup.pull, time.time())
        actions: list[dict[str, Any]] = []
        async with Undo() as undo:
            sizes = await overlays.sizes(state)
            for disk in chosen:
                part = await self._part(state, backup, disk, sizes, undo, reuse=reuse)
                if disk.incremental:
                    part.bitmap = (disk.exportbitmap if backup.pull else None) or f"backup-{disk.name}"
                    layers = await service.checkpoints.noted(state, disk.name or "", disk.incremental)
                    actions += commands.remembered(part, layers, disk.incremental)
                run.parts.append(part)
            actions += [commands.job_action(part, pull=backup.pull) for part in run.parts]
            if backup.pull:
                await state.qmp("nbd-server-start", {"addr": _address(backup)})
                undo.push("stop the NBD server", lambda: state.qmp("nbd-server-stop"))
                run.serves = True
            if mark is not None:
                await service.checkpoints.prepare(state, mark)
                undo.push("forget the checkpoint", lambda: service.checkpoints.lineages.drop(entry, [mark.name or ""]))
                actions += await service.checkpoints.actions(state, mark)
            run.xml = documents.write(backup)
            state.live.backup = run
            await service.machines.keep(entry)
            undo.push("forget the backup", lambda: self._forget(state))
            await state.qmp("transaction", {"actions": actions})
            undo.commit()
        if mark is not None:
            await service.checkpoints.keep(entry, mark)
        try:
            for disk, part in zip(chosen, run.parts, strict=True):
                if backup.pull:
                    await state.qmp("block-export-add", commands.export(part, disk.exportname or part.disk))
        except BaseException:
            await self._cancel(state, run)
            await self._clear(state, run)
            raise
        return run

    async def _part(
        self, state: Running, backup: DomainBackup, disk: BackupDisk, sizes: dict[str, int], undo: Undo, *, reuse: bool
    ) -> Part:
        """Make the place of one disk's backup and have QEMU open it."""
        dev, path = disk.name or "", disk.path
        source = snapshot_plan.disk_of(state.domain, dev)
        layers = await self._service.checkpoints.layers(state, dev)
        if not layers:
            raise InvalidRequest(f"QEMU has no node of disk '{dev}' that could be backed up")
        made = not reuse and disk.type == "file"
        if made:
            undo.push(f"remove {path}", lambda: asyncio.to_thread(Path(path).unlink, missing_ok=True))
        if not reuse and (made or disk.format != "raw"):
            await images.empty(path, disk.format, sizes[dev])
        number = hotplug.last_number(state) + 1
        below = layers[0] if backup.pull else None
        name = f"m{number}-{dev}"
        items = overlays.node_items(state, source, disk.place, disk.type or "file", disk.format, name, below)
        node = await overlays.open_nodes(state, items, path, disk.place, undo)
        state.live.numbers = disk.index = number
        export = f"export-{dev}-{number}" if backup.pull else ""
        return Part(dev, f"backup-{dev}-{layers[0]}", layers[0], node, path, made, sizes[dev], "", export)

    async def _forget(self, state: Running) -> None:
        state.live.backup = None
        if state.entry.live is state.live:
            await self._service.machines.keep(state.entry)

    # Watching.

    async def _watch(self, entry: Entry, state: Running, run: Backup, job: Job) -> None:
        """See a backup to its end, and clear up after it; one whose machine ends leaves no scratch files."""
        try:
            await self._follow(entry, state, run, job)
        except DomicileError:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ENDING):
                    await state.machine.wait()
            if state.machine.over:
                await asyncio.to_thread(_unscratch, run)
            raise

    async def _follow(self, entry: Entry, state: Running, run: Backup, job: Job) -> None:
        machine, pause, told = state.machine, _FIRST_LOOK, False
        errors: dict[str, str] = {}
        while True:
            listed = {str(each["id"]): each for each in await machine.qmp("query-jobs")}
            job.figures = {"amounts": commands.amounts(listed, run, await asyncio.to_thread(_used, run))}
            going = [
                part for part in run.parts if listed.get(part.job, {"status": "concluded"}).get("status") != "concluded"
            ]
            for part in run.parts:
                errors.update(
                    {part.disk: str(listed[part.job]["error"])} if listed.get(part.job, {}).get("error") else {}
                )
            if not going:
                break
            if (job.cancelled.is_set() or errors) and not told:
                told = True
                await self._cancel(state, run)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await (asyncio.sleep(pause) if told else job.cancelled.wait())
            pause = min(pause * 1.5, _LOOKS_APART)
        # Not within the domain's lock: who holds it may wait for this backup to end. The document is not touched.
        await self._clear(state, run)
        cancelled = job.cancelled.is_set()
        failed = next(iter(errors.values()), "") if not cancelled else ""
        job.outcome = {"success": not failed} | ({"errmsg": failed or CANCELED} if failed or cancelled else {})
        # To cancel is how a backup that somebody fetches ends.
        kind = Kind.FAILED if failed else Kind.CANCELLED if cancelled and not run.pull else Kind.COMPLETED
        job.end(kind)
        machine.tell_job(job)
        status = JobStatus.CANCELED if cancelled else JobStatus.FAILED if failed else JobStatus.COMPLETED
        for part in run.parts:
            self._tell(entry, part, status)
        if failed:
            raise QemuRefused(f"the backup failed: {failed}", code=OPERATION_FAILED)

    def _tell(self, entry: Entry, part: Part, status: JobStatus) -> None:
        domain = self._service.domain(entry)
        source = next((d.source for d in snapshot_plan.disks(domain) if snapshot_plan.target(d) == part.disk), None)
        path = (source.file or source.dev or "") if source is not None else ""
        self._service.happened(entry, "block_job", path, int(JobType.BACKUP), int(status))
        self._service.happened(entry, "block_job_2", part.disk, int(JobType.BACKUP), int(status))

    async def _cancel(self, state: Running, run: Backup) -> None:
        for part in run.parts:
            with suppress(QemuRefused):  # it may have ended by itself
                await state.qmp("job-cancel", {"id": part.job})

    async def _clear(self, state: Running, run: Backup) -> None:
        """Close all that a backup had open; what does not go is noted."""
        for part in run.parts:
            await self._try(state, "job-dismiss", {"id": part.job})
            if part.export:
                await self._try(state, "block-export-del", {"id": part.export, "mode": "hard"})
        if run.serves:
            await self._try(state, "nbd-server-stop", None)
        for part in run.parts:
            if part.bitmap:
                await self._try(state, "block-dirty-bitmap-remove", {"node": part.node, "name": part.bitmap})
            base = part.target.removesuffix("-format").removesuffix("-storage")
            for ending in ("-format", "-storage"):
                await self._try(state, "blockdev-del", {"node-name": f"{base}{ending}"})
        await asyncio.to_thread(_unscratch, run)
        await self._forget(state)

    async def _try(self, state: Running, command: str, arguments: dict[str, Any] | None) -> None:
        try:
            await state.qmp(command, arguments)
        except QemuRefused as error:
            log.debug("not cleared up", domain=state.entry.name, command=command, reason=error.message)

    async def abort(self, entry: Entry) -> None:
        """End the long operation under way, and wait for it where that is a backup. Raises: WrongState, DeadlineExceeded."""
        machine = self._service.machines.running(entry)
        job = machine.job
        self._service.saves.abort(entry)
        if job is None or job.operation is not Operation.BACKUP:
            return
        end = time.monotonic() + _PATIENCE
        while machine.job is job and not machine.over:
            if time.monotonic() > end:
                raise DeadlineExceeded(f"domain '{entry.name}': the backup does not end within {_PATIENCE:g} s")
            await asyncio.sleep(_FIRST_LOOK)

    # After the daemon was away.

    def take_up(self, entry: Entry) -> None:
        """Go on watching the backup that an earlier daemon began."""
        if entry.live is None or entry.live.backup is None or entry.machine is None:
            return
        tasks.spawn(f"backup of {entry.name}", self._go_on(entry, entry.live.backup))

    async def _go_on(self, entry: Entry, run: Backup) -> None:
        state = self._service.changes.running(entry)
        try:
            async with state.machine.working(Operation.BACKUP) as job:
                job.began -= max(0.0, time.time() - run.begun)
                await self._watch(entry, state, run, job)
        except DomicileError as error:
            log.warning("backup ended", domain=entry.name, reason=error.message)


def _unscratch(run: Backup) -> None:
    """Remove the scratch files that were made for a backup."""
    for part in run.parts if run.pull else ():
        if part.made:
            with suppress(OSError):
                Path(part.path).unlink(missing_ok=True)


def _free(disk: BackupDisk, *, reuse: bool) -> None:
    if reuse or disk.type == "block":
        images.check_there(disk.path, f"store for backup of '{disk.name}' is missing")
    elif Path(disk.path).exists() and Path(disk.path).stat().st_size:
        raise InvalidRequest(f"store '{disk.path}' for backup of '{disk.name}' exists")


def _address(backup: DomainBackup) -> dict[str, Any]:
    server = backup.server
    assert server is not None
    if server.transport == "unix":
        return {"type": "unix", "data": {"path": server.socket}}
    return {"type": "inet", "data": {"host": server.name, "port": str(server.port)}}


def _used(run: Backup) -> int:
    """Count the bytes that scratch files take on the host."""
    total = 0
    for part in run.parts if run.pull else ():
        with suppress(OSError):
            total += Path(part.path).stat().st_blocks * 512
    return total
