"""Devices lent to machines, on a small tree that a stand-in of the kernel answers as sysfs does.

kernel      a tree with devices, drivers and IOMMU groups; a thread does what writing to sysfs does
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from domicile.base.errors import Conflict, HostFailure, Unsupported
from domicile.host import lending
from domicile.host.fulfil import Host
from domicile.host.lending import Lending
from domicile.plan.need import LentDevice, VirtualFunction

CARD, TWIN, OTHER = "0000:06:00.0", "0000:06:00.1", "0000:07:00.0"
MDEV = "11111111-0000-4000-8000-0000000000aa"


class Kernel:
    """Does with a tree of files what the kernel does with sysfs."""

    def __init__(self, root: Path) -> None:
        self.sysfs, self.dev, self.notes = root / "sys", root / "dev", root / "notes"
        self.stubborn = ""
        (self.dev / "vfio").mkdir(parents=True)
        for name in ("e1000e", "vfio-pci"):
            folder = self.sysfs / "bus/pci/drivers" / name
            folder.mkdir(parents=True)
            (folder / "unbind").touch()
        (self.sysfs / "bus/pci/drivers_probe").touch()
        for address, group in ((CARD, "7"), (TWIN, "7"), (OTHER, "8")):
            self._device(self.sysfs / "bus/pci/devices" / address, group)
            (self.sysfs / "bus/pci/devices" / address / "driver_override").write_text("(null)\n")
            self._bind(address, "e1000e")
        self._device(self.sysfs / "bus/mdev/devices" / MDEV, "9")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _device(self, place: Path, group: str) -> None:
        place.mkdir(parents=True)
        (self.sysfs / "kernel/iommu_groups" / group).mkdir(parents=True, exist_ok=True)
        (place / "iommu_group").symlink_to(self.sysfs / "kernel/iommu_groups" / group)
        (self.dev / "vfio" / group).touch()

    def _bind(self, address: str, driver: str) -> None:
        (self.sysfs / "bus/pci/devices" / address / "driver").symlink_to(self.sysfs / "bus/pci/drivers" / driver)

    def driver(self, address: str) -> str:
        """Say which driver has a device."""
        found = self.sysfs / "bus/pci/devices" / address / "driver"
        try:
            return found.readlink().name
        except FileNotFoundError:
            return ""

    def _serve(self) -> None:
        while not self._over.wait(0.002):
            for folder in (self.sysfs / "bus/pci/drivers").iterdir():
                address = (folder / "unbind").read_text()
                if address:
                    (folder / "unbind").write_text("")
                    (self.sysfs / "bus/pci/devices" / address / "driver").unlink()
            probe = self.sysfs / "bus/pci/drivers_probe"
            address = probe.read_text()
            if address:
                probe.write_text("")
                wanted = (self.sysfs / "bus/pci/devices" / address / "driver_override").read_text().strip("\n()")
                driver = "e1000e" if wanted in ("", "null") else wanted
                if not self.driver(address) and driver != self.stubborn:
                    self._bind(address, driver)

    def end(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def lending(self) -> Lending:
        """Lend what is in the tree, as a daemon that starts now."""
        return Lending(self.sysfs, self.dev, self.notes)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    yield made
    made.end()


def settled(kernel: Kernel, address: str, driver: str) -> None:
    """Wait until a driver has a device and its note is gone."""
    limit = time.monotonic() + 5
    while kernel.driver(address) != driver or any(kernel.notes.glob("*.json")):
        assert time.monotonic() < limit, f"{address} has {kernel.driver(address)!r}"
        time.sleep(0.005)


def test_a_managed_device_goes_to_vfio_and_back(kernel: Kernel) -> None:
    host = Host(lending=kernel.lending())
    host.fulfil("vm1", [LentDevice(CARD, managed=True, owner="first")])
    assert kernel.driver(CARD) == "vfio-pci" and kernel.driver(TWIN) == "e1000e"
    host.take_back("vm1")
    settled(kernel, CARD, "e1000e")
    assert (kernel.sysfs / "bus/pci/devices" / CARD / "driver_override").read_text().strip() == ""


def test_qemu_opens_the_group_of_the_device(kernel: Kernel) -> None:
    assert kernel.lending().lend("vm1", LentDevice(CARD, managed=True)).path == str(kernel.dev / "vfio/7")
    assert kernel.lending().lend("vm1", LentDevice(MDEV, mediated=True)).path == str(kernel.dev / "vfio/9")


def test_a_device_taken_again_at_once_is_waited_for(kernel: Kernel) -> None:
    lent = kernel.lending()
    for _ in range(3):
        lent.lend("vm1", LentDevice(CARD, managed=True))
        assert kernel.driver(CARD) == "vfio-pci"
        lent.give_back("vm1")
    settled(kernel, CARD, "e1000e")


def test_one_device_and_one_group_are_one_machines(kernel: Kernel) -> None:
    lent = kernel.lending()
    lent.lend("vm1", LentDevice(CARD, managed=True, owner="first"))
    for wanted in (CARD, TWIN):
        with pytest.raises(Conflict, match=f"{wanted} is in use by driver QEMU, domain first"):
            lent.lend("vm2", LentDevice(wanted, managed=True))
    assert kernel.driver(TWIN) == "e1000e"
    lent.lend("vm1", LentDevice(TWIN, managed=True))
    lent.lend("vm2", LentDevice(OTHER, managed=True))
    lent.lend("vm2", LentDevice(MDEV, mediated=True))


def test_what_another_has_is_refused_before_anything_is_taken(kernel: Kernel) -> None:
    host = Host(lending=kernel.lending())
    host.fulfil("vm1", [LentDevice(OTHER, managed=True, owner="first")])
    with pytest.raises(Conflict):
        host.fulfil("vm2", [LentDevice(CARD, managed=True), LentDevice(OTHER, managed=True)])
    assert (kernel.driver(CARD), kernel.driver(OTHER)) == ("e1000e", "vfio-pci")


def test_an_unmanaged_device_must_be_detached_already_and_stays_so(kernel: Kernel) -> None:
    lent = kernel.lending()
    with pytest.raises(Conflict, match="must be manually detached"):
        lent.lend("vm1", LentDevice(CARD))
    lent.lend("other", LentDevice(CARD, managed=True))
    found = Lending(kernel.sysfs, kernel.dev)
    found.lend("vm1", LentDevice(CARD))
    found.give_back("vm1")
    time.sleep(0.05)
    assert kernel.driver(CARD) == "vfio-pci"


def test_a_later_daemon_knows_what_is_lent_and_gives_back_what_nobody_has(kernel: Kernel) -> None:
    first = kernel.lending()
    first.lend("vm1", LentDevice(CARD, managed=True, owner="first"))
    first.lend("vm2", LentDevice(OTHER, managed=True, owner="second"))
    later = kernel.lending()
    with pytest.raises(Conflict, match="domain first"):
        later.lend("vm3", LentDevice(CARD, managed=True))
    assert later.sweep(["vm1"]) == [OTHER]
    assert (kernel.driver(CARD), kernel.driver(OTHER)) == ("vfio-pci", "e1000e")
    later.give_back("vm1")
    settled(kernel, CARD, "e1000e")


def test_a_driver_that_does_not_take_the_device_leaves_it_as_it_was(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "PATIENCE", 0.3)
    kernel.stubborn = "vfio-pci"
    with pytest.raises(HostFailure, match="vfio-pci did not take the device"):
        kernel.lending().lend("vm1", LentDevice(CARD, managed=True))
    settled(kernel, CARD, "e1000e")
    with pytest.raises(HostFailure, match="driver vfio-strange is not loaded"):
        kernel.lending().lend("vm1", LentDevice(CARD, managed=True, driver="vfio-strange"))
    settled(kernel, CARD, "e1000e")


def test_what_cannot_be_lent_is_refused_by_name(kernel: Kernel, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="host doesn't support passthrough"):
        Lending(tmp_path / "nothing").lend("vm1", LentDevice(CARD, managed=True))
    with pytest.raises(Unsupported, match="Mediated host device assignment requires VFIO"):
        Lending(tmp_path / "nothing").lend("vm1", LentDevice(MDEV, mediated=True))
    for device, mediated in (("0000:09:00.0", False), (MDEV.replace("aa", "bb"), True)):
        with pytest.raises(HostFailure, match=f"{device} .*not found"):
            kernel.lending().lend("vm1", LentDevice(device, mediated=mediated))
    for device in ("../../etc", "0000:06:00.0/..", "6:0.0"):
        with pytest.raises(HostFailure, match="no address of a PCI device"):
            kernel.lending().lend("vm1", LentDevice(device))
    with pytest.raises(Unsupported, match="SR-IOV Virtual Functions only"):
        kernel.lending().set_up(VirtualFunction(CARD, "52:54:00:00:00:01"))
