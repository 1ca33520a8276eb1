"""Disk images made with qemu-img. Used by `domicile create`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from domicile.base.errors import Conflict, DeadlineExceeded, HostFailure
from domicile.cli.words import say

_SECONDS = 120.0


def make(path: Path, size: int, form: str) -> None:
    """Make an empty image of that many bytes. Raises: Conflict, HostFailure, DeadlineExceeded."""
    program = shutil.which("qemu-img")
    if program is None:
        raise HostFailure(say("cr_no_qemu_img"))
    if path.exists():
        raise Conflict(say("cr_exists", path=path))
    try:
        path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        done = subprocess.run(
            [program, "create", "-q", "-f", form, str(path), str(size)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(say("cr_image_failed", path=path, why=say("too_long"))) from None
    except OSError as error:
        raise HostFailure(say("cr_image_failed", path=path, why=error.strerror or str(error))) from None
    if done.returncode:
        path.unlink(missing_ok=True)
        raise HostFailure(say("cr_image_failed", path=path, why=" ".join(done.stderr.split())))


def form_of(path: Path) -> str:
    """Tell an image's format by its first bytes; what is unknown is raw."""
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError:
        return "raw"
    return "qcow2" if head == b"QFI\xfb" else "raw"
