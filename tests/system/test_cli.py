"""The command line against a real daemon and real QEMU."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Daemon = Guest = Any  # the fixtures of conftest
PROJECT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("DOMICILE_", "LC_", "LANG"))} | {
    "LC_ALL": "C.UTF-8"
}
MAC = "52:54:00:12:34:56"
UUID = "c47e19d5-b25c-4581-8a95-fcb1cb02fd99"


def small(name: str = "small", disk: str = "", memory: int = 64, extra: str = "") -> str:
    image = (
        f"<disk type='file'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='hda' bus='ide'/></disk>"
        if disk
        else ""
    )
    return (
        f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory}</memory>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>{image}"
        f"<serial type='pty'/>{extra}</devices></domain>"
    )


def wait_until(what: str, question: Callable[[], object], deadline: float = 30.0) -> None:
    """Ask until the answer is true; fail in words when the deadline passes."""
    end = time.monotonic() + deadline
    while not question():
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline:g} s in vain: {what}")
        time.sleep(0.05)


class Cli:
    """Our program against one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon

    def __call__(self, *words: str, status: int = 0, text_in: str | None = None, deadline: float = 30) -> str:
        done = self.daemon.cli(*words, check=False, text_in=text_in, deadline=deadline)
        assert done.returncode == status, f"{words} → {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout if status == 0 else done.stdout + done.stderr

    def json(self, *words: str, text_in: str | None = None, status: int = 0) -> Any:
        return json.loads(self(*words, "--json", text_in=text_in, status=status))

    def define(self, xml: str) -> Any:
        return self.json("define", "-", text_in=xml)


@pytest.fixture
def cli(daemon: Daemon) -> Cli:
    return Cli(daemon)


@pytest.fixture
def shared(shared_daemon: Daemon) -> Iterator[Cli]:
    cli = Cli(shared_daemon)
    yield cli
    for one in cli.json("list"):
        if one["id"] >= 0:
            cli("destroy", one["name"])
        if one["persistent"]:
            cli("undefine", one["name"])


def test_a_life(cli: Cli, guest: Guest) -> None:
    assert cli("list") == ""
    done = cli.define(small(disk=str(guest.boot_sector)))
    assert (done["created"], done["revision"], done["state"]) == (True, 1, "off")
    assert any(e["path"] == "uuid" and e["en"] and e["zh"] for e in done["report"])
    assert "small is started and paused (id 1)" in cli("start", "--paused", "small")
    assert "paused" in cli("list")
    cli("resume", "small")
    assert cli.json("list")[0]["state"] == "running"
    cli("suspend", "small")
    assert cli.json("info", "small")["state"] == "paused"
    cli("resume", "1")
    cli("reset", done["uuid"])
    assert "small is stopped" in cli("destroy", "small")
    assert cli.json("list")[0]["state"] == "off"
    cli("destroy", "small", status=1)
    cli("autostart", "small")
    assert cli.json("list", "--off")[0]["autostart"]
    cli("autostart", "--disable", "small")
    assert [a["verb"] for a in cli.json("log", "small")].count("destroy") == 1


def test_refusals_are_lines_on_standard_error(shared: Cli) -> None:
    for words in (
        ["info", "none"],
        ["start", "none"],
        ["xml", "none"],
        ["rollback", "none", "1"],
        ["explain", "none"],
        ["undelete", "none"],
    ):
        done = shared.daemon.cli(*words, check=False)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "none" in done.stderr
    wrong = shared(
        "define",
        "-",
        status=1,
        text_in="<domain type='qemu'>\n<name>x</name>\n<memory>0</memory>\n<vcpu>100000</vcpu>\n<os><type>hvm</type></os></domain>",
    )
    assert "line 3: memory" in wrong
    assert shared.json("list") == []


def test_history_diff_and_the_way_back(shared: Cli) -> None:
    nic = f"<interface type='user'><mac address='{MAC}'/></interface>"
    shared.define(small("past", extra=nic))
    shared(
        "define",
        "-",
        "--why",
        "more",
        text_in=small("past", memory=128, extra=nic).replace("<name>", f"<uuid>{uuid_of(shared, 'past')}</uuid><name>"),
    )
    first, second = shared.json("history", "past")[::-1]
    assert (second["revision"], second["why"], second["client"], second["changes"]) == (2, "more", "domicile", 2)
    assert first["revision"] == 1
    changes = {c["path"]: (c["old"], c["new"]) for c in shared.json("diff", "past")["changes"]}
    assert changes == {"memory": ("65536", "131072"), "currentMemory": ("65536", "131072")}
    assert "~ memory: 65536 → 131072" in shared("diff", "past")
    assert "<memory unit='KiB'>65536</memory>" in shared("show", "past", "1")
    assert shared("show", "past", "1", "--author").startswith("<domain type='qemu'><name>past</name>")
    assert "revision 3" in shared("rollback", "past", "1")
    assert "<memory unit='KiB'>65536</memory>" in shared("xml", "past")
    assert "the same" in shared("diff", "past", "1", "3")
    shared("show", "past", "99", status=1)
    shared("undefine", "past")
    assert shared.json("list") == []
    assert shared.json("history", "past")[0]["kind"] == "undefine"
    assert "past is back" in shared("undelete", "past")
    assert "past" in shared("list")


