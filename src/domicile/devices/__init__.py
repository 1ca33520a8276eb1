"""Every device family, in the order libvirt writes them. Adding a device is one file and one line here."""

from __future__ import annotations

import importlib

from domicile.devices.family import Family

_SLICES = (
    "disk",
    "controller",
    "lease",
    "filesystem",
    "interface",
    "smartcard",
    "serial",
    "parallel",
    "console",
    "channel",
    "input",
    "tpm",
    "graphics",
    "sound",
    "audio",
    "video",
    "hostdev",
    "redirdev",
    "hub",
    "watchdog",
    "memballoon",
    "rng",
    "nvram",
    "panic",
    "shmem",
    "memory",
    "iommu",
    "vsock",
    "crypto",
    "pstore",
)


def _load() -> tuple[Family, ...]:
    found = []
    for name in _SLICES:
        try:
            found.append(importlib.import_module(f"domicile.devices.{name}").FAMILY)
        except (ModuleNotFoundError, AttributeError):  # until every slice is there
            continue
    return tuple(found)


FAMILIES = _load()
BY_TAG = {family.tag: family for family in FAMILIES}
