"""Reads the descriptions of firmware that the host's packages and its owner put into QEMU's directories.

The daemon reads them once at its start, domain capabilities ask anew. Source: QEMU's docs/interop/firmware.json.
"""

from __future__ import annotations

from pathlib import Path

from domicile.plan.firmware import Firmware, choose

# What counts least stands first.
_DIRECTORIES = ("usr/share/qemu/firmware", "etc/qemu/firmware")


def read(root: Path = Path("/")) -> tuple[Firmware, ...]:
    """Give the descriptions below a root, in the order of preference."""
    return choose(_files(root / directory) for directory in _DIRECTORIES)


def _files(directory: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(directory.glob("*.json")):
        try:
            found[path.name] = path.read_bytes()
        except OSError:
            continue
    return found
