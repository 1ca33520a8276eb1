"""One QMP connection: every command has a deadline, every failure a type, every event goes to one callback.

`qemu/probe` and `runtime/machine` talk to QEMU through it; qemu.qmp does the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, ExecInterruptedError, ExecuteError, Message, QMPClient, QMPError, Runstate

from domicile.base import tasks
from domicile.base.errors import DeadlineExceeded, OutcomeUnknown, QemuRefused

# Every failure reaches the caller as an exception; qemu.qmp need not report it a second time.
logging.getLogger("qemu.qmp").addHandler(logging.NullHandler())
logging.getLogger("qemu.qmp").propagate = False

#: How long a command may take when nobody says otherwise, in seconds.
DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something QEMU said by itself; `at` is its own clock, in seconds."""

    name: str
    data: Mapping[str, Any]
    at: float


class Refusal(QemuRefused):
    """QEMU answered a command with an error; `kind` is QEMU's class of it, `words` its description."""

    def __init__(self, command: str, kind: str, words: str) -> None:
        super().__init__(f"QEMU refused {command}: {words}")
        self.command, self.kind, self.words = command, kind, words


class _Client(QMPClient):
    """qemu.qmp's client without its pretty-printing of every message, which costs more than the rest together."""

    def _cb_inbound(self, msg: Message) -> Message:
        return msg

    def _cb_outbound(self, msg: Message) -> Message:
        return msg


class _Forward(EventListener):
    """Hands events on as they are read, in their order among the replies."""

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        super().__init__()
        self._deliver = deliver

    async def put(self, event: Message) -> None:
        stamp: Any = event.get("timestamp") or {}
        data: Any = event.get("data") or {}
        self._deliver(Event(str(event["event"]), data, stamp.get("seconds", 0) + stamp.get("microseconds", 0) / 1e6))


class Monitor:
    """A QMP session with one QEMU.

    `on_event` and `on_lost` are called from the event loop and must not wait; `on_lost` is called once, when the
    connection ends without `close`.
    """

    def __init__(
        self,
        name: str,
        on_event: Callable[[Event], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._on_lost = on_lost
        self._closing = False
        self._ending = asyncio.Lock()
        self._passing = asyncio.Lock()
        self._watch: asyncio.Task[None] | None = None
        self._client = _Client(name)
        self._client.events.names.add("none")  # the default listener would keep every event for ever
        if on_event is not None:
            self._client.register_listener(_Forward(on_event))

    @property
    def connected(self) -> bool:
        """Whether the session stands."""
        return self._client.runstate is Runstate.RUNNING

    async def connect(self, peer: socket.socket | Path, deadline: float = DEADLINE) -> None:
        """Connect to a monitor, through its path or a socket that is connected already.

        Raises:
            DeadlineExceeded: QEMU did not greet in time.
            OutcomeUnknown: there is no QEMU, or it hung up.
        """
        address = peer if isinstance(peer, socket.socket) else os.fspath(peer)
        try:
            async with asyncio.timeout(deadline):
                await self._client.connect(address)
        except TimeoutError as error:
            await self._hang_up()
            raise DeadlineExceeded(f"{self.name}: QEMU's monitor did not greet within {deadline:g} s") from error
        except (QMPError, OSError, EOFError) as error:
            await self._hang_up()
            raise OutcomeUnknown(f"{self.name}: cannot talk to QEMU's monitor: {error}") from error
        self._watch = tasks.spawn(f"monitor of {self.name}", self._watch_end())

    async def _watch_end(self) -> None:
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()
        await self._hang_up()
        if not self._closing and self._on_lost is not None:
            self._on_lost()

    async def _hang_up(self) -> None:
        async with self._ending:
            if self._client.runstate is not Runstate.IDLE:
                with contextlib.suppress(QMPError, OSError, EOFError):
                    await self._client.disconnect()

    async def execute(
        self, command: str, arguments: Mapping[str, Any] | None = None, deadline: float = DEADLINE
    ) -> Any:
        """Run one command and return what it answers.

        Raises:
            Refusal: QEMU said no.
            DeadlineExceeded: no answer in time; the command may still take effect.
            OutcomeUnknown: the connection ended before the answer.
        """
        if not self.connected:
            raise OutcomeUnknown(f"{self.name}: there is no connection to QEMU's monitor for {command}")
        try:
            async with asyncio.timeout(deadline):
                return await self._client.execute(command, arguments or None)
        except ExecuteError as error:
            raise Refusal(command, error.error_class, str(error)) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self.name}: QEMU did not answer {command} within {deadline:g} s") from error
        except (ExecInterruptedError, QMPError, OSError, EOFError) as error:
            raise OutcomeUnknown(f"{self.name}: QEMU's monitor was cut off during {command}") from error

    async def execute_raw(self, message: Mapping[str, Any], deadline: float = DEADLINE) -> Mapping[str, Any]:
        """Send a whole message, its own ``id`` included if it has one, and return QEMU's whole answer, whatever it is.

        Raises: DeadlineExceeded, OutcomeUnknown
        """
        if not self.connected:
            raise OutcomeUnknown(f"{self.name}: there is no connection to QEMU's monitor")
        try:
            async with asyncio.timeout(deadline):
                return await self._client._raw(dict(message), assign_id="id" not in message)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self.name}: QEMU did not answer within {deadline:g} s") from error
        except (ExecInterruptedError, QMPError, OSError, EOFError) as error:
            raise OutcomeUnknown(f"{self.name}: QEMU's monitor was cut off during a command") from error

    async def pass_descriptor(self, name: str, fd: int, deadline: float = DEADLINE) -> None:
        """Give QEMU a descriptor under a name, for the command that will name it.

        Raises: Refusal, DeadlineExceeded, OutcomeUnknown
        """
        async with self._passing:
            if not self.connected:
                raise OutcomeUnknown(f"{self.name}: there is no connection to QEMU's monitor for a descriptor")
            self.send_descriptor(fd)
            await self.execute("getfd", {"fdname": name}, deadline)

    def send_descriptor(self, fd: int) -> None:
        """Pass a descriptor along; the next command (``getfd``, ``add-fd``) names it."""
        self._client.send_fd_scm(fd)

    async def close(self) -> None:
        """End the session; QEMU goes on."""
        self._closing = True
        if self._watch is None:
            return
        await self._hang_up()
        await asyncio.wait({self._watch})
