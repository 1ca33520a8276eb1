"""Snapshots with the real virsh and QEMU: a guest that counts proves that its state came back; also where the daemon dies."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import Console, alive, open_directory, wait_until

UUID = "5a5a0000-0000-4000-8000-000000000001"
# Says A; for each key pressed it counts up in a register and says the next letter.
COUNTER = bytes.fromhex("31c0 8ed8 bb4100 baf803 88d8 ee bafd03 ec a801 74f8 baf803 ec 43 88d8 ee ebee")


def boot_image(path: Path, code: bytes = COUNTER) -> Path:
    """Make a qcow2 image whose boot sector is that code."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + b"\0" * (4 * 2**20 - 512))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path)], check=True)
    raw.unlink()
    path.chmod(0o666)
    return path


def document(folder: Path, *, extra: str = "", name: str = "count") -> str:
    return f"""<domain type='qemu'><name>{name}</name><uuid>{UUID}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{folder}/a.qcow2'/>
<target dev='vda' bus='virtio'/></disk><serial type='pty'/>{extra}</devices></domain>"""


def disk(path: Path, dev: str, kind: str = "qcow2") -> str:
    return f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='{path}'/><target dev='{dev}' bus='virtio'/></disk>"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a directory that QEMU's user may enter, with the image in it."""
    made = open_directory("snapshot-")
    made.chmod(0o777)
    boot_image(made / "a.qcow2")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def vm(daemon: Any, folder: Path) -> Any:
    """Give a daemon with a defined `count`."""
    daemon.define(document(folder))
    return daemon


def press(console: Console, letter: str) -> None:
    """Press a key and see that the guest has counted to that letter."""
    console.send("x")
    console.expect(letter, 10)


def inside(image: Path) -> list[str]:
    """Name the snapshots in an image."""
    said = subprocess.run(["qemu-img", "snapshot", "-U", "-l", str(image)], check=True, capture_output=True, text=True)
    return [line.split()[1] for line in said.stdout.splitlines()[2:]]


def write(image: Path, byte: int) -> None:
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", f"write -P {byte} 1M 64k", str(image)], check=True, capture_output=True
    )


def holds(image: Path, byte: int) -> bool:
    said = subprocess.run(
        ["qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -P {byte} 1M 64k", str(image)],
        capture_output=True,
        text=True,
    )
    return "verification failed" not in said.stdout + said.stderr


def names(vm: Any, *words: str) -> list[str]:
    return sorted(vm.virsh("snapshot-list", "count", "--name", *words).stdout.split())


def reason(vm: Any) -> str:
    return str(vm.virsh("domstate", "count", "--reason").stdout.strip())


def test_the_guest_goes_on_where_it_was(vm: Any, folder: Path) -> None:
    console = vm.start_listening("count")
    console.expect("A")
    press(console, "B")
    vm.virsh("snapshot-create-as", "count", "b", "at B")
    assert reason(vm) == "running (unpaused)"
    press(console, "C")
    vm.virsh("suspend", "count")
    vm.virsh("snapshot-create-as", "count", "c-paused")
    assert inside(folder / "a.qcow2") == ["b", "c-paused"]
    vm.virsh("snapshot-revert", "count", "b")
    assert reason(vm) == "running (from snapshot)"
    press(vm.console("count"), "C")
    vm.virsh("snapshot-revert", "count", "c-paused")
    assert reason(vm) == "paused (from snapshot)"
    vm.virsh("resume", "count")
    press(vm.console("count"), "D")
    vm.virsh("destroy", "count")
    vm.virsh("snapshot-revert", "count", "b", "--paused")
    assert (
        reason(vm) == "paused (from snapshot)" and vm.virsh("snapshot-current", "count", "--name").stdout.strip() == "b"
    )
    vm.virsh("snapshot-delete", "count", "b", "--children")
    assert inside(folder / "a.qcow2") == [] and names(vm) == []
    vm.virsh("resume", "count")
    press(vm.console("count"), "C")


