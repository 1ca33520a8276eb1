"""Leads the capabilities interview: with a live QEMU started for it, or with a recording of one.

The daemon asks `live` through `qemu/cache`; the conformance program asks `recorded`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from domicile.base.errors import HostFailure, InvalidRequest, OutcomeUnknown, QemuRefused
from domicile.plan.capabilities import Capabilities
from domicile.qemu.interview import Answer, Question, Session, interview
from domicile.qemu.monitor import Monitor, Refusal

#: How long a QEMU may take to start and greet, and to answer one question, in seconds.
STARTUP = 15.0
QUESTION = 10.0


class Answerer(Protocol):
    """Whoever can be interviewed: a QEMU, or the memory of one."""

    async def answers(self, questions: list[Question]) -> list[Answer]:
        """Answer a batch in order, with None where a question is refused."""


async def probe(answerer: Answerer, binary: Path, mtime: float) -> Capabilities:
    """Lead the interview to its end.

    Raises:
        QemuRefused: this is no QEMU that Domicile can use.
    """
    talk = interview(os.fspath(binary), mtime)
    questions = next(talk)
    while True:
        answers = await answerer.answers(questions)
        try:
            questions = talk.send(answers)
        except StopIteration as end:
            found: Capabilities = end.value
            return found


async def live(binary: Path, *, kvm: bool) -> Capabilities:
    """Start the binary without a machine and ask it; `kvm` says whether virtual CPUs really run on this host."""
    try:
        mtime = os.stat(binary).st_mtime  # noqa: PTH116 - one look at an inode
    except OSError as error:
        raise HostFailure(f"there is no QEMU at {binary}: {error.strerror}") from error
    async with Live(binary, kvm=kvm) as answerer:
        return await probe(answerer, binary, mtime)


def recorded(path: Path) -> Capabilities:
    """Make capabilities of a recording; the same file is read once."""
    return _recorded(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _recorded(path: Path, _mtime_ns: int) -> Capabilities:
    recording = Recording(path)
    target = recording.answer(Question("query-target")) or {}
    talk = interview(f"/usr/bin/qemu-system-{target.get('arch', 'unknown')}", 0.0)
    questions = next(talk)
    while True:
        try:
            questions = talk.send([recording.answer(question) for question in questions])
        except StopIteration as end:
            found: Capabilities = end.value
            return found


class Recording:
    """The sessions of a recorded probe, each a memory from question to answer."""

    def __init__(self, path: Path) -> None:
        self._sessions: list[dict[str, Any]] = []
        messages = _messages(path.read_text(encoding="utf-8"))
        for command in messages:
            reply = next(messages, None)
            if "execute" not in command or reply is None or (not self._sessions and command["execute"] != _OPENING):
                raise InvalidRequest(f"{path} is no recording of a QMP session")
            if command["execute"] == _OPENING:
                self._sessions.append({})
            self._sessions[-1][_key(command["execute"], command.get("arguments", {}))] = reply.get("return")

    def answer(self, question: Question) -> Answer:
        """Answer from memory, None for what was never asked."""
        index = 0 if question.session == "best" else 1
        if index >= len(self._sessions):
            return None
        return self._sessions[index].get(_key(question.command, question.arguments))

    async def answers(self, questions: list[Question]) -> list[Answer]:
        """Answer a batch from memory."""
        return [self.answer(question) for question in questions]


_OPENING = "qmp_capabilities"


def _key(command: str, arguments: Any) -> str:
    return f"{command} {json.dumps(arguments, sort_keys=True)}"


def _messages(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    position, end = 0, len(text)
    while True:
        while position < end and text[position].isspace():
            position += 1
        if position == end:
            return
        message, position = decoder.raw_decode(text, position)
        yield message


class Live:
    """A QEMU that runs only to be asked; one process for each session that a question names."""

    def __init__(self, binary: Path, *, kvm: bool) -> None:
        self._binary = binary
        self._accel: dict[Session, str] = {"best": "kvm:tcg" if kvm else "tcg", "tcg": "tcg"}
        self._monitors: dict[Session, Monitor] = {}
        self._ends = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._ends.aclose()

    async def answers(self, questions: list[Question]) -> list[Answer]:
        """Send a batch at once, starting QEMU with the first question of a session."""
        for session in {question.session for question in questions} - self._monitors.keys():
            self._monitors[session] = await self._start(session)
        return await asyncio.gather(*(self._answer(question) for question in questions))

    async def _answer(self, question: Question) -> Answer:
        try:
            return await self._monitors[question.session].execute(question.command, question.arguments, QUESTION)
        except Refusal:
            return None

    async def _start(self, session: Session) -> Monitor:
        ours, theirs = socket.socketpair()
        self._ends.callback(ours.close)
        argv = [os.fspath(self._binary), "-S", "-no-user-config", "-nodefaults", "-display", "none"]
        argv += ["-machine", f"none,accel={self._accel[session]}"]
        argv += ["-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"]
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                raise HostFailure(f"cannot run {self._binary}: {error.strerror}") from error
        self._ends.push_async_callback(_end, process)
        monitor = Monitor(f"the probe of {self._binary.name}")
        try:
            await monitor.connect(ours, STARTUP)
        except OutcomeUnknown as error:
            raise QemuRefused(f"{self._binary} cannot be probed: {await _last_words(process)}") from error
        self._ends.push_async_callback(monitor.close)
        return monitor


async def _last_words(process: asyncio.subprocess.Process) -> str:
    try:
        async with asyncio.timeout(1):
            _, errors = await process.communicate()
    except TimeoutError:
        return "it does not speak QMP"
    return errors.decode(errors="replace").strip()[:500] or f"it ended with status {process.returncode}"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()
