"""The firmware that a host's packages describe, as values; nothing here reads a file.

`host/firmware` reads the descriptions, domain/rules/firmware chooses among them. Source: QEMU's docs/interop/firmware.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec

_ARCHES = {"i386": "i686", "arm": "armv7l"}
_KINDS = {"uefi": "efi", "bios": "bios"}
#: Images of packages that describe none, and the variables that belong to them; what libvirt is built with.
OLD_PAIRS: Mapping[str, str] = {
    "/usr/share/OVMF/OVMF_CODE.fd": "/usr/share/OVMF/OVMF_VARS.fd",
    "/usr/share/OVMF/OVMF_CODE.secboot.fd": "/usr/share/OVMF/OVMF_VARS.fd",
    "/usr/share/AAVMF/AAVMF_CODE.fd": "/usr/share/AAVMF/AAVMF_VARS.fd",
    "/usr/share/AAVMF/AAVMF32_CODE.fd": "/usr/share/AAVMF/AAVMF32_VARS.fd",
}


def template_of(path: str, firmwares: Iterable[Firmware]) -> str:
    """Name the variables that belong to an image which is named itself; empty where nothing is known of it."""
    described = (firmware.template for firmware in firmwares if firmware.path == path and firmware.mode == "split")
    return OLD_PAIRS.get(path) or next(described, "")


@dataclass(frozen=True, slots=True)
class Firmware:
    """One firmware: its image, how the guest sees it, and for which machines it is made.

    `kinds` are of ``bios``, ``efi`` and what else the description says; `device` is ``flash``, ``memory`` or ``kernel``;
    `mode` is ``split`` (an image and a file of variables), ``combined`` (both in one) or ``stateless``.
    """

    name: str
    kinds: tuple[str, ...]
    device: str
    mode: str
    path: str
    format: str = "raw"
    template: str = ""
    template_format: str = "raw"
    targets: tuple[tuple[str, str], ...] = ()
    features: frozenset[str] = field(default_factory=frozenset)

    @property
    def secure(self) -> bool:
        """Whether it protects its variables by system management mode."""
        return "requires-smm" in self.features

    def runs_on(self, arch: str, machine: str) -> bool:
        """Say whether it is made for a machine type."""
        return any(a == arch and fnmatchcase(machine, pattern) for a, pattern in self.targets)


def parse(name: str, text: bytes) -> Firmware | None:
    """Read one description; None where it is none, or of a kind nobody knows."""
    try:
        return _read(name, msgspec.json.decode(text))
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return None


def choose(files: Iterable[Mapping[str, bytes]]) -> tuple[Firmware, ...]:
    """Order descriptions by name, given those of each directory with the one that counts least first.

    A description is hidden by one of the same name in a directory that counts more; an empty file hides it altogether.
    """
    merged: dict[str, bytes] = {}
    for directory in files:
        merged.update(directory)
    parsed = (parse(name, text) for name, text in sorted(merged.items()) if text)
    return tuple(firmware for firmware in parsed if firmware is not None)


def _read(name: str, described: Any) -> Firmware:
    mapping = described["mapping"]
    device = mapping["device"]
    image = mapping["executable"] if device == "flash" else mapping
    mode = mapping.get("mode", "split") if device == "flash" else "stateless"
    template = mapping["nvram-template"] if mode == "split" else {}
    targets = tuple(
        (_ARCHES.get(target["architecture"], target["architecture"]), machine)
        for target in described["targets"]
        for machine in target["machines"]
    )
    return Firmware(
        name=name,
        kinds=tuple(_KINDS.get(kind, kind) for kind in described["interface-types"]),
        device=device,
        mode=mode,
        path=image["filename"],
        format=image.get("format", "raw"),
        template=template.get("filename", ""),
        template_format=template.get("format", "raw"),
        targets=targets,
        features=frozenset(described["features"]),
    )
