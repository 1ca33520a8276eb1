"""Keeps probed capabilities on disk, so that a daemon starts without starting any QEMU.

The daemon's wiring asks `capabilities`; an entry is good for one binary, its time of change and one answer about KVM.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import msgspec
import structlog

from domicile.base.errors import HostFailure
from domicile.plan.capabilities import FORMAT, Capabilities
from domicile.qemu.probe import live

log = structlog.get_logger(__name__)


async def capabilities(binary: Path, directory: Path, *, kvm: bool) -> Capabilities:
    """Give a binary's capabilities, from the cache or by asking it; `kvm` says whether virtual CPUs run on this host.

    Raises:
        HostFailure: there is no such binary.
        QemuRefused: it cannot be probed.
    """
    known = load(binary, directory, kvm=kvm)
    if known is not None:
        return known
    found = await live(binary, kvm=kvm)
    try:
        save(found, directory, kvm=kvm)
    except OSError as error:
        log.warning("capabilities not cached", binary=os.fspath(binary), reason=str(error))
    return found


def load(binary: Path, directory: Path, *, kvm: bool) -> Capabilities | None:
    """Give what the cache holds of a binary, None where it must be probed."""
    try:
        mtime = binary.stat().st_mtime
    except OSError as error:
        raise HostFailure(f"there is no QEMU at {binary}: {error.strerror}") from error
    try:
        found = Capabilities.from_json(_path(binary, directory, kvm).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.mtime == mtime and found.binary == os.fspath(binary) else None


def save(found: Capabilities, directory: Path, *, kvm: bool) -> None:
    """Write an entry, whole or not at all."""
    path = _path(Path(found.binary), directory, kvm)
    directory.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(found.to_json())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _path(binary: Path, directory: Path, kvm: bool) -> Path:
    digest = hashlib.sha256(os.fsencode(binary)).hexdigest()[:16]
    return directory / f"{binary.name}-{digest}-{'kvm' if kvm else 'tcg'}-{FORMAT}.json"
