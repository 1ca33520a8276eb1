"""Saving machines and letting them go on, with the real virsh and QEMU; also where the daemon dies on the way."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import alive, wait_until
from tests.system.test_virsh import document

GREETING = "DOMICILE-BOOT ready"


@pytest.fixture
def vm(daemon: Any, guest: Any) -> Any:
    """Give a daemon with a running `vm` that has greeted and whose console is open."""
    daemon.define(document(guest.boot_sector))
    console = daemon.start_listening("vm")
    console.expect(GREETING)
    return daemon


def answers(daemon: Any) -> None:
    """Make sure that the guest goes on where it was: it echoes, and did not boot again."""
    console = daemon.console("vm")
    console.send("x")
    assert GREETING not in console.expect("x")


def test_saved_and_restored(vm: Any, tmp_path: Path) -> None:
    image = tmp_path / "vm.img"
    vm.virsh("save", "vm", str(image))
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "shut off (saved)"
    assert vm.guests() == []
    assert image.read_bytes()[:16] == b"LibvirtQemudSave" and list(tmp_path.iterdir()) == [image]
    text = vm.virsh("save-image-dumpxml", str(image)).stdout
    assert "<name>vm</name>" in text and "secret" not in text and "/dev/pts" not in text
    assert "passwd='secret'" in vm.virsh("save-image-dumpxml", "--security-info", str(image)).stdout
    vm.virsh("restore", str(image))
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "running (restored)"
    answers(vm)
    refused = vm.virsh("restore", str(image), check=False)
    assert refused.returncode and "already active" in refused.stderr


def test_saved_is_restored_by_the_real_libvirtd_and_back(vm: Any, libvirtd: Any, tmp_path: Path) -> None:
    image = tmp_path / "vm.img"
    vm.virsh("save", "vm", str(image))
    tmp_path.chmod(0o777)
    libvirtd.virsh("restore", str(image))
    assert libvirtd.virsh("domstate", "vm").stdout.strip() == "running"
    theirs = tmp_path / "theirs.img"
    libvirtd.virsh("save", "vm", str(theirs))
    vm.virsh("restore", str(theirs), "--paused")
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "paused (migrating)"
    vm.virsh("resume", "vm")
    answers(vm)


def test_an_image_gets_another_document_of_the_same_hardware_only(vm: Any, tmp_path: Path) -> None:
    image, xml = tmp_path / "vm.img", tmp_path / "vm.xml"
    vm.virsh("save", "vm", str(image))
    text = vm.virsh("save-image-dumpxml", "--security-info", str(image)).stdout
    xml.write_text(text.replace("<on_crash>destroy", "<on_crash>preserve"))
    vm.virsh("save-image-define", str(image), str(xml), "--paused")
    assert "<on_crash>preserve" in vm.virsh("save-image-dumpxml", str(image)).stdout
    xml.write_text(text.replace("52:54:00:11:22:33", "52:54:00:11:22:34"))
    for words in (("save-image-define", str(image), str(xml)), ("restore", str(image), "--xml", str(xml))):
        refused = vm.virsh(*words, check=False)
        assert refused.returncode and "unsupported configuration" in refused.stderr and "52:54" in refused.stderr
    vm.virsh("restore", str(image))
    assert vm.state("vm") == "paused"


def test_a_half_written_image_is_none(vm: Any, tmp_path: Path) -> None:
    image = tmp_path / "vm.img"
    vm.virsh("save", "vm", str(image))
    whole = image.read_bytes()
    for data, words in (
        (b"LibvirtQemudPart" + whole[16:], "incomplete"),
        (whole[:60], "ends within"),
        (b"\0" * 200, "no save image"),
        (whole[:20] + b"\xff\xff\xff\xff" + whole[24:], "damaged"),
    ):
        image.write_bytes(data)
        refused = vm.virsh("restore", str(image), check=False)
        assert refused.returncode and words in refused.stderr
    image.write_bytes(whole[: len(whole) * 3 // 4])
    refused = vm.virsh("restore", str(image), check=False)
    assert refused.returncode and "saved state" in refused.stderr
    assert vm.guests() == [] and vm.state("vm") == "shut off"


def test_a_compressed_image_is_restored(vm: Any, tmp_path: Path) -> None:
    import gzip
    import struct

    image = tmp_path / "vm.img"
    vm.virsh("save", "vm", str(image))
    data = image.read_bytes()
    begin = 92 + struct.unpack_from("<I", data, 20)[0]
    image.write_bytes(data[:28] + struct.pack("<I", 1) + data[32:begin] + gzip.compress(data[begin:]))
    vm.virsh("restore", str(image))
    answers(vm)


def test_the_managed_image_is_used_up_by_the_next_start(vm: Any) -> None:
    vm.virsh("managedsave", "vm")
    assert vm.virsh("list", "--all", "--with-managed-save", "--name").stdout.split() == ["vm"]
    for words in (("undefine", "vm"), ("domrename", "vm", "other")):
        assert vm.virsh(*words, check=False).returncode
    vm.restart()
    assert "yes" in vm.virsh("dominfo", "vm").stdout.split("Managed save:")[1].split("\n")[0]
    vm.virsh("start", "vm")
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "running (restored)"
    answers(vm)
    assert list((vm.root / "lib/save").iterdir()) == []
    vm.virsh("managedsave", "vm")
    vm.virsh("start", "vm", "--force-boot")
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "running (booted)"
    assert list((vm.root / "lib/save").iterdir()) == []


def test_a_save_that_fails_leaves_the_guest_running_and_no_file(vm: Any, tmp_path: Path) -> None:
    old = tmp_path / "old.img"
    old.write_bytes(b"what was here before")
    assert vm.virsh("save", "vm", "/dev/full", check=False).returncode
    assert vm.virsh("save", "vm", str(tmp_path / "none" / "vm.img"), check=False).returncode
    assert vm.state("vm") == "running"
    answers(vm)
    assert old.read_bytes() == b"what was here before" and list(tmp_path.iterdir()) == [old]


class Reader:
    """Somebody who reads a pipe only when told to."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o666)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def drain(self) -> None:
        os.set_blocking(self.fd, True)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while os.read(self.fd, 1 << 20):
            pass

    def close(self) -> None:
        os.close(self.fd)


