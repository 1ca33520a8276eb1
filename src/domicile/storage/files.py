"""Files as volumes: measured, made, resized, wiped, removed. All of it blocks; the drivers call it in threads."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from domicile.base.errors import HostFailure
from domicile.devices.disk.secret import Encryption
from domicile.storage import probe
from domicile.storage.failure import failed, wrong_state
from domicile.storage.parts import Amount, Permissions, bytes_of
from domicile.storage.volume import (
    ImageFeatures,
    Timestamps,
    Volume,
    VolumeBacking,
    VolumeFormat,
    VolumeTarget,
)  # fmt: skip

_SECTOR = 512
_BLOCK = 1 << 20
_SMALL = 256 << 20
_FICLONE = 0x40049409
_SETTLED = 2 * 10**9  # nanoseconds
_REMEMBERED = 100_000
_seen: dict[tuple[int, int], tuple[tuple[int, int, int], probe.Image]] = {}
PART = ".domicile-"
"""How the directories begin in which files are made until they are whole."""


# Looking.


def measure(path: str, name: str) -> Volume | None:
    """Describe a file, directory or device as a volume; None for what is none (sockets, dangling links…)."""
    try:
        facts = os.stat(path)  # noqa: PTH116  a thousand times in a large pool
        kind = stat.S_IFMT(facts.st_mode)
        if kind == stat.S_IFDIR:
            return _directory(path, name, facts)
        if kind not in (stat.S_IFREG, stat.S_IFBLK):
            return None
        found, physical = _examined(path, facts)
    except OSError:
        return None
    block = kind == stat.S_IFBLK
    target = VolumeTarget(path=path, permissions=rights(facts), timestamps=times(facts))
    target.format = VolumeFormat(type="raw" if found.format == "luks" else found.format)
    if found.encryption is not None:
        target.encryption = Encryption(format=found.encryption)
    if found.cluster is not None:
        target.clusterSize = Amount(unit="B", value=found.cluster)
    target.compat = found.compat
    if found.compat is not None and (found.lazy_refcounts or found.extended_l2):
        target.features = ImageFeatures(lazy_refcounts=found.lazy_refcounts, extended_l2=found.extended_l2)
    elif found.compat is not None:
        target.features = ImageFeatures()
    return Volume(
        type="block" if block else "file", name=name, key=path,
        capacity=bytes_of(physical if found.capacity is None else found.capacity),
        allocation=bytes_of(physical if block else facts.st_blocks * _SECTOR), physical=bytes_of(physical), target=target,
        backingStore=_below(path, found),
    )  # fmt: skip


def _examined(path: str, facts: os.stat_result) -> tuple[probe.Image, int]:
    """Look into a file and count its bytes; one that did not change since is known. Raises: OSError."""
    regular = stat.S_ISREG(facts.st_mode)
    place, stamp = (facts.st_dev, facts.st_ino), (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    if regular:
        known = _seen.get(place)
        if known is not None and known[0] == stamp:
            return known[1], facts.st_size
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = probe.examine(fd)
        physical = os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)
    # The kernel's clock of files ticks coarsely: what changed just now may change again without a trace.
    if regular and time.time_ns() - max(stamp[1:]) > _SETTLED:
        if len(_seen) >= _REMEMBERED:
            _seen.clear()
        _seen[place] = stamp, found
    return found, physical


def _directory(path: str, name: str, facts: os.stat_result) -> Volume:
    target = VolumeTarget(
        path=path, format=VolumeFormat(type="dir"), permissions=rights(facts), timestamps=times(facts)
    )
    return Volume(type="dir", name=name, key=path, capacity=bytes_of(0), allocation=bytes_of(0), target=target)


def _below(path: str, found: probe.Image) -> VolumeBacking | None:
    if found.below is None:
        return None
    name = found.below.removeprefix("file:")
    if ":" not in name.split("/", 1)[0]:
        name = os.path.normpath(f"{os.path.dirname(path)}/{name}" if name[:1] != "/" else name)  # noqa: PTH120
    below = VolumeBacking(path=name, format=VolumeFormat(type=found.below_format or "raw"))
    with suppress(OSError):
        facts = os.stat(name)  # noqa: PTH116
        below.permissions, below.timestamps = rights(facts), times(facts)
    return below


def renew(volume: Volume) -> Volume:
    """Measure a volume again; its format and what was said of it stay. Raises: HostFailure."""
    now = measure(volume.path, volume.name or "")
    if now is None:
        raise failed(f"cannot open volume '{volume.path}': No such file or directory")
    return told(volume, now)


def told(volume: Volume, now: Volume) -> Volume:
    """Say of a volume what was measured of it."""
    assert now.target is not None and volume.target is not None
    # What is to be an image of a disc is none as long as nothing is in it.
    same = now.format == volume.format or {now.format, volume.format} == {"raw", "iso"}
    volume.type, volume.key = now.type, now.key
    volume.capacity = now.capacity if same or volume.capacity is None else volume.capacity
    volume.allocation, volume.physical = now.allocation, now.physical
    volume.target.permissions, volume.target.timestamps = now.target.permissions, now.target.timestamps
    if same:
        volume.backingStore = now.backingStore
        if volume.target.encryption is None:
            volume.target.encryption = now.target.encryption
    return volume


def rights(facts: os.stat_result) -> Permissions:
    """Say who may open a file."""
    return Permissions(mode=stat.S_IMODE(facts.st_mode), owner=facts.st_uid, group=facts.st_gid)


def times(facts: os.stat_result) -> Timestamps:
    """Say when a file changed; when it was made is not asked for."""
    return Timestamps(
        atime=_moment(facts.st_atime_ns), mtime=_moment(facts.st_mtime_ns), ctime=_moment(facts.st_ctime_ns), btime="0"
    )


def _moment(ns: int) -> str:
    seconds, rest = divmod(ns, 10**9)
    return f"{seconds}.{rest:09d}" if rest else str(seconds)


# Making: whole under its name, or not there.


class Draft:
    """A file being made: `path` is where, in a directory of its own; `place` gives it its name in the pool."""

    def __init__(self, directory: str, name: str) -> None:
        self._home = Path(directory) / f"{PART}{uuid.uuid4().hex[:12]}.part"
        self.final = str(Path(directory) / name)
        try:
            self._home.mkdir(mode=0o700)
            self._lock = os.open(self._home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise failed(f"cannot create path '{self.final}': {error.strerror}") from error
        self.path = str(self._home / name)

    def place(self, wanted: Permissions | None) -> None:
        """Give the file its owner, mode and name. Raises: HostFailure, WrongState."""
        try:
            rest = wanted or Permissions()
            if rest.owner is not None or rest.group is not None:
                os.chown(self.path, -1 if rest.owner is None else rest.owner, -1 if rest.group is None else rest.group)
            Path(self.path).chmod(0o600 if rest.mode is None else rest.mode)
            if Path(self.path).is_file():
                fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            if os.path.lexists(self.final):
                raise wrong_state(f"volume target path '{self.final}' already exists")
            Path(self.path).rename(self.final)
        except OSError as error:
            raise failed(f"cannot create '{self.final}': {error.strerror}") from error

    def end(self) -> None:
        """Leave nothing of what was not placed."""
        shutil.rmtree(self._home, ignore_errors=True)
        os.close(self._lock)


def sweep(directory: str, names: Iterable[str]) -> None:
    """Remove what was left half made by a daemon that ended; what somebody still makes is locked and stays."""
    for entry in (f"{directory}/{name}" for name in names if name.startswith(PART) and name.endswith(".part")):
        with suppress(OSError):
            fd = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(fd)


def make_raw(path: str, final: str, capacity: int, allocation: int) -> None:
    """Make a file of `capacity` bytes of which `allocation` are taken. Raises: HostFailure."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        size(fd, final, capacity, allocation)
    finally:
        os.close(fd)


