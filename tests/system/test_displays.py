"""Viewers joined to displays by open descriptors, with the real libvirt-python and a real QEMU."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

PYTHON = "/usr/bin/python3"
pytestmark = pytest.mark.skipif(
    not Path("/usr/lib/python3/dist-packages/libvirt.py").exists(), reason="libvirt-python is not installed"
)
SECRET = "viewer-8"
XML = f"""<domain type='qemu'><name>seen</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64'>hvm</type></os>
<devices><graphics type='vnc' passwd='{SECRET}'><listen type='none'/></graphics></devices></domain>"""
BEGIN = """
import libvirt, os, socket, sys
libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.open(sys.argv[1])
dom = conn.lookupByName("seen")

def refused(call, *args):
    try:
        call(*args)
    except libvirt.libvirtError as error:
        return error.get_error_code(), error.get_error_message()
    raise SystemExit(f"{call.__name__}{args} was not refused")

def greeting(sock):
    sock.settimeout(10)
    assert sock.recv(12, socket.MSG_WAITALL).startswith(b"RFB 003.")
    sock.sendall(b"RFB 003.008\\n")
    count = sock.recv(1)[0]
    return list(sock.recv(count, socket.MSG_WAITALL))
"""
NONE, PASSWORD = 1, 2


def viewer(daemon: Any, script: str, uri: str | None = None) -> str:
    """Run a program of a client."""
    done = subprocess.run([PYTHON, "-c", BEGIN + script, uri or daemon.uri], capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def descriptors(daemon: Any) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


def await_descriptors(daemon: Any, most: int) -> None:
    deadline = time.monotonic() + 20
    while descriptors(daemon) > most:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_viewer_gets_a_descriptor_of_the_display(shared_daemon: Any) -> None:
    shared_daemon.define(XML)
    assert "55, 'Requested operation is not valid: domain is not running'" in viewer(
        shared_daemon, "print(refused(dom.openGraphicsFD, 0))"
    )
    shared_daemon.virsh("start", "seen")
    before = descriptors(shared_daemon)
    script = f"""
assert greeting(socket.socket(fileno=dom.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH))) == [{NONE}]
assert greeting(socket.socket(fileno=dom.openGraphicsFD(0))) == [{PASSWORD}]
print(*refused(dom.openGraphicsFD, 1))
print(*refused(dom.openGraphicsFD, 0, 4))
"""
    assert viewer(shared_daemon, script).splitlines() == [
        "1 internal error: No graphics backend with index 1",
        "8 unsupported flags (0x4) in function qemuDomainOpenGraphicsFD",
    ]
    await_descriptors(shared_daemon, before)


def test_a_viewer_gives_a_descriptor_to_the_display(shared_daemon: Any) -> None:
    before = descriptors(shared_daemon)
    script = f"""
for _ in range(40):
    ours, theirs = socket.socketpair()
    dom.openGraphics(0, theirs.fileno(), libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    theirs.close()
    assert greeting(ours) == [{NONE}]
    ours.close()
ours, theirs = socket.socketpair()
print(refused(dom.openGraphics, 9, theirs.fileno()))
assert dom.isActive()
"""
    assert "No graphics backend with index 9" in viewer(shared_daemon, script)
    await_descriptors(shared_daemon, before)


def test_events_of_what_is_not_there_may_be_asked_for(shared_daemon: Any) -> None:
    script = """
import threading
libvirt.virEventRegisterDefaultImpl()
conn = libvirt.open(sys.argv[1])
numbers = [
    conn.networkEventRegisterAny(None, 0, print, None), conn.storagePoolEventRegisterAny(None, 1, print, None),
    conn.nodeDeviceEventRegisterAny(None, 0, print, None), conn.secretEventRegisterAny(None, 1, print, None),
]
conn.networkEventDeregisterAny(numbers[0])
conn.storagePoolEventDeregisterAny(numbers[1])
conn.nodeDeviceEventDeregisterAny(numbers[2])
conn.secretEventDeregisterAny(numbers[3])
print("fine")
"""
    assert viewer(shared_daemon, script) == "fine"


def test_reading_clients_see_no_display(shared_daemon: Any) -> None:
    script = """
ours, theirs = socket.socketpair()
print(*refused(dom.openGraphicsFD, 0))
print(*refused(dom.openGraphics, 0, theirs.fileno()))
assert dom.isActive()
"""
    uri = f"qemu+unix:///system?socket={shared_daemon.root}/run/domicile-sock-ro"
    assert viewer(shared_daemon, script, uri).splitlines() == [
        "29 operation forbidden: read only access prevents virDomainOpenGraphicsFD",
        "29 operation forbidden: read only access prevents virDomainOpenGraphics",
    ]


def test_starting_with_descriptors_is_refused_as_libvirt_refuses_it(shared_daemon: Any) -> None:
    shared_daemon.define(XML.replace("seen", "idle"))
    script = """
print(*refused(conn.lookupByName("idle").createWithFiles, [0, 1]))
assert not conn.lookupByName("idle").isActive()
"""
    expected = "3 this function is not supported by the connection driver: virDomainCreateWithFiles"
    assert viewer(shared_daemon, script) == expected
