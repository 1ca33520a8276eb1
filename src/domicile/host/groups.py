"""Descriptors that clients opened for machines: kept by the machine and a name until their client goes.

`host/fulfil` takes a machine's own at its start; the front door puts them here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.host.files import OpenFile
from domicile.plan.need import FdGroup


class Group:
    """Descriptors under one name; it owns them."""

    def __init__(self, fds: Sequence[int]) -> None:
        self.fds: list[int] = []
        try:
            for fd in fds:
                self.fds.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
        except OSError:
            self.close()
            raise

    def opened(self, way: int) -> int | None:
        """Find one that was opened in a way."""
        return next((fd for fd in self.fds if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == way), None)

    def close(self) -> None:
        """Let go of them; machines have copies of their own."""
        while self.fds:
            with contextlib.suppress(OSError):
                os.close(self.fds.pop())


class Groups:
    """All groups of one daemon."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], Group] = {}

    def put(self, machine: str, name: str, fds: Sequence[int]) -> Group:
        """Keep copies of descriptors for a machine; what it had under that name goes.

        Raises: InvalidRequest
        """
        if not name or not fds:
            raise InvalidRequest("a group of descriptors has a name, and one descriptor at least")
        group = Group(fds)
        before = self._groups.pop((machine, name), None)
        if before is not None:
            before.close()
        self._groups[machine, name] = group
        return group

    def drop(self, machine: str, name: str, group: Group) -> None:
        """Forget a group, unless another has taken its place."""
        if self._groups.get((machine, name)) is group:
            del self._groups[machine, name]
        group.close()

    def open(self, machine: str, need: FdGroup) -> dict[str, OpenFile]:
        """Give a machine its copies of the descriptors that fit, by their tokens.

        Raises: InvalidRequest where there are none; HostFailure
        """
        group = self._groups.get((machine, need.group))
        if group is None:
            raise InvalidRequest(
                f"the descriptors '{need.group}' of {need.origin} were not given; a client gives them with FDAssociate "
                "before the start, and stays connected"
            )
        reading, writing = group.opened(os.O_RDONLY), group.opened(os.O_RDWR)
        if writing is None and (need.writable or reading is None):
            use = "reading and writing" if need.writable else "reading"
            raise InvalidRequest(f"none of the descriptors '{need.group}' of {need.origin} is open for {use}")
        fds = [(need.token, os.O_RDWR, writing)] if need.writable else []
        fds.append((f"{need.token}-reading" if need.writable else need.token, os.O_RDONLY, reading))
        given: dict[str, OpenFile] = {}
        try:
            for token, way, fd in fds:
                given[token] = OpenFile((os.dup(fd) if fd is not None else _again(writing, way),))
        except OSError as fault:
            for opened in given.values():
                opened.close()
            raise HostFailure(f"the descriptors '{need.group}' of {need.origin} cannot be used: {fault}") from fault
        return given


def _again(fd: int | None, way: int) -> int:
    """Open for reading what a client opened for both."""
    return os.open(f"/proc/self/fd/{fd}", way | os.O_CLOEXEC)
