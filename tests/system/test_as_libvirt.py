"""`domiciled --as-libvirt`: clients that are told no socket find the daemon; a living libvirtd keeps its sockets."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
DOMICILED = str(Path(sys.executable).with_name("domiciled"))
SOCKETS = {"libvirt-sock", "libvirt-sock-ro", "virtqemud-sock", "virtqemud-sock-ro"}
XML = "<domain type='qemu'><name>{}</name><memory>65536</memory><os><type>hvm</type></os></domain>"


class Place:
    """A mount namespace with a /run of its own; commands join it."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.run_ = directory, directory / "run"
        holder = [str(HERE / "as-libvirt"), str(directory), "sleep", "600"]
        self.holder = subprocess.Popen(holder, stdin=subprocess.DEVNULL)
        self.daemons: list[subprocess.Popen[bytes]] = []
        deadline = time.monotonic() + 20
        while b"sleep" not in Path(f"/proc/{self.holder.pid}/comm").read_bytes():
            assert time.monotonic() < deadline and self.holder.poll() is None
            time.sleep(0.02)

    def words(self, *command: str) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--", *command]

    def run(self, *command: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*command), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **more
        )

    def domiciled(self, *options: str, **more: Any) -> subprocess.Popen[bytes]:
        words = self.words(DOMICILED, "--foreground", "--as-libvirt", *options)
        with (self.directory / "output").open("ab") as output:
            daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **more)
        self.daemons.append(daemon)
        return daemon

    def wait(self, path: Path, daemon: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 30
        while "event=ready" not in (self.directory / "output").read_text():
            assert time.monotonic() < deadline and daemon.poll() is None, (self.directory / "output").read_text()
            time.sleep(0.05)
        assert path.exists()

    def end(self) -> None:
        for process in (*self.daemons, self.holder):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(15)


@pytest.fixture
def place() -> Iterator[Place]:
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("a mount namespace is not permitted")
    directory = Path(f"/tmp/as-{os.getpid()}-{time.monotonic_ns() % 100000}")
    directory.mkdir(mode=0o755)
    made = Place(directory)
    try:
        yield made
    finally:
        made.end()
        shutil.rmtree(directory, ignore_errors=True)


def sockets(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.exists() else set()


def test_a_bare_virsh_finds_the_daemon_and_nothing_stays_behind(place: Place) -> None:
    root = place.directory / "root"
    daemon = place.domiciled("--root", str(root))
    place.wait(place.run_ / "libvirt/libvirt-sock", daemon)
    assert sockets(place.run_ / "libvirt") == SOCKETS
    (place.directory / "one.xml").write_text(XML.format("one"))
    for words in (("define", f"{place.directory}/one.xml"), ("list", "--all"), ("-c", "qemu:///system", "uri")):
        done = place.run("virsh", "-q", *words)
        assert not done.returncode, done.stderr
    assert "one" in place.run("virsh", "-q", "list", "--all").stdout
    assert place.run("virsh", "uri").stdout.strip() == "qemu:///system"
    assert "one" in place.run("virsh", "-r", "list", "--all").stdout
    assert "read only access" in place.run("virsh", "-r", "undefine", "one").stderr
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0
    assert not (place.run_ / "libvirt").exists()


@pytest.mark.parametrize("taken", sorted(SOCKETS))
def test_sockets_that_somebody_serves_are_left_alone(place: Place, taken: str) -> None:
    directory = place.run_ / "libvirt"
    directory.mkdir()
    serve = "import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", serve, str(directory / taken)])
    try:
        deadline = time.monotonic() + 20
        while not (directory / taken).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        before = (directory / taken).stat().st_ino
        daemon = place.domiciled("--root", str(place.directory / "root"))
        assert daemon.wait(30) == 1
        assert f"another daemon already listens on /run/libvirt/{taken}" in (place.directory / "output").read_text()
        assert sockets(directory) == {taken}
        assert (directory / taken).stat().st_ino == before
    finally:
        other.kill()
        other.wait(20)
    daemon = place.domiciled("--root", str(place.directory / "root"))
    place.wait(directory / "libvirt-sock", daemon)
    assert sockets(directory) == SOCKETS  # what a daemon left that is gone is nobody's


def test_a_socket_that_another_program_took_is_not_removed(place: Place) -> None:
    daemon = place.domiciled("--root", str(place.directory / "root"))
    directory = place.run_ / "libvirt"
    place.wait(directory / "libvirt-sock", daemon)
    (directory / "libvirt-sock").unlink()
    (directory / "libvirt-sock").write_text("another's")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0
    assert sockets(directory) == {"libvirt-sock"}


def test_a_user_finds_the_session_daemon(place: Place) -> None:
    user = pwd.getpwnam("nobody")
    home, runtime = place.directory / "home", place.run_ / "user"
    for one in (home, runtime):
        one.mkdir()
        os.chown(one, user.pw_uid, user.pw_gid)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": "/run/user", "LC_ALL": "C.UTF-8"}
    become = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")
    if subprocess.run([*become, sys.executable, "-c", ""], capture_output=True).returncode:
        pytest.skip("another user cannot run the Python of this test")
    words = place.words(*become, DOMICILED, "--foreground", "--as-libvirt", "--session")
    with (place.directory / "output").open("ab") as output:
        daemon = subprocess.Popen(words, stdout=output, stderr=output, env=environment)
    place.daemons.append(daemon)
    place.wait(runtime / "libvirt/libvirt-sock", daemon)
    (place.directory / "mine.xml").write_text(XML.format("mine"))
    done = place.run(*become, "virsh", "-q", "define", f"{place.directory}/mine.xml", env=environment)
    assert not done.returncode, done.stderr
    assert "mine" in place.run(*become, "virsh", "-q", "list", "--all", env=environment).stdout
    assert place.run(*become, "virsh", "uri", env=environment).stdout.strip() == "qemu:///session"
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(20) == 0
    assert not (runtime / "libvirt").exists()
