"""A QEMU process, held by a pidfd so that its number can never come to mean another.

`qemu/launch` makes one of a child, `runtime/reattach` of a process that an earlier daemon started.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc tells of a process: its state letter and when it started, in clock ticks since the host's boot."""

    state: str
    start_time: int


def stat(pid: int) -> Stat | None:
    """Read a process's state; None where there is none.

    Source: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(fields[0], int(fields[19]))


class Process:
    """One process: signals reach it or nobody; its end can be waited for without polling."""

    def __init__(self, pid: int, pidfd: int, start_time: int, *, child: bool) -> None:
        self.pid = pid
        self.start_time = start_time
        self.exit_status: int | None = None
        self._pidfd = pidfd
        self._child = child
        self._end: asyncio.Future[None] | None = None

    @classmethod
    def child(cls, pid: int) -> Process:
        """Hold a child that nobody has waited for yet."""
        pidfd = os.pidfd_open(pid)
        found = stat(pid)
        return cls(pid, pidfd, found.start_time if found else 0, child=True)

    @classmethod
    def adopt(cls, pid: int, start_time: int) -> Process | None:
        """Hold a process that somebody else started, if it still is the one that started at that time."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return None
        found = stat(pid)
        if found is None or found.start_time != start_time or found.state in "ZX":
            os.close(pidfd)
            return None
        return cls(pid, pidfd, start_time, child=False)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is gone."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return

    @property
    def stopped(self) -> bool:
        """Whether the process is halted by a signal or a debugger, and so cannot react to any but SIGKILL."""
        found = stat(self.pid)
        return found is not None and found.start_time == self.start_time and found.state in "Tt"

    async def ended(self) -> None:
        """Wait until the process has ended."""
        if self._end is None:
            loop = asyncio.get_running_loop()
            self._end = loop.create_future()
            if self._pidfd < 0:
                self._end.set_result(None)
            else:
                loop.add_reader(self._pidfd, self._on_end)
        await asyncio.shield(self._end)

    def _on_end(self) -> None:
        if self._child:
            try:
                status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
            except ChildProcessError:
                status = None
            if status is not None:
                exited = status.si_code == os.CLD_EXITED
                self.exit_status = status.si_status if exited else -status.si_status
        self.close()
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    def close(self) -> None:
        """Let go of the process without touching it."""
        if self._pidfd < 0:
            return
        if self._end is not None:
            self._end.get_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
