from __future__ import annotations

import struct
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.devices.disk import Disk
from domicile.domain import document
from domicile.service import images

XML = """<domain type='qemu'><name>vm</name><devices>
  <disk type='file'><driver name='qemu' type='qcow2'/><source file='/images/a.qcow2'/><target dev='vda'/></disk>
  <disk type='block'><source dev='/dev/sdz'/><target dev='vdb'/></disk>
  <disk type='file' device='cdrom'><target dev='hda'/></disk>
</devices></domain>"""


def test_a_disk_is_found_by_target_or_source() -> None:
    domain, _ = document.read(XML)
    found = {path: images.disk(domain, path) for path in ("vda", "/images/a.qcow2", "vdb", "/dev/sdz", "hda", "", "x")}
    assert [path for path, disk in found.items() if disk is None] == ["", "x"]
    assert all(isinstance(disk, Disk) for disk in found.values() if disk is not None)
    sources = {path: images.source(disk) for path, disk in found.items() if disk is not None}
    assert sources["vda"] == ("/images/a.qcow2", "qcow2") and sources["/dev/sdz"] == ("/dev/sdz", "raw")
    assert sources["hda"] == (None, "raw")


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
