"""The guest's agent at the other end of a channel: one line of JSON there, one back, in step and with deadlines.

`service/agents` keeps one for each machine. The agent is a program of the guest's: whatever it says is only believed as far
as it is well-formed. Source: QEMU's guest agent protocol reference.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from domicile.base.errors import DomicileError, QemuRefused
from domicile.qemu.launch import socket_address

UNRESPONSIVE, UNSYNCED = 86, 97
#: Seconds the agent has to fall into step, and to answer when nobody says otherwise.
SYNC_DEADLINE = 5.0
DEADLINE = 600.0
_CONNECT = 5.0
_ANSWER_MAX = 64 * 1024 * 1024
_CHUNK = 65_536
_MARK = b"\xff"


class NoAnswer(DomicileError):
    """The guest's agent does not answer, or is not there."""

    code, status = UNRESPONSIVE, 504


class AgentRefused(QemuRefused):
    """The agent answered with an error; `kind` is its class."""

    def __init__(self, command: str, kind: str, words: str) -> None:
        super().__init__(f"unable to execute QEMU agent command '{command}': {words}")
        self.kind = kind


class Agent:
    """A connection to a guest's agent. One command at a time."""

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self._lock = asyncio.Lock()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._rest = b""

    async def ask(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        sync: float = SYNC_DEADLINE,
        deadline: float = DEADLINE,
    ) -> Any:
        """Run a command and return its result.

        Raises: NoAnswer, AgentRefused
        """
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = dict(arguments)
        answer = await self.say(message, sync=sync, deadline=deadline)
        if "error" in answer:
            error = answer["error"] if isinstance(answer["error"], dict) else {}
            raise AgentRefused(command, str(error.get("class", "")), str(error.get("desc", "it does not say why")))
        return answer.get("return")

    async def say(
        self, message: Mapping[str, Any], *, sync: float = SYNC_DEADLINE, deadline: float = DEADLINE
    ) -> dict[str, Any]:
        """Send a whole message and return the whole answer, an error as it came. Raises: NoAnswer."""
        try:
            async with asyncio.timeout(sync + deadline), self._lock:
                await self._in_step(sync)
                await self._send(message)
                return await self._answer(deadline, f"to {message.get('execute', 'the command')}")
        except TimeoutError:
            self.close()
            raise NoAnswer(f"domain {self.name}: another command to the guest agent does not end") from None
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise NoAnswer(f"domain {self.name}: the guest agent's channel broke: {error}") from error
        except BaseException:
            # What comes late must not be taken for the answer to something else.
            self.close()
            raise

    async def say_only(self, message: Mapping[str, Any], *, sync: float = SYNC_DEADLINE, linger: float = 2.0) -> None:
        """Send a message whose success has no answer; one that comes soon is an error. Raises: NoAnswer, AgentRefused."""
        name = str(message.get("execute"))
        try:
            async with asyncio.timeout(sync * 2 + linger), self._lock:
                await self._in_step(sync)
                await self._send(message)
                try:
                    answer = await self._answer(linger, f"to {name}")
                except NoAnswer:
                    return
        except (TimeoutError, OSError) as error:
            raise NoAnswer(f"domain {self.name}: the guest agent cannot be told '{name}': {error}") from error
        finally:
            self.close()
        if "error" in answer:
            error_words = answer["error"] if isinstance(answer["error"], dict) else {}
            raise AgentRefused(
                name, str(error_words.get("class", "")), str(error_words.get("desc", "it does not say why"))
            )

    async def _in_step(self, deadline: float) -> None:
        """Make sure that the next answer is the one to the next command."""
        try:
            async with asyncio.timeout(deadline):
                if self._writer is None:
                    await self._connect()
                number = int.from_bytes(os.urandom(4), "big")
                assert self._writer is not None
                self._writer.write(_MARK)
                await self._send({"execute": "guest-sync-delimited", "arguments": {"id": number}})
                while True:
                    await self._skip_to_mark()
                    line = await self._line()
                    if _parsed(line).get("return") == number:
                        return
        except TimeoutError:
            self.close()
            raise NoAnswer(f"domain {self.name}: the guest agent does not answer within {deadline:g} s") from None

    async def _connect(self) -> None:
        with ExitStack() as stack:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            try:
                sock.connect(socket_address(self.path, stack))
            except OSError as error:
                sock.close()
                raise NoAnswer(
                    f"domain {self.name}: the guest agent's socket cannot be reached: {error.strerror}"
                ) from error
        async with asyncio.timeout(_CONNECT):
            self._reader, self._writer = await asyncio.open_unix_connection(sock=sock, limit=_CHUNK)
        self._rest = b""

    async def _send(self, message: Mapping[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        await self._writer.drain()

    async def _more(self) -> None:
        assert self._reader is not None
        data = await self._reader.read(_CHUNK)
        if not data:
            raise NoAnswer(f"domain {self.name}: the guest agent's channel was closed")
        self._rest += data
        if len(self._rest) > _ANSWER_MAX:
            raise NoAnswer(f"domain {self.name}: the guest agent's answer is longer than {_ANSWER_MAX} bytes")

    async def _skip_to_mark(self) -> None:
        while (at := self._rest.find(_MARK)) < 0:
            self._rest = b""
            await self._more()
        self._rest = self._rest[at + 1 :]

    async def _line(self) -> bytes:
        while (at := self._rest.find(b"\n")) < 0:
            await self._more()
        line, self._rest = self._rest[:at], self._rest[at + 1 :]
        return line

    async def _answer(self, deadline: float, what: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(deadline):
                while True:
                    line = (await self._line()).strip(_MARK + b" \r\t")
                    found = _parsed(line)
                    if "return" in found or "error" in found:
                        return found
        except TimeoutError:
            self.close()
            raise NoAnswer(
                f"domain {self.name}: the guest agent does not answer {what} within {deadline:g} s"
            ) from None

    def close(self) -> None:
        """End the connection; the next command makes a new one."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
        self._rest = b""


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