def test_a_dump_that_hangs_is_told_of_and_aborted_while_others_go_on(vm: Any, guest: Any, tmp_path: Path) -> None:
    reader = Reader(tmp_path / "pipe")
    failed: list[Any] = []
    dumping = threading.Thread(
        target=lambda: failed.append(vm.virsh("dump", "vm", str(tmp_path / "pipe"), check=False))
    )
    dumping.start()
    wait_until("the dump to be under way", lambda: "Dump" in vm.virsh("domjobinfo", "vm").stdout)
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "paused (dumping)"
    other = document(name="other", uuid="11111111-2222-4333-8444-000000000002")
    vm.define(other.replace("52:54:00:11:22:33", "52:54:00:11:22:44"))
    vm.virsh("start", "other")
    assert vm.state("other") == "running"
    vm.virsh("domjobabort", "vm")
    reader.drain()
    dumping.join(30)
    assert failed and failed[0].returncode and "abort" in failed[0].stderr
    assert vm.state("vm") == "running"
    answers(vm)
    none = vm.virsh("domjobabort", "vm", check=False)
    assert none.returncode and "no job" in none.stderr


def test_a_daemon_killed_during_a_dump_leaves_the_guest_to_the_next_one(vm: Any, tmp_path: Path) -> None:
    reader = Reader(tmp_path / "pipe")
    threading.Thread(target=lambda: vm.virsh("dump", "vm", str(tmp_path / "pipe"), check=False), daemon=True).start()
    wait_until("the dump to be under way", lambda: "Dump" in vm.virsh("domjobinfo", "vm").stdout)
    (pid,) = vm.guests()
    vm.kill9()
    reader.close()
    vm.start()
    assert alive(pid)
    vm.wait_state("vm", "running")
    answers(vm)


