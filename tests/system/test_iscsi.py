"""Disks and SCSI devices of an iSCSI target that asks for a password; the target is a real one, on loopback."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

IQN, USER, PASSWORD = "iqn.2026-01.com.example:one", "me", "twelve-signs"
AUTH = f"<auth username='{USER}'><secret type='iscsi' usage='target-one'/></auth>"
XML = """<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><controller type='scsi' model='virtio-scsi'/>{}</devices></domain>"""
DISK = """<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='iscsi' name='{iqn}/1'><host name='127.0.0.1' port='{port}'/>{auth}</source><target dev='vda' bus='virtio'/></disk>"""
DEVICE = """<hostdev mode='subsystem' type='scsi' managed='no'><source protocol='iscsi' name='{iqn}/1'>
<host name='127.0.0.1' port='{port}'/>{auth}</source></hostdev>"""


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[int]:
    """The port of an iSCSI target with one unit of 16 MiB."""
    if shutil.which("tgtd") is None:
        pytest.skip("not installed: tgtd")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    unit, control = tmp_path / "unit.img", str(port % 1000)
    unit.write_bytes(bytes(16 << 20))
    words = ["tgtd", "-f", "-C", control, "--iscsi", f"portal=127.0.0.1:{port}"]
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def admin(*more: str) -> bool:
        words = ["tgtadm", "-C", control, "--lld", "iscsi", *more]
        return not subprocess.run(words, capture_output=True, timeout=30, check=False).returncode

    try:
        deadline = time.monotonic() + 20
        while not admin("--op", "new", "--mode", "target", "--tid", "1", "-T", IQN):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("tgtd does not run here")
            time.sleep(0.1)
        assert admin("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", str(unit))
        assert admin("--op", "new", "--mode", "account", "--user", USER, "--password", PASSWORD)
        assert admin("--op", "bind", "--mode", "account", "--tid", "1", "--user", USER)
        assert admin("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")
        yield port
    finally:
        # It goes on while it has targets, whatever signal but this it gets.
        server.kill()
        server.communicate(timeout=20)


@pytest.mark.parametrize("device", [DISK, DEVICE], ids=["disk", "device"])
def test_the_password_comes_from_a_secret(daemon: Any, portal: int, device: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    uuid = "6f1c0000-0000-4000-8000-00000000c4a9"
    secret.write_text(
        f"<secret ephemeral='no' private='yes'><uuid>{uuid}</uuid><usage type='iscsi'><target>target-one</target></usage></secret>"
    )
    daemon.virsh("secret-define", str(secret))
    daemon.define(XML.format(device.format(iqn=IQN, port=portal, auth=AUTH)))
    assert "does not have a value" in daemon.virsh("start", "vm", check=False).stderr
    daemon.virsh("secret-set-value", uuid, "--base64", base64.b64encode(b"another-word").decode())
    assert daemon.virsh("start", "vm", check=False).returncode
    daemon.virsh("secret-set-value", uuid, "--base64", base64.b64encode(PASSWORD.encode()).decode())
    daemon.virsh("start", "vm")
    nodes = daemon.virsh("qemu-monitor-command", "vm", '{"execute":"query-named-block-nodes"}').stdout
    assert '"drv":"iscsi"' in nodes
    (pid,) = daemon.guests()
    assert PASSWORD.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert PASSWORD not in (daemon.root / "log" / "vm.log").read_text()
    daemon.virsh("destroy", "vm")
