"""Real virsh against the real daemon: what an operator types, and what comes back."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

UUID = "11111111-2222-4333-8444-555555555555"


def document(disk: Path | None = None, *, name: str = "vm", uuid: str = UUID, extra: str = "") -> str:
    """Write a small guest that greets on its serial port, where it has a disk to boot from."""
    source = f"<source file='{disk}'/>" if disk else ""
    kind = "disk" if disk else "cdrom"
    return f"""<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='{kind}'><driver name='qemu' type='raw'/>{source}<target dev='hda' bus='ide'/></disk>
    <interface type='user'><mac address='52:54:00:11:22:33'/></interface>
    <serial type='pty'/>
    <graphics type='vnc' autoport='yes' passwd='secret'/>
    <panic model='isa'/>
    {extra}
  </devices>
</domain>
"""


@pytest.fixture
def defined(daemon: Any, guest: Any) -> Any:
    """Give a daemon that knows `vm`, which boots the boot sector."""
    daemon.define(document(guest.boot_sector))
    return daemon


@pytest.fixture
def virsh(shared_daemon: Any) -> Iterator[Any]:
    """Give virsh at a daemon that the tests of this file share; its domains go after each test."""
    yield shared_daemon.virsh
    for name in shared_daemon.virsh("list", "--all", "--name").stdout.split():
        shared_daemon.virsh("destroy", name, check=False)
        shared_daemon.virsh("undefine", name, check=False)


@pytest.fixture
def bridge() -> Iterator[str]:
    """Give a bridge of this host."""
    name = f"domq{os.getpid()}"
    if subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True, check=False).returncode:
        pytest.skip("no bridge can be made here")
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def said(virsh: Any, *words: str, **more: Any) -> str:
    """Give what a command says that ends well."""
    out: str = virsh(*words, **more).stdout.strip()
    return out


def refused(virsh: Any, *words: str, **more: Any) -> str:
    """Give what a command says that must fail with status 1."""
    done = virsh(*words, check=False, **more)
    assert done.returncode == 1, done.stdout + done.stderr
    words_of_error: str = done.stderr.strip()
    return words_of_error


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_connection(shared_daemon: Any, virsh: Any) -> None:
    version = said(virsh, "version")
    assert "Using API: QEMU 9.0.0" in version
    assert re.search(r"Running hypervisor: QEMU \d+\.\d+\.\d+", version)
    assert said(virsh, "uri") == shared_daemon.uri
    assert said(virsh, "hostname") == os.uname().nodename
    assert int(said(virsh, "maxvcpus", "qemu")) >= 16


def test_the_host(virsh: Any) -> None:
    facts = dict(line.split(":", 1) for line in said(virsh, "nodeinfo").splitlines())
    assert facts["CPU model"].strip() == os.uname().machine
    assert int(facts["CPU(s)"]) == len(os.sched_getaffinity(0)) or int(facts["CPU(s)"]) >= 1
    assert re.search(r"total +: +\d+ KiB", said(virsh, "nodememstats"))
    assert "user:" in said(virsh, "nodecpustats")
    assert "CPUs online:" in said(virsh, "nodecpumap")
    assert "KiB" in said(virsh, "freecell")
    assert "4KiB" in said(virsh, "freepages", "--all")


def test_what_it_can_run(virsh: Any) -> None:
    capabilities = said(virsh, "capabilities")
    assert "<arch name='x86_64'>" in capabilities
    assert re.search(r"<machine canonical='pc-q35-[\d.]+' maxCpus='\d+'>q35</machine>", capabilities)
    assert "<topology>" in capabilities and "<domain type='qemu'/>" in capabilities
    machine = said(virsh, "domcapabilities", "--virttype", "qemu", "--machine", "q35")
    assert re.search(r"<machine>pc-q35-[\d.]+</machine>", machine)
    assert "<value>sata</value>" in machine and "<value>ide</value>" not in machine
    assert "qemu64" in said(virsh, "cpu-models", "x86_64")
    assert "the machine 'bogus' is not supported" in refused(virsh, "domcapabilities", "--machine", "bogus")


def test_a_definition_is_shown(virsh: Any) -> None:
    virsh("define", "/dev/stdin", text_in=document(extra="<input type='tablet' bus='usb'/>"))
    assert said(virsh, "domuuid", "vm") == UUID
    assert said(virsh, "domname", UUID) == "vm"
    assert said(virsh, "domid", "vm") == "-"
    info = dict(re.split(r":\s+", line, maxsplit=1) for line in said(virsh, "dominfo", "vm").splitlines())
    assert info["OS Type"] == "hvm" and info["State"] == "shut off" and info["Max memory"] == "65536 KiB"
    assert info["Persistent"] == "yes" and info["Autostart"] == "disable" and info["Managed save"] == "no"
    assert said(virsh, "domstate", "--reason", "vm").startswith("shut off")
    assert table(said(virsh, "domblklist", "vm")) == [["hda", "-"]]
    assert table(said(virsh, "domiflist", "vm")) == [["-", "user", "-", "rtl8139", "52:54:00:11:22:33"]]
    assert said(virsh, "vcpucount", "vm", "--maximum", "--config") == "1"
    assert said(virsh, "snapshot-list", "vm", "--name") == ""


def test_secrets_are_only_shown_when_asked_for(shared_daemon: Any, virsh: Any) -> None:
    virsh("define", "/dev/stdin", text_in=document())
    assert "secret" not in said(virsh, "dumpxml", "vm")
    assert "passwd='secret'" in said(virsh, "dumpxml", "vm", "--security-info")
    assert "secret" not in said(shared_daemon.virsh_readonly, "dumpxml", "vm")
    for option in ("--security-info", "--migratable"):
        assert "operation forbidden" in refused(shared_daemon.virsh_readonly, "dumpxml", "vm", option)


def test_all_forms_of_the_list(virsh: Any) -> None:
    for number in range(3):
        uuid = f"{number}{UUID[1:]}"
        virsh("define", "/dev/stdin", text_in=document(name=f"vm{number}", uuid=uuid, extra=""))
    virsh("autostart", "vm1")
    virsh("desc", "vm2", "--title", "The third")
    virsh("start", "vm0", "--paused")
    virsh("create", "/dev/stdin", "--paused", text_in=document(name="passing", uuid=f"9{UUID[1:]}"))

    def names(*options: str) -> list[str]:
        return sorted(said(virsh, "list", "--name", *options).split())

    assert names() == ["passing", "vm0"]
    assert names("--all") == ["passing", "vm0", "vm1", "vm2"]
    assert names("--inactive") == names("--all", "--state-shutoff") == ["vm1", "vm2"]
    assert names("--all", "--autostart") == ["vm1"]
    assert names("--all", "--no-autostart") == ["passing", "vm0", "vm2"]
    assert names("--state-paused") == ["passing", "vm0"]
    assert names("--state-running") == names("--all", "--with-snapshot") == names("--all", "--with-managed-save") == []
    assert names("--transient") == ["passing"]
    assert names("--all", "--persistent", "--without-managed-save") == ["vm0", "vm1", "vm2"]
    assert ["-", "vm2", "shut", "off", "The", "third"] in table(said(virsh, "list", "--all", "--title"))
    assert f"2{UUID[1:]}" in said(virsh, "list", "--all", "--uuid")
    assert [row[1:] for row in table(said(virsh, "list"))] == [["vm0", "paused"], ["passing", "paused"]]


def test_texts_and_metadata(virsh: Any) -> None:
    virsh("define", "/dev/stdin", text_in=document())
    assert said(virsh, "desc", "vm") == ""
    virsh("desc", "vm", "two words")
    virsh("desc", "vm", "--title", "A title")
    assert said(virsh, "desc", "vm") == "two words"
    assert "<title>A title</title>" in said(virsh, "dumpxml", "vm")
    virsh("metadata", "vm", "http://example.org/x", "--key", "x", "--set", "<note a='1'>hello</note>")
    assert said(virsh, "metadata", "vm", "http://example.org/x") == '<note a="1">hello</note>'
    virsh("metadata", "vm", "http://example.org/x", "--remove")
    assert "metadata not found" in refused(virsh, "metadata", "vm", "http://example.org/x")
    assert "domain is not running" in refused(virsh, "desc", "vm", "--live", "x")


def test_rename_and_autostart(virsh: Any) -> None:
    virsh("define", "/dev/stdin", text_in=document())
    virsh("domrename", "vm", "other")
    assert said(virsh, "domuuid", "other") == UUID
    assert "failed to get domain 'vm'" in refused(virsh, "dominfo", "vm")
    virsh("autostart", "other")
    assert "Autostart:      enable" in said(virsh, "dominfo", "other")
    virsh("autostart", "--disable", "other")
    assert "Autostart:      disable" in said(virsh, "dominfo", "other")


def test_edit(shared_daemon: Any, virsh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    virsh("define", "/dev/stdin", text_in=document())
    editor = shared_daemon.root / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's,65536</memory>,131072</memory>,' \"$1\"\n")
    editor.chmod(0o755)
    environment = {**os.environ, "EDITOR": str(editor), "VISUAL": str(editor), "LC_ALL": "C.UTF-8"}
    words = ["virsh", "-c", shared_daemon.uri, "edit", "vm"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "Domain 'vm' XML configuration edited." in done.stdout, done.stderr
    assert "Max memory:     131072 KiB" in said(virsh, "dominfo", "vm")
    assert "passwd='secret'" in said(virsh, "dumpxml", "vm", "--security-info"), "editing lost the password"
    again = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=30)
    assert "not changed" in again.stdout


def test_the_whole_life(defined: Any) -> None:
    virsh = defined.virsh
    console = defined.start_listening("vm")
    console.expect("DOMICILE-BOOT ready")
    assert said(virsh, "domstate", "--reason", "vm") == "running (unpaused)"
    assert said(virsh, "domid", "vm").isdigit()
    assert "CPU time:" in said(virsh, "dominfo", "vm")
    assert re.fullmatch(r"vnc://:?.*localhost:\d+|vnc://.*127.0.0.1:\d+", said(virsh, "domdisplay", "vm"))
    assert re.fullmatch(r"(127\.0\.0\.1)?:\d+", said(virsh, "vncdisplay", "vm"))
    assert said(virsh, "ttyconsole", "vm").startswith("/dev/pts/")
    assert re.search(r"<alias name='serial0'/>", said(virsh, "dumpxml", "vm"))
    assert "<alias" not in said(virsh, "dumpxml", "--inactive", "vm")
    assert "state.state=1" in said(virsh, "domstats", "vm") and "vcpu.0.time=" in said(virsh, "domstats", "vm")
    assert "rss" in said(virsh, "dommemstat", "vm")
    assert said(virsh, "domcontrol", "vm") == "ok"
    assert re.search(r"Job type:\s+None", said(virsh, "domjobinfo", "vm"))
    assert "Capacity:" in said(virsh, "domblkinfo", "vm", "hda")
    assert "CPU Affinity:" in said(virsh, "vcpuinfo", "vm")
    virsh("suspend", "vm")
    assert said(virsh, "domstate", "--reason", "vm") == "paused (user)"
    virsh("resume", "vm")
    virsh("reset", "vm")
    console.expect("DOMICILE-BOOT ready")
    virsh("reboot", "vm")
    console.expect("DOMICILE-BOOT ready")
    virsh("shutdown", "vm")
    defined.wait_state("vm", "shut off")
    assert said(virsh, "domstate", "--reason", "vm") == "shut off (shutdown)"
    virsh("start", "vm", "--paused")
    assert said(virsh, "domstate", "--reason", "vm") == "paused (user)"
    virsh("destroy", "vm", "--graceful")
    assert said(virsh, "domstate", "--reason", "vm") == "shut off (destroyed)"
    virsh("undefine", "vm")
    assert said(virsh, "list", "--all") == ""


class Terminal:
    """virsh at a terminal, as a person has it."""

    def __init__(self, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp("virsh", ["virsh", *words])
        self.seen = b""

    def until(self, text: bytes, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 4096)
        self.seen = self.seen.partition(text)[2]

    def end(self) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status


def test_the_console_is_a_stream(defined: Any) -> None:
    defined.virsh("start", "vm", "--paused")
    terminal = Terminal("-k", "1", "-K", "3", "-c", defined.uri, "console", "vm")
    terminal.until(b"Escape character is")
    second = Terminal("-c", defined.uri, "console", "vm")
    second.until(b"error: operation failed")
    assert second.end() == 1
    defined.virsh("resume", "vm")
    terminal.until(b"DOMICILE-BOOT ready")
    os.write(terminal.fd, b"hello")
    terminal.until(b"hello")
    time.sleep(2.5)  # longer than two keepalive intervals
    os.write(terminal.fd, b"again")
    terminal.until(b"again")
    other = Terminal("-c", defined.uri, "console", "vm", "--force")
    other.until(b"Escape character is")
    assert terminal.end() == 0
    os.write(other.fd, b"mine")
    other.until(b"mine")
    os.write(other.fd, b"P")
    assert other.end() == 0
    defined.wait_state("vm", "shut off")


def test_events_come_in_order(defined: Any) -> None:
    words = ["virsh", "-k", "1", "-K", "3", "-c", defined.uri, "event", "--event", "lifecycle", "--loop"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        time.sleep(1)
        for command in ("define-again", "start", "suspend", "resume", "destroy", "undefine"):
            if command == "define-again":
                defined.define(said(defined.virsh, "dumpxml", "--inactive", "--security-info", "vm"))
            else:
                defined.virsh(command, "vm")
        lines = [watcher.stdout.readline().strip() for _ in range(8)]
        watcher.send_signal(signal.SIGINT)
    assert [line.partition("'vm': ")[2] for line in lines] == [
        "Defined Updated",
        "Resumed Unpaused",
        "Started Booted",
        "Suspended Paused",
        "Resumed Unpaused",
        "Shutdown Finished after host request",
        "Stopped Destroyed",
        "Undefined Removed",
    ]


def test_two_starts_at_once_give_one_machine(defined: Any) -> None:
    words = ["virsh", "-q", "-c", defined.uri, "start", "vm"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [(one.communicate(timeout=30)[1], one.returncode) for one in both]
    assert sorted(status for _, status in ends) == [0, 1]
    assert any("is already" in error for error, _ in ends)
    assert len(defined.guests()) == 1


def test_autodestroy_ends_with_its_connection(defined: Any) -> None:
    shell = Terminal("-c", defined.uri)
    shell.until(b"virsh #")
    os.write(shell.fd, b"start vm --autodestroy\n")
    shell.until(b"started")
    assert defined.state("vm") == "running"
    os.write(shell.fd, b"quit\n")
    assert shell.end() == 0
    defined.wait_state("vm", "shut off")


@pytest.mark.parametrize("queues", [1, 3])
def test_a_card_on_a_bridge_has_a_tap_of_as_many_queues(
    virsh: Any, shared_daemon: Any, bridge: str, queues: int
) -> None:
    card = f"""<interface type='bridge'><mac address='52:54:00:aa:bb:cc'/><source bridge='{bridge}'/><model type='virtio'/>
      <driver queues='{queues}'/></interface>"""
    shared_daemon.define(document(extra=card))
    said(virsh, "start", "vm")
    (row,) = [line for line in table(said(virsh, "domiflist", "vm")) if "bridge" in line]
    tap = Path("/sys/class/net") / row[0]
    assert row[1:] == ["bridge", bridge, "virtio", "52:54:00:aa:bb:cc"]
    assert (tap / "master").resolve().name == bridge
    ends = sum(f"iff:\t{row[0]}\n" in _text(path) for path in Path("/proc").glob("[0-9]*/fdinfo/*"))
    assert ends == queues, "QEMU holds each queue's end, the daemon none"
    said(virsh, "destroy", "vm")
    assert not tap.exists()
