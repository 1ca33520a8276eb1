"""Real virsh and libvirt-python over the wire, against domains that are only names."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("virsh") is None, reason="virsh is not installed"),
]
PROGRAM = Path(__file__).with_name("fake_domains.py")
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("wire") / "sock"
    with subprocess.Popen([sys.executable, str(PROGRAM), str(path), "3"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        while "ready" not in (line := server.stdout.readline()):
            assert line
        yield f"qemu+unix:///system?socket={path}"
        server.terminate()
        assert server.wait(10) == 0


def virsh(uri: str, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        ["virsh", "-q", "-c", uri, *words], capture_output=True, text=True, timeout=20, env=ENVIRONMENT
    )
    assert done.returncode == status, done.stderr
    return (done.stdout + done.stderr).strip()


def test_the_connection(uri: str) -> None:
    assert "Running hypervisor: QEMU 7.2.0" in virsh(uri, "version")
    assert virsh(uri, "uri") == uri
    assert virsh(uri, "hostname") == "host.example"
    assert "CPU model:           x86_64" in virsh(uri, "nodeinfo")
    assert "with='virsh'" in virsh(uri, "capabilities")


def test_reading(uri: str) -> None:
    assert [line.split()[1] for line in virsh(uri, "list", "--all").splitlines()] == ["vm0", "vm1", "vm2"]
    assert "UUID:           00000000-0000-0000-0000-000000000002" in virsh(uri, "dominfo", "vm1")
    assert "<name>vm1</name>" in virsh(uri, "dumpxml", "vm1")
    assert virsh(uri, "domuuid", "vm2") == "00000000-0000-0000-0000-000000000003"


def test_errors(uri: str) -> None:
    assert "failed to get domain 'nope'" in virsh(uri, "dominfo", "nope", status=1)
    assert "Requested operation is not valid: domain is not running" in virsh(uri, "destroy", "vm2", status=1)
    unsupported = "error: this function is not supported by the connection driver: virDomainSnapshotNum"
    assert unsupported in virsh(uri, "snapshot-list", "vm1", status=1)
    denied = "operation forbidden: read only access prevents virDomainCreate"
    assert denied in virsh(f"{uri}-ro", "start", "vm1", status=1)


def test_events(uri: str) -> None:
    command = ["virsh", "-c", uri, "event", "--event", "lifecycle", "--loop", "--timeout", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as watcher:
        time.sleep(0.7)
        virsh(uri, "start", "vm0")
        virsh(uri, "destroy", "vm0")
        assert watcher.stdout is not None
        lines = [watcher.stdout.readline().strip() for _ in range(2)]
        watcher.send_signal(signal.SIGINT)
    assert lines == [
        "event 'lifecycle' for domain 'vm0': Started Booted",
        "event 'lifecycle' for domain 'vm0': Stopped Destroyed",
    ]


def test_the_console_and_keepalive(uri: str) -> None:
    virsh(uri, "start", "vm2")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("virsh", ["virsh", "-k", "1", "-K", "2", "-c", uri, "console", "vm2"])
    seen = b""

    def until(text: bytes, seconds: float = 10) -> None:
        nonlocal seen
        deadline = time.monotonic() + seconds
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 4096)

    until(b"hello from the console")
    time.sleep(3.5)
    os.write(terminal, b"abc")
    until(b"ABC")
    os.write(terminal, b"bye")
    until(b"BYE")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    virsh(uri, "destroy", "vm2")


needs_python = pytest.mark.skipif(
    not Path("/usr/lib/python3/dist-packages/libvirt.py").exists(), reason="libvirt-python is not installed"
)


def program(uri: str, script: str, *words: str) -> str:
    command = ["/usr/bin/python3", "-c", script, uri, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert not done.returncode, done.stderr
    return done.stdout


@needs_python
def test_holes_travel_as_holes(uri: str, tmp_path: Path) -> None:
    with (tmp_path / "in").open("wb") as given:
        given.truncate(3 << 30)
        given.seek(1 << 20)
        given.write(b"x" * 300_000)
        given.seek(2 << 30)
        given.write(b"y" * 5)
    script = """
import libvirt, os, sys
conn = libvirt.open(sys.argv[1])
vol = conn.storageVolLookupByPath("/vol")
fd = os.open(sys.argv[2], os.O_RDONLY)
size = os.fstat(fd).st_size

def in_data(stream, fd):
    at = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        data = os.lseek(fd, at, os.SEEK_DATA)
    except OSError:
        return False, size - at
    os.lseek(fd, at, os.SEEK_SET)
    if data > at:
        return False, data - at
    end = os.lseek(fd, at, os.SEEK_HOLE)
    os.lseek(fd, at, os.SEEK_SET)
    return True, end - at

up = conn.newStream()
vol.upload(up, 0, 0, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
up.sparseSendAll(lambda stream, count, fd: os.read(fd, count), in_data,
                 lambda stream, count, fd: os.lseek(fd, count, os.SEEK_CUR), fd)
up.finish()
out = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT)
down = conn.newStream()
vol.download(down, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)

def hole(stream, length, fd):
    os.ftruncate(fd, os.lseek(fd, length, os.SEEK_CUR))

down.sparseRecvAll(lambda stream, data, fd: os.write(fd, data), hole, out)
down.finish()
print("fine")
"""
    assert program(uri, script, str(tmp_path / "in"), str(tmp_path / "out")) == "fine\n"
    given, got = (tmp_path / "in").stat(), (tmp_path / "out").stat()
    assert got.st_size == given.st_size
    assert got.st_blocks <= given.st_blocks + 64
    with (tmp_path / "out").open("rb") as out:
        for place, text in ((0, bytes(8)), (1 << 20, b"x" * 300_000 + bytes(8)), (2 << 30, b"yyyyy" + bytes(8))):
            out.seek(place)
            assert out.read(len(text)) == text


@needs_python
def test_libvirt_python(uri: str) -> None:
    script = """
import libvirt, sys
conn = libvirt.open(sys.argv[1])
dom = conn.lookupByName("vm1")
stream = conn.newStream(0)
dom.openConsole(None, stream, 0)
assert stream.recv(100).startswith(b"hello")
stream.send(b"xyz")
assert stream.recv(100) == b"XYZ"
stream.finish()
assert dom.info()[1] == 524288 and dom.isPersistent() and len(conn.listAllDomains()) == 3
try:
    conn.lookupByName("nope")
except libvirt.libvirtError as error:
    assert error.get_error_code() == 42 and error.get_error_domain() == 10, error.get_error_domain()
conn.close()
print("fine")
"""
    assert program(uri, script) == "fine\n"
