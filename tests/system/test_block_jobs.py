"""Block jobs with the real virsh and QEMU: pull, commit, copy; chains in documents; also where the daemon dies meanwhile."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import Console, wait_until
from tests.system.test_snapshots import document, folder, holds, press, vm, write

__all__ = ["folder", "vm"]


@pytest.fixture
def running(vm: Any, folder: Path) -> Console:
    """Start `count` on an image above a base that holds a pattern; give its console."""
    (folder / "a.qcow2").rename(folder / "base.qcow2")
    write(folder / "base.qcow2", 7)
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", str(folder / "a.qcow2")],
        check=True,
    )
    for each in folder.iterdir():
        each.chmod(0o666)
    console: Console = vm.start_listening("count")
    console.expect("A")
    return console


def chain(vm: Any, *words: str) -> list[str]:
    """Name the files of the disk's layers, the top first."""
    text = vm.virsh("dumpxml", "count", *words).stdout
    before = re.sub(r"(?s)<mirror.*</mirror>", "", text.partition("<target dev='vda'")[0])
    return [Path(each).name for each in re.findall(r"<source (?:file|dev)='([^']*)'", before)]


def layers(vm: Any, *names: str) -> None:
    for name in names:
        vm.virsh("snapshot-create-as", "count", name, "--disk-only", "--no-metadata")


def test_the_chain_is_shown_and_pulled_up(vm: Any, folder: Path, running: Console) -> None:
    assert chain(vm) == ["a.qcow2", "base.qcow2"] and chain(vm, "--inactive") == ["a.qcow2"]
    layers(vm, "s1", "s2")
    assert chain(vm) == ["a.s2", "a.s1", "a.qcow2", "base.qcow2"] and chain(vm, "--inactive") == [
        "a.s2",
        "a.s1",
        "a.qcow2",
    ]
    vm.virsh("blockpull", "count", "vda", "--base", str(folder / "a.qcow2"), "--wait")
    assert chain(vm) == ["a.s2", "a.qcow2", "base.qcow2"] and chain(vm, "--inactive") == ["a.s2", "a.qcow2"]
    vm.virsh("blockpull", "count", "vda", "--wait")
    assert chain(vm) == ["a.s2"] and chain(vm, "--inactive") == ["a.s2"]
    assert "type=" not in vm.virsh("blockjob", "count", "vda", "--raw").stdout
    press(running, "B")
    vm.virsh("destroy", "count")
    (folder / "base.qcow2").unlink()
    assert holds(folder / "a.s2", 7)
    console = vm.start_listening("count")
    console.expect("A")


def test_committed_and_gone_on_with(vm: Any, folder: Path, running: Console) -> None:
    layers(vm, "s1", "s2", "s3")
    refused = vm.virsh("blockcommit", "count", "vda", check=False)
    assert refused.returncode and "requires active flag" in refused.stderr
    vm.virsh("blockcommit", "count", "vda", "--top", "vda[4]", "--shallow", "--wait", "--delete")
    assert chain(vm) == ["a.s3", "a.s1", "a.qcow2", "base.qcow2"] and not (folder / "a.s2").exists()
    vm.virsh("blockcommit", "count", "vda", "--active", "--shallow", "--wait")
    text = vm.virsh("dumpxml", "count").stdout
    assert (
        "<mirror type='file' job='active-commit' ready='yes'>" in text
        and f"<source file='{folder}/a.s1' index=" in text
    )
    assert "<mirror" not in vm.virsh("dumpxml", "count", "--inactive").stdout
    busy = vm.virsh("snapshot-create-as", "count", "no", "--disk-only", check=False)
    assert busy.returncode and "block copy still active" in busy.stderr
    vm.virsh("blockjob", "count", "vda", "--abort")
    assert (
        chain(vm) == ["a.s3", "a.s1", "a.qcow2", "base.qcow2"] and "<mirror" not in vm.virsh("dumpxml", "count").stdout
    )
    vm.virsh("blockcommit", "count", "vda", "--active", "--pivot")
    assert chain(vm) == ["base.qcow2"] and chain(vm, "--inactive") == ["base.qcow2"]
    press(running, "B")
    vm.virsh("destroy", "count")
    console = vm.start_listening("count")
    console.expect("A")


def test_copied_to_another_place(vm: Any, folder: Path, running: Console, tmp_path: Path) -> None:
    refused = vm.virsh("blockcopy", "count", "vda", str(folder / "copy"), check=False)
    assert refused.returncode and "not transient" in refused.stderr
    there = vm.virsh(
        "blockcopy", "count", "vda", str(folder / "none"), "--reuse-external", "--transient-job", check=False
    )
    assert there.returncode and "missing" in there.stderr and not (folder / "none").exists()
    vm.virsh("blockcopy", "count", "vda", str(folder / "copy"), "--transient-job", "--wait", "--finish")
    assert chain(vm) == ["a.qcow2", "base.qcow2"] and holds(folder / "copy", 7)
    (folder / "copy").unlink()
    dest = tmp_path / "dest.xml"
    dest.write_text(f"<disk type='file'><driver type='qcow2'/><source file='{folder}/copy'/></disk>")
    vm.virsh(
        "blockcopy",
        "count",
        "vda",
        "--xml",
        str(dest),
        "--granularity",
        "65536",
        "--shallow",
        "--transient-job",
        "--wait",
    )
    assert (
        f"<mirror type='file' file='{folder}/copy' format='qcow2' job='copy' ready='yes'>"
        in vm.virsh("dumpxml", "count").stdout
    )
    vm.virsh("blockjob", "count", "vda", "--pivot")
    assert chain(vm) == ["copy", "base.qcow2"] and chain(vm, "--inactive") == ["copy"]
    vm.virsh(
        "blockcopy", "count", "vda", str(folder / "raw"), "--format", "raw", "--transient-job", "--wait", "--pivot"
    )
    assert chain(vm) == ["raw"] and "type='raw'" in vm.virsh("dumpxml", "count", "--inactive").stdout
    press(running, "B")
    vm.virsh("destroy", "count")
    console = vm.start_listening("count")
    console.expect("A")


