"""Reading the kernel's view of devices. Used by the other files of this room."""

from __future__ import annotations

import os
from pathlib import Path

SYS = Path("/sys")


def read(path: Path) -> str | None:
    """Read a small file, without blanks at its ends; None where there is nothing to read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip()
    except OSError:
        return None


def number(path: Path, base: int = 10) -> int | None:
    """Read a number; None where there is none."""
    text = read(path)
    try:
        return int(text, base) if text else None
    except ValueError:
        return None


def target(path: Path) -> str | None:
    """Give the last name of what a link points to; None where it is none."""
    try:
        return os.path.basename(os.readlink(path))  # noqa: PTH115, PTH119
    except OSError:
        return None


def names(path: Path) -> list[str]:
    """List what is in a directory, in order; nothing where it is not there."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208
    except OSError:
        return []


def uevent(path: Path) -> dict[str, str]:
    """Read what the kernel tells of a device when it comes."""
    rows = (line.partition("=") for line in (read(path / "uevent") or "").splitlines())
    return {key: value for key, _, value in rows}


def udev(kind: str, path: Path) -> dict[str, str]:
    """Read what udev knows of a device beside that, where udev runs; `kind` is b or c."""
    text = read(Path(f"/run/udev/data/{kind}{read(path / 'dev') or ''}")) or ""
    rows = (line[2:].partition("=") for line in text.splitlines() if line.startswith("E:"))
    return {key: value for key, _, value in rows}
