from __future__ import annotations

import struct
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.service import glance, images

XML = """<domain type='qemu'><name>vm</name><devices>
  <disk type='file'><driver name='qemu' type='qcow2'/><source file='/images/a.qcow2'/><target dev='vda'/></disk>
  <disk type='block'><source dev='/dev/sdz'/><target dev='vdb'/></disk>
  <disk type='file' device='cdrom'><target dev='hda'/></disk>
  <interface type='user'><mac address='52:54:00:00:00:01'/></interface>
  <interface type='bridge'><mac address='52:54:00:00:00:02'/><target dev='vnet3'/></interface>
</devices></domain>"""


def test_a_glance_shows_disks_and_interfaces() -> None:
    seen = glance.look(XML)
    assert [(disk.target, disk.path, disk.format) for disk in seen.disks] == [
        ("vda", "/images/a.qcow2", "qcow2"),
        ("vdb", "/dev/sdz", "raw"),
        ("hda", "", "raw"),
    ]
    assert [(nic.mac, nic.tap) for nic in seen.nics] == [("52:54:00:00:00:01", ""), ("52:54:00:00:00:02", "vnet3")]


def test_sizes(tmp_path: Path) -> None:
    raw, qcow2 = tmp_path / "raw", tmp_path / "qcow2"
    with raw.open("wb") as file:
        file.truncate(1 << 20)
    qcow2.write_bytes(struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, 10 << 30).ljust(65536, b"\0"))
    assert images.size(str(raw), "raw").capacity == images.size(str(raw), "raw").physical == 1 << 20
    assert images.size(str(qcow2), "qcow2").capacity == 10 << 30
    assert images.size(str(qcow2), "raw").capacity == 65536
    with pytest.raises(HostFailure, match="cannot open image"):
        images.size(str(tmp_path / "missing"), "raw")
