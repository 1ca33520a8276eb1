"""Who is at the other end: the user, group and process that the kernel names, or an address and a proven name.

The session keeps one; handlers record it as the author of what they change.
"""

from __future__ import annotations

import grp
import pwd
import re
import socket
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

_CRED = struct.Struct("=iII")


@dataclass(frozen=True)
class Peer:
    """A client's credentials as the kernel gave them when it connected, -1 where it gave none; else its address."""

    uid: int = -1
    gid: int = -1
    pid: int = -1
    address: str = ""
    name: str = ""

    def called(self, name: str) -> Peer:
        """Give it the name that it proved to have, by a certificate or a password."""
        return replace(self, name=name)

    @cached_property
    def user(self) -> str:
        """The name it proved; else the user's name, or the number where it has none."""
        if self.name:
            return self.name
        if self.uid < 0:
            return "anonymous"
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
        """The program's name, empty once the process is gone; for a distant one its address."""
        return self.address if self.pid < 0 else program_of(Path(f"/proc/{self.pid}"))


#: Programs that are known by what they run.
_RUNNERS = re.compile(r"(python|perl|ruby|node|bash|sh|dash)[0-9.]*\Z")
#: The kernel cuts a process's name here.
_SHORT = 15


def program_of(process: Path) -> str:
    """Name the program of a process by its directory in /proc: a script by its own name, a long name whole.

    Of its arguments nothing else is looked at: there may be passwords among them.
    """
    try:
        name = (process / "comm").read_text(errors="replace").strip()
        words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    program = words[0].rpartition("/")[2].removeprefix("-")
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    called = script.rpartition("/")[2]
    runs = _RUNNERS.match(program) is not None and words[1] not in ("-c", "-m", "-e")
    if runs and called and (_RUNNERS.match(name) or called.startswith(name)):
        return called
    return program if len(name) == _SHORT and program.startswith(name) else name


def peer_of(sock: socket.socket | None) -> Peer:
    """Ask the kernel who connected."""
    if sock is None:
        return Peer()
    if sock.family != socket.AF_UNIX:
        try:
            host, port = sock.getpeername()[:2]
        except OSError:
            return Peer()
        return Peer(address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    pid, uid, gid = _CRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CRED.size))
    return Peer(uid, gid, pid)
