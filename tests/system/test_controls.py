"""Keys, pictures, interrupts, QEMU's monitor and what is told of it all, with the real virsh and QEMU."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import ENVIRONMENT, wait_until
from tests.system.test_virsh import document


@pytest.fixture
def vm(daemon: Any, guest: Any) -> Any:
    """Give a daemon with a running `vm`."""
    daemon.define(document(guest.boot_sector, extra="<video><model type='vga'/></video>"))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    return daemon


class Hearing:
    """virsh waiting for events."""

    def __init__(self, daemon: Any, *words: str) -> None:
        self.process = subprocess.Popen(
            ["virsh", "--quiet", "-c", daemon.uri, *words], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )
        time.sleep(0.5)  # virsh does not say when it listens

    def end(self) -> str:
        time.sleep(0.3)
        self.process.terminate()
        return self.process.communicate(timeout=30)[0]


def test_a_picture(vm: Any, tmp_path: Path) -> None:
    vm.virsh("screenshot", "vm", str(tmp_path / "shot"))
    data = (tmp_path / "shot").read_bytes()
    assert data.startswith((b"\x89PNG", b"P6")) and len(data) > 1000
    refused = vm.virsh("screenshot", "vm", str(tmp_path / "none"), "--screen", "1", check=False)
    assert refused.returncode and "no such screen" in refused.stderr
    assert not list((vm.root / "run/machine").glob("*/screen-*"))


def test_keys(vm: Any) -> None:
    vm.virsh("send-key", "vm", "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE", "--holdtime", "20")
    vm.virsh("send-key", "vm", "--codeset", "usb", "4")
    refused = vm.virsh("send-key", "vm", "--codeset", "xt", "300", check=False)
    assert refused.returncode and "cannot translate keycode 300" in refused.stderr
    vm.virsh("inject-nmi", "vm")


def test_the_monitor(vm: Any) -> None:
    assert "VM status: running" in vm.virsh("qemu-monitor-command", "vm", "--hmp", "info status").stdout
    answer = json.loads(vm.virsh("qemu-monitor-command", "vm", '{"execute":"query-name"}').stdout)
    assert answer["return"] == {"name": "vm"} and answer["id"].startswith("libvirt-")
    answer = json.loads(vm.virsh("qemu-monitor-command", "vm", "nonesuch").stdout)
    assert answer["error"]["class"] == "CommandNotFound"
    refused = vm.virsh("qemu-monitor-command", "vm", '{"execute":"query-name","id":"mine"}', check=False)
    assert refused.returncode and "internal error" in refused.stderr


def test_what_the_monitor_says_by_itself(vm: Any) -> None:
    hearing = Hearing(vm, "qemu-monitor-event", "vm", "--event", "^(STOP|RES.*)$", "--regex", "--loop")
    everything = Hearing(vm, "qemu-monitor-event", "--loop", "--pretty")
    one = Hearing(vm, "qemu-monitor-event", "vm", "--event", "stop", "--no-case", "--loop")
    vm.virsh("suspend", "vm")
    vm.virsh("resume", "vm")
    vm.virsh("reset", "vm")
    told = hearing.end()
    assert [word for word in ("STOP", "RESUME", "RESET") if f"event {word}" in told] == ["STOP", "RESUME", "RESET"]
    assert '"guest": false' in everything.end()
    assert "event STOP" in (text := one.end()) and "RESUME" not in text


def test_what_follows_the_guests_own_end(vm: Any) -> None:
    vm.virsh("set-lifecycle-action", "vm", "poweroff", "restart", "--live")
    assert "<on_poweroff>restart" in vm.virsh("dumpxml", "vm").stdout
    assert "<on_poweroff>destroy" in vm.virsh("dumpxml", "--inactive", "vm").stdout
    vm.restart()
    console = vm.console("vm")
    console.send("P")
    console.expect("DOMICILE-BOOT ready")
    assert vm.state("vm") == "running"
    refused = vm.virsh("set-lifecycle-action", "vm", "reboot", "destroy", "--live", check=False)
    assert refused.returncode and "unsupported configuration" in refused.stderr
    vm.virsh("set-lifecycle-action", "vm", "poweroff", "destroy", "--live")
    console.send("P")
    vm.wait_state("vm", "shut off")


def test_events_of_all_kinds(vm: Any, guest: Any, tmp_path: Path) -> None:
    hearing = Hearing(vm, "event", "vm", "--all", "--loop")
    vm.virsh("desc", "vm", "--title", "hello", "--live")
    vm.virsh("reset", "vm")
    vm.virsh("save", "vm", str(tmp_path / "vm.img"))
    vm.virsh("restore", str(tmp_path / "vm.img"))
    told = hearing.end()
    for line in (
        "'metadata-change' for domain 'vm': type title",
        "'reboot' for domain 'vm'",
        "'lifecycle' for domain 'vm': Suspended Paused",
        "'job-completed' for domain 'vm'",
        "'lifecycle' for domain 'vm': Stopped Saved",
        "'lifecycle' for domain 'vm': Started Restored",
        "'lifecycle' for domain 'vm': Resumed Snapshot",
    ):
        assert line in told
    assert told.index("Stopped Saved") < told.index("Started Restored") < told.index("Resumed Snapshot")
    assert "'lifecycle' for domain 'vm': Shutdown" not in told


def test_graphics_and_tray_and_balloon(daemon: Any, guest: Any) -> None:
    import socket

    xml = document(guest.boot_sector, extra="<video><model type='vga'/></video>").replace(
        "<serial",
        "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='hdc' bus='ide'/><readonly/></disk><serial",
    )
    daemon.define(xml)
    daemon.virsh("start", "vm")
    hearing = Hearing(daemon, "event", "vm", "--all", "--loop")
    shown = daemon.virsh("vncdisplay", "vm").stdout.strip()
    with socket.create_connection(("127.0.0.1", 5900 + int(shown.rpartition(":")[2])), timeout=10) as viewer:
        assert viewer.recv(12).startswith(b"RFB")
    alias = daemon.virsh("dumpxml", "vm").stdout.split("dev='hdc'")[1].split("alias name='")[1].split("'")[0]
    daemon.virsh(
        "qemu-monitor-command", "vm", json.dumps({"execute": "blockdev-open-tray", "arguments": {"id": alias}})
    )
    daemon.virsh(
        "qemu-monitor-command", "vm", json.dumps({"execute": "blockdev-close-tray", "arguments": {"id": alias}})
    )
    told = hearing.end()
    assert "'graphics' for domain 'vm': connect" in told and "127.0.0.1" in told
    assert f"'tray-change' for domain 'vm' disk {alias}: opened" in told
    assert f"'tray-change' for domain 'vm' disk {alias}: closed" in told


def test_the_command_line_of_a_document(vm: Any, tmp_path: Path, guest: Any) -> None:
    file = tmp_path / "vm.xml"
    file.write_text(document(guest.boot_sector, name="other", uuid="11111111-2222-4333-8444-000000000009"))
    line = vm.virsh("domxml-to-native", "qemu-argv", str(file)).stdout
    assert "-name guest=other" in line and "-m 64 " in line and str(guest.boot_sector) in line
    assert vm.virsh("domxml-to-native", "qemu-argv", "--domain", "vm").stdout.count("-name guest=vm") == 1
    assert "invalid argument" in vm.virsh("domxml-to-native", "xen-xl", str(file), check=False).stderr
    assert vm.virsh("domxml-from-native", "qemu-argv", str(file), check=False).returncode
    assert "other" not in vm.virsh("list", "--all", "--name").stdout


def test_a_guest_ends_with_the_connection_that_started_it(vm: Any) -> None:
    vm.virsh("destroy", "vm")
    vm.virsh("start", "vm", "--autodestroy")
    vm.wait_state("vm", "shut off")
    wait_until("QEMU to end", lambda: not vm.guests())


def test_a_crash_leaves_a_core_dump(daemon: Any, guest: Any) -> None:
    xml = document(guest.boot_sector).replace("<devices>", "<on_crash>coredump-restart</on_crash><devices>")
    daemon.define(xml)
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    console.send("C")
    console.expect(guest.boot_greeting)
    assert daemon.state("vm") == "running"
    (dump,) = (daemon.root / "lib/dump").iterdir()
    assert dump.read_bytes()[:4] == b"\x7fELF" and not list(dump.parent.glob(".*"))
    daemon.virsh("set-lifecycle-action", "vm", "crash", "coredump-destroy", "--live")
    console.send("C")
    daemon.wait_state("vm", "shut off")
    assert daemon.virsh("domstate", "vm", "--reason").stdout.strip() == "shut off (crashed)"
    assert len(list(dump.parent.iterdir())) == 2
