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
    return tuple(importlib.import_module(f"domicile.devices.{name}").FAMILY for name in _SLICES)


FAMILIES = _load()
BY_TAG = {family.tag: family for family in FAMILIES}
