"""Images that a client opens and gives as descriptors (virDomainFDAssociate), with a QEMU that could not open them itself."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(
    not Path("/usr/lib/python3/dist-packages/libvirt.py").exists(), reason="libvirt-python is not installed"
)
XML = """<domain type='qemu'><name>given</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file'><driver name='qemu' type='raw'/><source file='{}' fdgroup='images'/><target dev='vda' bus='virtio'/></disk>
<serial type='pty'/></devices></domain>"""
PROGRAM = """
import libvirt, os, sys
libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.open(sys.argv[1])
dom = conn.lookupByName("given")

def refused(what):
    try:
        dom.create()
    except libvirt.libvirtError as error:
        assert what in str(error), error
    else:
        raise SystemExit("it started")

refused("were not given")
other = libvirt.open(sys.argv[1])
fd = os.open(sys.argv[2], os.O_RDWR)
other.lookupByName("given").FDAssociate("images", [fd])
other.close()
import time
for _ in range(100):
    time.sleep(0.05)
    try:
        refused("were not given")
        break
    except SystemExit:
        dom.destroy()
reading = os.open(sys.argv[2], os.O_RDONLY)
dom.FDAssociate("images", [reading])
refused("is open for reading and writing")
dom.FDAssociate("images", [fd])
dom.create()
dom.destroy()
os.close(fd)  # QEMU's locks stay with what was opened once
dom.FDAssociate("images", [reading, os.open(sys.argv[2], os.O_RDWR)])
dom.create()
print("started")
"""


def test_a_machine_runs_from_an_image_that_only_its_client_may_open(daemon: Any, guest: Any) -> None:
    guest.boot_sector.chmod(0o600)
    daemon.define(XML.format(guest.boot_sector))
    before = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))
    done = subprocess.run(
        [PYTHON, "-c", PROGRAM, daemon.uri, str(guest.boot_sector)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "started\n", done.stderr
    (pid,) = daemon.guests()
    held = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    assert guest.boot_sector in held
    assert guest.boot_sector.stat().st_uid == os.geteuid()
    console = daemon.console("given")
    daemon.virsh("reset", "given")
    console.expect(guest.boot_greeting)
    daemon.virsh("destroy", "given")
    deadline = time.monotonic() + 20
    while len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())) > before + 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
