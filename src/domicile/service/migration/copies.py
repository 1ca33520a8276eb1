"""Disks whose content travels with the machine: made and exported at the target, mirrored from the source, let go at the switch.

`arriving` and `leaving` use it, each its half. The bytes go from QEMU to QEMU over NBD.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domicile.base.errors import (
    OPERATION_FAILED,
    DeadlineExceeded,
    HostFailure,
    InvalidRequest,
    QemuRefused,
    Unsupported,
)
from domicile.devices.disk import Disk
from domicile.devices.disk.plan import has_medium
from domicile.domain.domain import Domain
from domicile.runtime.save import STALL, Aborted, Speaker
from domicile.runtime.snapshot import is_of
from domicile.service import images
from domicile.service.migration.cookie import CopiedDisk
from domicile.service.migration.wish import COPY, How, Wish
from domicile.storage import programs

if TYPE_CHECKING:
    from domicile.qemu.monitor import Event
    from domicile.runtime.job import Job
    from domicile.runtime.machine import Machine

_LOOK = 0.25
_MIB = 1024 * 1024


def wanted(domain: Domain, wish: Wish) -> list[Disk]:
    """List the disks to copy: those named, else all that are written and belong to one machine. Raises: InvalidRequest, Unsupported."""
    if not wish.how & COPY:
        if wish.disks:
            raise InvalidRequest("disks to migrate were named, but neither copy-storage-all nor copy-storage-inc")
        return []
    disks = [disk for disk in domain.devices.of(Disk) if has_medium(disk)] if domain.devices is not None else []
    by_target = {target_of(disk): disk for disk in disks}
    if not wish.disks:
        return [disk for disk in disks if not (disk.readonly or disk.shareable or disk.device in ("cdrom", "floppy"))]
    for name in wish.disks:
        if name not in by_target:
            raise InvalidRequest(f"disk target '{name}' not found; the machine has {', '.join(sorted(by_target))}")
        if by_target[name].readonly:
            raise Unsupported(f"disk '{name}' is read-only; its content does not travel")
    return [by_target[name] for name in wish.disks]


def target_of(disk: Disk) -> str:
    """Name a disk as its owner does."""
    return (disk.target.dev or "") if disk.target is not None else ""


def path_of(disk: Disk) -> str:
    """Name a disk's file or device; empty where it is none of the host."""
    return (disk.source.file or disk.source.dev or "") if disk.source is not None else ""


def _alias(disk: Disk) -> str:
    return disk.alias.name if disk.alias is not None else ""


def by_target(domain: Domain) -> dict[str, Disk]:
    """Find disks by their targets."""
    return {target_of(disk): disk for disk in domain.devices.of(Disk)} if domain.devices is not None else {}


# The source.


