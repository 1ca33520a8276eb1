"""The firmware images that the host's packages describe, for the machines they are made for.

Domain capabilities ask. Source: QEMU's docs/interop/firmware.json, and the directories named there.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import msgspec

# A description in a later directory is hidden by one of the same name in an earlier.
_DIRECTORIES = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
_ARCHES = {"i386": "i686", "arm": "armv7l"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """One image: its path, the kinds of firmware it is (``bios``, ``uefi``), whether it has secure boot."""

    path: str
    kinds: tuple[str, ...]
    secure: bool
    targets: tuple[tuple[str, str], ...]


def matching(arch: str, machine: str) -> list[Firmware]:
    """List the images for a machine type, in the order of preference."""
    return [each for each in _all() if any(a == arch and fnmatch(machine, m) for a, m in each.targets)]


def _all() -> list[Firmware]:
    found: dict[str, Path] = {}
    for directory in _DIRECTORIES:
        for path in directory.glob("*.json"):
            found.setdefault(path.name, path)
    images = []
    for _, path in sorted(found.items()):
        try:
            images.append(_read(msgspec.json.decode(path.read_bytes())))
        except (OSError, msgspec.MsgspecError, KeyError, TypeError):
            continue
    return images


def _read(described: dict[str, Any]) -> Firmware:
    mapping = described["mapping"]
    path = mapping["executable"]["filename"] if "executable" in mapping else mapping["filename"]
    targets = tuple(
        (_ARCHES.get(target["architecture"], target["architecture"]), machine)
        for target in described["targets"]
        for machine in target["machines"]
    )
    return Firmware(path, tuple(described["interface-types"]), "requires-smm" in described["features"], targets)