def uuid_of(cli: Cli, name: str) -> str:
    return str(next(one["uuid"] for one in cli.json("list") if one["name"] == name))


def test_a_running_machine_is_compared_with_its_next_start(shared: Cli, guest: Guest) -> None:
    xml = small("late", disk=str(guest.boot_sector)).replace("<name>", f"<uuid>{UUID}</uuid><name>")
    shared.define(xml)
    shared("start", "late")
    assert "It runs as it was" in shared(
        "define", "-", text_in=xml.replace("<memory unit='MiB'>64<", "<memory unit='MiB'>96<")
    )
    assert "which runs" in shared("diff", "late")
    assert "at next start" in shared("list")
    assert "domicile diff late" in shared("info", "late")


def test_finding(shared: Cli) -> None:
    shared.define(
        small("found", disk="/srv/found.img", extra=f"<interface type='user'><mac address='{MAC}'/></interface>")
    )
    shared.define(small("other", memory=128))
    for question in (
        [MAC], [MAC.upper()], ["mac", MAC], ["/srv/found.img"], ["disk", "/srv/found.img"], ["found"], ["memory<70000"], ["memory", "<", "70000"],
        ["disk~fou?nd"], ["devices/disk/source/@file=/srv/found.img"], ["devices/interface/mac/@address", "contains", "12:34"],
    ):  # fmt: skip
        assert {m["name"] for m in shared.json("find", *question)} == {"found"}, question
    assert {m["name"] for m in shared.json("find", "machine~i440fx")} == {"found", "other"}
    assert shared.json("find", "52:54:00:00:00:00", status=1) == []
    shared("find", "toaster", "x", status=1)


def test_explain_and_argv(shared: Cli) -> None:
    shared.define(small("told", disk="/srv/told.img"))
    lines = shared.json("explain", "told")
    notes = {note["path"]: note for line in lines for note in line["notes"]}
    assert notes["devices/disk/source/@file"]["owner"]["who"] == "yours"
    assert notes["uuid"]["owner"]["who"] == "generated"
    assert notes["os/type/@machine"]["owner"]["wrote"] == "pc"
    (disk,) = [line for line in lines if line["path"] == "devices/disk"]
    assert [words[0] for words in disk["arguments"]][-2:] == ["-blockdev", "-device"]
    chinese = shared("explain", "told", "/devices/disk", "--lang", "zh")
    assert "磁盘、光驱或软驱" in chinese
    assert "自动生成" in chinese
    arguments = shared.json("argv", "told")
    assert not arguments["running"]
    assert {"words": ["-m", "size=65536k"], "origin": "memory"} in arguments["arguments"]
    assert shared("argv", "told", "--plain").startswith("/usr/bin/qemu-system-x86_64 -name ")


def test_a_running_machine_shows_the_words_it_was_really_given(shared: Cli, guest: Guest) -> None:
    shared.define(small("given", disk=str(guest.boot_sector), extra="<graphics type='vnc'/>"))
    assert "{display:" in shared("argv", "given", "--plain")
    shared("start", "given")
    answer = shared.json("argv", "given")
    assert answer["running"]
    words = [answer["binary"], *(word for item in answer["arguments"] for word in item["words"])]
    assert words == Path(f"/proc/{answer['pid']}/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    (graphics,) = [item["words"] for item in answer["arguments"] if item["origin"] == "devices/graphics"]
    assert graphics[0] == "-vnc"
    assert "{" not in graphics[1]


def test_what_an_editor_leaves_untouched_stays_generated(shared: Cli) -> None:
    shared.define(small("kept"))
    edited = run_edit(shared, "kept", "sed -i s/65536/98304/")
    assert edited.returncode == 0, edited.stderr
    notes = {note["path"]: note for line in shared.json("explain", "kept") for note in line["notes"]}
    assert notes["memory/text()"]["owner"]["who"] == "yours"
    assert notes["uuid"]["owner"]["who"] == "generated"
    assert shared.json("history", "kept")[0]["kind"] == "edit"


def run_edit(cli: Cli, name: str, editor: str, tmpdir: str | None = None) -> subprocess.CompletedProcess[str]:
    words = [str(PROGRAMS / "domicile"), "--root", str(cli.daemon.root), "edit", name]
    environment = ENVIRONMENT | {"EDITOR": editor, "VISUAL": ""} | ({"TMPDIR": tmpdir} if tmpdir else {})
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=environment)