def test_images_of_a_domain_that_is_off_come_back(vm: Any, folder: Path) -> None:
    image = folder / "a.qcow2"
    write(image, 1)
    vm.virsh("snapshot-create-as", "count", "one")
    write(image, 2)
    vm.virsh("snapshot-create-as", "count", "two")
    write(image, 3)
    text = vm.virsh("dumpxml", "count").stdout.replace("<vcpu placement='static'>1<", "<vcpu placement='static'>2<")
    vm.define(text)
    vm.virsh("snapshot-revert", "count", "one")
    assert holds(image, 1) and "<vcpu placement='static'>1<" in vm.virsh("dumpxml", "count").stdout
    vm.virsh("snapshot-revert", "count", "two")
    assert holds(image, 2)
    vm.virsh("start", "count")
    vm.virsh("snapshot-revert", "count", "one", "--running")
    assert reason(vm) == "running (booted)"
    vm.virsh("managedsave", "count")
    refused = vm.virsh("snapshot-revert", "count", "two", check=False)
    assert refused.returncode and "revert requires force" in refused.stderr and reason(vm) == "shut off (saved)"
    vm.virsh("snapshot-revert", "count", "one", "--running", "--force")
    assert reason(vm) == "running (booted)"
    vm.virsh("destroy", "count")
    assert holds(image, 1)


def test_what_cannot_be_is_refused_before_anything_happens(vm: Any, folder: Path) -> None:
    vm.virsh("snapshot-create-as", "count", "one")
    subprocess.run(["qemu-img", "snapshot", "-d", "one", str(folder / "a.qcow2")], check=True)
    vm.virsh("start", "count")
    (pid,) = vm.guests()
    refused = vm.virsh("snapshot-revert", "count", "one", check=False)
    assert refused.returncode and "holds no snapshot 'one'" in refused.stderr and alive(pid)
    for words, why in (
        (("one",), "already exists"),
        (("x", "--disk-only", "--diskspec", "vdz"), "no disk named 'vdz'"),
        (("x", "--disk-only", "--diskspec", "vda,snapshot=internal"), "require external disk snapshots"),
        (("x", "--memspec", f"{folder}/m", "--diskspec", "vda,snapshot=internal"), "mixing internal and external"),
        (("x", "--disk-only", "--diskspec", f"vda,file={folder}/a.qcow2"), "already exists and is not a block device"),
        (("x", "--disk-only", "--reuse-external", "--diskspec", f"vda,file={folder}/none"), "missing existing file"),
        (("x", "--disk-only", "--quiesce"), "guest agent"),
    ):
        refused = vm.virsh("snapshot-create-as", "count", *words, check=False)
        assert refused.returncode and why in refused.stderr, (words, refused.stderr)
    assert (
        names(vm) == ["one"]
        and vm.state("count") == "running"
        and sorted(p.name for p in folder.iterdir()) == ["a.qcow2"]
    )
    vm.virsh("destroy", "count")
    refused = vm.virsh("undefine", "count", check=False)
    assert refused.returncode and "with 1 snapshots" in refused.stderr
    vm.virsh("undefine", "count", "--snapshots-metadata")
    vm.define(document(folder))
    assert names(vm) == []


