"""UEFI guests: the image the host's packages describe, variables of the guest's own that outlive its stops."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from domicile.host import firmware

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not any("efi" in each.kinds and "requires-smm" in each.features for each in firmware.read()),
        reason="no UEFI firmware with secure boot here (package ovmf)",
    ),
]

GUEST = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>
<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type>{inner}</os><features><acpi/></features>
<devices><memballoon model='none'/></devices></domain>"""


def opened(daemon: Any) -> set[str]:
    """List the files the guest's QEMU has open."""
    (pid,) = daemon.guests()
    return {os.fspath(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}


def test_variables_are_made_from_their_template_and_kept(shared_daemon: Any) -> None:
    daemon = shared_daemon
    daemon.define(GUEST.format(name="uefi", inner=""))
    known = daemon.virsh("dumpxml", "uefi").stdout
    assert "secure='yes'" in known and "<smm state='on'/>" in known
    found_path = re.search("<nvram [^>]*>(.*/nvram/uefi_VARS.fd)</nvram>", known)
    assert found_path is not None, known
    variables = Path(found_path[1])
    assert variables.is_relative_to(daemon.root)
    assert not variables.exists()
    daemon.virsh("start", "--paused", "uefi")
    assert str(variables) in opened(daemon)
    found = variables.stat()
    assert found.st_mode & 0o777 == 0o600 and found.st_size > 0
    if os.geteuid() == 0:
        assert found.st_uid != 0
    daemon.virsh("resume", "uefi")
    daemon.virsh("destroy", "uefi")
    marked = variables.read_bytes()
    with variables.open("r+b") as own:
        own.seek(-1, os.SEEK_END)
        own.write(b"\x5a")
    daemon.virsh("start", "--paused", "uefi")
    assert variables.stat().st_ino == found.st_ino and variables.stat().st_size == len(marked)
    assert variables.read_bytes()[-1] == 0x5A
    daemon.virsh("destroy", "uefi")
    daemon.virsh("undefine", "uefi", "--keep-nvram")


def test_without_a_template_the_file_that_is_missing_is_named(shared_daemon: Any) -> None:
    daemon = shared_daemon
    image = next(each for each in firmware.read() if "efi" in each.kinds)
    missing, image_copy = daemon.root / "gone.fd", daemon.root / "code.fd"
    image_copy.write_bytes(Path(image.path).read_bytes()[:1024])
    loader = f"<loader readonly='yes' type='pflash'>{image_copy}</loader><nvram>{missing}</nvram>"
    daemon.define(GUEST.format(name="uefi-gone", inner=loader).replace(" firmware='efi'", ""))
    refused = daemon.virsh("start", "uefi-gone", check=False)
    assert refused.returncode and str(missing) in refused.stderr, refused
    daemon.virsh("undefine", "uefi-gone", "--keep-nvram")
