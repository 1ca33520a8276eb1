"""A daemon that is killed in the middle of storage's work leaves nothing half made: at many moments of each work.

qemu-img is slowed down by a program of its name that stands before it in the daemon's PATH, so that kills meet it before, while
and after it works. The moments are random; a failure names the seed.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.conftest import ENVIRONMENT, Daemon, open_directory, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]
KILLS = int(os.environ.get("DOMICILE_TEST_KILLS", "6"))
PAUSE = 0.08
SLOW = """#!/bin/sh
sleep {pause}
{real} "$@"
status=$?
sleep {pause}
exit $status
"""


class Crashed:
    """A daemon whose qemu-img is slow, with one pool, to be killed while it works."""

    def __init__(self) -> None:
        self.home = open_directory("slow-")
        real = shutil.which("qemu-img")
        assert real is not None
        slow = self.home / "qemu-img"
        slow.write_text(SLOW.format(pause=PAUSE, real=real))
        slow.chmod(0o755)
        self.daemon = Daemon(open_directory("dom-"), prefix=("env", f"PATH={self.home}:{ENVIRONMENT['PATH']}"))
        self.pool = self.daemon.root / "pool"
        self.daemon.start()
        self.daemon.virsh("pool-define-as", "p", "dir", "--target", str(self.pool))

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """Begin a work by virsh, and do not wait for it."""
        command = ["virsh", "-c", self.daemon.uri, *words]
        return subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def takes(self, *words: str) -> float:
        """Do a work undisturbed, and say how long it took."""
        began = time.monotonic()
        self.daemon.virsh(*words)
        return time.monotonic() - began

    def kill_within(self, moment: float, *words: str) -> None:
        """Begin a work, kill the daemon some time later, and start it again."""
        client = self.begin(*words)
        time.sleep(moment)
        self.daemon.kill9()
        client.kill()
        client.wait(30)
        self.daemon.start()

    def whole(self) -> None:
        """Look that nothing is left over of what was given up, on disk and in the database."""
        wait_until("the slow programs to end", lambda: not self._slow())
        left = [path.name for path in self.pool.iterdir() if path.name.startswith(".")]
        assert left == []
        with sqlite3.connect(f"file:{self.daemon.root}/lib/domicile.db?mode=ro", uri=True) as db:
            assert db.execute("SELECT name, work FROM image_use").fetchall() == []
        db.close()
        self.daemon.virsh("pool-refresh", "p")
        shown = {line.split()[0] for line in self.daemon.virsh("vol-list", "p").stdout.splitlines() if line.strip()}
        assert shown == {path.name for path in self.pool.iterdir()}

    def _slow(self) -> bool:
        mine = str(self.home).encode()
        for entry in Path("/proc").iterdir():
            try:
                if (
                    entry.name.isdigit()
                    and mine in (entry / "cmdline").read_bytes()
                    and b"domiciled" not in (entry / "cmdline").read_bytes()
                ):
                    return True
            except OSError:
                continue
        return False

    def clean_up(self) -> None:
        """End all of it."""
        self.daemon.clean_up()
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture
def crashed() -> Iterator[Crashed]:
    found = Crashed()
    try:
        yield found
    finally:
        found.clean_up()


@pytest.fixture
def ready(crashed: Crashed) -> Crashed:
    crashed.daemon.virsh("pool-build", "p")
    crashed.daemon.virsh("pool-start", "p")
    return crashed


def moments(longest: float) -> Iterator[float]:
    """Give moments of a work, from before its beginning to after its end."""
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}, the work takes {longest:.3f} s")
    chosen = random.Random(seed)
    for number in range(KILLS):
        # One from each part, so that none of the work's steps is passed over.
        yield longest * 1.1 * (number + chosen.random()) / KILLS


def sound(path: Path) -> bool:
    done = subprocess.run(["qemu-img", "check", "-q", str(path)], capture_output=True, timeout=60)
    return done.returncode in (0, 63)  # 63: the format has nothing to be checked


def virtual(path: Path) -> int:
    done = subprocess.run(["qemu-img", "info", "--output=json", str(path)], capture_output=True, text=True, timeout=60)
    return int(done.stdout.split('"virtual-size":')[1].split(",")[0])


@pytest.mark.parametrize(("format", "more"), [("qcow2", ()), ("raw", ("--allocation", "64M")), ("vmdk", ())])
def test_a_volume_is_there_whole_or_not_at_all(ready: Crashed, format: str, more: tuple[str, ...]) -> None:
    words = ("vol-create-as", "p", "v", "64M", "--format", format, *more)
    longest = ready.takes(*words)
    seen = set()
    for moment in moments(longest):
        (ready.pool / "v").unlink(missing_ok=True)
        ready.daemon.virsh("pool-refresh", "p")
        ready.kill_within(moment, *words)
        ready.whole()
        there = (ready.pool / "v").exists()
        seen.add(there)
        if there:
            assert sound(ready.pool / "v") and virtual(ready.pool / "v") == 64 << 20
            assert format != "raw" or (ready.pool / "v").stat().st_blocks * 512 >= 64 << 20
        else:
            ready.daemon.virsh(*words)
    assert False in seen, "no kill came in time"


def test_a_copy_is_there_whole_or_not_at_all(ready: Crashed) -> None:
    content = os.urandom(8 << 20)
    (ready.pool / "origin").write_bytes(content)
    ready.daemon.virsh("pool-refresh", "p")
    words = ("vol-clone", "origin", "copy", "--pool", "p")
    longest = ready.takes(*words)
    seen = set()
    for moment in moments(longest):
        (ready.pool / "copy").unlink(missing_ok=True)
        ready.daemon.virsh("pool-refresh", "p")
        ready.kill_within(moment, *words)
        ready.whole()
        there = (ready.pool / "copy").exists()
        seen.add(there)
        assert not there or (ready.pool / "copy").read_bytes() == content
        assert (ready.pool / "origin").read_bytes() == content
    assert False in seen, "no kill came in time"


def test_a_volume_is_filled_whole_or_stays_as_it_was(ready: Crashed, tmp_path: Path) -> None:
    content = os.urandom(32 << 20)
    (tmp_path / "in").write_bytes(content)
    ready.daemon.virsh("vol-create-as", "p", "v", "32M")
    words = ("vol-upload", "v", str(tmp_path / "in"), "--pool", "p")
    longest = ready.takes(*words)
    seen = set()
    for moment in moments(longest):
        ready.daemon.virsh("vol-delete", "v", "--pool", "p")
        ready.daemon.virsh("vol-create-as", "p", "v", "32M", "--allocation", "0")
        ready.kill_within(moment, *words)
        ready.whole()
        now = (ready.pool / "v").read_bytes()
        seen.add(now == content)
        assert now in (content, bytes(len(content)))
        ready.daemon.virsh(*words)
    assert False in seen, "no kill came in time"


@pytest.mark.parametrize("format", ["qcow2", "raw"])
def test_a_volume_has_one_size_or_the_other(ready: Crashed, format: str) -> None:
    ready.daemon.virsh("vol-create-as", "p", "v", "16M", "--format", format)
    longest = ready.takes("vol-resize", "v", "17M", "--pool", "p")
    size = 17
    for moment in moments(longest):
        before, size = size, size + 1
        ready.kill_within(moment, "vol-resize", "v", f"{size}M", "--pool", "p")
        ready.whole()
        assert sound(ready.pool / "v") and virtual(ready.pool / "v") in (before << 20, size << 20)
        ready.daemon.virsh("vol-resize", "v", f"{size}M", "--pool", "p")


def test_what_was_deleted_is_there_or_gone(ready: Crashed) -> None:
    words = ("vol-delete", "v", "--pool", "p")
    ready.daemon.virsh("vol-create-as", "p", "v", "300M", "--allocation", "300M")
    longest = ready.takes(*words)
    for moment in moments(longest):
        if not (ready.pool / "v").exists():
            ready.daemon.virsh("vol-create-as", "p", "v", "300M", "--allocation", "300M")
        ready.kill_within(moment, *words)
        ready.whole()


def test_a_pool_that_was_being_built_can_be_built(crashed: Crashed) -> None:
    for moment in moments(crashed.takes("pool-build", "p")):
        shutil.rmtree(crashed.pool, ignore_errors=True)
        crashed.kill_within(moment, "pool-build", "p")
        assert "inactive" in crashed.daemon.virsh("pool-list", "--all").stdout
        crashed.daemon.virsh("pool-build", "p")
        assert crashed.pool.stat().st_mode & 0o777 == 0o711
        crashed.daemon.virsh("pool-start", "p")
        crashed.whole()
        crashed.daemon.virsh("pool-destroy", "p")
