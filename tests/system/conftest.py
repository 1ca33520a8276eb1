"""A real daemon, real virsh, real guests and, where it is installed, a real libvirtd beside.

Used by every test below tests/system. Each wait has a deadline; whatever is started here is ended here, by process id.

    daemon          a `domiciled` of its own for one test;  shared_daemon: one for a module
    guest           the test guest's files: a private copy of the bootable disk, kernel and initrd, a boot sector
    libvirtd        a real libvirtd that nobody else sees (session)
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PROGRAMS = Path(sys.executable).parent
QEMU = "/usr/bin/qemu-system-x86_64"
PATIENCE = 30.0
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("LIBVIRT_", "VIRSH_", "LC_", "LANG"))} | {
    "LC_ALL": "C.UTF-8"
}

Done = subprocess.CompletedProcess[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lives here; skip it, saying why, where the real programs are missing."""
    missing = [name for name in (QEMU, "virsh") if shutil.which(name) is None]
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


def wait_until(what: str, question: Callable[[], object], deadline: float = PATIENCE, every: float = 0.05) -> None:
    """Ask until the answer is true; fail in words when the deadline passes."""
    end = time.monotonic() + deadline
    while not question():
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline:g} s in vain: {what}")
        time.sleep(every)


def run(words: list[str], deadline: float, check: bool, text_in: str | None = None) -> Done:
    """Run a program to its end; with check, a failing one fails the test with what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=deadline, input=text_in, env=ENVIRONMENT)
    if check and done.returncode:
        pytest.fail(f"{' '.join(words)}\n→ {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def alive(pid: int) -> bool:
    """Tell whether a process runs (one that ended and was not collected yet does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Console:
    """A guest's serial port, read through its pty. Open it while the guest is paused and nothing it says is lost."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.descriptor)
        self.seen = ""
        self._taken = 0

    def send(self, text: str) -> None:
        """Type something."""
        os.write(self.descriptor, text.encode())

    def expect(self, text: str, deadline: float = PATIENCE) -> str:
        """Read until the guest says this; return all it said since the last expectation, this included."""
        end = time.monotonic() + deadline
        while (at := self.seen.find(text, self._taken)) < 0:
            left = end - time.monotonic()
            if left <= 0:
                pytest.fail(f"the guest did not say {text!r} within {deadline:g} s; it said {self.seen[-2000:]!r}")
            if select.select([self.descriptor], [], [], min(left, 0.5))[0]:
                try:
                    self.seen += os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:
                    pytest.fail(f"the console closed before {text!r}; the guest said {self.seen[-2000:]!r}")
        start, self._taken = self._taken, at + len(text)
        return self.seen[start : self._taken]

    def close(self) -> None:
        """Let go of the pty."""
        os.close(self.descriptor)


@dataclass
class Daemon:
    """A `domiciled` with a root of its own."""

    root: Path
    process: subprocess.Popen[bytes] | None = None
    consoles: list[Console] = field(default_factory=list)
    prefix: tuple[str, ...] = ()
    """Words before the daemon's own: the namespace it runs in."""

    @property
    def uri(self) -> str:
        """The connection URI for virsh."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def socket(self) -> Path:
        """The read-write socket."""
        return self.root / "run/domicile-sock"

    @property
    def log(self) -> Path:
        """What the daemon printed, over all its lives."""
        return self.root / "daemon.output"

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        assert self.process is not None, "the daemon was not started"
        return self.process.pid

    def start(self, *options: str, deadline: float = PATIENCE) -> None:
        """Start it and wait until it takes connections."""
        self.launch(*options)
        wait_until("the daemon's socket", self._answers, deadline, 0.02)

    def launch(self, *options: str) -> None:
        """Start it without waiting."""
        words = [*self.prefix, str(PROGRAMS / "domiciled"), "--root", str(self.root), "--foreground", *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            pytest.fail(f"the daemon ended with status {self.process.returncode}:\n{self.output()}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def output(self) -> str:
        """Return the end of what the daemon printed."""
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""

    def stop(self, deadline: float = PATIENCE) -> int:
        """End it politely; return its exit status."""
        assert self.process is not None, "the daemon was not started"
        self.process.terminate()
        return self.process.wait(deadline)

    def kill9(self) -> None:
        """End it as a crash would."""
        assert self.process is not None, "the daemon was not started"
        self.process.kill()
        self.process.wait(PATIENCE)

    def restart(self, *options: str) -> None:
        """End it politely if it still runs, and start it again."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self.start(*options)

    def virsh(self, *words: str, check: bool = True, deadline: float = PATIENCE, text_in: str | None = None) -> Done:
        """Run the real virsh against it."""
        return run(["virsh", "--quiet", "-c", self.uri, *words], deadline, check, text_in)

    def virsh_readonly(self, *words: str, check: bool = True, deadline: float = PATIENCE) -> Done:
        """Run virsh against the read-only socket."""
        uri = f"qemu+unix:///system?socket={self.root}/run/domicile-sock-ro"
        return run(["virsh", "--quiet", "-c", uri, "--readonly", *words], deadline, check)

    def cli(self, *words: str, check: bool = True, deadline: float = PATIENCE, text_in: str | None = None) -> Done:
        """Run our own command line against it."""
        return run([str(PROGRAMS / "domicile"), "--root", str(self.root), *words], deadline, check, text_in)

    def define(self, xml: str) -> None:
        """Define a document given as text."""
        self.virsh("define", "/dev/stdin", text_in=xml)

    def state(self, name: str) -> str:
        """Return the state in virsh's words."""
        return self.virsh("domstate", name).stdout.strip()

    def wait_state(self, name: str, state: str, deadline: float = PATIENCE) -> None:
        """Wait until the domain has this state."""
        wait_until(f"{name} to be {state}", lambda: self.state(name) == state, deadline)

    def console(self, name: str) -> Console:
        """Open the serial port of a running or paused domain."""
        console = Console(self.virsh("ttyconsole", name).stdout.strip())
        self.consoles.append(console)
        return console

    def start_listening(self, name: str) -> Console:
        """Start a domain with its console open from the first instruction on."""
        self.virsh("start", "--paused", name)
        console = self.console(name)
        self.virsh("resume", name)
        return console

    def guests(self) -> list[int]:
        """List the QEMU processes of this daemon: they work in a directory below its root."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and alive(int(entry.name)):
                try:
                    home = (entry / "cwd").readlink()
                    image = (entry / "exe").readlink().name
                except OSError:
                    continue
                if "qemu-system" in image and home.is_relative_to(self.root):
                    found.append(int(entry.name))
        return found

    def clean_up(self) -> None:
        """End the daemon and every guest of its own."""
        for console in self.consoles:
            console.close()
        guests = self.guests()
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        for pid in {*guests, *self.guests()}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            wait_until(f"process {pid} to end", lambda pid=pid: not alive(pid))  # type: ignore[misc]
        shutil.rmtree(self.root, ignore_errors=True)


def open_directory(prefix: str) -> Path:
    """Make a directory with a short path that an unprivileged QEMU may pass through."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    directory.chmod(0o755)
    return directory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the daemon printed beside the failure of a test that used one."""
    report = yield
    if report.failed:  # type: ignore[attr-defined]
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Daemon):
                report.sections.append(("what the daemon printed", value.output()))  # type: ignore[attr-defined]
    return report


def _daemon() -> Iterator[Daemon]:
    daemon = Daemon(open_directory("dom-"))
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.clean_up()


@pytest.fixture
def idle_daemon() -> Iterator[Daemon]:
    """Give a daemon that the test starts with options of its own."""
    daemon = Daemon(open_directory("dom-"))
    try:
        yield daemon
    finally:
        daemon.clean_up()


@pytest.fixture
def programs() -> Path:
    """Say where our own programs are."""
    return PROGRAMS


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Give a running daemon to one test."""
    yield from _daemon()


@pytest.fixture(scope="module")
def shared_daemon() -> Iterator[Daemon]:
    """Give one running daemon to the tests of a module."""
    yield from _daemon()


@dataclass(frozen=True)
class Guest:
    """The test guest's files.

    `image` (boots from a BIOS in about 9 s under TCG) and `boot_sector` (up at once) are a test's own and may be written;
    `kernel` with `initrd` boots in about 4 s, on the command line `console=ttyS0 quiet`.
    """

    image: Path
    boot_sector: Path
    kernel: Path
    initrd: Path
    greeting: str = "DOMICILE-GUEST ready"
    last_fact: str = "uptime:"
    boot_greeting: str = "DOMICILE-BOOT ready"


def _copy(source: Path, directory: Path, mode: int) -> Path:
    path = directory / source.name
    run(["cp", "--sparse=always", str(source), str(path)], PATIENCE, True)
    path.chmod(mode)
    return path


@pytest.fixture(scope="session")
def guest_files() -> Path:
    """Build the test guest unless it is built already."""
    directory = PROJECT / ".cache/guest"
    built = subprocess.run([str(PROJECT / "scripts/guest-image"), str(directory)], capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"the test guest cannot be built here: {built.stderr.strip()}")
    return directory


@pytest.fixture(scope="session")
def kernel_files(guest_files: Path) -> Iterator[tuple[Path, Path]]:
    """Give the kernel and initrd where an unprivileged QEMU can read them."""
    directory = open_directory("kernel-")
    yield _copy(guest_files / "vmlinux", directory, 0o644), _copy(guest_files / "initrd", directory, 0o644)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def guest(guest_files: Path, kernel_files: tuple[Path, Path]) -> Iterator[Guest]:
    """Give the guest's files: disks of its own, the shared kernel and initrd."""
    directory = open_directory("guest-")
    image, boot_sector = (_copy(guest_files / name, directory, 0o666) for name in ("guest.img", "boot.img"))
    yield Guest(image, boot_sector, *kernel_files)
    shutil.rmtree(directory, ignore_errors=True)


@dataclass(frozen=True)
class Libvirtd:
    """A real libvirtd in namespaces of its own."""

    uri: str
    version: str

    def virsh(self, *words: str, check: bool = True, text_in: str | None = None) -> Done:
        """Run virsh against it."""
        return run(["virsh", "--quiet", "-c", self.uri, *words], PATIENCE, check, text_in)


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """Start a libvirtd beside, or skip and say why there can be none."""
    if shutil.which("libvirtd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        pytest.skip("libvirtd is not installed")
    allowed = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], capture_output=True, text=True)
    if allowed.returncode:
        pytest.skip(f"namespaces of its own are not permitted: {allowed.stderr.strip()}")
    directory = open_directory("libvirtd-")
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen([str(HERE / "private-libvirtd"), str(directory)], stdout=output, stderr=output)
    try:
        uri = f"qemu+unix:///system?socket={directory}/run/libvirt-sock"
        wait_until("libvirtd", lambda: run(["virsh", "-c", uri, "version"], PATIENCE, False).returncode == 0, 60, 0.2)
        version = run(["virsh", "-c", uri, "version"], PATIENCE, True).stdout
        yield Libvirtd(uri, version.partition("Using library: libvirt ")[2].split()[0])
    finally:
        process.kill()  # its PID namespace, and all in it, ends with it
        process.wait(PATIENCE)
        shutil.rmtree(directory, ignore_errors=True)