@pytest.mark.parametrize("whole", [False, True])
def test_a_daemon_killed_during_a_save(vm: Any, whole: bool) -> None:
    """Either the image is whole and the machine ends, or the guest goes on and there is no image."""
    import msgspec

    (pid,) = vm.guests()
    vm.kill9()
    (record,) = (vm.root / "run/machine").glob("*.json")
    known = msgspec.json.decode(record.read_bytes())
    place = vm.root / "lib/save" / f"{known['uuid']}.save"
    part = place.with_name(f".{place.name}.part")
    known["unfinished"] = {"temporary": str(part), "path": str(place), "running": True, "ends": True}
    record.write_bytes(msgspec.json.encode(known))
    (place if whole else part).write_bytes(b"LibvirtQemudSave" if whole else b"LibvirtQemudPart")
    vm.start()
    if whole:
        vm.wait_state("vm", "shut off")
        wait_until("QEMU to end", lambda: not alive(pid))
        assert place.exists()
    else:
        vm.wait_state("vm", "running")
        assert alive(pid) and not part.exists() and not place.exists()


def test_an_image_that_was_used_is_never_used_twice(vm: Any) -> None:
    """The daemon and QEMU die after the guest went on from its image and before that was removed."""
    import msgspec

    vm.virsh("managedsave", "vm")
    (place,) = (vm.root / "lib/save").iterdir()
    kept = place.read_bytes()
    vm.virsh("start", "vm")
    (pid,) = vm.guests()
    vm.kill9()
    place.write_bytes(kept)
    (record,) = (vm.root / "run/machine").glob("*.json")
    known = msgspec.json.decode(record.read_bytes()) | {"restored": str(place)}
    record.write_bytes(msgspec.json.encode(known))
    os.kill(pid, signal.SIGKILL)
    wait_until("QEMU to end", lambda: not alive(pid))
    vm.start()
    assert not place.exists() and place.with_suffix(".used").exists()
    vm.virsh("start", "vm")
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "running (booted)"


@pytest.mark.parametrize(
    ("words", "begins"),
    [((), b"QEVM"), (("--memory-only",), b"\x7fELF"), (("--memory-only", "--format", "kdump-zlib"), b"makedumpfile")],
)
def test_dumps(vm: Any, tmp_path: Path, words: tuple[str, ...], begins: bytes) -> None:
    file = tmp_path / "core"
    vm.virsh("dump", "vm", str(file), *words)
    assert file.read_bytes().startswith(begins)
    assert vm.state("vm") == "running"
    answers(vm)
    assert "Dump" in vm.virsh("domjobinfo", "vm", "--completed").stdout
    vm.virsh("dump", "vm", str(file), "--crash", *words)
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "shut off (crashed)"


def test_a_daemon_killed_at_any_moment_of_a_save(vm: Any) -> None:
    """Whenever it dies: the guest runs and there is no image, or it is off and goes on from a whole one."""
    import random
    import time

    chance, place = random.Random(17), vm.root / "lib/save"
    for _ in range(8):
        saving = threading.Thread(target=lambda: vm.virsh("managedsave", "vm", check=False), daemon=True)
        saving.start()
        time.sleep(chance.uniform(0.0, 0.15))
        vm.kill9()
        saving.join(30)
        vm.start()
        wait_until("the machine to be settled", lambda: vm.state("vm") in ("running", "shut off"))
        images = [path.name for path in place.iterdir()]
        if vm.state("vm") == "running":
            assert images == [] and len(vm.guests()) == 1
        else:
            assert len(images) == 1 and images[0].endswith(".save") and vm.guests() == []
            vm.virsh("start", "vm")
            assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "running (restored)"
        answers(vm)


def test_a_guest_that_ends_with_its_client_ends_with_the_daemon_that_knew_the_client(daemon: Any, guest: Any) -> None:
    import subprocess

    daemon.define(document(guest.boot_sector))
    shell = subprocess.Popen(["virsh", "-c", daemon.uri], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with shell:
        assert shell.stdin is not None
        shell.stdin.write("start vm --autodestroy\n")
        shell.stdin.flush()
        daemon.wait_state("vm", "running")
        daemon.kill9()
        daemon.start()
        daemon.wait_state("vm", "shut off")
        shell.stdin.close()
    wait_until("QEMU to end", lambda: not daemon.guests())
