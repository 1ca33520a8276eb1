"""Pools that are no directories, on what a plain machine can offer: partitions of a loop device, an iSCSI server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import open_directory, wait_until

pytestmark = pytest.mark.system
TARGET = "iqn.2026-01.org.example:disks"
PASSWORD = "open-sesame-16-x"


def sh(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert not check or done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def need(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def loop() -> Iterator[str]:
    need("parted", "losetup")
    directory = open_directory("loop-")
    image = directory / "disk.img"
    with image.open("wb") as file:
        file.truncate(200 << 20)
    done = subprocess.run(["losetup", "--find", "--show", str(image)], capture_output=True, text=True, timeout=30)
    if done.returncode:
        pytest.skip(f"this host gives no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    yield device
    subprocess.run(["partx", "--delete", device], capture_output=True, timeout=30)
    sh("losetup", "--detach", device)
    shutil.rmtree(directory)


@pytest.mark.parametrize("table", ["gpt", "dos"])
def test_partitions_are_volumes(daemon: Any, loop: str, table: str, tmp_path: Path) -> None:
    base = Path(loop).name
    daemon.virsh("pool-define-as", "d", "disk", "--source-dev", loop, "--source-format", table, "--target", "/dev")
    assert "unrecognized, requires build" in daemon.virsh("pool-start", "d", check=False).stderr
    daemon.virsh("pool-build", "d")
    assert "already formatted using" in daemon.virsh("pool-build", "d", "--no-overwrite", check=False).stderr
    daemon.virsh("pool-build", "d", "--overwrite")
    daemon.virsh("pool-start", "d")
    assert "<freeExtent start=" in daemon.virsh("pool-dumpxml", "d").stdout
    refused = daemon.virsh("vol-create-as", "d", "data", "10M", check=False).stderr
    assert f"invalid partition name 'data', expected '{base}p1'" in refused
    for number, size in ((1, 10), (2, 20), (3, 30)):
        daemon.virsh("vol-create-as", "d", f"{base}p{number}", f"{size}M")
        assert Path(f"/dev/{base}p{number}").is_block_device()
    said = json.loads(sh("parted", "-s", "-j", loop, "unit", "B", "print"))["disk"]
    assert said["label"] == {"dos": "msdos"}.get(table, table)
    assert [(p["number"], p["size"]) for p in said["partitions"]] == [
        (n, f"{s << 20}B") for n, s in ((1, 10), (2, 20), (3, 30))
    ]
    assert all(int(p["start"].rstrip("B")) % (1 << 20) == 0 for p in said["partitions"])
    assert "no large enough free extent" in daemon.virsh("vol-create-as", "d", f"{base}p4", "1G", check=False).stderr
    daemon.virsh("vol-delete", f"{base}p2", "--pool", "d")
    assert not Path(f"/dev/{base}p2").exists()
    # The smallest room that fits is taken, and the lowest number.
    daemon.virsh("vol-create-as", "d", f"{base}p2", "15M")
    content = os.urandom(1 << 20)
    (tmp_path / "in").write_bytes(content)
    daemon.virsh("vol-upload", f"{base}p2", str(tmp_path / "in"), "--pool", "d", "--length", str(1 << 20))
    daemon.virsh("vol-clone", f"{base}p2", f"{base}p4", "--pool", "d")
    daemon.virsh("vol-download", f"{base}p4", str(tmp_path / "out"), "--pool", "d", "--length", str(1 << 20))
    assert (tmp_path / "out").read_bytes() == content
    assert "does not support changing of volume capacity" in daemon.virsh(
        "vol-resize", f"{base}p2", "20M", "--pool", "d", check=False).stderr  # fmt: skip
    daemon.restart()
    wait_until("the pool to be there", lambda: f"{base}p4" in daemon.virsh("vol-list", "d").stdout)
    daemon.virsh("pool-destroy", "d")
    daemon.virsh("pool-delete", "d")
    assert "unrecognised disk label" in subprocess.run(
        ["parted", "-s", loop, "print"], capture_output=True, text=True, timeout=30).stderr  # fmt: skip


def test_a_dos_table_grows_by_logical_partitions(daemon: Any, loop: str) -> None:
    base = Path(loop).name
    daemon.virsh("pool-define-as", "d", "disk", "--source-dev", loop, "--source-format", "dos", "--target", "/dev")
    daemon.virsh("pool-build", "d")
    daemon.virsh("pool-start", "d")
    daemon.virsh("vol-create-as", "d", f"{base}p1", "10M", "--format", "linux-swap")
    daemon.virsh("vol-create-as", "d", f"{base}p2", "100M", "--format", "extended")
    daemon.virsh("vol-create-as", "d", f"{base}p5", "20M", "--format", "linux-lvm")
    daemon.virsh("vol-create-as", "d", f"{base}p6", "20M")
    shown = daemon.virsh("vol-dumpxml", f"{base}p5", "--pool", "d").stdout
    assert "<format type='linux-lvm'/>" in shown and f"<device path='{loop}'>" in shown
    kinds = [
        (p["number"], p["type"]) for p in json.loads(sh("parted", "-s", "-j", loop, "print"))["disk"]["partitions"]
    ]
    assert kinds == [(1, "primary"), (2, "extended"), (5, "logical"), (6, "logical")]


def test_a_guest_has_a_partition_and_others_come_and_go(daemon: Any, loop: str) -> None:
    base = Path(loop).name
    daemon.virsh("pool-define-as", "d", "disk", "--source-dev", loop, "--source-format", "gpt", "--target", "/dev")
    daemon.virsh("pool-build", "d")
    daemon.virsh("pool-start", "d")
    daemon.virsh("vol-create-as", "d", f"{base}p1", "10M")
    daemon.define(
        "<domain type='qemu'><name>g</name><memory unit='MiB'>64</memory><os><type arch='x86_64'>hvm</type></os><devices>"
        f"<disk type='volume'><source pool='d' volume='{base}p1'/><target dev='vda' bus='virtio'/></disk></devices></domain>"
    )
    daemon.virsh("start", "g")
    assert (
        "in use by the running domain 'g'" in daemon.virsh("vol-delete", f"{base}p1", "--pool", "d", check=False).stderr
    )
    daemon.virsh("vol-create-as", "d", f"{base}p2", "10M")
    daemon.virsh("vol-delete", f"{base}p2", "--pool", "d")
    daemon.virsh("destroy", "g")
    daemon.virsh("vol-delete", f"{base}p1", "--pool", "d")


@pytest.fixture
def server() -> Iterator[int]:
    """Give the port of an iSCSI server with two disks, who lets in whoever knows the password."""
    need("tgtd", "tgtadm", "iscsi-ls", "iscsi-readcapacity16")
    directory = open_directory("tgt-")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    control = str(port % 30000 + 1)
    words = ["tgtd", "--foreground", "--control-port", control, "--iscsi", f"portal=127.0.0.1:{port}"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    admin = ("tgtadm", "--control-port", control, "--lld", "iscsi", "--op")
    try:
        wait_until(
            "tgtd", lambda: not subprocess.run([*admin, "show", "--mode", "sys"], capture_output=True).returncode
        )
        sh(*admin, "new", "--mode", "target", "--tid", "1", "--targetname", TARGET)
        for number, size in ((1, 8), (2, 16)):
            disk = directory / f"{number}.img"
            disk.write_bytes(bytes(size << 20))
            sh(*admin, "new", "--mode", "logicalunit", "--tid", "1", "--lun", str(number), "--backing-store", str(disk))
        sh(*admin, "new", "--mode", "account", "--user", "alice", "--password", PASSWORD)
        sh(*admin, "bind", "--mode", "account", "--tid", "1", "--user", "alice")
        sh(*admin, "bind", "--mode", "target", "--tid", "1", "--initiator-address", "ALL")
        yield port
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(directory)


def test_units_of_an_iscsi_server_are_volumes(daemon: Any, server: int, tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_text("<secret private='yes'><usage type='iscsi'><target>disks</target></usage></secret>")
    daemon.virsh("secret-define", str(secret))
    uuid = daemon.virsh("secret-list").stdout.split()[0]
    pool = tmp_path / "pool.xml"
    pool.write_text(
        f"<pool type='iscsi-direct'><name>i</name><source><host name='127.0.0.1' port='{server}'/><device path='{TARGET}'/>"
        "<initiator><iqn name='iqn.2026-01.org.example:me'/></initiator>"
        "<auth type='chap' username='alice'><secret usage='disks'/></auth></source></pool>"
    )
    daemon.virsh("pool-define", str(pool))
    assert "does not have a value" in daemon.virsh("pool-start", "i", check=False).stderr
    value = tmp_path / "value"
    value.write_text("wrong-password-1")
    daemon.virsh("secret-set-value", uuid, "--file", str(value), "--plain")
    assert daemon.virsh("pool-start", "i", check=False).returncode
    value.write_text(PASSWORD)
    daemon.virsh("secret-set-value", uuid, "--file", str(value), "--plain")
    daemon.virsh("pool-start", "i")
    listed = daemon.virsh("vol-list", "i", "--details").stdout
    assert "unit:0:0:1" in listed and "8.00 MiB" in listed and "unit:0:0:2" in listed and "16.00 MiB" in listed
    path = daemon.virsh("vol-path", "unit:0:0:1", "--pool", "i").stdout.strip()
    assert path == f"ip-127.0.0.1:{server}-iscsi-{TARGET}-lun-1"
    assert "does not support volume creation" in daemon.virsh("vol-create-as", "i", "x", "1M", check=False).stderr
    assert "does not support volume download" in daemon.virsh(
        "vol-download", "unit:0:0:1", "/dev/null", "--pool", "i", check=False).stderr  # fmt: skip
    spec = tmp_path / "spec.xml"
    spec.write_text(f"<source><host name='127.0.0.1' port='{server}'/></source>")
    found = daemon.virsh("find-storage-pool-sources", "iscsi-direct", str(spec)).stdout
    assert f"<device path='{TARGET}'/>" in found and f"port='{server}'" in found


def test_a_type_without_its_program_says_which(daemon: Any) -> None:
    if shutil.which("zfs"):
        pytest.skip("zfs is installed")
    refused = daemon.virsh("pool-define-as", "z", "zfs", "--source-name", "tank", check=False)
    assert "'zfs' need the program 'zfs', which is not installed here (package zfsutils-linux)" in refused.stderr
    assert "<pool type='zfs' supported='no'>" in daemon.virsh("pool-capabilities").stdout
    assert "'zfs'" in daemon.virsh("find-storage-pool-sources-as", "zfs", check=False).stderr
