"""Jobs that QEMU does with the images of a running machine's disks: pull, commit, copy. Part of the service.

They are begun and steered here; what becomes of documents and images when one ends is in `service/block_ending`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domicile.base.errors import InvalidRequest, Unsupported, WrongState
from domicile.base.undo import Undo
from domicile.devices.disk import Disk
from domicile.devices.disk.source import DiskSource
from domicile.domain import block_chain, snapshot_plan
from domicile.domain.block_chain import Layer
from domicile.domain.snapshot_plan import target
from domicile.runtime import snapshot as nodes
from domicile.runtime.block_job import BlockJob, JobType
from domicile.service import block_ending, hotplug, overlays
from domicile.service.changes import Running
from domicile.service.overlays import Busy
from domicile.storage import snapshots as images

if TYPE_CHECKING:
    from domicile.service.entry import Entry
    from domicile.service.service import Service
    from domicile.store.values import Author

_OPERATION_UNSUPPORTED = 84


class BlockJobs:
    """The use-cases about block jobs."""

    def __init__(self, service: Service) -> None:
        self._service = service

    # Finding.

    def _state(self, entry: Entry) -> Running:
        return self._service.changes.running(entry)

    def disk(self, state: Running, path: str) -> Disk:
        """Find a disk by its target or its image. Raises: InvalidRequest."""
        for disk in snapshot_plan.disks(state.domain):
            places = (disk.source.file, disk.source.dev) if disk.source is not None else ()
            if path and path in (target(disk), *places):
                return disk
        raise InvalidRequest(f"disk '{path}' not found in domain")

    def idle(self, state: Running, path: str) -> Disk:
        """Find a disk that has something in it and no job. Raises: InvalidRequest, Busy, Unsupported."""
        disk = self.disk(state, path)
        if target(disk) in state.live.jobs:
            raise Busy(f"disk '{target(disk)}' already in active block job")
        if snapshot_plan.empty(disk):
            raise InvalidRequest(f"disk '{target(disk)}' has no source file to be worked on")
        return disk

    async def chain(self, state: Running, disk: Disk) -> tuple[list[Layer], list[str]]:
        """Give a disk's layers with their block nodes. Raises: QemuRefused."""
        known = await nodes.layers(state.qmp)
        alias = overlays.alias_of(disk)
        found = next((names for path, names in known.items() if nodes.is_of(path, alias)), [])
        layers = block_chain.layers(disk)
        if len(found) < len(layers):
            raise Unsupported(
                f"QEMU opened the layers of disk '{target(disk)}' by itself; jobs on them need a restart of the machine"
            )
        return layers, found

    async def _begin(self, state: Running, job: BlockJob, command: str, arguments: Mapping[str, Any]) -> None:
        """Note a job, then start it."""
        state.live.jobs[job.disk] = job
        try:
            await self._service.changes.keep(state)
            wish = {"job-id": job.name, "auto-finalize": True, "auto-dismiss": False, **arguments}
            await state.qmp(command, {key: value for key, value in wish.items() if value is not None})
        except BaseException:
            state.live.jobs.pop(job.disk, None)
            snapshot_plan.disk_of(state.domain, job.disk).mirror = None
            await self._service.changes.keep(state)
            raise

    # Beginning.

    async def pull(
        self, entry: Entry, path: str, base: str | None, bandwidth: int, author: Author, *, relative: bool = False
    ) -> None:
        """Take into a disk's top what the layers below it hold, down to `base`; `bandwidth` is in bytes a second.

        Raises: WrongState, InvalidRequest, Busy, QemuRefused
        """
        async with entry.changes():
            state = self._state(entry)
            disk = self.idle(state, path)
            layers, names = await self.chain(state, disk)
            if relative and not base:
                raise InvalidRequest("flag VIR_DOMAIN_BLOCK_REBASE_RELATIVE is valid only with non-null base")
            place = block_chain.position(disk, base, first=1) if base else None
            last = len(layers) - 1 if place is None else place - 1
            job = BlockJob(f"pull-{target(disk)}-{names[0]}", target(disk), JobType.PULL, layers[0].path)
            job.base, job.nodes = layers[place].path if place is not None else "", names[1 : last + 1]
            shown = _relative(job.base, job.top) if relative and job.base else None
            arguments = {
                "device": names[0], "base-node": names[place] if place is not None else None, "speed": bandwidth or None,
                "backing-file": shown,
            }  # fmt: skip
            await self._begin(state, job, "block-stream", arguments)
        self._service.machines.done("blockpull", entry, author, disk=path)

    async def commit(
        self, entry: Entry, path: str, base: str | None, top: str | None, bandwidth: int, author: Author, *,
        active: bool = False, shallow: bool = False, delete: bool = False, relative: bool = False,
    ) -> None:  # fmt: skip
        """Write what the layers from `top` on hold into `base`. Raises: WrongState, InvalidRequest, Busy, QemuRefused."""
        async with entry.changes():
            await self._commit(self._state(entry), path, base, top, bandwidth, active, shallow, delete, relative)
        self._service.machines.done("blockcommit", entry, author, disk=path)

    async def _commit(
        self, state: Running, path: str, base: str | None, top: str | None, bandwidth: int, active: bool, shallow: bool,
        delete: bool, relative: bool,
    ) -> BlockJob:  # fmt: skip
        disk = self.idle(state, path)
        dev = target(disk)
        layers, names = await self.chain(state, disk)
        first = block_chain.position(disk, top) if top else 0
        chosen = block_chain.position(disk, base, first=first + 1) if base else None
        if first == 0 and not active:
            raise InvalidRequest(f"commit of '{dev}' active layer requires active flag")
        if first and active:
            raise InvalidRequest(f"active commit requested but '{layers[first].path}' is not active")
        if first == len(layers) - 1:
            raise InvalidRequest(f"could not find base image in chain for '{dev}'")
        place = chosen if chosen is not None else first + 1 if shallow else len(layers) - 1
        if shallow and place != first + 1:
            raise InvalidRequest(
                f"base '{layers[place].path}' is not immediately below '{layers[first].path}' in chain for '{dev}'"
            )
        await overlays.lend(state, [layers[place], *([layers[first - 1]] if first else [])])
        kind = JobType.COMMIT if first else JobType.ACTIVE_COMMIT
        job = BlockJob(
            f"commit-{dev}-{names[first]}", dev, kind, layers[first].path, layers[place].path, names[first:place]
        )
        job.delete = delete
        if not first:
            disk.mirror = block_chain.mirror(layers[place], "active-commit", ends=False)
        shown = _relative(job.base, layers[first - 1].path) if relative and first else None
        arguments = {
            "device": names[0], "base-node": names[place], "top-node": names[first], "speed": bandwidth or None,
            "backing-file": shown,
        }  # fmt: skip
        await self._begin(state, job, "block-commit", arguments)
        return job

    async def copy(
        self, entry: Entry, path: str, kind: str, source: DiskSource, format: str | None, author: Author, *, bandwidth: int = 0,
        granularity: int = 0, buffer: int = 0, shallow: bool = False, reuse: bool = False, transient: bool = False,
        synchronous: bool = False,
    ) -> None:  # fmt: skip
        """Copy a disk to another place and keep both the same until somebody says how it shall go on.

        A persistent domain's job has no place in its definition, so `transient` must say that this is known.

        Raises: WrongState, InvalidRequest, Unsupported, Busy, QemuRefused
        """
        async with entry.changes():
            state = self._state(entry)
            disk = self.idle(state, path)
            dev = target(disk)
            layers, names = await self.chain(state, disk)
            if entry.persistent and not transient:
                raise WrongState("domain is not transient")
            if kind not in ("file", "block"):
                raise Unsupported(
                    f"a copy to a destination of type '{kind}' is not supported; file and block are",
                    code=_OPERATION_UNSUPPORTED,
                )
            place = source.file or source.dev or ""
            if not place.startswith("/"):
                raise InvalidRequest(f"the destination of a copy must be an absolute path, not '{place}'")
            wanted = format or ("raw" if kind == "block" else layers[0].format)
            size = (await overlays.sizes(state))[dev]
            number = hotplug.last_number(state) + 1
            shallow = shallow and len(layers) > 1
            async with Undo() as undo:
                await self._destination(kind, place, wanted, size, layers if shallow else [], undo, reuse=reuse)
                name = f"m{number}-{dev}"
                below = names[1] if shallow else None
                items = overlays.node_items(state, disk, source, kind, wanted, name, below)
                node = await overlays.open_nodes(state, items, place, source, undo)
                state.live.numbers = number
                job = BlockJob(f"copy-{dev}-{names[0]}", dev, JobType.COPY, layers[0].path, place)
                job.nodes, job.undone, job.shallow = names[:1] if shallow else names[: len(layers)], [node], shallow
                disk.mirror = block_chain.mirror(Layer(kind, wanted, source, number), "copy", ends=not shallow)
                arguments = {
                    "device": names[0], "target": node, "sync": "top" if shallow else "full", "speed": bandwidth or None,
                    "granularity": granularity or None, "buf-size": buffer or None,
                    "copy-mode": "write-blocking" if synchronous else None,
                }  # fmt: skip
                await self._begin(state, job, "blockdev-mirror", arguments)
                undo.commit()
        self._service.machines.done("blockcopy", entry, author, disk=path, destination=place)

    async def _destination(
        self, kind: str, place: str, format: str, size: int, layers: list[Layer], undo: Undo, *, reuse: bool
    ) -> None:
        """Make the destination of a copy, or see that it is there."""
        if reuse or kind == "block":
            await asyncio.to_thread(images.check_there, place, "the destination of the copy is missing")
        if reuse or (kind == "block" and format == "raw"):
            return
        await asyncio.to_thread(images.check_free, place, "the destination of the copy")
        if not await asyncio.to_thread(Path(place).is_block_device):
            undo.push(f"remove {place}", lambda: asyncio.to_thread(Path(place).unlink, missing_ok=True))
        if layers and format in snapshot_plan.LAYERED:
            await images.overlay(place, format, layers[1].path, layers[1].format, size)
        else:
            await images.empty(place, format, size)

    # Steering.

    def _job(self, state: Running, path: str) -> BlockJob:
        disk = self.disk(state, path)
        job = state.live.jobs.get(target(disk))
        if job is None:
            raise InvalidRequest(f"disk {path} does not have an active block job")
        return job

    async def info(self, entry: Entry, path: str) -> tuple[int, int, int, int] | None:
        """Say the kind of a disk's job, its limit in bytes a second, where it is and its end; None where there is none."""
        state = self._state(entry)
        disk = self.disk(state, path)
        job = state.live.jobs.get(target(disk))
        if job is None:
            return None
        found = next((each for each in await state.qmp("query-block-jobs") if each.get("device") == job.name), None)
        if found is None:
            return None
        speed, done, end = int(found.get("speed", 0)), int(found["offset"]), int(found["len"])
        if not end:
            done, end = (1, 1) if found.get("ready") else (0, 1)
        return job.type, speed, done, end

    async def set_speed(self, entry: Entry, path: str, bandwidth: int) -> None:
        """Limit a job's speed, in bytes a second. Raises: InvalidRequest, QemuRefused."""
        state = self._state(entry)
        job = self._job(state, path)
        await state.qmp("block-job-set-speed", {"device": job.name, "speed": bandwidth})

    async def abort(self, entry: Entry, path: str, author: Author, *, pivot: bool = False, wait: bool = True) -> None:
        """End a job: the disk stays where it is or, with `pivot`, goes on with what was written. Raises: InvalidRequest, QemuRefused."""
        async with entry.changes():
            state = self._state(entry)
            job = self._job(state, path)
            await self._end(state, job, pivot=pivot, wait=wait)
        self._service.machines.done("blockjob-pivot" if pivot else "blockjob-abort", entry, author, disk=path)

    async def _end(self, state: Running, job: BlockJob, *, pivot: bool, wait: bool) -> None:
        disk = snapshot_plan.disk_of(state.domain, job.disk)
        if pivot and job.type not in (JobType.COPY, JobType.ACTIVE_COMMIT):
            raise WrongState(
                f"pivot of disk '{job.disk}' is not possible: its job has no copy that it could go on with"
            )
        if pivot and not job.ready:
            raise Busy(f"block job on disk '{job.disk}' not ready for pivot yet")
        job.wish, job.waited = "pivot" if pivot else "abort", wait
        if disk.mirror is not None:
            disk.mirror.ready = job.wish
        try:
            await self._service.changes.keep(state)
            if pivot:
                await state.qmp("job-complete", {"id": job.name})
            else:
                await state.qmp("block-job-cancel", {"device": job.name})
            if wait:
                await block_ending.wait(state, job)
        except BaseException:
            job.wish, job.waited = "", False
            raise

    # For others who hold the domain's lock.

    async def commit_whole(self, state: Running, path: str, top: str, author: Author) -> None:
        """Write one layer into the one below it, go on with that, and remove the layer's file. Raises: as `commit` and `abort` do."""
        disk = self.idle(state, path)
        active = block_chain.position(disk, top) == 0
        job = await self._commit(state, path, None, None if active else top, 0, active, True, True, False)
        job.waited = True
        if active:
            await block_ending.until_ready(state, job)
            await self._end(state, job, pivot=True, wait=True)
        else:
            await block_ending.wait(state, job)


def _relative(base: str, above: str) -> str:
    """Say where a layer is as seen from the one above it."""
    return os.path.relpath(base, Path(above).parent)