def test_new_layers_while_the_guest_runs(vm: Any, folder: Path) -> None:
    raw = folder / "data.raw"
    raw.write_bytes(b"\0" * 2**20)
    raw.chmod(0o666)
    vm.virsh("attach-disk", "count", str(raw), "vdb", "--subdriver", "raw", "--config")
    console = vm.start_listening("count")
    console.expect("A")
    vm.virsh("snapshot-create-as", "count", "s1", "--disk-only", "--atomic")
    assert [p.name for p in sorted(folder.glob("*.s1"))] == ["a.s1", "data.s1"]
    press(console, "B")
    vm.virsh(
        "snapshot-create-as",
        "count",
        "s2",
        "--disk-only",
        "--diskspec",
        f"vda,file={folder}/top",
        "--diskspec",
        "vdb,snapshot=no",
    )
    listed = vm.virsh("domblklist", "count").stdout.split()
    assert listed == ["vda", str(folder / "top"), "vdb", str(folder / "data.s1")]
    live = vm.virsh("dumpxml", "count").stdout
    assert re.search(
        r"<source file='[^']*/top' index='\d+'/>\s*<backingStore type='file' index='\d+'>\s*<format type='qcow2'/>",
        live,
    )
    for text in (live, vm.virsh("dumpxml", "count", "--inactive").stdout):
        chain = re.findall(r"(?:file)='([^']*)'", text.partition("<target dev='vda'")[0])
        assert [Path(each).name for each in chain] == ["top", "a.s1", "a.qcow2"]
    assert names(vm, "--external") == names(vm, "--disk-only") == ["s1", "s2"] and names(vm, "--internal") == []
    vm.restart()
    assert names(vm) == ["s1", "s2"] and vm.virsh("snapshot-parent", "count", "s2").stdout.strip() == "s1"
    vm.virsh("snapshot-create-as", "count", "s3", "--disk-only", "--no-metadata")
    press(console, "C")
    vm.virsh("destroy", "count")
    console = vm.start_listening("count")
    console.expect("A")
    for text in ("a.s3", "data.s3"):
        assert text in vm.virsh("domblklist", "count").stdout
    refused = vm.virsh("snapshot-revert", "count", "s1", check=False)
    assert refused.returncode and "revert to external snapshot not supported yet" in refused.stderr


def test_memory_in_a_file_of_its_own(vm: Any, folder: Path) -> None:
    console = vm.start_listening("count")
    console.expect("A")
    press(console, "B")
    vm.virsh(
        "snapshot-create-as", "count", "m", "--memspec", str(folder / "memory"), "--diskspec", f"vda,file={folder}/top"
    )
    assert reason(vm) == "running (unpaused)"
    press(console, "C")
    assert "snapshot='external' file='" in vm.virsh("snapshot-dumpxml", "count", "m").stdout
    vm.virsh("snapshot-create-as", "count", "m2", "--memspec", str(folder / "memory2"), "--live", "--halt")
    assert reason(vm) == "shut off (from snapshot)"
    vm.virsh("restore", str(folder / "memory"))
    press(vm.console("count"), "C")
    assert "a.qcow2" in vm.virsh("domblklist", "count").stdout


def test_new_layers_of_a_domain_that_is_off(vm: Any, folder: Path) -> None:
    vm.virsh("snapshot-create-as", "count", "off", "--disk-only")
    text = vm.virsh("dumpxml", "count").stdout
    assert f"<source file='{folder}/a.off'/>" in text
    assert "<state>shutoff</state>" in vm.virsh("snapshot-dumpxml", "count", "off").stdout
    console = vm.start_listening("count")
    console.expect("A")


def test_described_anew(vm: Any, folder: Path, tmp_path: Path) -> None:
    vm.virsh("snapshot-create-as", "count", "one", "first")
    vm.virsh("snapshot-create-as", "count", "two")
    texts = {name: vm.virsh("snapshot-dumpxml", "count", name, "--security-info").stdout for name in ("one", "two")}
    vm.virsh("snapshot-delete", "count", "one", "--children", "--metadata")
    assert names(vm) == [] and inside(folder / "a.qcow2") == ["one", "two"]
    file = tmp_path / "s.xml"
    file.write_text(texts["two"])
    refused = vm.virsh("snapshot-create", "count", str(file), "--redefine", check=False)
    assert refused.returncode and "not found" in refused.stderr
    for name in ("one", "two"):
        file.write_text(texts[name])
        vm.virsh("snapshot-create", "count", str(file), "--redefine", *(["--current"] if name == "two" else []))
    assert {name: vm.virsh("snapshot-dumpxml", "count", name, "--security-info").stdout for name in texts} == texts
    assert vm.virsh("snapshot-current", "count", "--name").stdout.strip() == "two"
    file.write_text(
        texts["one"].replace("<name>one</name>", "<name>one</name>\n  <parent><name>two</name></parent>", 1)
    )
    refused = vm.virsh("snapshot-create", "count", str(file), "--redefine", check=False)
    assert refused.returncode and "cycle" in refused.stderr
    file.write_text(texts["one"].replace(UUID, UUID.replace("5", "6")))
    assert vm.virsh("snapshot-create", "count", str(file), "--redefine", check=False).returncode
    file.write_text("<domainsnapshot><name>v</name><nonsense/></domainsnapshot>")
    assert vm.virsh("snapshot-create", "count", str(file), "--validate", check=False).returncode
    vm.virsh("snapshot-revert", "count", "one")


