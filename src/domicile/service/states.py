"""Carrying a machine's state into a file: stop the guest, let QEMU write, make the file whole; or take all of it back.

`service/saves` calls `writing` for images and dumps, and `settle_left` for what an earlier daemon did not finish.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from domicile.base.errors import DeadlineExceeded, DomicileError, OutcomeUnknown
from domicile.runtime import image as images
from domicile.runtime.image import Image
from domicile.runtime.job import Job
from domicile.runtime.record import Unfinished
from domicile.runtime.save import settle, write_dump, write_state
from domicile.runtime.states import Paused, Running, Shutoff, State
from domicile.service import outfile

if TYPE_CHECKING:
    from domicile.runtime.machine import Machine

log = structlog.get_logger(__name__)
_DESCRIPTOR = "state-file"
_SETTLE, _PAUSE = 30.0, 0.1
#: Seconds a QEMU whose monitor broke off may take to be known as ended.
_ENDING = 3.0
_MOVING = ("setup", "active", "device", "pre-switchover", "cancelling")


async def writing(
    machine: Machine, path: str, job: Job, why: Paused, back: Running, *, head: Callable[[bool], Image] | None = None,
    ends: bool = False, live: bool = False, memory: bool = False, format: str | None = None, uncached: bool = False,
) -> bool:  # fmt: skip
    """Write a machine's state, or (`memory`) the guest's memory alone, into a file; return whether the guest ran before.

    The guest stands still afterwards, unless it was `live` with its memory alone. Where it fails the guest goes on as
    it was, for the reason `back`, and nothing of the file stays.

    Raises: HostFailure, QemuRefused, DeadlineExceeded, Aborted
    """
    ran = machine.alive().state is State.RUNNING
    image = head(ran) if head is not None else None
    file = await asyncio.to_thread(outfile.create, path, image.head(images.PARTIAL) if image is not None else None)
    try:
        machine.note(unfinished=Unfinished(file.temporary, file.path, ran, ends))
        if ran and not live:
            await machine.suspend(why=why)
        await machine.pass_descriptor(_DESCRIPTOR, file.fd)
        if memory:
            await write_dump(machine.qmp, _DESCRIPTOR, format, job)
        else:
            await write_state(machine.qmp, _DESCRIPTOR, job)
        await asyncio.to_thread(file.whole, image.head(images.WHOLE) if image is not None else None)
        if uncached:
            await asyncio.to_thread(file.uncached)
    except OutcomeUnknown:
        # The monitor is gone, and perhaps the daemon goes, too: whoever finds the machine next settles it.
        with suppress(TimeoutError):
            async with asyncio.timeout(_ENDING):
                await machine.wait()
        if machine.over:
            file.give_up()
        raise
    except BaseException:
        await _take_back(machine, file, ran=ran, back=back)
        raise
    finally:
        file.close()
    settle(job, None)
    if not memory:  # libvirt's clients are told of what was a migration alone
        machine.tell_job(job)
    return ran


async def _take_back(machine: Machine, file: outfile.OutFile, *, ran: bool, back: Running) -> None:
    """Leave nothing of the file, and let the guest go on."""
    try:
        if not machine.over:
            machine.note(unfinished=None)
            if ran:
                await machine.go_on(back)
    except DomicileError as error:
        log.error("the guest does not go on", domain=machine.name, reason=error.message)
    finally:
        await asyncio.to_thread(file.give_up)


async def settle_left(machine: Machine, left: Unfinished) -> bool:
    """Settle what an earlier daemon began to write; return whether it was whole.

    Raises: DomicileError where QEMU does not do its part.
    """
    if await asyncio.to_thread(_is_whole, left):
        if left.ends:
            await machine.end(Shutoff.SAVED)
            return True
        if left.running:
            await machine.go_on(Running.UNPAUSED)
        machine.note(unfinished=None)
        return True
    await _stopped_moving(machine)
    if left.temporary != left.path:
        await asyncio.to_thread(Path(left.temporary).unlink, missing_ok=True)
    if left.running:
        await machine.go_on(Running.SAVE_CANCELED)
    machine.note(unfinished=None)
    return False


async def _stopped_moving(machine: Machine) -> None:
    """Make sure that QEMU writes no longer."""
    end = time.monotonic() + _SETTLE
    if (await machine.qmp("query-migrate")).get("status", "") in _MOVING:
        await machine.qmp("migrate_cancel")
    while time.monotonic() < end:
        dump = (await machine.qmp("query-dump")).get("status", "")
        if (await machine.qmp("query-migrate")).get("status", "") not in _MOVING and dump != "active":
            return
        await asyncio.sleep(_PAUSE)
    raise DeadlineExceeded(f"domain {machine.name}: QEMU goes on writing its state")


def _is_whole(left: Unfinished) -> bool:
    if left.temporary != left.path:
        return not Path(left.temporary).exists()
    try:
        fd = os.open(left.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.read(fd, len(images.WHOLE)) == images.WHOLE
    except OSError:
        return False
    finally:
        os.close(fd)
