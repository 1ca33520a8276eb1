"""Programs that run beside QEMU for a machine: swtpm, virtiofsd, passt, vhost-user-gpu.

`runtime/start` has them started before QEMU; they are processes of their own, as QEMU is, and end with it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import structlog

from domicile.base import tasks
from domicile.base.errors import HostFailure
from domicile.host.files import OpenFile
from domicile.plan.need import Helper
from domicile.qemu.launch import User, become, socket_address
from domicile.qemu.process import Process

log = structlog.get_logger(__name__)
#: Seconds a helper may take until it listens, and a program that prepares its work until it is done.
DEADLINE = 15.0
PREPARE_DEADLINE = 60.0
#: Seconds a helper has to obey SIGTERM before it is killed.
TERM_GRACE = 3.0
_LOOK = 0.01
# Where distributions keep programs that are not for users.
_FURTHER = ("/usr/local/libexec", "/usr/libexec", "/usr/lib/qemu", "/usr/lib")
_OWN_END = "{fd:socket}"
_LISTENING = 0x10000  # Source: Linux, __SO_ACCEPTCON as it stands in /proc/net/unix.


class Known(NamedTuple):
    """What a later daemon must know of a helper."""

    pid: int
    start_time: int
    socket: str


@dataclass(slots=True)
class _Running:
    name: str
    process: Process
    socket: str


class Helpers:
    """The helpers of all machines; one serves a daemon."""

    def __init__(self, user: User | None) -> None:
        self._user = user
        self._running: dict[str, list[_Running]] = {}

    async def start(self, machine: str, need: Helper, cwd: Path, output: Path) -> OpenFile | None:
        """Start a helper and wait until it listens; QEMU's end of the connection is returned where it is handed over.

        It works in the machine's directory, by which it is found should its machine never be recorded.

        Raises:
            HostFailure: it is not installed, ends at once, or does not come up; nothing of it runs on.
        """
        argv = [find(need.argv[0]), *need.argv[1:]]
        for directory in (cwd, *map(Path, need.directories), *([Path(need.socket).parent] if need.socket else ())):
            self._make(directory, need)
        with ExitStack() as stack:
            stream = stack.enter_context(_open_log(output))
            begin = os.fstat(stream.fileno()).st_size
            for words in need.prepare:
                done = _spawn(self._words([find(words[0]), *words[1:]], need), stream, cwd, [])
                await _prepared(done, words[0], need, output, begin)
            ends: list[socket.socket] = []
            if need.token:
                ends = list(socket.socketpair())
            elif any(_OWN_END in word for word in argv):
                ends = [_listen(Path(need.socket), self._user, stack)]
            elif need.socket:
                _clear(need.socket)
            for end in ends:
                stack.callback(end.close)
            own = ends[-1].fileno() if ends else -1
            argv = [word.replace(_OWN_END, str(own)) for word in argv]
            stream.write(f"starting: {shlex.join(argv)}\n".encode())
            begin = os.fstat(stream.fileno()).st_size
            process = _spawn(self._words(argv, need), stream, cwd, [own] if ends else [])
            running = _Running(need.name, process, need.socket)
            self._running.setdefault(machine, []).append(running)
            if not ends:
                await _listens(running, need, output, begin)
            tasks.spawn(f"watch over {need.name} of {machine}", _watch(running, machine))
            return OpenFile((os.dup(ends[0].fileno()),)) if need.token else None

    def _words(self, argv: list[str], need: Helper) -> list[str]:
        """Run it as QEMU's user; one that wants to be root is it in a user namespace, where that is nobody else."""
        user = self._user
        uid = user.uid if user is not None else os.geteuid()
        if need.rooted and uid:
            # Further groups cannot be given up in the namespace, and these programs want to.
            user = user._replace(groups=()) if user is not None else None
            argv = [find("unshare"), "--user", "--map-root-user", "--", *argv]
        return [*(become(user) if user is not None else []), *argv]

    def _make(self, directory: Path, need: Helper) -> None:
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            if self._user is not None and directory.stat().st_uid != self._user.uid:
                os.chown(directory, self._user.uid, self._user.gid)
        except OSError as error:
            raise HostFailure(f"{need.origin}: the directory {directory} cannot be made: {error.strerror}") from error

    def known(self, machine: str) -> dict[str, Known]:
        """Give what a machine's record must remember of its helpers."""
        running = self._running.get(machine, [])
        return {one.name: Known(one.process.pid, one.process.start_time, one.socket) for one in running}

    def remember(self, machine: str, known: dict[str, Known]) -> None:
        """Take over the helpers of a machine that runs already; those that are gone are passed over."""
        for name, (pid, start_time, path) in known.items():
            process = Process.adopt(pid, start_time)
            if process is None:
                log.warning("helper is gone", machine=machine, helper=name)
                continue
            running = _Running(name, process, path)
            self._running.setdefault(machine, []).append(running)
            tasks.spawn(f"watch over {name} of {machine}", _watch(running, machine))

    def end(self, machine: str) -> None:
        """Have a machine's helpers end: politely, and by force a moment later."""
        for running in self._running.pop(machine, []):
            running.process.signal(signal.SIGTERM)
            tasks.spawn(f"end of {running.name} of {machine}", _end(running))


