"""What a PCI device's configuration says, names from pci.ids, and names of devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from domicile.base.errors import HostFailure, InvalidRequest, Unsupported
from domicile.hostdevs import ids, pci
from domicile.hostdevs.node import name_of


def config(folder: Path, *, header: int = 0, kind: int = 0, express: bool = True, size: int = 256) -> pci.Config:
    data = bytearray(size)
    data[0x0E] = header
    if express:
        data[6], data[0x34] = 0x10, 0x40
        data[0x40:0x44] = bytes((0x05, 0x50, 0, 0))
        data[0x50:0x53] = bytes((0x10, 0, kind << 4 | 2))
        data[0x5C:0x60] = (3 << 24 | 4 << 4 | 3).to_bytes(4, "little")
        data[0x62:0x64] = (2 << 4 | 1).to_bytes(2, "little")
    (folder / "config").write_bytes(bytes(data))
    return pci.Config.of(folder)


def test_links_and_bridges_are_told_from_the_configuration(tmp_path: Path) -> None:
    found = config(tmp_path)
    assert (found.express, found.has_link, found.port, found.speed, found.width) == (True, True, 3, "8", 4)
    assert (found.speed_now, found.width_now, found.is_bridge) == ("2.5", 2, False)
    assert config(tmp_path, header=0x81).is_bridge
    inside = config(tmp_path, kind=9)
    assert inside.express and not inside.has_link
    assert not config(tmp_path, express=False).express
    assert config(tmp_path, express=False, size=4096).express
    (tmp_path / "config").write_bytes(b"short")
    assert pci.Config.of(tmp_path) == pci.Config()


def test_a_list_of_capabilities_in_a_ring_ends(tmp_path: Path) -> None:
    data = bytearray(256)
    data[6], data[0x34], data[0x40:0x42] = 0x10, 0x40, bytes((5, 0x40))
    (tmp_path / "config").write_bytes(bytes(data))
    assert not pci.Config.of(tmp_path).express


def test_names_are_read_until_the_classes() -> None:
    text = "# x\n8086  Intel\n\t10d3  82574L\n\t\t1234 5678  Sub\n1AF4  Red Hat\n\t1042  Disk\nC 00  Class\n\t10d3  Nothing\n"
    assert ids._read(text) == {"8086": "Intel", "8086:10d3": "82574L", "1af4": "Red Hat", "1af4:1042": "Disk"}


@pytest.mark.parametrize(
    ("kind", "system", "more", "name"),
    [
        ("pci", "0000:00:1f.2", "", "pci_0000_00_1f_2"),
        ("net", "eth0.5", "52:54:00:00:00:01", "net_eth0_5_52_54_00_00_00_01"),
        ("usb", "1-1.4:1.0", "", "usb_1_1_4_1_0"),
    ],
)
def test_names_of_devices(kind: str, system: str, more: str, name: str) -> None:
    assert name_of(kind, system, more) == name


def test_what_cannot_be_lent_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="foo"):
        pci.detach(str(tmp_path), "x", "foo")
    with pytest.raises(Unsupported, match="VFIO"):
        pci.detach(str(tmp_path), "x", None)
    with pytest.raises(InvalidRequest, match="not a PCI device"):
        pci.reset(str(tmp_path), "x")
    device = tmp_path / "0000:00:01.0"
    device.mkdir()
    with pytest.raises(HostFailure, match="no FLR"):
        pci.reset(str(device), "x")
    (device / "reset").touch()
    pci.reset(str(device), "x")
    assert (device / "reset").read_text() == "1"
