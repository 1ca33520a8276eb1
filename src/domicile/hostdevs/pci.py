"""PCI devices: addresses, what their configuration says, and the host's driver that has them. Called by `describe` and the service.

Source: PCI Local Bus Specification 3.0 and PCI Express Base Specification (configuration space); the kernel's
Documentation/ABI/testing/sysfs-bus-pci.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from domicile.base.errors import INTERNAL_ERROR, HostFailure, InvalidRequest, Unsupported
from domicile.hostdevs import sysfs
from domicile.hostdevs.sysfs import SYS

ADDRESS = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\Z")
FROM_NODEDEV = 22
_ARGUMENT_UNSUPPORTED = 74
_SPEEDS = {1: "2.5", 2: "5", 3: "8", 4: "16", 5: "32"}
_EXPRESS = 0x10
_PLAIN = 256
VFIO = "vfio-pci"


def address(name: str) -> tuple[int, int, int, int]:
    """Read an address as the kernel writes it: domain, bus, slot, function."""
    found = ADDRESS.match(name)
    if found is None:
        return 0, 0, 0, 0
    return int(found[1], 16), int(found[2], 16), int(found[3], 16), int(found[4])


@dataclass(frozen=True, slots=True)
class Config:
    """What a device says of itself."""

    is_bridge: bool = False
    express: bool = False
    has_link: bool = False
    port: int = 0
    speed: str | None = None
    width: int = 0
    speed_now: str | None = None
    width_now: int = 0

    @classmethod
    def of(cls, path: Path) -> Config:
        """Read a device's configuration; what only root may see is left out for others."""
        try:
            data = (path / "config").read_bytes()
        except OSError:
            return cls()
        if len(data) < 64:
            return cls()
        bridge = data[0x0E] & 0x7F == 1
        place = _capability(data)
        if place is None or place + 0x14 > len(data):
            # A long configuration is that of PCI Express, too. Observed with libvirtd 9.0.
            return cls(bridge, express=len(data) > _PLAIN)
        kind = data[place + 2] >> 4 & 0xF
        can = int.from_bytes(data[place + 0x0C : place + 0x10], "little")
        now = int.from_bytes(data[place + 0x12 : place + 0x14], "little")
        # Endpoints inside the root complex, and event collectors, have no link.
        linked = kind not in (0x9, 0xA)
        return cls(
            bridge, True, linked, can >> 24, _SPEEDS.get(can & 0xF), can >> 4 & 0x3F, _SPEEDS.get(now & 0xF), now >> 4 & 0x3F
        )  # fmt: skip


def _capability(data: bytes) -> int | None:
    """Find where the part about PCI Express begins."""
    if not data[6] & 0x10:
        return None
    place, seen = data[0x34] & 0xFC, set[int]()
    while place >= 0x40 and place not in seen and place + 2 <= len(data):
        seen.add(place)
        if data[place] == _EXPRESS:
            return place
        place = data[place + 1] & 0xFC
    return None


# Drivers.


def _device(path: str, name: str) -> Path:
    if not ADDRESS.match(Path(path).name):
        raise InvalidRequest(f"device {name} is not a PCI device", domain=FROM_NODEDEV)
    return Path(path)


def detach(path: str, name: str, driver: str | None) -> None:
    """Take a device from the host's driver and give it to vfio-pci. Blocks.

    Raises:
        InvalidRequest: it is no PCI device, or the driver is none that lends devices.
        Unsupported: devices cannot be lent on this host.
        HostFailure: the kernel refused.
    """
    if driver not in (None, "", "vfio", VFIO):
        raise InvalidRequest(f"unknown driver name '{driver}'; vfio would be accepted", domain=FROM_NODEDEV)
    device = Path(path)
    if not (SYS / "bus/pci/drivers" / VFIO).is_dir() or not (device / "iommu_group").exists():
        raise Unsupported(
            "VFIO device assignment is currently not supported on this system", code=_ARGUMENT_UNSUPPORTED, domain=FROM_NODEDEV
        )  # fmt: skip
    device = _device(path, name)
    _rebind(device, VFIO)
    if sysfs.target(device / "driver") != VFIO:
        raise HostFailure(f"{VFIO} did not take the device {device.name}", code=INTERNAL_ERROR, domain=FROM_NODEDEV)


def reattach(path: str, name: str) -> None:
    """Give a device back to the host's own driver. Blocks. Raises: InvalidRequest, HostFailure."""
    device = _device(path, name)
    if sysfs.target(device / "driver") not in (None, VFIO):
        return  # it has it
    _rebind(device, "")


def reset(path: str, name: str) -> None:
    """Reset a device. Blocks. Raises: InvalidRequest, HostFailure."""
    device = _device(path, name)
    if sysfs.target(device / "driver") not in (None, VFIO):
        words = f"Unable to reset PCI device {device.name}: the host's driver has it; detach it first"
        if not (device / "reset").exists():
            words = f"Unable to reset PCI device {device.name}: no FLR, PM reset or bus reset available"
        raise HostFailure(words, code=INTERNAL_ERROR, domain=FROM_NODEDEV)
    if not (device / "reset").exists():
        words = f"Unable to reset PCI device {device.name}: no FLR, PM reset or bus reset available"
        raise HostFailure(words, code=INTERNAL_ERROR, domain=FROM_NODEDEV)
    _write(device / "reset", "1")


def _rebind(device: Path, driver: str) -> None:
    _write(device / "driver_override", driver or "\n")
    if (device / "driver").exists() and sysfs.target(device / "driver") != driver:
        _write(device / "driver/unbind", device.name)
    _write(SYS / "bus/pci/drivers_probe", device.name)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        words = f"{path} could not be written: {error.strerror}"
        raise HostFailure(words, domain=FROM_NODEDEV) from error
