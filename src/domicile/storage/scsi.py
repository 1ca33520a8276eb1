"""SCSI adapters as pools, their disks as volumes. The service calls it through `drivers`.

Source: the kernel's Documentation/scsi/scsi_fc_transport and Documentation/ABI/testing/sysfs-class-scsi_host.
"""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from pathlib import Path

from domicile.storage import devices
from domicile.storage.driver import Fixed, View
from domicile.storage.failure import broken, failed, wrong_state
from domicile.storage.pool import Adapter, Pool

_HOST = re.compile(r"(?:scsi_host|host)(\d+)\Z")
_ADDRESS = re.compile(r"\d+:\d+:\d+:\d+\Z")
_DISK, _CDROM = "0", "5"
#: Seconds until a port that was made must be there.
_APPEARS = 10.0


class Scsi(Fixed):
    """What an adapter of the host, or a virtual one on it, reaches."""

    type = "scsi"

    async def active(self, pool: Pool) -> bool:
        """Say whether the adapter is there."""
        return await asyncio.to_thread(host_of, devices.SYS, _adapter(pool)) is not None

    async def start(self, pool: Pool) -> None:
        """Make the virtual adapter where one is asked for, and let the adapter look for its disks."""
        adapter = _adapter(pool)
        number = await asyncio.to_thread(host_of, devices.SYS, adapter)
        if number is None and adapter.type == "fc_host":
            await asyncio.to_thread(_port, devices.SYS, adapter, "vport_create")
            number = await asyncio.to_thread(_wait, devices.SYS, adapter)
        if number is None:
            raise broken(f"the SCSI adapter of pool '{pool.name}' ({described(adapter)}) is not on this host")
        await asyncio.to_thread(scan, devices.SYS, number)

    async def stop(self, pool: Pool) -> None:
        """Remove a virtual adapter that goes with the pool."""
        adapter = _adapter(pool)
        if adapter.type == "fc_host" and adapter.managed:
            await asyncio.to_thread(_port, devices.SYS, adapter, "vport_delete")

    async def look(self, pool: Pool, *, sweep: bool) -> View:
        """List the adapter's disks."""
        adapter = _adapter(pool)
        number = await asyncio.to_thread(host_of, devices.SYS, adapter)
        if number is None:
            raise broken(f"the SCSI adapter of pool '{pool.name}' ({described(adapter)}) is not on this host")
        if sweep:
            await asyncio.to_thread(scan, devices.SYS, number)
        return await asyncio.to_thread(disks, devices.SYS, number, pool.path)


def _adapter(pool: Pool) -> Adapter:
    assert pool.source is not None and pool.source.adapter is not None
    return pool.source.adapter


def described(adapter: Adapter) -> str:
    """Say in words which adapter is meant."""
    if adapter.type == "fc_host":
        return f"wwnn '{adapter.wwnn}', wwpn '{adapter.wwpn}'"
    return f"'{adapter.name}'" if adapter.name else "by its parent's address"


def host_of(sys: Path, adapter: Adapter) -> int | None:
    """Find an adapter's number on this host; None where it is not there. Raises: HostFailure."""
    if adapter.type == "fc_host":
        for port in sorted(sys.glob("class/fc_host/host*")):
            if (_name(port / "node_name"), _name(port / "port_name")) == (
                (adapter.wwnn or "").lower(), (adapter.wwpn or "").lower(),
            ):  # fmt: skip
                return int(port.name.removeprefix("host"))
        return None
    if adapter.name:
        found = _HOST.match(adapter.name)
        if found is None:
            raise broken(f"Invalid adapter name '{adapter.name}' for SCSI pool")
        number = int(found[1])
        return number if (sys / f"class/scsi_host/host{number}").exists() else None
    parent = adapter.parentaddr
    place = parent.address if parent is not None else None
    if parent is None or place is None:
        return None
    wanted = f"{place.domain or 0:04x}:{place.bus or 0:02x}:{place.slot or 0:02x}.{place.function or 0:x}"
    for host in sorted(sys.glob("class/scsi_host/host*")):
        unique = _text(host / "unique_id")
        if wanted in host.resolve().parts and unique == str(parent.unique_id or 0):
            return int(host.name.removeprefix("host"))
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _name(path: Path) -> str:
    return _text(path).removeprefix("0x").lower()


def scan(sys: Path, number: int) -> None:
    """Let an adapter look for disks again. Raises: HostFailure."""
    path = sys / f"class/scsi_host/host{number}/scan"
    try:
        path.write_text("- - -")
    except OSError as error:
        raise failed(f"Could not open '{path}' to trigger host scan: {error.strerror}") from error


def disks(sys: Path, number: int, directory: str) -> View:
    """List the disks of an adapter."""
    found = View()
    for unit in sorted(sys.glob(f"bus/scsi/devices/{number}:*")):
        if not _ADDRESS.match(unit.name) or _text(unit / "type") not in (_DISK, _CDROM):
            continue
        block = next(iter(sorted(unit.glob("block/*"))), None)
        if block is None:
            continue  # it has no medium, or no driver yet
        name = f"unit:{unit.name}"
        size = devices.bytes_in(block)
        path = devices.lasting(f"/dev/{block.name}", directory)
        found.volumes[name] = devices.volume(path, name, size, _text(unit / "wwid"))
        found.capacity += size
        found.allocation += size
    return found


def _port(sys: Path, adapter: Adapter, verb: str) -> None:
    """Make or remove a virtual port on its parent. Raises: HostFailure, WrongState."""
    parent = _parent(sys, adapter)
    if parent is None:
        raise wrong_state(f"no Fibre Channel adapter of this host can have the port {described(adapter)}")
    path = parent / verb
    try:
        path.write_text(f"{adapter.wwpn}:{adapter.wwnn}")
    except OSError as error:
        raise failed(f"Write of '{adapter.wwpn}:{adapter.wwnn}' to '{path}' failed: {error.strerror}") from error


def _parent(sys: Path, adapter: Adapter) -> Path | None:
    for port in sorted(sys.glob("class/fc_host/host*")):
        if not (port / "vport_create").exists():
            continue
        found = _HOST.match(adapter.parent or "")
        if adapter.parent is not None:
            fits = found is not None and port.name == f"host{found[1]}"
        elif adapter.parent_wwnn is not None or adapter.parent_wwpn is not None:
            fits = (_name(port / "node_name"), _name(port / "port_name")) == (
                (adapter.parent_wwnn or "").lower(), (adapter.parent_wwpn or "").lower(),
            )  # fmt: skip
        elif adapter.parent_fabric_wwn is not None:
            fits = _name(port / "fabric_name") == adapter.parent_fabric_wwn.lower()
        else:
            fits = _text(port / "port_state") == "Online"
        if fits:
            return port
    return None


def _wait(sys: Path, adapter: Adapter) -> int | None:
    end = time.monotonic() + _APPEARS
    while (number := host_of(sys, adapter)) is None and time.monotonic() < end:
        with suppress(InterruptedError):
            time.sleep(0.1)
    return number
