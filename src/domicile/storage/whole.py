"""Raw files made without a name, which they get once they are whole: nothing half made is ever seen, however it ends.

The driver of directories calls this in a thread.
Source: open(2), O_TMPFILE; linkat(2).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from domicile.storage import files
from domicile.storage.failure import failed, wrong_state
from domicile.storage.parts import Permissions
from domicile.storage.volume import Volume

_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)
_MODE = 0o600


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
