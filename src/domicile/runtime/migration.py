"""A machine's way from one QEMU to another: what both are told, when to go on, and how it ended.

`service/migration` calls it at both ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domicile.base.errors import (
    OPERATION_FAILED,
    DeadlineExceeded,
    HostFailure,
    OutcomeUnknown,
    QemuRefused,
    Unsupported,
)
from domicile.qemu.monitor import Refusal
from domicile.runtime.job import Job
from domicile.runtime.save import STALL, Aborted, Speaker
from domicile.runtime.states import Paused, Running, State

if TYPE_CHECKING:
    from domicile.qemu.monitor import Event
    from domicile.runtime.machine import Machine

#: The most that QEMU takes as a speed, in MiB a second. Source: libvirt's answer to `migrate-getspeed`.
UNLIMITED = 8_796_093_022_207
#: How QEMU says that the CPUs did not go on.
NEVER_RAN = (Refusal,)
_MIB = 1024 * 1024
_DISK = ("total", "transferred", "remaining")
_LOOK, _CANCEL = 0.25, 30.0
_ENDED = ("completed", "failed", "cancelled")
#: The capabilities that are settled for each migration, whatever an earlier one left on.
_SETTLED = (
    "events", "auto-converge", "xbzrle", "compress", "multifd", "postcopy-ram", "pause-before-switchover",
    "late-block-activate", "return-path", "zero-copy-send",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Manner:
    """How a machine's state is to travel: QEMU's capabilities that are on, and its parameters. Both ends get the same.

    `mine` are parameters of the sending side alone.
    """

    capabilities: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mine: Mapping[str, Any] = field(default_factory=dict)


async def prepare(ask: Speaker, manner: Manner, *, own: frozenset[str], mine: bool) -> None:
    """Tell a QEMU how a machine's state will travel; `own` are capabilities that only this end wants, where it has them.

    Raises: Unsupported where it lacks what both ends need; QemuRefused
    """
    there = {str(each["capability"]) for each in await ask("query-migrate-capabilities")}
    missing = sorted(manner.capabilities - there)
    if missing:
        raise Unsupported(f"this QEMU cannot do what the migration asks for: it has no {', '.join(missing)}")
    wanted = manner.capabilities | (own & there)
    states = [{"capability": name, "state": name in wanted} for name in _SETTLED if name in there]
    await ask("migrate-set-capabilities", {"capabilities": states})
    parameters = {**manner.parameters, **(manner.mine if mine else {})}
    if parameters:
        await ask("migrate-set-parameters", parameters)


def speed(mib: int) -> int:
    """Give a speed in MiB a second, 0 for none, as QEMU takes it."""
    return (mib if 0 < mib < UNLIMITED else UNLIMITED) * _MIB


class Crossing:
    """One machine's state on its way out: begun, followed, handed over, or taken back."""

    def __init__(
        self, machine: Machine, job: Job, *, fragile: bool = False, disks: Callable[[], Awaitable[dict[str, int]]] | None = None,
        lost: asyncio.Event | None = None,
    ) -> None:  # fmt: skip
        self._lost = lost
        self._machine, self._job, self._fragile, self._disks = machine, job, fragile, disks
        self._broken = False
        self.stopped: float | None = None

    async def send(self, uri: str, at_switch: Callable[[], Awaitable[None]] | None) -> str:
        """Let QEMU send the state; return ``completed``, or ``postcopy-active`` once the rest follows by itself.

        `at_switch` is done while the guest stands still and nothing has been handed over.

        Raises:
            Aborted: the job was cancelled; the guest goes on here.
            QemuRefused, DeadlineExceeded: it failed; the guest goes on here.
            OutcomeUnknown: QEMU ended, or is out of reach.
        """
        machine = self._machine
        with machine.hearing() as events:
            machine.expect_change(pause=Paused.MIGRATION)
            try:
                await machine.qmp("migrate", {"uri": uri})
                status = await self._until(events, ("pre-switchover", "postcopy-active", *_ENDED))
                if status == "pre-switchover":
                    if at_switch is not None:
                        await at_switch()
                    await machine.qmp("migrate-continue", {"state": "pre-switchover"})
                    status = await self._until(events, ("postcopy-active", *_ENDED), at_once=False)
                if status in ("failed", "cancelled"):
                    await self._failed(status)
            except OutcomeUnknown:
                raise
            except BaseException:
                await self._take_back()
                raise
        return status

    async def follow_rest(self) -> None:
        """Follow what is left after the guest runs at the other end already. Raises: QemuRefused, DeadlineExceeded."""
        with self._machine.hearing() as events:
            status = await self._until(events, ("postcopy-paused", *_ENDED), stall=None)
        if status != "completed":
            words = f"the rest of the guest's memory did not arrive: post-copy migration is {status}"
            raise QemuRefused(words, code=OPERATION_FAILED)

    async def _until(
        self, events: asyncio.Queue[Event | None], wanted: tuple[str, ...], stall: float | None = STALL, *,
        at_once: bool = True,
    ) -> str:  # fmt: skip
        """Wait until the migration is in one of these conditions, and watch that it moves; look `at_once`, or at an event."""
        job, machine, moved, last = self._job, self._machine, time.monotonic(), ""
        status = ""
        while True:
            if at_once:
                seen = await self.look()
                status = str(seen.get("status", ""))
                if status in wanted:
                    return status
                now = repr((status, seen.get("ram"), seen.get("disk")))
                if now != last:
                    moved, last = time.monotonic(), now
            at_once = True
            if stall is not None and time.monotonic() - moved > stall:
                raise DeadlineExceeded(f"the migration of {machine.name} did not move for {stall:g} s")
            if job.cancelled.is_set() and not status.startswith("postcopy"):
                raise Aborted("operation aborted: migration out: canceled by client")
            if self._lost is not None and self._lost.is_set() and not status.startswith("postcopy"):
                raise HostFailure("the target's daemon does not answer any more")
            if self._fragile and (self._broken or (machine.state, machine.reason) == (State.PAUSED, Paused.IOERROR)):
                raise QemuRefused(
                    "migration was to end at an I/O error, and the guest's disk had one", code=OPERATION_FAILED
                )
            heard = await self._next(events)
            if heard in wanted:
                if heard == "completed":
                    await self.look()
                return heard

    async def _next(self, events: asyncio.Queue[Event | None]) -> str:
        """Wait for a change of the migration's condition, the owner's wish to end it, or the time to look again."""
        getting = asyncio.ensure_future(events.get())
        wish = asyncio.ensure_future(self._job.cancelled.wait())
        try:
            await asyncio.wait({getting, wish}, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                return ""
            event = getting.result()
        finally:
            getting.cancel()
            wish.cancel()
        if event is None:
            raise OutcomeUnknown(f"domain {self._machine.name}: QEMU ended during the migration")
        if event.name == "STOP" and self.stopped is None:
            self.stopped = time.time()
        if event.name == "BLOCK_IO_ERROR" and event.data.get("action") == "stop":
            self._broken = True
        return str(event.data.get("status", "")) if event.name == "MIGRATION" else ""

    async def look(self) -> Mapping[str, Any]:
        """Ask how far it is, and note it in the job."""
        seen: dict[str, Any] = dict(await self._machine.qmp("query-migrate"))
        seen["disk"] = await self._disks() if self._disks is not None else dict.fromkeys(_DISK, 0)
        if seen.get("ram"):
            self._job.figures = seen
        return seen

    async def _failed(self, status: str) -> None:
        if status == "cancelled":
            raise Aborted("operation aborted: migration out: canceled by client")
        seen = await self._machine.qmp("query-migrate")
        why = seen.get("error-desc") or "QEMU does not say why; the target's log may"
        raise QemuRefused(f"operation failed: job 'migration out' unexpectedly failed: {why}", code=OPERATION_FAILED)

    async def _take_back(self) -> None:
        await take_back(self._machine)


async def take_back(machine: Machine) -> None:
    """End a migration that has not handed over, and let the guest go on as it was.

    Raises: DeadlineExceeded, OutcomeUnknown
    """
    machine.expect_change(run=Running.MIGRATION_CANCELED)
    status = (await machine.qmp("query-migrate")).get("status", "none")
    if status not in (*_ENDED, "none"):
        await machine.qmp("migrate_cancel")
        end = time.monotonic() + _CANCEL
        while (status := (await machine.qmp("query-migrate")).get("status", "none")) not in (*_ENDED, "none"):
            if time.monotonic() > end:
                raise DeadlineExceeded(f"domain {machine.name}: QEMU does not end the migration")
            await asyncio.sleep(0.05)
    if machine.state is State.PAUSED and machine.reason == Paused.MIGRATION:
        await machine.go_on(Running.MIGRATION_CANCELED)
    machine.expect_change(pause=Paused.UNKNOWN, run=Running.UNPAUSED)


async def drop_copies(machine: Machine) -> None:
    """Take back the copies of disks that an earlier daemon had begun. Raises: QemuRefused, OutcomeUnknown."""
    for each in await machine.qmp("query-block-jobs"):
        if str(each["device"]).startswith("drive-"):
            await machine.qmp("block-job-cancel", {"device": each["device"], "force": True})
    end = time.monotonic() + _CANCEL
    while any(str(each["device"]).startswith("drive-") for each in await machine.qmp("query-block-jobs")):
        if time.monotonic() > end:
            raise DeadlineExceeded(f"domain {machine.name}: the copies of disks do not end")
        await asyncio.sleep(0.05)
    names = [str(node["node-name"]) for node in await machine.qmp("query-named-block-nodes", {"flat": True})]
    for ending in ("-format", "-storage"):
        for name in names:
            if name.startswith("migration-") and name.endswith(ending):
                await machine.qmp("blockdev-del", {"node-name": name})


async def arrived(machine: Machine, stall: float = STALL, *, whole: bool = False) -> str:
    """Wait until a QEMU that listens has the state; return ``completed``, or ``postcopy-active`` where the rest follows.

    With `whole`, it is waited for the rest as well, for as long as it takes.

    Raises: QemuRefused, DeadlineExceeded, OutcomeUnknown
    """
    wanted = ("completed", "failed", "postcopy-paused") + (() if whole else ("postcopy-active",))
    with machine.hearing() as events:
        end = time.monotonic() + stall
        while True:
            status = str((await machine.qmp("query-migrate")).get("status", ""))
            if status in wanted:
                break
            if time.monotonic() > end and not whole:
                raise DeadlineExceeded(f"domain {machine.name}: the state did not arrive within {stall:g} s")
            try:
                async with asyncio.timeout(1.0):
                    if await events.get() is None:
                        raise OutcomeUnknown(f"domain {machine.name}: QEMU ended while the state arrived")
            except TimeoutError:
                continue
    if status not in ("completed", "postcopy-active"):
        raise QemuRefused("QEMU could not take up the state that arrived; its log says why", code=OPERATION_FAILED)
    return status