def test_told_of_and_steered(vm: Any, folder: Path, running: Console) -> None:
    with subprocess.Popen(
        ["virsh", "-c", vm.uri, "event", "--all", "--loop"], stdout=subprocess.PIPE, text=True
    ) as listening:
        time.sleep(1)
        vm.virsh(
            "blockcopy", "count", "vda", str(folder / "copy"), "--transient-job", "--bytes", "--bandwidth", "65536"
        )
        raw = vm.virsh("blockjob", "count", "vda", "--raw", "--bytes").stdout
        assert "type=Block Copy" in raw and "bandwidth=65536" in raw
        vm.virsh(
            "blockjob",
            "count",
            "vda",
            "--bandwidth",
            "7",
        )
        assert "bandwidth=7\n" in vm.virsh("blockjob", "count", "vda", "--raw").stdout
        kept = vm.virsh("detach-disk", "count", "vda", "--live", check=False)
        assert kept.returncode and "active block job" in kept.stderr
        vm.virsh("blockjob", "count", "vda", "--abort", "--async")
        wait_until("the job to end", lambda: "type=" not in vm.virsh("blockjob", "count", "vda", "--raw").stdout)
        vm.virsh("blockpull", "count", "vda", "--wait")
        time.sleep(0.5)
        listening.terminate()
        said = listening.communicate(timeout=10)[0]
    found = [line for line in re.findall(r"'block-job-2' for domain 'count': (.*)", said) if "ready" not in line]
    assert found == ["Block Copy for vda canceled", "Block Pull for vda completed"]


@pytest.mark.parametrize("ends", ["meanwhile", "later"])
def test_a_daemon_killed_during_a_job(vm: Any, folder: Path, running: Console, ends: str) -> None:
    layers(vm, "s1")
    if ends == "meanwhile":
        vm.virsh("blockpull", "count", "vda", "--bandwidth", "1")
        vm.kill9()
        time.sleep(6)
        vm.start()
        wait_until("the pull to be seen to", lambda: chain(vm) == ["a.s1"])
        assert chain(vm, "--inactive") == ["a.s1"]
    else:
        vm.virsh("blockcommit", "count", "vda", "--active", "--wait")
        vm.kill9()
        vm.start()
        assert (
            "Active Block Commit"
            in vm.virsh("blockjob", "count", "vda").stdout + vm.virsh("blockjob", "count", "vda").stderr
        )
        vm.virsh("blockjob", "count", "vda", "--pivot")
        assert chain(vm) == ["base.qcow2"] and chain(vm, "--inactive") == ["base.qcow2"]
    press(running, "B")
    vm.virsh("destroy", "count")
    vm.start_listening("count").expect("A")


def test_deleted_snapshots_that_were_layers(vm: Any, folder: Path, running: Console) -> None:
    for name in ("s1", "s2", "s3"):
        vm.virsh("snapshot-create-as", "count", name, "--disk-only")
    vm.virsh("snapshot-delete", "count", "s2")
    assert chain(vm) == ["a.s3", "a.s1", "a.qcow2", "base.qcow2"] and not (folder / "a.s2").exists()
    vm.virsh("snapshot-delete", "count", "s3")
    assert chain(vm) == ["a.s1", "a.qcow2", "base.qcow2"] and not (folder / "a.s3").exists()
    assert chain(vm, "--inactive") == ["a.s1", "a.qcow2"]
    press(running, "B")
    vm.virsh("destroy", "count")
    vm.virsh("snapshot-create-as", "count", "s4", "--disk-only")
    write(folder / "a.s4", 9)
    vm.virsh("snapshot-delete", "count", "s4")
    assert holds(folder / "a.s1", 9) and chain(vm) == ["a.s1"]
    vm.virsh("snapshot-delete", "count", "s1")
    assert holds(folder / "a.qcow2", 9) and chain(vm)[:1] == ["a.qcow2"]
    assert vm.virsh("snapshot-list", "count", "--name").stdout.split() == []
    vm.start_listening("count").expect("A")


def test_no_job_writes_into_what_another_machine_reads(vm: Any, folder: Path, running: Console) -> None:
    second = folder / "b.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(folder / "base.qcow2"), "-F", "qcow2", str(second)],
        check=True,
    )
    second.chmod(0o666)
    vm.define(document(folder, name="other").replace("a.qcow2", "b.qcow2").replace("5a5a0000", "5a5a0001"))
    vm.virsh("start", "other")
    refused = vm.virsh("blockcommit", "count", "vda", "--active", "--pivot", check=False)
    assert refused.returncode and "in use by" in refused.stderr
    assert chain(vm) == ["a.qcow2", "base.qcow2"]
    press(running, "B")
