"""The daemon's life beside its guests': restarts, crashes at any moment, autostart, and what guests do by themselves."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system


def document(disk: Path, name: str = "vm", extra: str = "", uuid: str = "22222222-3333-4444-8555-666666666666") -> str:
    return f"""<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>{extra}
<devices><disk type='file'><driver type='raw'/><source file='{disk}'/><target dev='hda'/></disk>
<serial type='pty'/><panic model='isa'/></devices></domain>"""


def one_guest(daemon: Any) -> int:
    guests = daemon.guests()
    assert len(guests) == 1, guests
    return int(guests[0])


@pytest.mark.parametrize(
    ("said", "extra", "state"),
    [
        ("P", "", "shut off (shutdown)"),
        ("R", "", "running"),
        ("R", "<on_reboot>destroy</on_reboot>", "shut off"),
        ("C", "<on_crash>destroy</on_crash>", "shut off (crashed)"),
        ("C", "<on_crash>preserve</on_crash>", "crashed"),
        ("C", "<on_crash>restart</on_crash>", "running"),
    ],
)
def test_what_a_guest_does_by_itself(daemon: Any, guest: Any, said: str, extra: str, state: str) -> None:
    daemon.define(document(guest.boot_sector, extra=extra))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    console.send(said)
    if state == "running":
        console.expect(guest.boot_greeting)
        assert daemon.state("vm") == "running"
        return
    end = time.monotonic() + 15
    while not daemon.virsh("domstate", "--reason", "vm").stdout.strip().startswith(state):
        assert time.monotonic() < end, daemon.virsh("domstate", "--reason", "vm").stdout
        time.sleep(0.1)
    assert bool(daemon.guests()) == (state == "crashed")


def test_guests_outlive_the_daemon_and_are_known_again(daemon: Any, guest: Any) -> None:
    daemon.define(document(guest.boot_sector))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    pid, number, tty = one_guest(daemon), daemon.virsh("domid", "vm").stdout, daemon.virsh("ttyconsole", "vm").stdout
    for end in (daemon.kill9, daemon.stop):
        end()
        assert one_guest(daemon) == pid
        daemon.start()
        assert daemon.state("vm") == "running"
        assert (daemon.virsh("domid", "vm").stdout, daemon.virsh("ttyconsole", "vm").stdout) == (number, tty)
    console.send("x")
    console.expect("x")
    daemon.virsh("destroy", "vm")
    assert not daemon.guests()


def test_what_ended_while_the_daemon_was_away_is_off(daemon: Any, guest: Any) -> None:
    daemon.define(document(guest.boot_sector))
    daemon.virsh("start", "vm")
    pid = one_guest(daemon)
    daemon.kill9()
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    assert daemon.state("vm") == "shut off"
    assert list((daemon.root / "run/machine").iterdir()) == []
    daemon.virsh("start", "vm")
    assert one_guest(daemon) != pid


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_any_moment_of_a_start_leaves_one_machine_or_none(daemon: Any, guest: Any, seed: int) -> None:
    daemon.define(document(guest.boot_sector))
    starting = subprocess.Popen(["virsh", "-q", "-c", daemon.uri, "start", "vm"], stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.0, 0.15))
    daemon.kill9()
    starting.wait(20)
    daemon.start()
    state = daemon.state("vm")
    guests = daemon.guests()
    assert (len(guests), state) in {(1, "running"), (1, "paused"), (0, "shut off")}
    if state == "shut off":
        daemon.virsh("start", "vm")
    elif state == "paused":
        daemon.virsh("resume", "vm")
    assert daemon.state("vm") == "running"
    one_guest(daemon)


def test_autostart_once_for_each_boot_of_the_host(daemon: Any, guest: Any) -> None:
    daemon.define(document(guest.boot_sector))
    daemon.virsh("autostart", "vm")
    daemon.restart()
    assert daemon.state("vm") == "shut off", "this daemon was started before on this boot"
    daemon.stop()
    (daemon.root / "run/autostarted").unlink()
    daemon.start()
    daemon.wait_state("vm", "running")


def test_two_daemons_live_side_by_side(daemon: Any, shared_daemon: Any, guest: Any) -> None:
    for each in (daemon, shared_daemon):
        each.define(document(guest.boot_sector, name="same"))
    daemon.virsh("start", "same")
    assert (daemon.state("same"), shared_daemon.state("same")) == ("running", "shut off")
    shared_daemon.virsh("undefine", "same")
    assert daemon.state("same") == "running"


def test_one_daemon_for_one_root(daemon: Any) -> None:
    program = Path(f"/proc/{daemon.pid}/cmdline").read_bytes().split(b"\0")[1].decode()
    words = [program, "--root", str(daemon.root), "--foreground"]
    second = subprocess.run(words, capture_output=True, text=True, timeout=20)
    assert second.returncode != 0 and str(daemon.pid) in second.stderr


def test_a_display_on_a_socket_of_its_own(daemon: Any, guest: Any) -> None:
    display = "<graphics type='vnc'><listen type='socket'/></graphics>"
    daemon.define(document(guest.boot_sector).replace("<serial", display + "<serial"))
    daemon.virsh("start", "vm")
    path = daemon.virsh("dumpxml", "--xpath", "string(//graphics/@socket)", "vm", check=False).stdout.strip()
    if not path:
        path = daemon.virsh("dumpxml", "vm").stdout.split("socket='")[1].split("'")[0]
    with socket.socket(socket.AF_UNIX) as viewer:
        viewer.settimeout(10)
        viewer.connect(path)
        assert viewer.recv(4) == b"RFB "


def test_nothing_is_pending_once_the_definition_is_again_what_runs(daemon: Any, guest: Any) -> None:
    daemon.define(document(guest.boot_sector))
    daemon.virsh("start", "vm")
    daemon.define(document(guest.boot_sector).replace(">64<", ">96<"))
    assert "at next start" in daemon.cli("list").stdout
    daemon.cli("rollback", "vm", "1")
    assert "at next start" not in daemon.cli("list").stdout


def test_what_this_version_cannot_do_is_said_and_not_started(daemon: Any, guest: Any) -> None:
    daemon.define(document(guest.boot_sector, extra="").replace("<target dev", "<transient/><target dev"))
    refused = daemon.virsh("start", "vm", check=False)
    assert refused.returncode != 0 and "transient" in refused.stderr
    assert daemon.state("vm") == "shut off"
    assert not daemon.guests()
