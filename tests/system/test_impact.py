"""What would be hit: users of images, bridges, files; what another QEMU would not start."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system
GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def document(name: str, n: int, machine: str = "pc", cpu: str = "", devices: str = "") -> str:
    return f"""<domain type='qemu'><name>{name}</name><uuid>22222222-3333-4444-8555-66666666666{n}</uuid>
<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='{machine}'>hvm</type></os>{cpu}<devices>{devices}</devices></domain>"""


def test_users_of_things(daemon: Any) -> None:
    chain = (
        "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/images/top.qcow2'/>"
        "<backingStore type='file'><format type='qcow2'/><source file='/images/base.qcow2'/><backingStore/></backingStore>"
        "<target dev='vda' bus='virtio'/></disk>"
    )
    daemon.define(document("one", 1, devices=chain))
    daemon.define(document("two", 2, devices="<interface type='bridge'><source bridge='br7'/></interface>"))
    found = json.loads(daemon.cli("--json", "impact", "image", "/images/base.qcow2").stdout)
    assert [(one["name"], one["path"]) for one in found] == [("one", "devices/disk/backingStore/source/@file")]
    assert [one["name"] for one in json.loads(daemon.cli("--json", "impact", "bridge", "br7").stdout)] == ["two"]
    assert "one" in daemon.cli("impact", "file", "/images/top.qcow2").stdout
    nothing = daemon.cli("--lang", "zh", "impact", "pool", "none", check=False)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "没有虚拟机会受影响" in nothing.stderr


def test_another_qemu(daemon: Any, tmp_path: Path) -> None:
    """A QEMU without old machine types, one CPU model and one device: recorded capabilities with these taken out."""
    daemon.define(document("new", 1, "pc-q35-7.2"))
    daemon.define(document("old", 2, "pc-i440fx-2.12"))
    daemon.define(document("fancy", 3, "pc-q35-7.2", "<cpu mode='custom'><model fallback='forbid'>Denverton</model></cpu>"))
    daemon.define(document("guarded", 4, "pc-q35-7.2", devices="<watchdog model='i6300esb'/>"))
    same = GOLDEN / "qemu-7.2-x86_64.json.gz"
    if not same.exists():
        (same,) = GOLDEN.glob("qemu-7.2-x86_64*.json.gz")
    assert daemon.cli("impact", "qemu", str(same), check=False).returncode == 1
    assert daemon.cli("impact", "qemu", "/usr/bin/qemu-system-x86_64", check=False, deadline=60).returncode == 1
    text = gzip.decompress(same.read_bytes()).decode()
    other = tmp_path / "other.json"
    other.write_text(text.replace("pc-i440fx-2.12", "pc-i440fx-0.12").replace("i6300esb", "i6300gone").replace('"Denverton', '"Gone'))
    found = {one["name"]: one["problems"] for one in json.loads(daemon.cli("--json", "impact", "qemu", str(other)).stdout)}
    assert "pc-i440fx-2.12" in " ".join(found["old"])
    assert "i6300esb" in " ".join(found["guarded"])
    assert "new" not in found
    assert "Denverton" in " ".join(found["fancy"])
    wrong = daemon.cli("impact", "qemu", "/etc/hostname", check=False)
    assert wrong.returncode == 1
    assert "neither a QEMU nor recorded capabilities" in wrong.stderr