def test_a_bad_edit_is_kept(shared: Cli, tmp_path: Path) -> None:
    shared.define(small("bad"))
    edited = run_edit(shared, "bad", "sed -i s/65536/lots/", str(tmp_path))
    assert edited.returncode == 1
    assert "lots" in edited.stderr
    (kept,) = tmp_path.glob("domicile-edit-*/bad.xml")
    assert str(kept) in edited.stderr
    assert "lots" in kept.read_text()
    assert shared.json("list")[0]["revision"] == 1
    assert "nothing was changed" in run_edit(shared, "bad", "true", str(tmp_path)).stdout
    assert run_edit(shared, "bad", "false", str(tmp_path)).returncode == 1


def test_an_edit_that_somebody_was_faster_than_is_refused_and_kept(shared: Cli, tmp_path: Path) -> None:
    shared.define(small("race"))
    editor = tmp_path / "editor"
    domicile = f"{PROGRAMS / 'domicile'} --root {shared.daemon.root}"
    editor.write_text(
        f'#!/bin/sh\n{domicile} xml race | sed s/65536/81920/ > {tmp_path}/mine.xml\n{domicile} define {tmp_path}/mine.xml\nsed -i s/65536/98304/ "$1"\n'
    )
    editor.chmod(0o755)
    edited = run_edit(shared, "race", str(editor), str(tmp_path))
    assert edited.returncode == 1, edited.stdout
    assert "kept" in edited.stderr
    assert "<memory unit='KiB'>81920</memory>" in shared("xml", "race")


def test_create(shared: Cli, guest: Guest, tmp_path: Path) -> None:
    words = [
        "create",
        "made",
        "--memory",
        "64M",
        "--machine",
        "pc",
        "--disk",
        f"{guest.boot_sector},bus=ide",
        "--disk",
        "8M,format=raw",
        "--graphics",
        "none",
    ]
    dry = shared(*words, "--dry-run", "--images", str(tmp_path))
    assert "<memory unit='MiB'>64</memory>" in dry
    assert shared.json("list") == []
    done = shared.json(*words, "--images", str(shared.daemon.root / "images"), "--start")
    assert done["state"] == "running"
    assert done["images"] == [str(shared.daemon.root / "images/made-2.raw")]
    assert Path(done["images"][0]).stat().st_size == 8 << 20
    shown = shared("create", "told", "--memory", "64M", "--graphics", "none")
    assert "What you chose" in shown
    assert "What was generated" in shown
    assert "<memory unit='MiB'>64</memory>" in shown
    shared("create", "made", "--memory", "64M", "--disk", "1M", "--images", str(tmp_path), status=1)
    assert list(tmp_path.iterdir()) == []
    for wrong in (["--memory", "lots"], ["--network", "br0"], ["--disk", "1G,toast=1"]):
        shared("create", "wrong", *wrong, status=1)


