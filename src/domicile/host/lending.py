"""PCI and mediated devices of the host, lent to machines: taken from their driver, handed to VFIO, given back.

Part of `host/fulfil`. Whose a device is stands in a note beside the daemon's other files, written before the device is taken
from its driver, so that a later daemon knows it whatever happened meanwhile. One device is only ever one machine's, and so is
an IOMMU group: its devices reach each other's memory.
Source: the kernel's Documentation/driver-api/vfio.rst and Documentation/ABI/testing/sysfs-bus-pci (driver_override).
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from domicile.base.errors import OPERATION_INVALID, Conflict, HostFailure, Unsupported
from domicile.host.netlink import routed
from domicile.plan.need import File, LentDevice, VirtualFunction

log = structlog.get_logger(__name__)
#: Seconds a driver may take to let go of a device, or to take it.
PATIENCE = 10.0
_PAUSE = 0.01
_VFIO = "vfio-pci"
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Lent:
    """A device that a machine has; `before` is the driver that had it where it is given back by itself, `group` its IOMMU group."""

    device: str
    machine: str
    name: str
    group: str
    managed: bool = False
    before: str = ""


class Lending:
    """Which of the host's devices machines have."""

    def __init__(self, sysfs: Path = Path("/sys"), dev: Path = Path("/dev"), notes: Path | None = None) -> None:
        self._sysfs, self._dev, self._notes = sysfs, dev, notes
        self._lent: dict[str, Lent] = {}
        self._returning: set[str] = set()
        for note in sorted(notes.glob("*.json")) if notes is not None and notes.is_dir() else ():
            try:
                found = msgspec.json.decode(note.read_bytes(), type=Lent)
                self._lent[found.device] = found
            except (OSError, msgspec.MsgspecError) as error:
                log.warning("a note about a lent device cannot be read", note=str(note), reason=str(error))

    def check(self, machine: str, need: LentDevice) -> str:
        """Say before anything is done what stands in the way of lending a device; returns its IOMMU group.

        Raises:
            Unsupported: this host cannot lend devices.
            HostFailure: there is no such device.
            Conflict: another machine has it, or one of its group.
        """
        kind, place = ("Mediated", self._mdev(need)) if need.mediated else ("PCI", self._pci(need.device))
        if not any((self._sysfs / "kernel/iommu_groups").glob("*")):
            if need.mediated:
                raise Unsupported("Mediated host device assignment requires VFIO support")
            raise Unsupported("host doesn't support passthrough of host PCI devices: it has no IOMMU that is on")
        if not place.exists():
            raise HostFailure(f"{kind} device {need.device} of {need.origin} not found: {place} does not exist")
        group = (place / "iommu_group").resolve().name if (place / "iommu_group").exists() else ""
        if not group:
            raise Unsupported(f"{kind} device {need.device} is in no IOMMU group, so it cannot be lent to a machine")
        for other in self._lent.values():
            if other.machine != machine and (other.device == need.device or other.group == group):
                also = "" if other.device == need.device else f", as device {other.device} of its IOMMU group {group} is"
                what = f"{kind} device {need.device} is in use by driver QEMU, domain {other.name}{also}"
                raise Conflict(what, code=OPERATION_INVALID)
        return group

    def lend(self, machine: str, need: LentDevice) -> File:
        """Take a device for a machine; returns the file by which QEMU opens it. Blocks.

        Raises:
            Unsupported, HostFailure, Conflict: it cannot be; it is as it was then.
        """
        self._wait(f"{need.device} was not given back", lambda: need.device not in self._returning)
        group = self.check(machine, need)
        driver = "" if need.mediated else self._driver(need.device)
        wanted = need.driver or _VFIO
        managed = need.managed and not need.mediated
        if not need.mediated and not managed and not driver.startswith("vfio"):
            what = f"Unmanaged PCI device {need.device} must be manually detached from the host"
            raise Conflict(f"{what}; managed='yes' does that by itself", code=OPERATION_INVALID)
        before = driver if managed and driver != wanted else ""
        known = self._lent.get(need.device)
        self._note(known or Lent(need.device, machine, need.owner, group, managed and driver != wanted, before))
        try:
            if managed and driver != wanted:
                self._bind(need.device, wanted)
        except HostFailure:
            self._return(self._lent[need.device])
            raise
        return File(str(self._dev / "vfio" / group), writable=True, origin=need.origin)

    def set_up(self, need: VirtualFunction) -> None:
        """Give a virtual function its hardware address and VLAN, through the card it is of. Blocks. Raises: Unsupported, HostFailure."""
        card = self._pci(need.device) / "physfn"
        if not card.exists():
            what = "Interface type hostdev is currently supported on SR-IOV Virtual Functions only"
            raise Unsupported(f"{what}; {need.device} is none")
        names = sorted(path.name for path in (card / "net").iterdir()) if (card / "net").is_dir() else []
        own = self._pci(need.device).resolve()
        number = next((n for n in _numbers(card) if (card / f"virtfn{n}").resolve() == own), None)
        if not names or number is None:
            raise HostFailure(f"the card of the virtual function {need.device} has no network device on this host")
        settings = {"vf": number, "mac": need.mac} | ({"vlan": need.vlan} if need.vlan else {})
        what = f"cannot set up the virtual function {number} of {names[0]}"
        routed(what, lambda routes: routes.link("set", index=socket.if_nametoindex(names[0]), vf=settings))

    def give_back(self, machine: str, device: str | None = None) -> None:
        """Give back all that a machine has, or one device, to the drivers that had it; that is done by a thread of its own."""
        mine = [each for each in self._lent.values() if each.machine == machine and device in (None, each.device)]
        for lent in mine:
            self._returning.add(lent.device)
            del self._lent[lent.device]
        if mine:
            threading.Thread(target=self._return_all, args=(mine,), name=f"devices of {machine}", daemon=True).start()

    def _return_all(self, mine: list[Lent]) -> None:
        for lent in mine:
            try:
                self._return(lent)
            finally:
                self._returning.discard(lent.device)

    def devices_of(self, machine: str) -> list[str]:
        """List what a machine has."""
        return [lent.device for lent in self._lent.values() if lent.machine == machine]

    def sweep(self, running: Collection[str]) -> list[str]:
        """Give back the devices of machines that do not run; a daemon that died in a start leaves them. Blocks."""
        stale = [lent for lent in self._lent.values() if lent.machine not in running]
        for lent in stale:
            self._return(lent)
        return [lent.device for lent in stale]

    # Drivers.

    def _pci(self, address: str) -> Path:
        if not _ADDRESS.match(address):
            raise HostFailure(f"'{address}' is no address of a PCI device; such as 0000:06:12.5 is")
        return self._sysfs / "bus/pci/devices" / address

    def _mdev(self, need: LentDevice) -> Path:
        if not _UUID.match(need.device):
            raise HostFailure(f"'{need.device}' is no mediated device's UUID")
        return self._sysfs / "bus/mdev/devices" / need.device

    def _driver(self, address: str) -> str:
        found = self._pci(address) / "driver"
        return found.resolve().name if found.exists() else ""

    def _bind(self, address: str, driver: str) -> None:
        """Let a driver have a device. Raises: HostFailure."""
        place = self._pci(address)
        if not (self._sysfs / "bus/pci/drivers" / driver).is_dir():
            raise HostFailure(f"the host's driver {driver} is not loaded (modprobe {driver}), so {address} cannot be lent")
        _write(place / "driver_override", driver)
        self._unbind(address)
        _write(self._sysfs / "bus/pci/drivers_probe", address)
        self._wait(f"{driver} did not take the device {address}", lambda: self._driver(address) == driver)

    def _unbind(self, address: str) -> None:
        had = self._driver(address)
        if had:
            _write(self._pci(address) / "driver/unbind", address)
            self._wait(f"{had} did not let go of the device {address}", lambda: self._driver(address) != had)

    def _return(self, lent: Lent) -> None:
        try:
            if lent.managed and self._pci(lent.device).exists():
                _write(self._pci(lent.device) / "driver_override", "\n")
                self._unbind(lent.device)
                if lent.before:
                    _write(self._sysfs / "bus/pci/drivers_probe", lent.device)
                    self._wait(
                        f"{lent.before} did not take {lent.device} back", lambda: self._driver(lent.device) == lent.before
                    )
        except HostFailure as error:
            log.warning("a device was not given back", device=lent.device, reason=error.message)
        self._lent.pop(lent.device, None)
        if self._notes is not None:
            self._file(lent.device).unlink(missing_ok=True)

    def _wait(self, what: str, happened: Callable[[], bool]) -> None:
        limit = time.monotonic() + PATIENCE
        while not happened():
            if time.monotonic() > limit:
                raise HostFailure(f"{what} within {PATIENCE:.0f} s")
            time.sleep(_PAUSE)

    # Notes.

    def _note(self, lent: Lent) -> None:
        if self._notes is not None:
            self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._file(lent.device)
            temporary = path.with_suffix(".new")
            temporary.write_bytes(msgspec.json.encode(lent))
            temporary.replace(path)
        self._lent[lent.device] = lent

    def _file(self, device: str) -> Path:
        assert self._notes is not None
        return self._notes / f"{device}.json"


def _numbers(card: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("virtfn")) for path in card.glob("virtfn*"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise HostFailure(f"{path} could not be set to '{text.strip()}': {error.strerror}") from error
