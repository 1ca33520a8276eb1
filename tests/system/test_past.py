"""Who set what, and what there was at a moment: through virsh, libvirt's binding and our own command line, with a real QEMU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import POWER_OFF, boot_disk

Daemon = Any

SMALL = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>{memory}</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><on_crash>{crash}</on_crash><devices>{devices}<serial type='pty'/></devices></domain>"""
UUID = "c47e19d5-b25c-4581-8a95-fcb1cb02fd{:02d}"


def small(number: int, *, memory: int = 64, devices: str = "", crash: str = "destroy") -> str:
    return SMALL.format(name=f"past{number}", uuid=UUID.format(number), memory=memory, devices=devices, crash=crash)


def wait_until(what: str, question: Callable[[], object], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not question():
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline:g} s in vain: {what}")
        time.sleep(0.1)


def python(daemon: Daemon, *words: str) -> None:
    """Run a program with libvirt's own binding."""
    subprocess.run(["/usr/bin/python3", *words, daemon.uri], check=True, timeout=120, capture_output=True)


def ask(daemon: Daemon, *words: str) -> Any:
    return json.loads(daemon.cli(*words, "--json").stdout)


def names(daemon: Daemon, moment: float, *more: str) -> dict[str, bool]:
    when = datetime.fromtimestamp(moment).astimezone().isoformat()
    return {one["name"]: one["running"] for one in ask(daemon, "at", when, *more)["domains"]}


def test_every_front_door_is_named(daemon: Daemon, tmp_path: Path) -> None:
    daemon.define(small(1))
    document = tmp_path / "more.xml"
    document.write_text(small(1, memory=72))
    daemon.cli("define", str(document), "--why", "more memory")
    script = tmp_path / "titles-for-machines.py"
    script.write_text(
        "import libvirt, sys\nc = libvirt.open(sys.argv[1])\nd = c.lookupByName('past1')\n"
        "d.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, 'a title', None, None, libvirt.VIR_DOMAIN_AFFECT_CONFIG)\n"
    )
    python(daemon, str(script))
    daemon.virsh("setvcpus", "past1", "1", "--config")
    daemon.virsh("vcpucount", "past1")
    answer = ask(daemon, "blame", "past1")
    by = {line["xml"].strip(): answer["revisions"].get(str(line["revision"]), {}) for line in answer["lines"]}
    assert (by["<name>past1</name>"]["client"], by["<name>past1</name>"]["command"]) == ("virsh", "define")
    memory = by["<memory unit='KiB'>73728</memory>"]
    assert (memory["client"], memory["revision"], memory["why"]) == ("domicile", 2, "more memory")
    title = by["<title>a title</title>"]
    assert title["client"] == "titles-for-machines.py"
    assert title["user"] == memory["user"] != ""
    values = {value["path"]: value for line in answer["lines"] for value in line["values"]}
    assert values["name"]["generated"] is False
    assert values["devices/emulator"]["generated"] is True
    assert "QEMU" in values["devices/emulator"]["why"]["en"]


def test_blame_is_followed_through_rollback_and_undelete(daemon: Daemon) -> None:
    disk = "<disk type='file'><source file='/nowhere.img'/><target dev='vda' bus='virtio'/></disk>"
    daemon.define(small(2, devices=disk))
    daemon.define(small(2))
    daemon.cli("rollback", "past2", "1")
    daemon.virsh("undefine", "past2")
    assert ask(daemon, "blame", "past2", "disk[vda]")["lines"][0]["revision"] == 3
    daemon.cli("undelete", "past2")
    answer = ask(daemon, "blame", "past2", "disk[vda]")
    assert {value["revision"] for line in answer["lines"] for value in line["values"]} == {3}
    assert answer["revisions"]["3"]["kind"] == "rollback"
    assert ask(daemon, "blame", "past2", "memory")["lines"][0]["revision"] == 1
    refused = daemon.cli("blame", "past2", "disk[vdz]", check=False)
    assert refused.returncode == 1
    assert "disk[vdz]" in refused.stderr
    chinese = daemon.cli("blame", "past2", "memory", "--values", "--lang", "zh").stdout
    assert "您指定" in chinese


def test_what_was_defined_and_what_ran(daemon: Daemon) -> None:
    off = boot_disk(daemon.root / "off.img", POWER_OFF)
    off.chmod(0o666)
    disk = f"<disk type='file'><source file='{off}'/><target dev='hda' bus='ide'/></disk>"
    before = time.time()
    daemon.define(small(3))
    daemon.define(small(4, devices=disk))
    defined = time.time()
    daemon.virsh("start", "past3")
    daemon.virsh("start", "--paused", "past4")
    wait_until("both starts to be in the log", lambda: len(ask(daemon, "log")) >= 2)
    both = time.time()
    daemon.virsh("resume", "past4")
    daemon.wait_state("past4", "shut off")
    wait_until("the end to be in the log", lambda: any(a["verb"] == "end" for a in ask(daemon, "log", "past4")))
    one = time.time()
    (pid,) = daemon.guests()
    daemon.kill9()
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    daemon.wait_state("past3", "shut off")
    daemon.virsh("undefine", "past3")
    # Times given by the clock have whole seconds: let one begin after the definitions.
    time.sleep(max(0.0, int(defined) + 1 - time.time()))
    none = time.time()
    assert names(daemon, before) == {}
    assert names(daemon, defined) == {"past3": False, "past4": False}
    assert names(daemon, both) == {"past3": True, "past4": True}
    assert names(daemon, one) == {"past3": True, "past4": False}
    assert names(daemon, none) == {"past4": False}
    assert names(daemon, both, "past3") == {"past3": True}
    (end,) = [a for a in ask(daemon, "log", "past4") if a["verb"] == "end"]
    assert (end["client"], end["detail"]["reason"], end["detail"]["revision"]) == ("guest", "shutdown", 1)
    clock = datetime.fromtimestamp(none).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    (there,) = [each for each in ask(daemon, "at", clock)["domains"] if each["name"] == "past4"]
    assert there["definition"]["client"] == "virsh"
    table = daemon.cli("at", clock, "past4").stdout
    assert "past4" in table
    wrong = daemon.cli("at", "teatime", check=False)
    assert wrong.returncode == 1
    assert "03:12" in wrong.stderr


def test_a_thousand_revisions_are_blamed_within_a_second(daemon: Daemon) -> None:
    script = (
        "import libvirt, sys\nc = libvirt.open(sys.argv[1])\n"
        "d = c.lookupByName('past5')\n"
        "for n in range(1000): d.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, f'title {n}', None, None, 2)\n"
    )
    daemon.define(small(5))
    python(daemon, "-c", script)
    began = time.monotonic()
    answer = ask(daemon, "blame", "past5")
    took = time.monotonic() - began
    assert answer["revision"] == 1001
    by = {line["xml"].strip(): line["revision"] for line in answer["lines"]}
    assert (by["<title>title 999</title>"], by["<name>past5</name>"]) == (1001, 1)
    print(f"blame of 1,001 revisions: {took:.2f} s with the command's own start", file=sys.stderr)
    assert took < 2