def test_import(shared: Cli, tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    (qemu / "autostart").mkdir(parents=True)
    (qemu / "networks").mkdir()
    (qemu / "networks/default.xml").write_text("<network><name>default</name></network>")
    warning = (
        "<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE\nOVERWRITTEN AND LOST.\n-->\n\n"
    )
    for name in ("one", "two"):
        (qemu / f"{name}.xml").write_text(warning + small(name))
    (qemu / "broken.xml").write_text("<domain type='qemu'><name>broken</name></domain>")
    (qemu / "net.xml").write_text("<network/>")
    (qemu / "myvm.xml").write_text((PROJECT / "examples/MyVM.xml").read_text())
    (qemu / "autostart/two.xml").symlink_to(qemu / "two.xml")
    results = {Path(r["file"]).name: r for r in shared.json("import", str(tmp_path), "--adapt", status=1)}
    assert {name: r["result"] for name, r in results.items()} == {
        "one.xml": "imported", "two.xml": "imported", "broken.xml": "failed", "net.xml": "skipped", "myvm.xml": "imported",
    }  # fmt: skip
    assert {one["name"]: one["autostart"] for one in shared.json("list")} == {"one": False, "two": True, "MyVM": False}
    assert not shared("xml", "one", "--author").startswith("<!--")
    assert {r["result"] for r in shared.json("import", str(qemu / "one.xml"), str(qemu / "two.xml"))} == {"skipped"}
    assert "imported" in shared.json("history", "one")[0]["why"]


def test_doctor(shared: Cli) -> None:
    done = shared.daemon.cli("doctor", "--json", check=False)
    findings = {one["subject"]: one for one in json.loads(done.stdout)}
    assert {"daemon", "kvm", "qemu x86_64", "qemu-img", "state"} <= set(findings)
    assert findings["daemon"]["level"] == "good"
    assert done.returncode == int(any(one["level"] == "bad" for one in findings.values()))


def test_the_console_by_pipe(cli: Cli, guest: Guest, tmp_path: Path) -> None:
    cli.define(small("talk", disk=str(guest.boot_sector)))
    cli("start", "--paused", "talk")
    fifo = tmp_path / "keyboard"
    os.mkfifo(fifo)
    keyboard = os.open(fifo, os.O_RDWR)
    with (tmp_path / "said").open("wb") as said, fifo.open("rb", 0) as typed:
        words = [str(PROGRAMS / "domicile"), "--root", str(cli.daemon.root), "console", "talk"]
        process = subprocess.Popen(words, stdin=typed, stdout=said, stderr=subprocess.PIPE, env=ENVIRONMENT)
    try:
        assert process.stderr is not None
        assert b"Connected to talk" in process.stderr.readline()
        cli("resume", "talk")
        wait_until("the greeting", lambda: guest.boot_greeting in (tmp_path / "said").read_text(errors="replace"))
        assert process.poll() is None
        os.write(keyboard, b"\x1d")
        assert process.wait(10) == 0
    finally:
        os.close(keyboard)
        if process.poll() is None:
            process.kill()
        process.wait(10)
        if process.stderr is not None:
            process.stderr.close()


def test_the_console_on_a_terminal(cli: Cli, guest: Guest) -> None:
    cli.define(small("term", disk=str(guest.boot_sector)))
    cli("start", "--paused", "term")
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    words = [str(PROGRAMS / "domicile"), "--root", str(cli.daemon.root), "console", "term"]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=ENVIRONMENT)
    seen = b""

    def sees(text: bytes) -> Callable[[], bool]:
        def look() -> bool:
            nonlocal seen
            while select.select([ours], [], [], 0.05)[0]:
                seen += os.read(ours, 4096)
            return text in seen

        return look

    try:
        wait_until("the banner", sees(b"Ctrl+]"))
        wait_until("raw mode", lambda: not termios.tcgetattr(theirs)[3] & termios.ICANON)
        cli("resume", "term")
        wait_until("the greeting", sees(guest.boot_greeting.encode()))
        os.write(ours, b"\x1d")
        wait_until("the end", lambda: process.poll() is not None)
        assert process.returncode == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        os.close(ours)
        os.close(theirs)


def test_the_console_ends_with_the_machine(cli: Cli, guest: Guest) -> None:
    cli.define(small("gone", disk=str(guest.boot_sector)))
    cli("start", "gone")
    words = [str(PROGRAMS / "domicile"), "--root", str(cli.daemon.root), "console", "gone"]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stderr is not None
        assert b"Connected" in process.stderr.readline()
        cli("destroy", "gone")
        assert process.wait(15) in (0, 1)


def test_shutdown_waits_and_says_when_in_vain(cli: Cli, guest: Guest) -> None:
    cli.define(small("deaf", disk=str(guest.boot_sector)))
    cli("start", "deaf")
    assert "still running after 0.3 s" in cli("shutdown", "deaf", "--wait", "0.3", status=1)


def test_machines_complete_in_the_shell(shared: Cli) -> None:
    shared.define(small("apple"))
    shared.define(small("pear"))
    environment = ENVIRONMENT | {
        "_DOMICILE_COMPLETE": "bash_complete", "COMP_WORDS": f"domicile --root {shared.daemon.root} start a", "COMP_CWORD": "4",
    }  # fmt: skip
    done = subprocess.run([str(PROGRAMS / "domicile")], capture_output=True, text=True, timeout=30, env=environment)
    assert done.stdout.splitlines() == ["plain,apple"]


def test_list_is_quick(shared: Cli) -> None:
    shared.define(small("quick"))
    took = []
    for _ in range(5):
        begun = time.monotonic()
        shared("list")
        took.append(time.monotonic() - begun)
    assert min(took) < 1.5, took  # 0.15 s on an idle machine; tests share theirs


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_user_gets_a_session_daemon(tmp_path: Path) -> None:
    other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    readable = subprocess.run(
        [*other, "env", str(PROGRAMS / "domicile"), "--version"], capture_output=True, timeout=30, check=False
    )
    if readable.returncode:
        pytest.skip("another user cannot run this installation")
    home = Path("/tmp") / f"domicile-home-{os.getpid()}"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    try:
        words = [*other, "env", "-u", "XDG_RUNTIME_DIR", f"HOME={home}", str(PROGRAMS / "domicile"), "list", "--json"]
        first = subprocess.run(words, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        assert (first.returncode, first.stdout) == (0, "[]\n"), first.stderr
        pid = int((home / ".cache/domicile/run/domicile/domiciled.pid").read_text())
        second = subprocess.run(words, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        assert (second.returncode, second.stdout) == (0, "[]\n"), second.stderr
        os.kill(pid, 15)
    finally:
        shutil.rmtree(home, ignore_errors=True)
