"""Pools and volumes with real virsh and real qemu-img: made, copied, filled, read back; machines that have them as disks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import wait_until

pytestmark = pytest.mark.system
SECRET = "aaaaaaaa-0000-4000-8000-0000000000aa"
PASSPHRASE = "open s3same"
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os>
<devices>{disks}</devices></domain>"""


def image(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["qemu-img", "info", "-U", "--output=json", str(path)], capture_output=True, text=True, timeout=60
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def pool(daemon: Any) -> Path:
    place: Path = daemon.root / "pool"
    daemon.virsh("pool-define-as", "p", "dir", "--target", str(place))
    daemon.virsh("pool-build", "p")
    daemon.virsh("pool-start", "p")
    return place


def test_a_pools_life(daemon: Any, pool: Path) -> None:
    assert pool.stat().st_mode & 0o777 == 0o711
    daemon.virsh("pool-autostart", "p")
    assert "is already active" in daemon.virsh("pool-start", "p", check=False).stderr
    assert (
        "Storage source conflict"
        in daemon.virsh("pool-define-as", "q", "dir", "--target", str(pool), check=False).stderr
    )
    (pool / "found.img").write_bytes(bytes(4096))
    assert "found.img" not in daemon.virsh("vol-list", "p").stdout
    daemon.virsh("pool-refresh", "p")
    assert "found.img" in daemon.virsh("vol-list", "p").stdout
    daemon.restart()
    assert "found.img" in daemon.virsh("vol-list", "p").stdout
    daemon.virsh("pool-destroy", "p")
    daemon.restart()
    wait_until("the pool to start by itself", lambda: "running" in daemon.virsh("pool-info", "p").stdout)
    assert "not empty" in (daemon.virsh("pool-destroy", "p") and daemon.virsh("pool-delete", "p", check=False)).stderr
    daemon.virsh("pool-undefine", "p")
    daemon.virsh("pool-create-as", "t", "dir", "--target", str(pool))
    daemon.virsh("pool-destroy", "t")
    assert daemon.virsh("pool-list", "--all", "--name").stdout.strip() == ""


@pytest.mark.parametrize("format", ["raw", "qcow2", "qcow", "qed", "vdi", "vmdk", "vpc"])
def test_every_format_is_made_and_copied(daemon: Any, pool: Path, format: str) -> None:
    daemon.virsh("vol-create-as", "p", "v", "8M", "--format", format)
    daemon.virsh("vol-clone", "v", "copy", "--pool", "p")
    for name in ("v", "copy"):
        assert image(pool / name)["format"] == format
        assert (pool / name).stat().st_mode & 0o777 == 0o600
    daemon.virsh("vol-delete", "v", "--pool", "p")
    assert sorted(p.name for p in pool.iterdir()) == ["copy"]


def test_nothing_half_made_stays(daemon: Any, pool: Path) -> None:
    refused = daemon.virsh("vol-create-as", "p", "v", "8M", "--format", "dmg", check=False)
    assert "does not support image creation" in refused.stderr and ".domicile-" not in refused.stderr
    left = pool / ".domicile-0123456789ab.part"
    left.mkdir()
    (left / "v").write_text("half")
    daemon.virsh("pool-refresh", "p")
    assert list(pool.iterdir()) == [] and daemon.virsh("vol-list", "p").stdout.strip() == ""


def test_layers_sizes_and_resizing(daemon: Any, pool: Path) -> None:
    daemon.virsh("vol-create-as", "p", "base", "8M", "--format", "qcow2")
    daemon.virsh(
        "vol-create-as",
        "p",
        "top",
        "16M",
        "--format",
        "qcow2",
        "--backing-vol",
        "base",
        "--backing-vol-format",
        "qcow2",
    )
    assert image(pool / "top")["full-backing-filename"] == str(pool / "base")
    assert f"<path>{pool}/base</path>" in daemon.virsh("vol-dumpxml", "top", "--pool", "p").stdout
    daemon.virsh("vol-resize", "top", "8M", "--pool", "p", "--delta")
    assert image(pool / "top")["virtual-size"] == 24 << 20
    assert "shrink" in daemon.virsh("vol-resize", "top", "8M", "--pool", "p", check=False).stderr
    daemon.virsh("vol-resize", "top", "8M", "--pool", "p", "--shrink")
    assert image(pool / "top")["virtual-size"] == 8 << 20
    daemon.virsh("vol-create-as", "p", "thin", "8M", "--allocation", "0")
    daemon.virsh("vol-resize", "thin", "12M", "--pool", "p", "--allocate")
    assert (pool / "thin").stat().st_blocks * 512 >= 12 << 20


def test_contents_go_in_and_come_out(daemon: Any, pool: Path, tmp_path: Path) -> None:
    given, taken = tmp_path / "given", tmp_path / "taken"
    with given.open("wb") as file:
        file.write(b"begin" * 1000)
        file.seek(6 << 20)
        file.write(b"end")
        file.truncate(8 << 20)
    for sparse in ((), ("--sparse",)):
        daemon.virsh("vol-create-as", "p", "v", "8M", "--allocation", "0")
        daemon.virsh("vol-upload", "v", str(given), "--pool", "p", *sparse)
        daemon.virsh("vol-download", "v", str(taken), "--pool", "p", *sparse)
        assert taken.read_bytes() == given.read_bytes() == (pool / "v").read_bytes()
        assert ((pool / "v").stat().st_blocks * 512 < 1 << 20) is bool(sparse)
        daemon.virsh("vol-download", "v", str(taken), "--pool", "p", "--offset", "3", "--length", "4")
        assert taken.read_bytes() == b"inbe"
        daemon.virsh("vol-wipe", "v", "--pool", "p")
        assert (pool / "v").read_bytes() == bytes(8 << 20)
        daemon.virsh("vol-delete", "v", "--pool", "p")


def keep_secret(daemon: Any, tmp_path: Path) -> None:
    document, value = tmp_path / "secret.xml", tmp_path / "value"
    document.write_text(
        f"<secret private='yes'><uuid>{SECRET}</uuid><usage type='volume'><volume>v</volume></usage></secret>"
    )
    value.write_text(PASSPHRASE)
    daemon.virsh("secret-define", str(document))
    daemon.virsh("secret-set-value", SECRET, "--file", str(value), "--plain")


def encrypted(daemon: Any, tmp_path: Path, name: str, format: str) -> None:
    path = tmp_path / f"{name}.xml"
    path.write_text(
        f"<volume><name>{name}</name><capacity unit='M'>4</capacity><target><format type='{format}'/><encryption format='luks'>"
        f"<secret type='passphrase' uuid='{SECRET}'/></encryption></target></volume>"
    )
    daemon.virsh("vol-create", "p", str(path))


def test_machines_open_encrypted_volumes_and_nobody_sees_the_passphrase(
    daemon: Any, pool: Path, tmp_path: Path
) -> None:
    keep_secret(daemon, tmp_path)
    encryption = f"<encryption format='luks'><secret type='passphrase' uuid='{SECRET}'/></encryption>"
    disks = ""
    for number, format in enumerate(("raw", "qcow2")):
        encrypted(daemon, tmp_path, format, format)
        assert image(pool / format).get("encrypted") or image(pool / format)["format"] == "luks"
        disks += (
            f"<disk type='volume' device='disk'><driver name='qemu' type='{format}'/><source pool='p' volume='{format}'>"
            f"{encryption}</source><target dev='vd{'ab'[number]}' bus='virtio'/></disk>"
        )
    daemon.define(DOMAIN.format(name="g", disks=disks))
    daemon.virsh("start", "g")
    (pid,) = daemon.guests()
    seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    assert PASSPHRASE.encode() not in seen and b"masterKey0" in seen
    assert "pool='p' volume='qcow2'" in daemon.virsh("dumpxml", "g").stdout
    daemon.kill9()
    daemon.start()
    for words in (("vol-delete", "raw"), ("vol-resize", "qcow2", "8M"), ("vol-wipe", "raw")):
        assert "in use" in daemon.virsh(*words, "--pool", "p", check=False).stderr
    daemon.define(DOMAIN.format(name="other", disks=disks))
    assert "in use by the running domain 'g'" in daemon.virsh("start", "other", check=False).stderr
    daemon.virsh("destroy", "g")
    assert list((daemon.root / "run/machine").iterdir()) == []
    daemon.virsh("vol-delete", "raw", "--pool", "p")
    refused = daemon.virsh("start", "g", check=False)
    assert refused.returncode and "no storage vol with matching name 'raw'" in refused.stderr
    kept = [path for path in daemon.root.rglob("*") if path.is_file() and PASSPHRASE.encode() in path.read_bytes()]
    assert kept == []


def test_a_secret_without_a_value_is_said_so(daemon: Any, pool: Path, tmp_path: Path) -> None:
    disk = (
        "<disk type='network'><driver name='qemu' type='raw'/><source protocol='rbd' name='a/b'><host name='h'/>"
        f"<auth username='u'><secret type='ceph' uuid='{SECRET}'/></auth></source><target dev='vda' bus='virtio'/></disk>"
    )
    daemon.define(DOMAIN.format(name="g", disks=disk))
    assert f"no secret with matching uuid '{SECRET}'" in daemon.virsh("start", "g", check=False).stderr
    assert list((daemon.root / "run/machine").iterdir()) == []


def test_shareable_images_may_be_had_twice(daemon: Any, pool: Path) -> None:
    daemon.virsh("vol-create-as", "p", "v", "4M")
    disk = (
        "<disk type='volume'><driver name='qemu' type='raw'/><source pool='p' volume='v'/><target dev='vda' bus='virtio'/>"
        "<shareable/></disk>"
    )
    for name in ("one", "two"):
        daemon.define(DOMAIN.format(name=name, disks=disk))
        daemon.virsh("start", name)
    assert len(daemon.guests()) == 2


def test_events(daemon: Any, pool: Path) -> None:
    words = ["virsh", "-c", daemon.uri, "pool-event", "--pool", "p", "--event", "lifecycle", "--timeout", "20"]
    listener = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def happened() -> bool:
        daemon.virsh("pool-destroy", "p", check=False)
        daemon.virsh("pool-start", "p", check=False)
        return listener.poll() is not None

    try:
        wait_until("an event", happened)
        assert "event 'lifecycle' for storage pool p: " in listener.communicate(timeout=20)[0]
    finally:
        listener.kill()
        listener.wait(10)


def test_our_own_command_line(daemon: Any, tmp_path: Path) -> None:
    daemon.cli("pool", "define", "images", "--target", str(tmp_path / "images"))
    for action in ("build", "start", "autostart"):
        daemon.cli("pool", action, "images")
    assert "images" in daemon.cli("pool", "list").stdout and "images" in daemon.cli("pool", "info", "images").stdout
    daemon.cli("volume", "create", "images", "base", "--size", "8M")
    daemon.cli("volume", "create", "images", "top", "--size", "9M", "--backing", "base")
    assert image(tmp_path / "images/top")["full-backing-filename"] == str(tmp_path / "images/base")
    given, taken = tmp_path / "given", tmp_path / "taken"
    given.write_bytes(b"x" * 1_000_000)
    daemon.cli("volume", "create", "images", "raw", "--size", "1M", "--format", "raw")
    daemon.cli("volume", "upload", "images", "raw", str(given))
    daemon.cli("volume", "download", "images", "raw", str(taken))
    assert taken.read_bytes()[:1_000_000] == given.read_bytes()
    daemon.cli("volume", "resize", "images", "top", "--size", "12M")
    daemon.cli("volume", "clone", "images", "top", "copy")
    found = json.loads(daemon.cli("--json", "volume", "list", "images").stdout)
    assert [(one["name"], one["capacity"]) for one in found] == [
        ("base", 8 << 20), ("copy", 12 << 20), ("raw", 1 << 20), ("top", 12 << 20),
    ]  # fmt: skip
    daemon.cli("volume", "delete", "images", "copy")
    document = tmp_path / "secret.xml"
    document.write_text(f"<secret><uuid>{SECRET}</uuid><usage type='volume'><volume>v</volume></usage></secret>")
    daemon.cli("secret", "define", str(document))
    daemon.cli("secret", "set", "v", text_in=PASSPHRASE)
    assert daemon.cli("secret", "get", SECRET).stdout == PASSPHRASE
    assert "volume" in daemon.cli("secret", "list").stdout
    daemon.cli("secret", "undefine", "v")
    refused = daemon.cli("secret", "get", "v", check=False)
    assert refused.returncode == 1 and "'v'" in refused.stderr
