"""The firmware images that the host has for a machine type. Domain capabilities ask."""

from __future__ import annotations

from domicile.host import firmware
from domicile.plan.firmware import Firmware


def matching(arch: str, machine: str) -> list[Firmware]:
    """List the images for a machine type, in the order of preference."""
    return [each for each in firmware.read() if each.runs_on(arch, machine)]
