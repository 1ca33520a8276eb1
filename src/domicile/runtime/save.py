"""A machine's state on its way into a file and back: QEMU's migration to and from a descriptor.

`service/saves` calls it for save images and for dumps that can be restored; `runtime/start` for what begins restored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog

from domicile.base.errors import OPERATION_FAILED, DeadlineExceeded, DomicileError, QemuRefused
from domicile.runtime.job import Job, Kind

log = structlog.get_logger(__name__)
#: Seconds without any progress after which a stream is given up.
STALL = 60.0
#: Seconds QEMU may take to give a stream up when asked to.
_CANCEL = 30.0
_FIRST_LOOK, _LOOKS_APART = 0.01, 0.25
# The most QEMU takes: as fast as the file can be written.
_BANDWIDTH = (2**63 - 1) // (1024 * 1024) * (1024 * 1024)


class Aborted(DomicileError):
    """A long operation was ended by its owner's wish."""

    code = OPERATION_FAILED


class Speaker(Protocol):
    """Who can be told QMP commands: a machine, or the monitor of one that starts."""

    async def __call__(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run a command."""


async def write_state(ask: Speaker, descriptor: str, job: Job, stall: float = STALL) -> None:
    """Let QEMU write the state of a machine that stands still into a descriptor it was given by name.

    Raises:
        Aborted: the job was cancelled; QEMU holds the machine's state again.
        QemuRefused: it failed.
        DeadlineExceeded: nothing moved for too long; it was given up.
    """
    await ask("migrate-set-parameters", {"max-bandwidth": _BANDWIDTH})
    await ask("migrate-set-capabilities", {"capabilities": [{"capability": "events", "state": True}]})
    await ask("migrate", {"uri": f"fd:{descriptor}"})
    await follow(
        job, lambda: ask("query-migrate"), _migrated, lambda: ask("migrate_cancel"), "saving the machine's state", stall
    )


async def follow(
    job: Job,
    look: Callable[[], Any],
    judge: Callable[[Mapping[str, Any]], bool],
    cancel: Callable[[], Any] | None,
    what: str,
    stall: float = STALL,
) -> None:
    """Look again and again how far an operation is until `judge` says it has ended, and watch that it moves."""
    pause, moved, last = _FIRST_LOOK, time.monotonic(), ""
    while True:
        seen: Mapping[str, Any] = await look()
        job.figures = seen
        if judge(seen):
            return
        state = repr((seen.get("ram"), seen.get("completed"), seen.get("status"), seen.get("disk")))
        if state != last:
            moved, last = time.monotonic(), state
        if cancel is not None and job.cancelled.is_set():
            await _give_up(look, judge, cancel, what)
            raise Aborted(f"{what} was aborted by a client")
        if time.monotonic() - moved > stall:
            if cancel is not None:
                await _give_up(look, judge, cancel, what)
            raise DeadlineExceeded(f"{what} did not move for {stall:g} s")
        try:
            async with asyncio.timeout(pause):
                await job.cancelled.wait()
                if cancel is None:
                    await asyncio.sleep(pause)
        except TimeoutError:
            pause = min(pause * 1.5, _LOOKS_APART)


def _migrated(seen: Mapping[str, Any]) -> bool:
    status = seen.get("status", "")
    if status == "failed":
        raise QemuRefused(f"QEMU could not save the machine's state: {seen.get('error-desc', 'it does not say why')}")
    if status == "cancelled":
        raise Aborted("saving the machine's state was cancelled in QEMU")
    return bool(status == "completed")


async def _give_up(
    look: Callable[[], Any], judge: Callable[[Mapping[str, Any]], bool], cancel: Callable[[], Any], what: str
) -> None:
    """Cancel, and wait until it is; QEMU that does not let go is told of in words."""
    await cancel()
    end = time.monotonic() + _CANCEL
    while time.monotonic() < end:
        try:
            if judge(await look()):
                return
        except (Aborted, QemuRefused):
            return
        await asyncio.sleep(_LOOKS_APART / 5)
    raise DeadlineExceeded(f"{what} was to be given up, but QEMU does not end it")


async def read_state(ask: Speaker, descriptor: str, pid: int, stall: float = STALL) -> None:
    """Let a QEMU that waits for it read a machine's state from a descriptor it was given by name.

    Raises: QemuRefused, DeadlineExceeded
    """
    await ask("migrate-incoming", {"uri": f"fd:{descriptor}"})
    pause, moved, last = _FIRST_LOOK, time.monotonic(), ""
    while True:
        status = (await ask("query-migrate")).get("status", "")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise QemuRefused("QEMU could not read the saved state; its log says why")
        done = await asyncio.to_thread(_read_by, pid)
        if done != last:
            moved, last = time.monotonic(), done
        if time.monotonic() - moved > stall:
            raise DeadlineExceeded(f"QEMU has read nothing of the saved state for {stall:g} s")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LOOKS_APART)


def _read_by(pid: int) -> str:
    """Say how much a process has read so far, in whatever form."""
    try:
        return Path(f"/proc/{pid}/io").read_text().partition("\n")[0]
    except OSError:
        return ""


async def write_dump(ask: Speaker, descriptor: str, format: str | None, job: Job, stall: float = STALL) -> None:
    """Let QEMU write the guest's memory alone into a descriptor, in one of its dump formats.

    Raises: QemuRefused, DeadlineExceeded
    """
    wish: dict[str, Any] = {"paging": False, "protocol": f"fd:{descriptor}", "detach": True}
    if format is not None:
        wish["format"] = format
    await ask("dump-guest-memory", wish)
    await follow(job, lambda: ask("query-dump"), _dumped, None, "dumping the guest's memory", stall)


def _dumped(seen: Mapping[str, Any]) -> bool:
    status = seen.get("status", "")
    if status == "failed":
        raise QemuRefused("memory-only dump failed; QEMU's log says why", code=OPERATION_FAILED)
    return bool(status == "completed")


def settle(job: Job, error: BaseException | None) -> None:
    """Note in a job how it ended, if that is not known already."""
    if job.took is not None:
        return
    if error is None:
        job.end(Kind.COMPLETED)
    else:
        job.end(Kind.CANCELLED if isinstance(error, Aborted) else Kind.FAILED)
