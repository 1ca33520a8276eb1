"""Checkpoints and backups with the real virsh, QEMU and NBD clients: what comes back is what the disk held; also where the daemon dies."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import Console, wait_until
from tests.system.test_snapshots import disk, document, folder, holds, press, vm

__all__ = ["folder", "vm"]


@pytest.fixture
def running(vm: Any) -> Console:
    console: Console = vm.start_listening("count")
    console.expect("A")
    return console


def write(vm: Any, byte: int, at: str = "1M") -> None:
    """Have the guest's disk written to, as the guest would."""
    words = f'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P {byte} {at} 64k"'
    said = vm.virsh("qemu-monitor-command", "count", "--hmp", words).stdout
    assert not said.strip(), said  # what it says on success goes to QEMU's own output


def backup(vm: Any, tmp_path: Path, inside: str, *more: str, mode: str = "push", check: bool = True) -> Any:
    file = tmp_path / "backup.xml"
    file.write_text(f"<domainbackup mode='{mode}'>{inside}</domainbackup>")
    return vm.virsh("backup-begin", "count", str(file), *more, check=check)


def done(vm: Any) -> None:
    wait_until("the backup to end", lambda: "None" in vm.virsh("domjobinfo", "count").stdout)


def checkpoint(tmp_path: Path, name: str) -> str:
    file = tmp_path / f"{name}.xml"
    file.write_text(f"<domaincheckpoint><name>{name}</name></domaincheckpoint>")
    return str(file)


def size(vm: Any, name: str) -> int:
    found = re.search(r"size='(\d+)'", vm.virsh("checkpoint-dumpxml", "count", name, "--size", "--no-domain").stdout)
    assert found is not None
    return int(found[1])


def test_checkpoints_note_what_changes(vm: Any, folder: Path, running: Console) -> None:
    vm.virsh("checkpoint-create-as", "count", "c1", "first")
    assert size(vm, "c1") == 0
    write(vm, 1)
    vm.virsh("checkpoint-create-as", "count", "c2")
    write(vm, 2, "2M")
    assert (size(vm, "c1"), size(vm, "c2")) == (131072, 65536)
    assert vm.virsh("checkpoint-parent", "count", "c2").stdout.strip() == "c1"
    assert "(" not in vm.virsh("checkpoint-list", "count", "--tree").stdout
    twice = vm.virsh("checkpoint-create-as", "count", "c2", check=False)
    assert twice.returncode and "already exists" in twice.stderr
    vm.virsh("snapshot-create-as", "count", "s", "--disk-only")
    write(vm, 3, "3M")
    assert (size(vm, "c1"), size(vm, "c2")) == (196608, 131072)
    vm.restart()
    assert vm.virsh("checkpoint-list", "count", "--name").stdout.split() == ["c1", "c2"]
    assert (size(vm, "c1"), size(vm, "c2")) == (196608, 131072)
    vm.virsh("checkpoint-delete", "count", "c1")
    assert size(vm, "c2") == 131072 and vm.virsh("checkpoint-list", "count", "--roots", "--name").stdout.split() == [
        "c2"
    ]
    press(running, "B")
    vm.virsh("destroy", "count")
    refused = vm.virsh("undefine", "count", "--snapshots-metadata", check=False)
    assert refused.returncode and "with 1 checkpoints" in refused.stderr
    vm.virsh("start", "count")
    assert size(vm, "c2") == 131072
    vm.virsh("destroy", "count")
    for words in (("checkpoint-delete", "count", "c2"), ("checkpoint-create-as", "count", "c3")):
        refused = vm.virsh(*words, check=False)
        assert refused.returncode and "inactive domain" in refused.stderr
    vm.virsh("undefine", "count", "--snapshots-metadata", "--checkpoints-metadata")


def test_described_anew(vm: Any, folder: Path, running: Console, tmp_path: Path) -> None:
    vm.virsh("checkpoint-create-as", "count", "c1")
    text = vm.virsh("checkpoint-dumpxml", "count", "c1", "--security-info").stdout
    vm.virsh("checkpoint-delete", "count", "c1", "--metadata")
    file = tmp_path / "c.xml"
    file.write_text(text)
    vm.virsh("checkpoint-create", "count", str(file), "--redefine", "--redefine-validate")
    assert vm.virsh("checkpoint-dumpxml", "count", "c1", "--security-info").stdout == text
    file.write_text(text.replace("c1", "c9"))
    refused = vm.virsh("checkpoint-create", "count", str(file), "--redefine", "--redefine-validate", check=False)
    assert refused.returncode and "checkpoint inconsistent" in refused.stderr