def find(program: str) -> str:
    """Find a program that is named alone.

    Raises:
        HostFailure: it is not installed.
    """
    found = _which(program)
    if found is None:
        raise HostFailure(f"the program '{program}' is not installed on this host")
    return found


def installed(program: str) -> bool:
    """Say whether a program that is named alone is installed."""
    return _which(program) is not None


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_FURTHER)))


def _spawn(words: Sequence[str], stream: BinaryIO, cwd: Path, pass_fds: list[int]) -> Process:
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            pass_fds=pass_fds,
            cwd=cwd,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
            umask=0o007,
        )
    except OSError as error:
        raise HostFailure(f"cannot start {words[0]}: {error.strerror}") from error
    held = Process.child(process.pid)
    process.returncode = 0  # the pidfd watches and reaps it; Popen shall not
    return held


async def _prepared(process: Process, program: str, need: Helper, output: Path, begin: int) -> None:
    try:
        async with asyncio.timeout(PREPARE_DEADLINE):
            await process.ended()
    except TimeoutError as error:
        process.signal(signal.SIGKILL)
        await process.ended()
        raise HostFailure(f"{need.origin}: {program} was not done within {PREPARE_DEADLINE:g} s") from error
    if process.exit_status != 0:
        raise HostFailure(f"{need.origin}: {program} failed: {_last_words(output, begin)}")


def _open_log(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise HostFailure(f"the log {path} cannot be written: {error.strerror}") from error
    return os.fdopen(fd, "ab", buffering=0)


def _listen(path: Path, user: User | None, stack: ExitStack) -> socket.socket:
    """Listen at a path in the helper's place: QEMU may connect before the helper is ready."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(socket_address(path, stack))
        path.chmod(0o600)
        if user is not None:
            os.chown(path, user.uid, user.gid)
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise HostFailure(f"cannot listen at {path}: {error.strerror}") from error
    return listener


async def _listens(running: _Running, need: Helper, output: Path, begin: int) -> None:
    """Wait until a helper listens; it is not connected to, for it may serve one connection only."""
    end = asyncio.ensure_future(running.process.ended())
    try:
        async with asyncio.timeout(DEADLINE):
            while not is_listening(need.socket):
                if end.done():
                    raise HostFailure(f"{need.origin}: {need.argv[0]} ended: {_last_words(output, begin)}")
                await asyncio.wait([end], timeout=_LOOK)
    except TimeoutError as error:
        raise HostFailure(f"{need.origin}: {need.argv[0]} does not listen after {DEADLINE:g} s") from error
    finally:
        end.cancel()


def is_listening(path: str) -> bool:
    """Say whether somebody listens on a unix socket of that path."""
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == path and int(fields[3], 16) & _LISTENING:
            return True
    return False


async def _watch(running: _Running, machine: str) -> None:
    await running.process.ended()
    log.info("helper ended", machine=machine, helper=running.name, status=running.process.exit_status)


def _clear(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _forget(path: str) -> None:
    """Remove a socket, and the directory of its machine where nothing else is in it."""
    place = Path(path)
    place.unlink(missing_ok=True)
    if place.parent.name.startswith("domain-") and place.parent.is_dir() and not any(place.parent.iterdir()):
        place.parent.rmdir()


async def _end(running: _Running) -> None:
    try:
        async with asyncio.timeout(TERM_GRACE):
            await running.process.ended()
    except TimeoutError:
        running.process.signal(signal.SIGKILL)
        await running.process.ended()
    if running.socket:
        _forget(running.socket)


def _last_words(path: Path, begin: int) -> str:
    with path.open("rb") as stream:
        stream.seek(begin)
        text = stream.read(8192).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-3:]) or "it said nothing"
