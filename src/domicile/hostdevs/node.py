"""Finding the host's devices: their names, kinds and parents, in one pass over sysfs. Called by the service.

Source: the names and kinds are libvirt's, observed with libvirtd 9.0.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domicile.hostdevs import sysfs
from domicile.hostdevs.sysfs import SYS

COMPUTER = "computer"
_UNUSUAL = re.compile(r"[^A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Node:
    """One device: its name, its kinds (the first is its own), where it is in sysfs, and its parent's name ("" for the host)."""

    name: str
    kinds: tuple[str, ...]
    path: str
    parent: str = COMPUTER


def scan() -> dict[str, Node]:
    """Find all devices, by name."""
    found = [Node(COMPUTER, ("system",), "", "")]
    found += [*_pci(), *_usb(), *_net(), *_scsi(), *_storage(), *_graphics(), *_mediated()]
    by_path = {node.path: node.name for node in found if node.path}
    return {node.name: _with_parent(node, by_path) for node in found}


def _with_parent(node: Node, by_path: dict[str, str]) -> Node:
    """Find the nearest device above that is one of these."""
    if not node.path:
        return node
    above = os.path.dirname(node.path)  # noqa: PTH120
    while len(above) > 1:
        if above in by_path:
            return Node(node.name, node.kinds, node.path, by_path[above])
        above = os.path.dirname(above)  # noqa: PTH120
    return node


def name_of(kind: str, system: str, more: str = "") -> str:
    """Make a device's name of its kind, what the kernel calls it, and what tells it from others."""
    return _UNUSUAL.sub("_", f"{kind}_{system}" + (f"_{more}" if more else ""))


def _of(folder: str) -> Iterator[tuple[str, Path]]:
    for name in sysfs.names(SYS / folder):
        try:
            yield name, (SYS / folder / name).resolve(strict=True)
        except OSError:
            continue  # it went meanwhile


def _pci() -> Iterator[Node]:
    for name, path in _of("bus/pci/devices"):
        more = ("mdev_types",) if (path / "mdev_supported_types").is_dir() else ()
        yield Node(name_of("pci", name), ("pci", *more), str(path))


def _usb() -> Iterator[Node]:
    for name, path in _of("bus/usb/devices"):
        yield Node(name_of("usb", name), ("usb" if ":" in name else "usb_device",), str(path))


def _net() -> Iterator[Node]:
    mine = {name for _, name in socket.if_nameindex()}
    for name, path in _of("class/net"):
        address = sysfs.read(path / "address")
        if name in mine and address is not None:
            kind = "80211" if (path / "phy80211").exists() else "80203"
            yield Node(name_of("net", name, address), ("net", kind), str(path))


def _scsi() -> Iterator[Node]:
    for name, path in _of("class/scsi_host"):
        # The class's device lies below the host's own.
        host = path.parent.parent
        more = ("fc_host",) if (SYS / "class/fc_host" / name).exists() else ()
        ports = ("vports",) if (SYS / "class/fc_host" / name / "vport_create").exists() else ()
        yield Node(name_of("scsi", name), ("scsi_host", *more, *ports), str(host))
    for name, path in _of("bus/scsi/devices"):
        if name.startswith("target"):
            yield Node(name_of("scsi", name), ("scsi_target",), str(path))
        elif name[:1].isdigit():
            yield Node(name_of("scsi", name), ("scsi",), str(path))
    for name, path in _of("class/scsi_generic"):
        yield Node(name_of("scsi_generic", name), ("scsi_generic",), str(path))


def drive_type(name: str, path: Path) -> str | None:
    """Say what kind of drive a block device is; None where it is none of those that are shown."""
    known = sysfs.udev("b", path)
    told = known.get("ID_TYPE")
    if known.get("ID_CDROM") == "1" or told == "cd":
        return "cdrom"
    if known.get("ID_DRIVE_FLOPPY") == "1":
        return "floppy"
    if known.get("ID_DRIVE_FLASH_SD") == "1":
        return "sd"
    if told in ("disk", "optical", "floppy"):
        return {"disk": "disk", "optical": "cdrom", "floppy": "floppy"}[told]
    if told is None:
        return "disk" if name.startswith(("vd", "dasd", "nvme")) else None
    return None


def _storage() -> Iterator[Node]:
    for name, path in _of("class/block"):
        if not (path / "partition").exists() and drive_type(name, path) is not None:
            serial = sysfs.udev("b", path).get("ID_SERIAL", "")
            yield Node(name_of("block", name, serial), ("storage",), str(path))


def _graphics() -> Iterator[Node]:
    for name, path in _of("class/drm"):
        if sysfs.uevent(path).get("DEVTYPE") == "drm_minor" and (path / "dev").exists():
            yield Node(name_of("drm", name), ("drm",), str(path))


def _mediated() -> Iterator[Node]:
    for name, path in _of("bus/mdev/devices"):
        yield Node(name_of("mdev", name, path.parent.name), ("mdev",), str(path))
