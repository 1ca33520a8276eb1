"""Images in use: between machines, works on volumes, and daemons that share a database."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import Daemon, open_directory, wait_until

pytestmark = pytest.mark.system
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os>
<features><acpi/></features><devices>{disks}</devices></domain>"""
DISK = """<disk type='file' device='{device}'><driver name='qemu' type='raw'/><source file='{path}'/>
<target dev='{target}' bus='{bus}'/>{more}</disk>"""


def disk(path: Path, target: str = "vda", more: str = "") -> str:
    bus = {"v": "virtio", "s": "sata"}[target[0]]
    device = "cdrom" if bus == "sata" else "disk"
    return DISK.format(path=path, target=target, bus=bus, device=device, more=more)


def in_use(daemon: Any) -> list[tuple[str, str, int]]:
    with sqlite3.connect(f"file:{daemon.root}/lib/domicile.db?mode=ro", uri=True) as db:
        rows = db.execute("SELECT name, path, written FROM image_use ORDER BY name, path").fetchall()
    db.close()
    return [(name, Path(path).name, written) for name, path, written in rows]


@pytest.fixture
def images(daemon: Any) -> dict[str, Path]:
    found = {}
    for name in ("one", "two", "three"):
        found[name] = daemon.root / f"{name}.img"
        found[name].write_bytes(bytes(1 << 20))
        found[name].chmod(0o666)
    return found


def test_images_come_and_go_with_disks_of_a_running_machine(
    daemon: Any, images: dict[str, Path], tmp_path: Path
) -> None:
    daemon.define(DOMAIN.format(name="a", disks=disk(images["one"])))
    daemon.define(DOMAIN.format(name="b", disks=disk(images["two"]) + disk(images["two"], "sda").replace(
        f"<source file='{images['two']}'/>", "")))  # fmt: skip
    daemon.virsh("start", "a")
    daemon.virsh("start", "b")
    assert in_use(daemon) == [("a", "one.img", 1), ("b", "two.img", 1)]
    new = tmp_path / "disk.xml"
    for wanted, refused in ((disk(images["one"], "vdb"), True), (disk(images["three"], "vdb"), False)):
        new.write_text(wanted)
        done = daemon.virsh("attach-device", "b", str(new), check=False)
        assert bool(done.returncode) is refused, done.stderr
        if refused:
            assert f"'{images['one']}' is in use by the running domain 'a'" in done.stderr
    assert in_use(daemon) == [("a", "one.img", 1), ("b", "three.img", 1), ("b", "two.img", 1)]
    refused = daemon.virsh("change-media", "b", "sda", str(images["one"]), "--insert", "--live", check=False)
    assert "in use by the running domain 'a'" in refused.stderr
    daemon.virsh("detach-disk", "b", "vdb", check=False)  # a guest without a system does not let go
    daemon.virsh("destroy", "b")
    wait_until("b to give back its images", lambda: in_use(daemon) == [("a", "one.img", 1)])
    daemon.virsh("define", "/dev/stdin", text_in=DOMAIN.format(name="c", disks=disk(images["one"])))
    assert "in use by the running domain 'a'" in daemon.virsh("start", "c", check=False).stderr
    daemon.virsh("destroy", "a")
    daemon.virsh("start", "c")


def test_what_fails_takes_nothing(daemon: Any, images: dict[str, Path], tmp_path: Path) -> None:
    images["two"].unlink()
    daemon.define(DOMAIN.format(name="a", disks=disk(images["one"]) + disk(images["two"], "vdb")))
    assert daemon.virsh("start", "a", check=False).returncode
    assert in_use(daemon) == []
    daemon.define(DOMAIN.format(name="b", disks=disk(images["one"])))
    daemon.virsh("start", "b")
    bad = tmp_path / "bad.xml"
    images["three"].write_bytes(b"no qcow2 at all")
    bad.write_text(disk(images["three"], "vdb").replace("type='raw'", "type='qcow2'"))
    assert daemon.virsh("attach-device", "b", str(bad), check=False).returncode
    assert in_use(daemon) == [("b", "one.img", 1)]


