"""The installed QEMU takes the command line of every golden whose devices it has: each is started paused, and ended.

Files that a golden names are made in a scratch folder, bridges in a namespace of the test's own. What this host has not (a TPM, a
PCI device to lend…) is skipped with the refusal as its reason; a QEMU that ends by itself fails the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.system.conftest import PATIENCE, PROJECT, Daemon, open_directory, run


def emulator(case: Path) -> str | None:
    """Find the QEMU for a golden's architecture, None where it is not installed; "" is the usual one."""
    named = re.search(r"<type [^>]*arch='(\w+)'", (case / "in.xml").read_text())
    arch = named.group(1) if named else "x86_64"
    return "" if arch in ("x86_64", "i686") else shutil.which(f"qemu-system-{arch}")


CASES = sorted(
    path.parent for path in (PROJECT / "tests/golden").glob("*/*/out.xml") if emulator(path.parent) is not None
)
# What QEMU says where it was built without a device, or where the host lacks what the device stands on.
LACKS = (
    "is not a valid device model name", "not compiled", "requires accel=kvm", "Could not open '/dev/", "failed to open /dev/", "egl: ",
    "cannot open device", "unable to map backing store", "No such device", "render node", "DMA_BUF", "x11 not available",
    "Could not init `", "requires kvm", "failed to set the MEMLOCK", "failed to initialize vcard", "Failed to connect", "Failed to bind socket", "binding socket to", "locking memory failed", "Failed to resolve",
    "do you want to install qemu-", "failed to connect to DBus", "kernel doesn't allow",
)  # fmt: skip


@dataclass
class Yard(Daemon):
    """A daemon in a namespace with the bridges that goldens name, and a folder for their files."""

    space: str = ""
    files: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        self.prefix = ("ip", "netns", "exec", self.space) if self.space else ()


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    space = f"dvg{os.getpid()}" if os.geteuid() == 0 and shutil.which("ip") else ""
    if space:
        run(["ip", "netns", "add", space], PATIENCE, True)
        run(["ip", "-n", space, "link", "set", "lo", "up"], PATIENCE, True)
        for bridge in {name for case in CASES for name in re.findall(r"bridge='(\w+)'", (case / "in.xml").read_text())}:
            run(["ip", "-n", space, "link", "add", bridge, "type", "bridge"], PATIENCE, False)
    daemon = Yard(open_directory("dom-"), space=space, files=open_directory("gold-"))
    daemon.files.chmod(0o777)
    try:
        daemon.start()
        if (
            space
            and shutil.which("nft", path="/usr/sbin:/usr/bin")
            and shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")
        ):
            daemon.virsh("net-create", "/dev/stdin", text_in="<network><name>default</name></network>")
        yield daemon
    finally:
        daemon.clean_up()
        shutil.rmtree(daemon.files, ignore_errors=True)
        if space:
            subprocess.run(["ip", "netns", "del", space], check=False)


def prepared(yard: Yard, text: str, name: str, kernel: tuple[Path, Path], binary: str) -> str:
    """Make a golden's document one for this host: emulated, under a name of its own, its files made."""
    if binary:
        text = re.sub(r"<devices/>|<devices></devices>", "", text)
        text = text if "<devices>" in text else text.replace("</domain>", "<devices></devices></domain>")
        text = text.replace("<devices>", f"<devices><emulator>{binary}</emulator>", 1)
    text = re.sub(r"<domain type='\w+'", "<domain type='qemu'", text, count=1)
    text = re.sub(r"<name>.*?</name>", f"<name>{name}</name>", text, count=1)
    text = text.replace("/var/log/vm", str(yard.files)).replace("/run/vm", str(yard.files))
    for tag in ("kernel", "initrd", "dtb"):
        text = re.sub(f"<{tag}>.*?</{tag}>", f"<{tag}>{kernel[tag == 'initrd']}</{tag}>" if tag != "dtb" else "", text)
    for path in set(re.findall(r"(?:file='|<path>)(/[^'<]*)", text)):
        made = yard.files / f"{name}-{path.strip('/').replace('/', '_')}"
        layered = re.search(
            rf"<driver[^>]*type='(qcow2)'[^>]*/?>(?:(?!</disk>).)*?file='{re.escape(path)}'", text, re.DOTALL
        )
        words = ["qemu-img", "create", "-q", "-f", "qcow2" if layered else "raw", str(made), "2M"]
        run(words, PATIENCE, True)
        made.chmod(0o666)
        text = re.sub(rf"(['>]){re.escape(path)}(['<])", rf"\g<1>{made}\2", text)
    return text


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case.parts[-2:]))
def test_qemu_takes_the_command_line(yard: Yard, case: Path, kernel_files: tuple[Path, Path]) -> None:
    name = "gold-" + "-".join(case.parts[-2:])
    text = prepared(yard, (case / "in.xml").read_text(), name, kernel_files, emulator(case) or "")
    defined = yard.virsh("define", "/dev/stdin", check=False, text_in=text)
    if defined.returncode:
        pytest.skip(f"not for this host: {defined.stderr.strip()[:300]}")
    try:
        started = yard.virsh("start", "--paused", name, check=False)
        words = started.stderr.strip()
        if started.returncode:
            assert "ended while it started" not in words or any(lack in words for lack in LACKS), words
            assert "QEMU refused" not in words and "timed out" not in words, words
            pytest.skip(f"this host cannot: {words[-300:]}")
        assert yard.virsh("domstate", name).stdout.strip() == "paused"
        yard.virsh("destroy", name)
    finally:
        yard.virsh("undefine", "--nvram", name, check=False)
