"""Snapshots within images and layers above them, made by qemu-img while no machine has the image.

`service/snapshots` calls it; for a machine that runs, QEMU itself does this.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import msgspec

from domicile.base.errors import HostFailure, Unsupported
from domicile.storage import programs

_TOOL = "qemu-img"


async def create(path: str, name: str) -> None:
    """Keep what an image holds now under a name, within the image. Raises: HostFailure, DeadlineExceeded."""
    await programs.run([_TOOL, "snapshot", "-q", "-c", name, path])


async def apply(path: str, name: str) -> None:
    """Bring an image back to what it held. Raises: HostFailure, DeadlineExceeded."""
    await programs.run([_TOOL, "snapshot", "-q", "-a", name, path])


async def delete(path: str, name: str) -> None:
    """Delete what was kept, if it is there. Raises: HostFailure, DeadlineExceeded."""
    if name in await names(path):
        await programs.run([_TOOL, "snapshot", "-q", "-d", name, path])


async def names(path: str) -> list[str]:
    """Name the snapshots in an image. Raises: HostFailure, DeadlineExceeded."""
    return [str(each.get("name")) for each in (await _info(path)).get("snapshots") or ()]


async def _info(path: str) -> dict[str, Any]:
    said = await programs.run([_TOOL, "info", "-U", "--output=json", path])
    found: dict[str, Any] = msgspec.json.decode(said.encode())
    return found


async def overlay(path: str, format: str, below: str, below_format: str, size: int | None = None) -> None:
    """Make an empty image above another, of the other's size where none is given. Nothing stays of one that fails.

    Raises: HostFailure, DeadlineExceeded
    """
    if size is None:
        size = int((await _info(below))["virtual-size"])
    made = await asyncio.to_thread(_begin, path)
    quoted = [text.replace(",", ",,") for text in (below, below_format)]
    options = f"backing_file={quoted[0]},backing_fmt={quoted[1]}"
    try:
        await programs.run([_TOOL, "create", "-q", "-u", "-f", format, "-o", options, path, str(size)])
    except BaseException:
        if made:
            await asyncio.to_thread(Path(path).unlink, missing_ok=True)
        raise


async def empty(path: str, format: str, size: int) -> None:
    """Make an empty image of a size, or see that a device is there. Raises: HostFailure, DeadlineExceeded."""
    made = await asyncio.to_thread(_begin, path)
    try:
        await programs.run([_TOOL, "create", "-q", "-f", format, path, str(size)])
    except BaseException:
        if made:
            await asyncio.to_thread(Path(path).unlink, missing_ok=True)
        raise


async def commit(path: str, format: str) -> None:
    """Write what an image holds into the one below it; the image stays as it is. Raises: HostFailure, DeadlineExceeded."""
    await programs.run([_TOOL, "commit", "-q", "-d", "-f", format, path], deadline=programs.LONG)


async def rebase(path: str, format: str, below: str, below_format: str) -> None:
    """Say in an image's header that another is below it. Raises: HostFailure, DeadlineExceeded."""
    await programs.run([_TOOL, "rebase", "-q", "-u", "-f", format, "-F", below_format, "-b", below, path])


def check_free(path: str, words: str) -> None:
    """Refuse a file that has something in it; `words` come before its path. Raises: Unsupported."""
    try:
        found = Path(path).stat()
    except OSError:
        return
    if not stat.S_ISBLK(found.st_mode) and (found.st_size or not stat.S_ISREG(found.st_mode)):
        raise Unsupported(f"{words} already exists and is not a block device: {path}")


def check_there(path: str, words: str) -> None:
    """Refuse a file that is not there. Raises: HostFailure."""
    try:
        Path(path).stat()
    except OSError as error:
        raise HostFailure(f"{words}: {path}: {error.strerror}") from error


def _begin(path: str) -> bool:
    """Make the file with narrow rights first, for qemu-img would give wide ones; say whether it is new."""
    if Path(path).exists():
        return False
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise HostFailure(f"unable to create '{path}': {error.strerror}") from error
    return True