class Mirrors:
    """A machine's disks on their way out."""

    def __init__(self, machine: Machine, domain: Domain, wish: Wish, job: Job) -> None:
        self._machine, self._wish, self._job = machine, wish, job
        self.disks = wanted(domain, wish)
        self._nodes: dict[str, str] = {}
        self._added: list[str] = []
        self._seen = dict.fromkeys(("total", "transferred", "remaining"), 0)

    async def look(self) -> tuple[CopiedDisk, ...]:
        """Say what is to be copied. Raises: QemuRefused."""
        seen = {}
        for each in await self._machine.qmp("query-block"):
            for disk in self.disks:
                if is_of(str(each.get("qdev") or ""), _alias(disk)) and each.get("inserted"):
                    seen[target_of(disk)] = each["inserted"]
        found = []
        for disk in self.disks:
            inserted = seen.get(target_of(disk))
            if inserted is None:
                raise Unsupported(f"disk '{target_of(disk)}' has no medium that could be copied")
            self._nodes[target_of(disk)] = str(inserted["node-name"])
            kind = disk.driver.type if disk.driver is not None and disk.driver.type else "raw"
            image = inserted["image"]
            size = int(image["virtual-size"])
            used = min(size, int(image.get("actual-size", size)))
            found.append(CopiedDisk(target_of(disk), size, kind, used))
        return tuple(found)

    async def begin(self, server: Mapping[str, Any], tls: str, speed: int) -> None:
        """Begin to copy all disks and wait until every one of them is at one with its copy.

        Raises: QemuRefused, Aborted, DeadlineExceeded
        """
        sync = "top" if self._wish.how & How.NON_SHARED_INC else "full"
        mode = "write-blocking" if self._wish.how & How.NON_SHARED_SYNCHRONOUS_WRITES else "background"
        with self._machine.hearing() as events:
            for disk in self.disks:
                name, node = target_of(disk), f"migration-{target_of(disk)}-storage"
                remote = {
                    "driver": "nbd", "node-name": node, "server": dict(server), "export": f"drive-{name}",
                    "read-only": False, **({"tls-creds": tls} if tls else {}),
                }  # fmt: skip
                await self._machine.qmp("blockdev-add", remote, STALL)
                self._added.append(node)
                top = f"migration-{name}-format"
                await self._machine.qmp("blockdev-add", {"driver": "raw", "node-name": top, "file": node})
                self._added.append(top)
                order: dict[str, Any] = {
                    "job-id": f"drive-{name}", "device": self._nodes[name], "target": top, "sync": sync,
                    "copy-mode": mode, "auto-dismiss": True,
                }  # fmt: skip
                if speed:
                    order["speed"] = speed * _MIB
                await self._machine.qmp("blockdev-mirror", order)
            await self._ready(events)

    async def _ready(self, events: asyncio.Queue[Event | None]) -> None:
        """Wait until all mirrors are ready, and watch that they move."""
        names = {f"drive-{target_of(disk)}" for disk in self.disks}
        moved, last = time.monotonic(), ""
        while True:
            jobs = {str(each["device"]): each for each in await self._machine.qmp("query-block-jobs")}
            self._note(jobs.values())
            gone = names - jobs.keys()
            if gone:
                raise QemuRefused(
                    f"copying {', '.join(sorted(gone))} to the target failed{_why(events)}", code=OPERATION_FAILED
                )
            if all(jobs[name].get("ready") for name in names):
                return
            now = repr([(name, jobs[name]["offset"]) for name in sorted(names)])
            if now != last:
                moved, last = time.monotonic(), now
            if self._job.cancelled.is_set():
                raise Aborted("operation aborted: migration out: canceled by client")
            if time.monotonic() - moved > STALL:
                raise DeadlineExceeded(f"copying the disks did not move for {STALL:g} s")
            try:
                async with asyncio.timeout(_LOOK):
                    await self._job.cancelled.wait()
            except TimeoutError:
                continue

    def _note(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        figures = _sums(jobs)
        if not self._job.figures.get("ram"):
            self._job.figures = {"disk": figures, "ram": {"total": 0, "transferred": 0, "remaining": 0}}

    async def progress(self) -> dict[str, int]:
        """Say how much of the disks was copied, in bytes."""
        if self._added:
            now = _sums(await self._machine.qmp("query-block-jobs"))
            self._seen = now if now["total"] else self._seen
        return self._seen

    async def switch(self) -> None:
        """Let go of all copies while the guest stands still: each is whole then. Raises: QemuRefused, DeadlineExceeded."""
        await self._end(force=False)
        await self._forget()

    async def give_up(self) -> None:
        """Take back whatever has begun."""
        if not self._machine.over:
            await self._end(force=True)
            await self._forget()

    async def _end(self, *, force: bool) -> None:
        names = {f"drive-{target_of(disk)}" for disk in self.disks}
        there = {str(each["device"]) for each in await self._machine.qmp("query-block-jobs")} & names
        with self._machine.hearing() as events:
            if not force and there != names:
                raise QemuRefused("a disk's copy broke off before the switch", code=OPERATION_FAILED)
            for name in sorted(there):
                await self._machine.qmp("block-job-cancel", {"device": name, "force": force})
            end = time.monotonic() + STALL
            while there:
                try:
                    async with asyncio.timeout(max(0.01, end - time.monotonic())):
                        event = await events.get()
                except TimeoutError:
                    raise DeadlineExceeded("the copy of a disk does not end") from None
                if event is None:
                    return
                if event.name in ("BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED"):
                    there.discard(str(event.data.get("device")))
                    if event.data.get("error") and not force:
                        raise QemuRefused(f"the copy of a disk failed: {event.data['error']}", code=OPERATION_FAILED)

    async def _forget(self) -> None:
        while self._added:
            await self._machine.qmp("blockdev-del", {"node-name": self._added.pop()})


def _sums(jobs: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    total = done = 0
    for each in jobs:
        total, done = total + int(each.get("len", 0)), done + int(each.get("offset", 0))
    return {"total": total, "transferred": done, "remaining": total - done}


def _why(events: asyncio.Queue[Event | None]) -> str:
    while not events.empty():
        event = events.get_nowait()
        if event is not None and event.name == "BLOCK_JOB_COMPLETED" and event.data.get("error"):
            return f": {event.data['error']}"
    return ""


# The target.


async def make(domain: Domain, disks: Iterable[CopiedDisk], *, incremental: bool) -> list[str]:
    """Make the files of copied disks that are not there; return them, so that they can be removed where it all fails.

    Raises: HostFailure, Unsupported
    """
    made: list[str] = []
    known = by_target(domain)
    try:
        for wish in disks:
            disk = known.get(wish.target)
            if disk is None:
                raise InvalidRequest(f"disk '{wish.target}' is to be copied, but the document has none of that name")
            path = path_of(disk)
            if not path:
                raise Unsupported(
                    f"disk '{wish.target}' is neither a file nor a device of the target; copy it yourself"
                )
            if await asyncio.to_thread(os.path.exists, path):
                await _fits(path, wish)
                continue
            if disk.type != "file":
                raise HostFailure(f"{path} is not there on the target; make the volume first")
            if incremental:
                raise HostFailure(
                    f"{path} is not there on the target; copy-storage-inc needs an image over the same base"
                )
            await asyncio.to_thread(Path(path).parent.mkdir, mode=0o711, parents=True, exist_ok=True)
            made.append(path)
            await programs.run(["qemu-img", "create", "-q", "-f", wish.format, "--", path, str(wish.capacity)])
    except BaseException:
        remove(made)
        raise
    return made


async def _fits(path: str, wish: CopiedDisk) -> None:
    size = await asyncio.to_thread(images.size, path, wish.format)
    if size.capacity < wish.capacity or (wish.format != "raw" and size.capacity != wish.capacity):
        words = f"{path} holds {size.capacity} bytes on the target, the disk '{wish.target}' has {wish.capacity}"
        raise HostFailure(f"{words}; an image of that size would be accepted")


def remove(made: Iterable[str]) -> None:
    """Remove the files that were made for nothing."""
    for path in made:
        Path(path).unlink(missing_ok=True)


async def export(
    ask: Speaker, domain: Domain, disks: Iterable[CopiedDisk], address: Mapping[str, Any], tls: str
) -> None:
    """Let a QEMU that waits take in the content of disks. Raises: QemuRefused."""
    place = {name: value for name, value in address.items() if name != "type"}
    wish: dict[str, Any] = {"addr": {"type": address["type"], "data": place}}
    if tls:
        wish["tls-creds"] = tls
    await ask("nbd-server-start", wish)
    nodes = {str(each.get("qdev") or ""): each.get("inserted") for each in await ask("query-block")}
    for number, (name, alias) in enumerate(_named(domain, disks)):
        node = next((n["node-name"] for qdev, n in nodes.items() if n and is_of(qdev, alias)), None)
        if node is None:
            raise Unsupported(f"disk '{name}' has nothing that could be written on the target")
        order = {
            "type": "nbd",
            "id": f"migration-{number}",
            "node-name": node,
            "name": f"drive-{name}",
            "writable": True,
        }
        await ask("block-export-add", order)


def _named(domain: Domain, disks: Iterable[CopiedDisk]) -> Iterator[tuple[str, str]]:
    known = by_target(domain)
    for wish in disks:
        yield wish.target, _alias(known[wish.target])
