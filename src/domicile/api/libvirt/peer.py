"""Who is at the other end of a unix socket: user, group, process, and the name of its program.

The session keeps one; handlers record it as the author of what they change.
"""

from __future__ import annotations

import grp
import pwd
import socket
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_CRED = struct.Struct("=iII")


@dataclass(frozen=True)
class Peer:
    """A client's credentials as the kernel gave them when it connected; all -1 where it gave none."""

    uid: int = -1
    gid: int = -1
    pid: int = -1

    @cached_property
    def user(self) -> str:
        """The user's name, or the number where it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except (KeyError, OverflowError):
            return str(self.uid)

    @cached_property
    def group(self) -> str:
        """The group's name, or the number where it has none."""
        try:
            return grp.getgrgid(self.gid).gr_name
        except (KeyError, OverflowError):
            return str(self.gid)

    @cached_property
    def program(self) -> str:
        """The program's name; empty once the process is gone."""
        try:
            return Path(f"/proc/{self.pid}/comm").read_text(errors="replace").strip()
        except OSError:
            return ""


def peer_of(sock: socket.socket | None) -> Peer:
    """Ask the kernel who connected."""
    if sock is None or sock.family != socket.AF_UNIX:
        return Peer()
    pid, uid, gid = _CRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CRED.size))
    return Peer(uid, gid, pid)
