"""Programs beside QEMU: started before it, as its user; found again by a later daemon; gone when it is gone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import alive, wait_until

pytestmark = pytest.mark.system

_FURTHER = "/usr/libexec:/usr/lib/qemu"
SHARED = "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
PASST = "<interface type='user'><model type='e1000'/><backend type='passt'/></interface>"


def need(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:{_FURTHER}") is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    routes = [line.split("\t") for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    if "passt" in programs and not any(route[1] == "00000000" for route in routes):
        pytest.skip("this host has no default route, so passt has nowhere to go")


def document(disk: Path, inside: str, body: str = "") -> str:
    return f"""<domain type='qemu'><name>vm</name><uuid>22222222-3333-4444-8555-777777777777</uuid>
<memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>{body}
<devices><disk type='file'><driver type='raw'/><source file='{disk}'/><target dev='sda' bus='sata'/></disk>
<serial type='pty'/>{inside}</devices></domain>"""


def helpers(program: str, word: str) -> list[int]:
    """List the processes of a program that have that word on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if Path(words[0]).name == program and any(word in each for each in words):
                found.append(int(entry.name))
    return found


def owner(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.fixture
def directory() -> Iterator[Path]:
    from tests.system.conftest import open_directory

    made = open_directory("share-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize(
    ("program", "inside", "body"),
    [("swtpm", TPM, ""), ("passt", PASST, ""), ("virtiofsd", "{virtiofs}", SHARED)],
)
def test_a_helper_lives_as_long_as_its_machine(
    daemon: Any, guest: Any, directory: Path, program: str, inside: str, body: str
) -> None:
    need(*{"swtpm": ("swtpm", "swtpm_setup")}.get(program, (program,)))
    virtiofs = (
        f"<filesystem type='mount'><driver type='virtiofs'/><source dir='{directory}'/><target dir='t'/></filesystem>"
    )
    word = str(directory) if program == "virtiofsd" else str(daemon.root)
    daemon.define(document(guest.boot_sector, inside.format(virtiofs=virtiofs), body))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    found = helpers(program, word)
    assert found, daemon.output()
    if os.geteuid() == 0:
        assert 0 not in {owner(pid) for pid in found}
    daemon.kill9()
    daemon.start()
    assert daemon.state("vm") == "running"
    assert helpers(program, word) == found
    daemon.virsh("destroy", "vm")
    wait_until(f"{program} to end", lambda: not helpers(program, word), 10)
    daemon.virsh("start", "vm")
    assert helpers(program, word)
    daemon.virsh("destroy", "vm")
    wait_until(f"{program} to end again", lambda: not helpers(program, word), 10)


def test_a_missing_helper_is_named(daemon: Any, guest: Any, directory: Path) -> None:
    binary = "<binary path='/nowhere/virtiofsd'/>"
    inside = f"<filesystem type='mount'><driver type='virtiofs'/>{binary}<source dir='{directory}'/><target dir='t'/></filesystem>"
    daemon.define(document(guest.boot_sector, inside, SHARED))
    refused = daemon.virsh("start", "vm", check=False)
    assert "/nowhere/virtiofsd" in refused.stderr
    assert daemon.state("vm") == "shut off"
    assert not daemon.guests()
