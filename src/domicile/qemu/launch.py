"""Starts a QEMU as a process of its own: own session, own log, own user, nothing of the daemon's.

`runtime/machine` calls `launch`; the words come from `qemu/render`, with tokens for what only exists at the start.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from domicile.base.errors import DeadlineExceeded, HostFailure, InvalidRequest, OutcomeUnknown, QemuRefused
from domicile.qemu.monitor import Monitor
from domicile.qemu.process import Process

#: How long QEMU may take from its start to its monitor's greeting, in seconds.
DEADLINE = 30.0
MONITOR = "monitor.sock"
# A unix socket's path has 108 bytes with its end; longer ones go through /proc.
_SOCKET_PATH = 107
_TOKEN = re.compile(r"\{(fds|fd|port|display|sg):([^{}]+)\}")
_SECRET = re.compile(r"(password|secret,.*data|\"data\")([=:]\s*\"?)[^,\"]+")
_VNC_BASE = 5900


class User(NamedTuple):
    """Whom QEMU runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What the tokens of a command line stand for: open descriptors, ports, and names of the host's devices (``sg:…``)."""

    fds: Mapping[str, Sequence[int]] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Launched:
    """A QEMU that has begun to start; `begin` is where its own words begin in the log."""

    process: Process
    monitor_path: Path
    log: Path
    begin: int
    argv: list[str]


def replace_tokens(argv: Sequence[str], given: Given) -> list[str]:
    """Put numbers where the plan left tokens.

    Raises:
        InvalidRequest: a token stands for nothing.
    """

    def value(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "sg" and f"sg:{name}" in given.names:
            return given.names[f"sg:{name}"]
        known: object = given.fds.get(name) if kind.startswith("fd") else given.ports.get(name)
        if known is None:
            raise InvalidRequest(f"the command line wants {match.group()}, which nothing provides")
        if kind == "fd":
            return str(given.fds[name][0])
        if kind == "fds":
            return ":".join(str(fd) for fd in given.fds[name])
        return str(given.ports[name] - (_VNC_BASE if kind == "display" else 0))

    return [_TOKEN.sub(value, word) if "{" in word else word for word in argv]


def socket_address(path: Path, stack: ExitStack) -> str:
    """Give a path under which a unix socket can be bound or reached, however long it is."""
    text = os.fspath(path)
    if len(os.fsencode(text)) <= _SOCKET_PATH:
        return text
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, directory)
    return f"/proc/self/fd/{directory}/{path.name}"


def spawn(
    argv: Sequence[str],
    given: Given,
    *,
    directory: Path,
    log: Path,
    user: User | None = None,
    env: Mapping[str, str] | None = None,
    memlock: int = 0,
) -> Launched:
    """Start the process and return at once; its monitor's socket is in `directory` and can be connected to already.

    `memlock` is how many bytes it may hold in memory, -1 for any number, 0 for what everybody may.

    Raises:
        HostFailure: the host refused to run it.
    """
    monitor_path = directory / MONITOR
    with ExitStack() as stack:
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            if user is not None:
                os.chown(directory, user.uid, user.gid)
            log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            listener = stack.enter_context(_listen(monitor_path, stack))
            stream = stack.enter_context(_open_log(log))
            words = replace_tokens(
                argv, Given({**given.fds, "monitor": (listener.fileno(),)}, given.ports, given.names)
            )
            begin = _write_header(stream, words)
            pass_fds = [listener.fileno(), *(fd for fds in given.fds.values() for fd in fds)]
            change = become(user) if user is not None else []
            itself = user if not change else None
            process = subprocess.Popen(
                [*_holding(memlock), *change, *words],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=pass_fds,
                cwd=directory,
                env=dict(env) if env is not None else _environment(),
                start_new_session=True,
                umask=0o007,
                user=itself.uid if itself else None,
                group=itself.gid if itself else None,
                extra_groups=itself.groups if itself else None,
            )
        except OSError as error:
            raise HostFailure(f"cannot start {argv[0]}: {error.strerror}: {error.filename or argv[0]}") from error
    held = Process.child(process.pid)
    process.returncode = 0  # the pidfd watches and reaps it; Popen shall not
    return Launched(held, monitor_path, log, begin, words)


def _holding(memlock: int) -> list[str]:
    """Give the words that let a program hold memory; where the daemon is not root, it holds what it may."""
    program = shutil.which("prlimit") if memlock and os.geteuid() == 0 else None
    return [program, f"--memlock={'unlimited' if memlock < 0 else memlock}", "--"] if program is not None else []


def become(user: User) -> list[str]:
    """Give the words that change the user on the way to a program; none where the host has no such program.

    Popen can do it, too, but then it must fork the whole daemon instead of borrowing its memory: 20 ms at 250 MiB.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    groups = f"--groups={','.join(str(gid) for gid in user.groups)}" if user.groups else "--clear-groups"
    return [setpriv, f"--reuid={user.uid}", f"--regid={user.gid}", groups, "--"]


def _listen(path: Path, stack: ExitStack) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(socket_address(path, stack))
    path.chmod(0o600)
    listener.listen(1)
    return listener


def _open_log(path: Path) -> BinaryIO:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(fd, "ab", buffering=0)


def _write_header(stream: BinaryIO, words: Sequence[str]) -> int:
    """Say when and with what words QEMU starts; return the place after it."""
    line = " ".join(shlex.quote(_SECRET.sub(r"\1\2…", word)) for word in words)
    stream.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}+0000: starting up: {line}\n".encode())
    return os.fstat(stream.fileno()).st_size


def _environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "DISPLAY", "XAUTHORITY", "QEMU_AUDIO_DRV")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


async def connect(monitor: Monitor, path: Path, deadline: float = DEADLINE) -> None:
    """Connect a monitor to a QEMU's socket, whatever the length of its path.

    Raises:
        OutcomeUnknown: nobody listens there, or it hung up.
        DeadlineExceeded: it does not greet.
    """
    with ExitStack() as stack:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            sock.connect(socket_address(path, stack))
        except OSError as error:
            sock.close()
            raise OutcomeUnknown(f"{monitor.name}: nobody listens at {path}: {error.strerror}") from error
    await monitor.connect(sock, deadline)


async def greet(launched: Launched, monitor: Monitor, deadline: float = DEADLINE) -> None:
    """Wait until a starting QEMU answers on its monitor.

    Raises:
        QemuRefused: it ended instead; the message carries its words.
        DeadlineExceeded: it neither answers nor ends.
    """
    try:
        await connect(monitor, launched.monitor_path, deadline)
    except OutcomeUnknown as error:
        try:
            async with asyncio.timeout(deadline):
                await launched.process.ended()
        except TimeoutError:
            raise DeadlineExceeded(f"{monitor.name}: QEMU hung up its monitor but does not end") from error
        raise QemuRefused(f"QEMU ended while it started: {last_words(launched)}") from error


def last_words(launched: Launched) -> str:
    """Read what QEMU wrote to its log since it was started."""
    try:
        with launched.log.open("rb") as stream:
            stream.seek(launched.begin)
            text = stream.read(4096).decode(errors="replace")
    except OSError:
        text = ""
    prefix = f"{Path(launched.argv[0]).name}: "
    lines = [line.strip().removeprefix(prefix) for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-5:]) or f"it said nothing; status {launched.process.exit_status}"