def test_events(vm: Any) -> None:
    vm.virsh("start", "count")
    with subprocess.Popen(
        ["virsh", "-c", vm.uri, "event", "--all", "--loop"], stdout=subprocess.PIPE, text=True
    ) as listening:
        time.sleep(1)
        vm.virsh("snapshot-create-as", "count", "s")
        vm.virsh("snapshot-revert", "count", "s")
        vm.virsh("snapshot-revert", "count", "s", "--paused")
        time.sleep(0.5)
        listening.terminate()
        said = listening.communicate(timeout=10)[0]
    found = re.findall(r"'lifecycle' for domain 'count': (.*)", said)
    assert found == [
        "Suspended Paused", "Resumed Unpaused", "Stopped Snapshot", "Started Snapshot", "Resumed Snapshot", "Defined Snapshot",
        "Stopped Snapshot", "Started Snapshot", "Suspended Snapshot", "Defined Snapshot",
    ]  # fmt: skip


def test_snapshots_of_a_transient_machine_go_with_it(daemon: Any, folder: Path) -> None:
    daemon.virsh("create", "/dev/stdin", text_in=document(folder))
    daemon.virsh("snapshot-create-as", "count", "s")
    daemon.virsh("snapshot-revert", "count", "s")
    assert daemon.state("count") == "running" and names(daemon) == ["s"]
    daemon.virsh("destroy", "count")
    assert daemon.virsh("list", "--all", "--name").stdout.split() == []
    daemon.define(document(folder))
    assert names(daemon) == []


@pytest.mark.parametrize("kind", ["inside", "layers", "memory"])
def test_a_daemon_killed_at_any_moment(vm: Any, folder: Path, kind: str) -> None:
    """Whenever it dies: the snapshot is there and whole, or nothing of it is; the guest goes on."""
    console = vm.start_listening("count")
    console.expect("A")
    chance, letter = random.Random(kind), "A"
    for turn in range(5):
        name = f"t{turn}"
        words = {"inside": (), "layers": ("--disk-only",), "memory": ("--memspec", f"{folder}/{name}.mem")}[kind]
        making = threading.Thread(
            target=lambda n=name, w=words: vm.virsh("snapshot-create-as", "count", n, *w, check=False)
        )  # type: ignore[misc]
        making.start()
        time.sleep(0.05 + chance.random() * 0.25)
        vm.kill9()
        making.join(30)
        vm.start()
        vm.wait_state("count", "running")
        letter = chr(ord(letter) + 1)
        press(console, letter)
        made = name in names(vm)
        if kind == "inside":
            assert (name in inside(folder / "a.qcow2")) is made
        else:
            assert (folder / f"a.{name}").exists() is made
            assert (f"a.{name}" in vm.virsh("domblklist", "count").stdout) is made
            assert (f"a.{name}" in vm.virsh("dumpxml", "count", "--inactive").stdout) is made
            assert (folder / f"{name}.mem").exists() is (made and kind == "memory")
    wait_until("the layers to be known", lambda: vm.state("count") == "running")
    vm.virsh("snapshot-create-as", "count", "last", *(() if kind == "inside" else ("--disk-only",)))
    assert "last" in names(vm)
