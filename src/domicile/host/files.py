"""Files that QEMU opens itself: they must exist, and QEMU's user must be able to open them.

`host/fulfil` asks at a machine's start; owners that were changed are given back when the machine ends.
"""

from __future__ import annotations

import os
import shutil
import stat as modes
from dataclasses import dataclass
from pathlib import Path

import structlog

from domicile.base.errors import HostFailure
from domicile.plan.need import Copied, Directory, File, NewFile, Opened
from domicile.qemu.launch import User

log = structlog.get_logger(__name__)
Owner = tuple[int, int]


class Labels:
    """Who owned the files that were lent to QEMU's user, and how many machines use each. One serves a daemon."""

    def __init__(self, user: User | None) -> None:
        self._user = user
        self._lent: dict[str, tuple[Owner, set[str]]] = {}

    def lend(self, machine: str, need: File) -> None:
        """Make sure that QEMU can open a file, changing its owner where that is what it takes.

        Raises:
            HostFailure: the file is missing, or cannot be made accessible.
        """
        path = os.path.realpath(need.path)
        if isinstance(need, NewFile):
            _make(need)
        try:
            found = Path(path).stat()
        except OSError as error:
            raise HostFailure(f"{need.path}: {error.strerror}") from error
        if modes.S_ISDIR(found.st_mode):
            raise HostFailure(f"{need.path} is a directory, not a disk or file")
        if self._user is None:
            wanted = os.R_OK | (os.W_OK if need.writable else 0)
            if not os.access(path, wanted):
                raise HostFailure(f"{need.path} cannot be {'written' if need.writable else 'read'} by this user")
            return
        _check_way(Path(path), self._user)
        if path in self._lent and _allowed(found, self._user, 6 if need.writable else 4):
            self._lent[path][1].add(machine)
        elif not _allowed(found, self._user, 6 if need.writable else 4):
            # A file that was removed and made anew has another owner than the one that was lent.
            users = self._lent[path][1] if path in self._lent else set()
            self._lent[path] = ((found.st_uid, found.st_gid), users | {machine})
            try:
                os.chown(path, self._user.uid, self._user.gid)
            except OSError as error:
                del self._lent[path]
                raise HostFailure(f"{need.path} cannot be given to QEMU's user: {error.strerror}") from error

    def give_back(self, machine: str) -> None:
        """Restore the owners of what only this machine had."""
        for path, (owner, users) in list(self._lent.items()):
            users.discard(machine)
            if not users:
                del self._lent[path]
                try:
                    os.chown(path, *owner)
                except OSError as error:
                    log.warning("owner not restored", path=path, owner=owner, reason=error.strerror)

    def hand_on(self, machine: str) -> None:
        """Forget what a machine had without changing owners: it goes on elsewhere with the same files."""
        for path, (_, users) in list(self._lent.items()):
            users.discard(machine)
            if not users:
                del self._lent[path]

    def lent_to(self, machine: str) -> dict[str, Owner]:
        """Give what a machine's record must remember: the first owner of each file it was lent."""
        return {path: owner for path, (owner, users) in self._lent.items() if machine in users}

    def remember(self, machine: str, lent: dict[str, Owner]) -> None:
        """Note what a machine that runs already was lent."""
        for path, owner in lent.items():
            self._lent.setdefault(path, ((owner[0], owner[1]), set()))[1].add(machine)

    def make_directory(self, need: Directory) -> None:
        """Make a directory for QEMU's user.

        Raises:
            HostFailure: it cannot be made.
        """
        path = Path(need.path)
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
            if self._user is not None and path.stat().st_uid != self._user.uid:
                os.chown(path, self._user.uid, self._user.gid)
        except OSError as error:
            raise HostFailure(f"the directory {need.path} cannot be made: {error.strerror}") from error


def _allowed(found: os.stat_result, user: User, bits: int) -> bool:
    """Say whether a file's mode lets the user do what the bits (4 read, 2 write, 1 search) ask."""
    if found.st_uid == user.uid:
        granted = found.st_mode >> 6
    elif found.st_gid == user.gid or found.st_gid in user.groups:
        granted = found.st_mode >> 3
    else:
        granted = found.st_mode
    return granted & bits == bits


def _check_way(path: Path, user: User) -> None:
    for parent in path.parents:
        if not _allowed(parent.stat(), user, 1):
            raise HostFailure(f"QEMU's user may not enter {parent}, so it cannot open {path}")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file opened for a machine."""

    fds: tuple[int, ...]

    def close(self) -> None:
        """Let go of it; QEMU has a descriptor of its own."""
        for fd in self.fds:
            os.close(fd)


def copy_template(need: Copied, user: User | None) -> None:
    """Make a machine's own file from its template, unless it is there already. It appears whole or not at all.

    Raises:
        HostFailure: there is no template, or the file cannot be made.
    """
    path, new = Path(need.path), Path(f"{need.path}.new")
    try:
        if path.exists():
            return
        if not need.template:
            raise HostFailure(f"{need.path} does not exist, and no template is named to make it from")
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with open(new, "xb", opener=_private) as copy, Path(need.template).open("rb") as template:
            shutil.copyfileobj(template, copy)
            if user is not None:
                os.fchown(copy.fileno(), user.uid, user.gid)
            os.fsync(copy.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise HostFailure(
            f"{need.origin}: {need.path} cannot be made from '{need.template}': {error.strerror}"
        ) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _make(need: NewFile) -> None:
    """Make an empty file unless there is one: at once with its whole size, or not at all."""
    if Path(need.path).exists():
        return
    try:
        handle = os.open(need.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(handle, need.size)
        except OSError:
            Path(need.path).unlink()
            raise
        finally:
            os.close(handle)
    except OSError as error:
        raise HostFailure(f"{need.origin}: the file '{need.path}' cannot be made: {error.strerror}") from error


def open_file(need: Opened) -> OpenFile:
    """Open a file for writing at its end, made if it is not there.

    Raises:
        HostFailure: it cannot be opened.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return OpenFile((os.open(need.path, flags | (os.O_TRUNC if need.truncate else 0), 0o600),))
    except OSError as error:
        raise HostFailure(
            f"{need.origin}: file '{need.path}' cannot be opened for writing: {error.strerror}"
        ) from error
