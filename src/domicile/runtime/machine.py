"""The running machine as everyone sees it: what is known of it, and the commands it takes.

`runtime/start` and `runtime/reattach` make machines; the service keeps them and calls their commands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from domicile.base.errors import DeadlineExceeded, OutcomeUnknown, WrongState
from domicile.qemu.monitor import DEADLINE, Event
from domicile.runtime import lifecycle
from domicile.runtime.actor import Actor, Lost
from domicile.runtime.event import Listener, MachineEvent
from domicile.runtime.job import Job, Operation
from domicile.runtime.save import settle
from domicile.runtime.states import Kind, Paused, Resumed, Running, Shutoff, State, Suspended

#: Seconds to wait until another long operation or change has ended.
PATIENCE = 30.0


class Machine(Actor):
    """A running domain. Its properties answer from memory; its commands have deadlines.

    Commands raise WrongState when the state forbids them, QemuRefused with QEMU's words, DeadlineExceeded when QEMU does
    not answer, and OutcomeUnknown when its monitor is cut off meanwhile.

    `job` is the long operation under way, `last_job` the last that has ended.
    """

    job: Job | None = None
    last_job: Job | None = None

    async def suspend(self, deadline: float = DEADLINE, why: Paused = Paused.USER) -> None:
        """Stop the CPUs."""
        if self.state is State.PMSUSPENDED:
            raise WrongState(f"domain {self.name} sleeps by its guest's own wish")
        if self.alive().state is not State.PAUSED:
            await self._change("stop", deadline, pause=why)

    async def go_on(self, why: Running, deadline: float = DEADLINE) -> None:
        """Let the CPUs go on after an operation that stopped them."""
        if self.alive().state is State.PAUSED:
            await self._change("cont", deadline, run=why)

    async def resume(self, deadline: float = DEADLINE) -> None:
        """Let the CPUs go on."""
        if self.arriving:
            raise WrongState(f"domain {self.name} is on its way here; it runs once its migration has finished")
        if self.alive().state is State.RUNNING:
            raise WrongState(f"domain {self.name} is already running")
        if self.state is State.PMSUSPENDED:
            raise WrongState(f"domain {self.name} sleeps by its guest's own wish; wake it up instead")
        await self._change("cont", deadline)

    # Migration.

    @property
    def arriving(self) -> bool:
        """Whether it comes from another host and it is not settled yet that it runs here."""
        return self._record.arriving is not None and self._record.arriving.phase == "waiting"

    async def await_arrival(self, deadline: float = DEADLINE) -> None:
        """Start the actor of a QEMU that waits for a machine's state from another host."""
        if self._monitor is None:
            raise OutcomeUnknown(f"domain {self.name}: QEMU's monitor is out of reach")
        self.begin()
        self._mailbox.put_nowait(lambda: self._apply(lifecycle.awaited(self._condition)))
        await self.learn(self._monitor, deadline)
        await self._settled()

    def expect_change(self, *, pause: Paused | None = None, run: Running | None = None) -> None:
        """Note why QEMU is about to stop the CPUs, or to let them go, by itself."""
        if pause is not None:
            self._condition = replace(self._condition, pause=pause)
        if run is not None:
            self._condition = replace(self._condition, run=run)

    def settled_running(self) -> None:
        """Note that a machine that runs already has all of its memory now."""
        if self.state is State.RUNNING:
            self._condition = self._condition.to(State.RUNNING, Running.MIGRATED)
            self._tell(MachineEvent(self, "lifecycle", int(Kind.RESUMED), int(Resumed.MIGRATED), at=time.time()))

    def settled_paused(self) -> None:
        """Note that a machine that has arrived stays paused, by its owner's wish."""
        self._condition = replace(self._condition.to(State.PAUSED, Paused.USER), run=Running.UNPAUSED)
        self._tell(MachineEvent(self, "lifecycle", int(Kind.SUSPENDED), int(Suspended.PAUSED), at=time.time()))

    def expect_end(self, why: Shutoff | None) -> None:
        """Note why QEMU may end from now on, None for no known reason."""
        self._condition = replace(self._condition, off=why)

    @contextmanager
    def hearing(self) -> Iterator[asyncio.Queue[Event | None]]:
        """Give QEMU's own events as they come, None once the machine is over."""
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._hearers.append(events)
        if self._gone.is_set():
            events.put_nowait(None)
        try:
            yield events
        finally:
            self._hearers.remove(events)

    # Power.

    async def shutdown(self, deadline: float = DEADLINE) -> None:
        """Press the power button; the guest decides what follows."""
        await self._change("system_powerdown", deadline, reboot_asked=False)

    async def reboot(self, deadline: float = DEADLINE) -> None:
        """Press the power button; once the guest has powered off it is started again in the same QEMU."""
        await self._change("system_powerdown", deadline, reboot_asked=True)

    def expect(self, *, reboot: bool) -> None:
        """Note what the guest's next power-off means, where the guest was asked by its agent."""
        self._condition = replace(self._condition, reboot_asked=reboot)

    async def reset(self, deadline: float = DEADLINE) -> None:
        """Press the reset button."""
        await self._change("system_reset", deadline)

    async def destroy(self, graceful: bool = False) -> None:
        """End QEMU; killing it when it does not obey, unless that must be graceful.

        Raises:
            DeadlineExceeded: it still runs.
        """
        await self.end(Shutoff.DESTROYED, graceful=graceful)

    async def end(self, why: Shutoff, *, graceful: bool = False) -> None:
        """End QEMU for a reason.

        Raises:
            DeadlineExceeded: it still runs.
        """
        self.alive()
        self._condition = replace(self._condition, off=why)
        try:
            await self._end(kill=not graceful)
        except DeadlineExceeded:
            self._condition = replace(self._condition, off=None)
            raise

    async def qmp(self, command: str, arguments: Mapping[str, Any] | None = None, deadline: float = DEADLINE) -> Any:
        """Send QEMU a command of its own and return the answer; the state has followed its events."""
        self.alive()
        answer = await self._ask(command, arguments, deadline)
        await self._settled()
        return answer

    async def qmp_raw(self, message: Mapping[str, Any], deadline: float = DEADLINE) -> Mapping[str, Any]:
        """Send QEMU a whole message and return its whole answer, an error as it came."""
        self.alive()
        if self._monitor is None:
            raise OutcomeUnknown(f"domain {self.name}: QEMU's monitor is out of reach")
        return await self._monitor.execute_raw(message, deadline)

    async def pass_descriptor(self, name: str, fd: int, deadline: float = DEADLINE) -> None:
        """Give QEMU a descriptor under a name; it keeps a copy of its own."""
        self.alive()
        if self._monitor is None:
            raise OutcomeUnknown(f"domain {self.name}: QEMU's monitor is out of reach")
        await self._monitor.pass_descriptor(name, fd, deadline)

    @asynccontextmanager
    async def working(self, operation: Operation, patience: float = PATIENCE) -> AsyncIterator[Job]:
        """Hold the machine for one long operation, which other changes wait for; what it does is told by `job`.

        Raises: DeadlineExceeded where something else goes on for too long.
        """
        self.alive()
        try:
            async with asyncio.timeout(patience):
                await self._working.acquire()
        except TimeoutError:
            busy = self.job.operation.name.lower() if self.job is not None else "another operation"
            raise DeadlineExceeded(
                f"domain {self.name} is busy with {busy}; cannot acquire its state change lock"
            ) from None
        job = self.job = Job(operation)
        try:
            yield job
        except BaseException as error:
            settle(job, error)
            raise
        else:
            settle(job, None)
        finally:
            self.job, self.last_job = None, job
            self._working.release()

    def tell_job(self, job: Job) -> None:
        """Tell those who listen that a long operation has ended."""
        self._tell(
            MachineEvent(
                self, "job", data={**job.amounts(), **job.outcome}, event=int(job.operation), detail=job.elapsed_ms
            )
        )

    def keep_trying(self) -> None:
        """Go on connecting in the background."""
        self._mailbox.put_nowait(Lost())

    async def wait(self) -> None:
        """Wait until the machine is over."""
        await self._gone.wait()

    async def detach(self) -> None:
        """Let go of the machine; it goes on by itself, for a later daemon to find."""
        if self._actor is not None:
            self._actor.cancel()
            await asyncio.wait({self._actor})
            self._actor = None
        if self._monitor is not None:
            await self._monitor.close()
        self._process.close()

    async def _change(self, command: str, deadline: float, **intent: Any) -> None:
        """Run a command that changes the state, one at a time, and return when the change is known."""
        self.alive()
        try:
            async with asyncio.timeout(deadline), self._changing:
                self._condition = replace(self._condition, **intent)
                await self._ask(command, None, deadline)
        except TimeoutError as error:
            raise DeadlineExceeded(f"domain {self.name}: {command} did not happen within {deadline:g} s") from error
        await self._settled()


__all__ = ["Listener", "Machine", "MachineEvent"]
