"""Block devices of the host as volumes: named, measured, found under lasting names. The drivers of devices ask.

Source: the kernel's Documentation/ABI/testing/sysfs-block and sysfs-class-scsi_host.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from pathlib import Path

from domicile.storage import files, programs
from domicile.storage.failure import broken, built, device_missing, unprobed
from domicile.storage.parts import bytes_of
from domicile.storage.volume import Volume, VolumeTarget

SYS = Path("/sys")
_SECTOR = 512
#: Seconds until a new device must have its node.
_APPEARS = 10.0


def require(path: str) -> None:
    """Look whether a device is there. Raises: InvalidRequest."""
    try:
        facts = Path(path).stat()
    except OSError:
        raise device_missing(path) from None
    if not stat.S_ISBLK(facts.st_mode):
        raise device_missing(path)


async def empty(path: str, expected: str) -> None:
    """Look that nothing is on a device that shall be formatted. Raises: HostFailure, WrongState."""
    if not await asyncio.to_thread(Path(path).is_block_device):
        raise unprobed(f"Failed to create filesystem probe for device {path}")
    known = await programs.run(["blkid", "-p", "-o", "export", path], accepted=(0, 2))
    facts = dict(line.split("=", 1) for line in known.splitlines() if "=" in line)
    there = facts.get("TYPE") or facts.get("PTTYPE")
    if there == expected:
        raise built(f"Device '{path}' already formatted using '{there}'")
    if facts:
        raise built(
            f"Format of device '{path}' does not match the expected format '{expected}', forced overwrite is necessary"
        )


async def appear(path: str) -> None:
    """Wait until the host has made a device's node. Raises: HostFailure."""
    end = time.monotonic() + _APPEARS
    while not await asyncio.to_thread(Path(path).exists):
        if time.monotonic() > end:
            raise broken(f"the device '{path}' did not appear within {_APPEARS:g} s")
        await asyncio.sleep(0.05)


def lasting(device: str, directory: str) -> str:
    """Name a device as the pool's target directory does, where that is one of links; else as it is."""
    place = Path(directory)
    if place == Path("/dev") or not place.is_relative_to("/dev"):
        return device
    try:
        links = sorted(place.iterdir())
    except OSError:
        return device
    return next((str(link) for link in links if os.path.realpath(link) == device), device)


def bytes_in(block: Path) -> int:
    """Count the bytes of a block device by its directory in /sys. Raises: HostFailure."""
    try:
        return int((block / "size").read_text()) * _SECTOR
    except (OSError, ValueError) as error:
        raise broken(f"'{block}' does not tell its size: {error}") from None


def volume(path: str, name: str, size: int, key: str = "") -> Volume:
    """Describe a device as a volume that is taken whole."""
    measured = files.measure(path, name)
    target = measured.target if measured is not None and measured.target is not None else VolumeTarget(path=path)
    target.format, target.timestamps = None, None
    target.clusterSize, target.compat, target.features = None, None, None
    return Volume(
        type="block", name=name, key=key or path, capacity=bytes_of(size), allocation=bytes_of(size), physical=bytes_of(size),
        target=target,
    )  # fmt: skip