def test_a_later_daemon_knows_what_runs_and_gives_back_the_rest(daemon: Any, images: dict[str, Path]) -> None:
    daemon.define(DOMAIN.format(name="a", disks=disk(images["one"])))
    daemon.define(DOMAIN.format(name="b", disks=disk(images["two"])))
    for name in "ab":
        daemon.virsh("start", name)
    guests = {int((Path(f"/proc/{pid}/cwd").readlink().name).split("-")[0]): pid for pid in daemon.guests()}
    daemon.kill9()
    subprocess.run(["kill", "-9", str(guests[max(guests)])], check=True)
    # As a work on a volume leaves it that a daemon was killed in.
    with sqlite3.connect(f"{daemon.root}/lib/domicile.db") as db:
        db.execute(
            "INSERT INTO image_use SELECT 'x', host, 'y', host_name, 'v', 'vol-wipe', '/v', 1, 0, 0 FROM image_use LIMIT 1"
        )
    db.close()
    daemon.start()
    wait_until("what ended to be given back", lambda: in_use(daemon) == [("a", "one.img", 1)])


@pytest.fixture
def fleet(daemon: Any) -> Iterator[tuple[Any, Daemon]]:
    """Give two daemons of one database."""
    other = Daemon(open_directory("dom-"))
    try:
        settings = other.root / "settings.toml"
        settings.write_text(f'database = "sqlite:///{daemon.root}/lib/domicile.db"\n')
        other.start("--config", str(settings))
        yield daemon, other
    finally:
        other.clean_up()


def test_images_are_held_across_the_daemons_of_a_database(fleet: tuple[Any, Daemon], images: dict[str, Path]) -> None:
    one, two = fleet
    pool = one.root / "pool"
    pool.mkdir(mode=0o755)
    volume = pool / "v"
    volume.write_bytes(bytes(1 << 20))
    volume.chmod(0o666)
    two.virsh("pool-create-as", "p", "dir", "--target", str(pool))
    one.define(DOMAIN.format(name="a", disks=disk(volume)))
    one.virsh("start", "a")
    refused = two.virsh("create", "/dev/stdin", text_in=DOMAIN.format(name="b", disks=disk(volume)), check=False)
    host = f"on host '{Path('/proc/sys/kernel/hostname').read_text().strip()}'"
    assert f"in use by the running domain 'a' {host}" in refused.stderr
    for words in (
        ("vol-delete", "v"),
        ("vol-resize", "v", "8M"),
        ("vol-wipe", "v"),
        ("vol-upload", "v", "/etc/hostname"),
    ):
        refused = two.virsh(*words, "--pool", "p", check=False)
        assert f"volume 'v' is still in use by the running domain 'a' {host}" in refused.stderr
    one.kill9()
    assert two.virsh("vol-delete", "v", "--pool", "p", check=False).returncode
    one.start()
    one.virsh("destroy", "a")
    two.virsh("create", "/dev/stdin", text_in=DOMAIN.format(name="b", disks=disk(volume)))
    assert "running domain 'b'" in one.virsh("start", "a", check=False).stderr
    two.virsh("destroy", "b")
    two.virsh("vol-delete", "v", "--pool", "p")


def test_a_guests_own_volume_grows_by_blockresize(daemon: Any, images: dict[str, Path]) -> None:
    pool = daemon.root / "pool"
    pool.mkdir(mode=0o755)
    daemon.virsh("pool-create-as", "p", "dir", "--target", str(pool))
    daemon.virsh("vol-create-as", "p", "v", "4M", "--format", "qcow2")
    path = pool / "v"
    daemon.define(DOMAIN.format(name="a", disks=disk(path).replace("type='raw'", "type='qcow2'")))
    daemon.virsh("start", "a")
    assert "in use" in daemon.virsh("vol-resize", "v", "8M", "--pool", "p", check=False).stderr
    daemon.virsh("blockresize", "a", "vda", "8M")
    done = subprocess.run(["qemu-img", "info", "-U", "--output=json", str(path)], capture_output=True, text=True)
    assert json.loads(done.stdout)["virtual-size"] == 8 << 20
