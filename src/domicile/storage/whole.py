"""Files made and filled without a name, which they get once they are whole: nothing half made is seen, however it ends.

The driver of directories calls this in a thread.
Source: open(2), O_TMPFILE; linkat(2).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from domicile.storage import files
from domicile.storage.failure import failed, wrong_state
from domicile.storage.parts import Permissions
from domicile.storage.volume import Volume

_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_MODE = 0o600
# A file that holds no more than this is filled beside itself; a larger one in its place, for room may be short.
_LITTLE = 4 << 20
_PART = 1 << 20


def make_raw(directory: str, name: str, capacity: int, allocation: int, wanted: Permissions | None) -> Volume:
    """Make a raw file of `capacity` bytes of which `allocation` are taken, and measure it. Raises: HostFailure, WrongState."""
    final = str(Path(directory) / name)
    try:
        fd = os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, _MODE)
    except OSError as error:
        if error.errno not in _NAMELESS:
            raise failed(f"cannot create path '{final}': {error.strerror}") from error
        _make_beside(directory, name, capacity, allocation, wanted)
    else:
        try:
            files.size(fd, final, capacity, allocation)
            _give(fd, wanted, final)
            # Without a descriptor of a directory, Python would link the link in /proc itself.
            os.link(f"/proc/self/fd/{fd}", final, src_dir_fd=fd, follow_symlinks=True)
        except FileExistsError:
            raise wrong_state(f"volume target path '{final}' already exists") from None
        except OSError as error:
            raise failed(f"cannot create '{final}': {error.strerror}") from error
        finally:
            os.close(fd)
    made = files.measure(final, name)
    if made is None:
        raise failed(f"cannot open volume '{final}': No such file or directory")
    return made


def _make_beside(directory: str, name: str, capacity: int, allocation: int, wanted: Permissions | None) -> None:
    """Make a file where the file system has none without a name (NFS): in a directory of its own, and moved."""
    draft = files.Draft(directory, name)
    try:
        files.make_raw(draft.path, draft.final, capacity, allocation)
        draft.place(wanted)
    finally:
        draft.end()


def _give(fd: int, wanted: Permissions | None, final: str) -> None:
    if wanted is None:
        return
    try:
        if wanted.owner is not None or wanted.group is not None:
            os.fchown(fd, -1 if wanted.owner is None else wanted.owner, -1 if wanted.group is None else wanted.group)
        if wanted.mode is not None:
            os.fchmod(fd, wanted.mode)
    except OSError as error:
        raise failed(f"cannot create '{final}': {error.strerror}") from error


class Filling:
    """A volume that is being written: `fd` is what is written to.

    Where little is in it so far, that is a copy, which takes its place by `keep` alone.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise failed(f"Unable to open stream for '{path}': {error.strerror}") from error
        self._old = -1
        copied = _copy(self.fd, path)
        if copied is not None:
            self._old, self.fd = self.fd, copied

    def keep(self) -> None:
        """End it: what was written is the volume. Raises: HostFailure."""
        try:
            os.fsync(self.fd)
            if self._old >= 0:
                _replace(self.fd, self._path)
        except OSError as error:
            raise failed(f"cannot write to '{self._path}': {error.strerror}") from error
        finally:
            self._close()

    def drop(self) -> None:
        """End it: the volume stays as it was, where that can be."""
        self._close()

    def _close(self) -> None:
        for fd in (self.fd, self._old):
            if fd >= 0:
                os.close(fd)


def _copy(fd: int, path: str) -> int | None:
    """Copy a file that holds little into one without a name; None where it is to be written in its place."""
    facts = os.fstat(fd)
    try:
        alone = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and not Path(path).is_symlink()
        if not alone or facts.st_blocks * 512 > _LITTLE:
            return None
        new = os.open(Path(path).parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, _MODE)
    except OSError:
        return None
    try:
        os.ftruncate(new, facts.st_size)
        place = 0
        while place < facts.st_size:
            try:
                place = os.lseek(fd, place, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break
                raise
            part = os.pread(fd, min(_PART, os.lseek(fd, place, os.SEEK_HOLE) - place), place)
            place += os.pwrite(new, part, place)
        os.fchown(new, facts.st_uid, facts.st_gid)
        os.fchmod(new, stat.S_IMODE(facts.st_mode))
        for name in os.listxattr(fd):
            with suppress(OSError):  # labels that only the host's policy may give
                os.setxattr(new, name, os.getxattr(fd, name))
    except OSError:
        os.close(new)
        return None
    return new


def _replace(fd: int, path: str) -> None:
    """Put a file without a name in another's place."""
    draft = files.Draft(str(Path(path).parent), Path(path).name)
    try:
        os.link(f"/proc/self/fd/{fd}", draft.path, src_dir_fd=fd, follow_symlinks=True)
        Path(draft.path).rename(path)
    finally:
        draft.end()
