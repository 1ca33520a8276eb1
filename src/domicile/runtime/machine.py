"""The running machine as everyone sees it: what is known of it, and the commands it takes.

`runtime/start` and `runtime/reattach` make machines; the service keeps them and calls their commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domicile.base.errors import DeadlineExceeded, Unsupported, WrongState
from domicile.qemu.monitor import DEADLINE
from domicile.runtime.actor import Actor, Listener, MachineEvent
from domicile.runtime.states import Paused, Shutoff, State


class Machine(Actor):
    """A running domain. Its properties answer from memory; its commands have deadlines.

    Commands raise WrongState when the state forbids them, QemuRefused with QEMU's words, DeadlineExceeded when QEMU does
    not answer, and OutcomeUnknown when its monitor is cut off meanwhile.
    """

    async def suspend(self, deadline: float = DEADLINE) -> None:
        """Stop the CPUs."""
        if self.state is State.PMSUSPENDED:
            raise WrongState(f"domain {self.name} sleeps by its guest's own wish")
        if self.alive().state is not State.PAUSED:
            await self._change("stop", deadline, pause=Paused.USER)

    async def resume(self, deadline: float = DEADLINE) -> None:
        """Let the CPUs go on."""
        if self.alive().state is State.RUNNING:
            raise WrongState(f"domain {self.name} is already running")
        if self.state is State.PMSUSPENDED:
            raise WrongState(f"domain {self.name} sleeps by its guest's own wish; wake it up instead")
        await self._change("cont", deadline)

    async def shutdown(self, mode: str = "acpi", deadline: float = DEADLINE) -> None:
        """Press the power button; the guest decides what follows."""
        _only_acpi(mode)
        await self._change("system_powerdown", deadline, reboot_asked=False)

    async def reboot(self, mode: str = "acpi", deadline: float = DEADLINE) -> None:
        """Press the power button; once the guest has powered off it is started again in the same QEMU."""
        _only_acpi(mode)
        await self._change("system_powerdown", deadline, reboot_asked=True)

    async def reset(self, deadline: float = DEADLINE) -> None:
        """Press the reset button."""
        await self._change("system_reset", deadline)

    async def destroy(self, graceful: bool = False) -> None:
        """End QEMU; killing it when it does not obey, unless that must be graceful.

        Raises:
            DeadlineExceeded: it still runs.
        """
        self.alive()
        self._condition = replace(self._condition, off=Shutoff.DESTROYED)
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


def _only_acpi(mode: str) -> None:
    if mode not in ("acpi", "", "default"):
        raise Unsupported(f"shutdown mode {mode} cannot be had; the guest's power button is mode acpi")


__all__ = ["Listener", "Machine", "MachineEvent"]