def size(fd: int, final: str, capacity: int, allocation: int) -> None:
    """Give a new file its length, of which `allocation` bytes are taken. Raises: HostFailure."""
    try:
        os.ftruncate(fd, capacity)
    except OSError as error:
        raise failed(f"cannot extend file '{final}': {error.strerror}") from error
    allocate(fd, final, 0, min(allocation, capacity))


def allocate(fd: int, path: str, start: int, length: int) -> None:
    """Take room for a part of a file. Raises: HostFailure."""
    if length <= 0:
        return
    try:
        os.posix_fallocate(fd, start, length)
    except OSError as error:
        raise failed(f"cannot allocate {length} bytes in file '{path}': {error.strerror}") from error


def reflink(source: str, path: str) -> None:
    """Make a copy that shares its blocks with the source. Raises: HostFailure."""
    fds = []
    try:
        fds.append(os.open(source, os.O_RDONLY | os.O_CLOEXEC))
        fds.append(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        fcntl.ioctl(fds[1], _FICLONE, fds[0])
    except OSError as error:
        raise failed(f"failed to clone files from '{source}': {error.strerror}") from error
    finally:
        for fd in fds:
            os.close(fd)


# Changing.


def resize_raw(path: str, capacity: int, *, taken: bool) -> None:
    """Give a raw file another length; with `taken` all of it is allocated. Raises: HostFailure."""
    fd = _open(path, os.O_RDWR)
    try:
        before = os.fstat(fd).st_size
        try:
            # At once, so that no other length is ever seen; the room is taken then, or the length goes back.
            os.ftruncate(fd, capacity)
            if taken:
                try:
                    allocate(fd, path, 0, capacity)
                except HostFailure:
                    os.ftruncate(fd, before)
                    raise
            os.fsync(fd)
        except OSError as error:
            raise failed(f"Failed to truncate file '{path}': {error.strerror}") from error
    finally:
        os.close(fd)


def wipe(path: str) -> None:
    """Overwrite a file or device with zeros; of a file with holes only the length stays. Raises: HostFailure."""
    fd = _open(path, os.O_RDWR)
    try:
        facts = os.fstat(fd)
        size = os.lseek(fd, 0, os.SEEK_END)
        if stat.S_ISREG(facts.st_mode) and facts.st_blocks * _SECTOR < size:
            _overwrite_taken(fd, size)
            os.ftruncate(fd, 0)
            os.ftruncate(fd, size)
        else:
            _zero(fd, 0, size)
        os.fsync(fd)
    except OSError as error:
        raise failed(f"Failed to wipe '{path}': {error.strerror}") from error
    finally:
        os.close(fd)


def _overwrite_taken(fd: int, size: int) -> None:
    """Overwrite the parts of a file that hold data, so that its blocks are given back empty."""
    place = 0
    while place < size:
        try:
            start = os.lseek(fd, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        place = os.lseek(fd, start, os.SEEK_HOLE)
        _zero(fd, start, place)
    os.fdatasync(fd)


def _zero(fd: int, start: int, end: int) -> None:
    zeros = bytes(_BLOCK)
    while start < end:
        start += os.pwrite(fd, zeros[: min(_BLOCK, end - start)], start)


def is_small(path: str) -> bool:
    """Say whether a file can be removed at once: few blocks are to be given back."""
    try:
        facts = Path(path).lstat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_blocks * _SECTOR <= _SMALL


def remove(path: str) -> None:
    """Remove a file or an empty directory. Raises: HostFailure."""
    try:
        if Path(path).is_dir() and not Path(path).is_symlink():
            Path(path).rmdir()
        else:
            Path(path).unlink(missing_ok=True)
    except OSError as error:
        what = "cannot remove directory" if Path(path).is_dir() else "cannot unlink file"
        raise failed(f"{what} '{path}': {error.strerror}") from error


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise failed(f"Failed to open storage volume with path '{path}': {error.strerror}") from error
