"""Files that machines' states are written into and read from: whole under their names, or not there.

`service/saves` and `service/states` use them.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.runtime import image as images
from domicile.runtime.image import Image

_REAP = 10.0
Opener = Callable[[int, Image], AbstractAsyncContextManager[int]]


@dataclass(slots=True)
class OutFile:
    """A file being written. `temporary` is where; `path` is what it will be called."""

    fd: int
    temporary: str
    path: str

    def whole(self, head: bytes | None) -> None:
        """Put the header of a whole image in its place, make sure of it all, and give the file its name.

        Raises: HostFailure
        """
        try:
            if head is not None:
                os.pwrite(self.fd, head, 0)
            with suppress(OSError):  # pipes and some devices cannot be synchronised
                os.fsync(self.fd)
            if self.temporary != self.path:
                Path(self.temporary).replace(self.path)
                _sync_directory(Path(self.path).parent)
        except OSError as error:
            raise HostFailure(f"cannot finish '{self.path}': {error.strerror}") from error

    def uncached(self) -> None:
        """Give up what the host's cache holds of it, which was written for good before."""
        forget_cached(self.fd)

    def give_up(self) -> None:
        """Leave nothing of it."""
        if self.temporary != self.path:
            with suppress(OSError):
                Path(self.temporary).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)


def forget_cached(fd: int) -> None:
    """Let the host's cache forget a file, so that others keep their place in it; where that cannot be, nothing happens."""
    with suppress(OSError):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create(path: str, head: bytes | None) -> OutFile:
    """Begin a file; one that is there stays until the new one is whole. Devices and pipes are written as they are.

    Raises: HostFailure, InvalidRequest
    """
    place = Path(path)
    if not place.is_absolute():
        raise InvalidRequest(f"'{path}' is no absolute path")
    direct = place.exists() and not stat.S_ISREG(place.stat().st_mode)
    temporary = path if direct else str(place.with_name(f".{place.name}.part"))
    try:
        if not direct:
            Path(temporary).unlink(missing_ok=True)
        # A pipe that nobody reads is refused instead of waited for.
        flags = os.O_NONBLOCK if direct else os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        fd = os.open(temporary, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
        os.set_blocking(fd, True)
    except OSError as error:
        raise HostFailure(f"Failed to create file '{path}': {error.strerror}") from error
    try:
        if head is not None and direct and not stat.S_ISBLK(place.stat().st_mode):
            raise InvalidRequest(f"'{path}' is neither a file nor a block device; an image can be nowhere else")
        if head is not None:
            with os.fdopen(os.dup(fd), "wb") as stream:
                stream.write(head)
    except (OSError, InvalidRequest) as error:
        os.close(fd)
        if not direct:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, InvalidRequest):
            raise
        raise HostFailure(f"cannot write '{path}': {error.strerror}") from error
    return OutFile(fd, temporary, path)


def rewritten(path: str, image: Image) -> None:
    """Write an image's header and document again, in the room they have. Raises: HostFailure, BadImage."""
    head = image.head(images.WHOLE)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            # The magic last: a half-written document is no whole image.
            os.pwrite(fd, images.PARTIAL, 0)
            os.pwrite(fd, head[16:], 16)
            os.fsync(fd)
            os.pwrite(fd, images.WHOLE, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise HostFailure(f"cannot write '{path}': {error.strerror}") from error


@asynccontextmanager
async def opened(path: str) -> AsyncIterator[tuple[int, Image, Opener]]:
    """Open an image: its descriptor, what it says, and how to come to the machine's state in it.

    Raises: HostFailure, BadImage
    """
    fd, image = await asyncio.to_thread(_open, path)
    try:
        yield fd, image, _state
    finally:
        os.close(fd)


def _open(path: str) -> tuple[int, Image]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise HostFailure(f"Failed to open file '{path}': {error.strerror}") from error
    try:
        return fd, images.read(fd, path)
    except BaseException:
        os.close(fd)
        raise


@asynccontextmanager
async def _state(fd: int, image: Image) -> AsyncIterator[int]:
    """Give a descriptor that begins with the machine's state, through a program where that is compressed."""
    os.lseek(fd, image.begin, os.SEEK_SET)
    name, words = images.PROGRAMS[image.compression]
    if not words:
        yield fd
        return
    ours, theirs = os.pipe()
    try:
        try:
            process = await asyncio.create_subprocess_exec(*words, stdin=fd, stdout=theirs)
        except OSError as error:
            raise HostFailure(f"the image is compressed with {name}, which cannot be run: {error.strerror}") from error
        finally:
            os.close(theirs)
        try:
            yield ours
        finally:
            await _reaped(process)
    finally:
        os.close(ours)


async def _reaped(process: Any) -> None:
    try:
        async with asyncio.timeout(_REAP):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