def test_all_and_then_what_changed(vm: Any, folder: Path, running: Console, tmp_path: Path) -> None:
    write(vm, 1)
    full, more = folder / "full", folder / "more"
    backup(vm, tmp_path, f"<disks><disk name='vda'><target file='{full}'/></disk></disks>", checkpoint(tmp_path, "c1"))
    done(vm)
    told = vm.virsh("domjobinfo", "count", "--completed").stdout
    assert "Backup" in told and "Completed" in told
    write(vm, 2, "2M")
    inside = f"<incremental>c1</incremental><disks><disk name='vda'><target file='{more}'/></disk></disks>"
    vm.virsh("snapshot-create-as", "count", "s", "--disk-only", "--no-metadata")
    write(vm, 3, "3M")
    backup(vm, tmp_path, inside, checkpoint(tmp_path, "c2"))
    done(vm)
    assert vm.virsh("checkpoint-list", "count", "--name").stdout.split() == ["c1", "c2"]
    write(vm, 9, "3M")
    assert more.stat().st_blocks * 512 < 3 * 2**20
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(full), str(more)], check=True)
    assert holds(full, 1) and holds(more, 1)
    for byte, at in ((2, "2M"), (3, "3M")):
        said = subprocess.run(
            ["qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -P {byte} {at} 64k", str(more)],
            capture_output=True,
            text=True,
        )
        assert "read 65536" in said.stdout and "failed" not in said.stdout
    press(running, "B")
    vm.virsh("destroy", "count")


def test_fetched_over_nbd(vm: Any, folder: Path, running: Console, tmp_path: Path) -> None:
    write(vm, 1)
    vm.virsh("checkpoint-create-as", "count", "c1")
    write(vm, 2, "2M")
    socket = folder / "nbd.sock"
    inside = (
        f"<incremental>c1</incremental><server transport='unix' socket='{socket}'/><disks>"
        f"<disk name='vda' exportname='e' exportbitmap='b'><scratch file='{folder}/scratch'/></disk></disks>"
    )
    backup(vm, tmp_path, inside, mode="pull")
    write(vm, 7)
    assert "exportname='e'" in vm.virsh("backup-dumpxml", "count").stdout
    image = f"driver=nbd,export=e,server.type=unix,server.path={socket}"
    subprocess.run(["qemu-img", "convert", "--image-opts", image, "-O", "qcow2", str(folder / "got")], check=True)
    assert holds(folder / "got", 1)
    said = subprocess.run(
        ["qemu-img", "map", "--output=json", "--image-opts", f"{image},x-dirty-bitmap=qemu:dirty-bitmap:b"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert re.search(r'"start": 2097152, "length": 65536, [^}]*"data": false', said)
    assert "Backup" in vm.virsh("domjobinfo", "count").stdout
    vm.kill9()
    vm.start()
    assert "exportname='e'" in vm.virsh("backup-dumpxml", "count").stdout
    subprocess.run(["qemu-img", "info", "--image-opts", image], check=True, capture_output=True)
    wait_until("the job to be taken up", lambda: "Backup" in vm.virsh("domjobinfo", "count").stdout)
    vm.virsh("domjobabort", "count")
    assert "None" in vm.virsh("domjobinfo", "count").stdout and not (folder / "scratch").exists()
    assert vm.virsh("backup-dumpxml", "count", check=False).returncode
    backup(vm, tmp_path, inside, mode="pull")
    press(running, "B")
    vm.virsh("destroy", "count")
    wait_until("the scratch file to go", lambda: not (folder / "scratch").exists())


def test_refused_before_anything_happens(vm: Any, folder: Path, running: Console, tmp_path: Path) -> None:
    there = folder / "there"
    there.write_text("something")
    for inside, words in (
        ("<disks><disk name='vdz'/></disks>", "no disk named"),
        (f"<disks><disk name='vda'><target file='{there}'/></disk></disks>", "exists"),
        ("<incremental>none</incremental>", "not found"),
    ):
        refused = backup(vm, tmp_path, inside, check=False)
        assert refused.returncode and words in refused.stderr, refused.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["a.qcow2", "there"]
    full = folder / "full"
    socket = f"<server transport='unix' socket='{folder}/no/such/place'/>"
    refused = backup(
        vm,
        tmp_path,
        f"{socket}<disks><disk name='vda'><scratch file='{full}'/></disk></disks>",
        mode="pull",
        check=False,
    )
    assert refused.returncode and not full.exists()
    backup(vm, tmp_path, f"<disks><disk name='vda'><target file='{full}'/></disk></disks>")
    done(vm)
    press(running, "B")


def test_a_daemon_killed_while_a_backup_is_written(vm: Any, folder: Path, tmp_path: Path) -> None:
    big = folder / "big.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "preallocation=full", str(big), "256M"], check=True
    )
    big.chmod(0o666)
    vm.define(document(folder, extra=disk(big, "vdb")))
    console = vm.start_listening("count")
    console.expect("A")
    full = folder / "full"
    backup(vm, tmp_path, f"<disks><disk name='vdb'><target file='{full}'/></disk></disks>", checkpoint(tmp_path, "c1"))
    vm.kill9()
    time.sleep(0.3)
    vm.start()
    done(vm)
    assert vm.virsh("backup-dumpxml", "count", check=False).returncode
    vm.virsh("destroy", "count")
    subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", str(full), str(big)], check=True)
    vm.virsh("start", "count")
    assert vm.virsh("checkpoint-list", "count", "--name").stdout.split() in (["c1"], [])
