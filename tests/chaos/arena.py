"""Two hosts, one guest, and something that dies while the guest moves between them; afterwards exactly one machine must run.

`test_migration.py` runs a few rounds; by hand as many as wanted:

    .venv/bin/python tests/chaos/arena.py --runs 200 [--shared] [--seed N]

The hosts are daemons that do not see each other's files. What they say to each other, and the guest's state, goes through proxies
that are cut. It wants to be root in a network namespace of its own (`unshare --net`, loopback up), or at least alone.
"""

from __future__ import annotations

import argparse
import os
import random
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from guest import Spoken, counted, disk

PROGRAMS = Path(sys.executable).parent
UUID = "c4a05000-0000-4000-8000-000000000001"
NAME = "counter"
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("LIBVIRT_", "LC_", "LANG"))} | {
    "LC_ALL": "C.UTF-8"
}
BLOWS = (
    "source daemon", "target daemon", "source qemu", "target qemu", "client", "link", "stream", "both daemons", "source stop", "target stop", "nothing",
)  # fmt: skip
_HIDE = 'mount -t tmpfs none "$1" && shift && exec "$@"'


class Failure(Exception):
    """A round ended as none may end."""


class Proxy:
    """Carries bytes between two places until it is cut; a cut one refuses until it is healed."""

    def __init__(self, listen: str | tuple[str, int], to: str | tuple[str, int]) -> None:
        self.listen, self.to, self.cut = listen, to, False
        family = socket.AF_UNIX if isinstance(listen, str) else socket.AF_INET
        self._server = socket.socket(family, socket.SOCK_STREAM)
        if isinstance(listen, tuple):
            self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._server.bind(listen)
        if isinstance(listen, str):
            Path(listen).chmod(0o777)
        self._server.listen(16)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._server.accept()
            except OSError:
                return
            if self.cut:
                here.close()
                continue
            there = socket.socket(socket.AF_UNIX if isinstance(self.to, str) else socket.AF_INET, socket.SOCK_STREAM)
            try:
                there.connect(self.to)
            except OSError:
                here.close()
                there.close()
                continue
            self._open += [here, there]
            threading.Thread(target=self._carry, args=(here, there), daemon=True).start()

    def _carry(self, one: socket.socket, two: socket.socket) -> None:
        ends = {one: two, two: one}
        try:
            while True:
                for end in select.select([one, two], [], [])[0]:
                    data = end.recv(262_144)
                    if not data:
                        return
                    ends[end].sendall(data)
        except (OSError, ValueError):
            return
        finally:
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def break_off(self) -> None:
        """Cut every connection, and refuse new ones."""
        self.cut = True
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        """End it."""
        self.break_off()
        # Whoever waits in accept() would keep the port.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@dataclass
class Host:
    """A daemon with a root of its own, which does not see its neighbour's."""

    root: Path
    hidden: Path
    link: Path
    database: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.root / "run/domicile-sock"

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def far_uri(self) -> str:
        """How the neighbour and its clients reach it."""
        return f"qemu+unix:///system?socket={self.link}"

    def configure(self) -> None:
        self.root.mkdir(mode=0o755)
        database = f'database = "{self.database}"\n' if self.database else ""
        (self.root / "domicile.toml").write_text(f'{database}[qemu]\nmigration_uri = "{self.far_uri}"\n')

    def start(self) -> None:
        words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _HIDE, "hide", str(self.hidden)]
        words += [str(PROGRAMS / "domiciled"), "--root", str(self.root), "--foreground"]
        with (self.root / "output").open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT)
        wait(f"the daemon of {self.root.name}", self._answers, 60)

    def _answers(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise Failure(f"the daemon of {self.root.name} ended:\n{self.output()}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def stop(self) -> None:
        """End it politely, as for an upgrade."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)

    def output(self) -> str:
        return (self.root / "output").read_text(errors="replace")[-5000:]

    def virsh(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["virsh", "--quiet", "-c", self.uri, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
        if check and done.returncode:
            raise Failure(f"{' '.join(words)}: {done.stderr.strip()}")
        return done

    def state(self) -> str:
        done = self.virsh("domstate", NAME, check=False)
        return (
            done.stdout.strip() if not done.returncode else ("none" if "failed to get domain" in done.stderr else "?")
        )

    def qemus(self) -> list[int]:
        """List the QEMUs of this host that are alive."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                home, image = (entry / "cwd").readlink(), (entry / "exe").readlink().name
                dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if "qemu-system" in image and home.is_relative_to(self.root) and not dead:
                found.append(int(entry.name))
        return found

    def identity(self) -> str:
        return (self.root / "lib/host-id").read_text().strip()


def wait(what: str, question: Callable[[], object], deadline: float, every: float = 0.03) -> None:
    """Ask until the answer is true. Raises: Failure."""
    end = time.monotonic() + deadline
    while not question():
        if time.monotonic() > end:
            raise Failure(f"waited {deadline:g} s in vain for {what}")
        time.sleep(every)


@dataclass
class Round:
    """What one round did, for whoever must find out why it failed."""

    number: int
    seed: int
    blow: str
    way: str
    slow: bool
    delay: float
    forward: bool
    moment: str = ""
    ended: str = ""
    said: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        arrow = "one→two" if self.forward else "two→one"
        pace = "slow" if self.slow else "fast"
        when = f"at '{self.moment}'" if self.moment else f"after {self.delay:.2f} s"
        return f"#{self.number} seed {self.seed}: {self.blow} {when}, {self.way}, {pace}, {arrow} → {self.ended}"


class Arena:
    """The hosts, the guest and the ways between; `shared` is a PostgreSQL that both have, with functions to stop and start it."""

    def __init__(
        self, shared: tuple[str, Callable[[], None], Callable[[], None]] | None = None, *, outages: bool = False
    ) -> None:
        self.outages = outages
        self.place = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
        self.place.chmod(0o755)
        self.shared = shared
        self.disk, self.spoken = self.place / "count.img", Spoken(self.place / "spoken")
        disk(self.disk)
        self.spoken.path.touch()
        self.disk.chmod(0o666)
        self.spoken.path.chmod(0o666)
        roots = self.place / "one", self.place / "two"
        url = shared[0] if shared is not None else ""
        self.hosts = tuple(
            Host(roots[n], roots[1 - n], self.place / f"link-{n}", url) for n in (0, 1)
        )  # fmt: skip
        for host in self.hosts:
            host.configure()
        self.links = [Proxy(str(host.link), str(host.socket)) for host in self.hosts]
        self.port = 49_500
        for host in self.hosts:
            host.start()
        path = self.place / "counter.xml"
        path.write_text(
            f"<domain type='qemu'><name>{NAME}</name><uuid>{UUID}</uuid><memory unit='MiB'>32</memory>"
            "<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features><devices>"
            f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{self.disk}'/><target dev='vda' bus='virtio'/>"
            f"</disk><serial type='file'><source path='{self.spoken.path}' append='on'/></serial></devices></domain>"
        )
        self.hosts[0].virsh("define", str(path))
        self.hosts[0].virsh("start", NAME)
        wait("the first count", lambda: self.spoken.last() > 2, 60)

    def close(self) -> None:
        """End everything."""
        for host in self.hosts:
            pids = host.qemus()
            host.kill()
            for pid in {*pids, *host.qemus()}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for link in self.links:
            link.close()
        shutil.rmtree(self.place, ignore_errors=True)

    # One round.

    def play(self, number: int, seed: int) -> Round:
        """Let the guest move, let something die, and look what became of it. Raises: Failure."""
        chance = random.Random(seed)
        blows = (*BLOWS, "database") if self.outages else BLOWS
        forward = self.hosts[0].state() == "running"
        slow = chance.random() < 0.4
        # Most of what can go wrong goes wrong where the machine changes hands.
        delay = chance.uniform(0.0, 1.7 if slow else 0.5)
        found = Round(number, seed, chance.choice(blows), chance.choice(("managed", "p2p")), slow, delay, forward)
        found.moment = chance.choice(("", "", "handed", "taken"))
        source, target = self.hosts if forward else self.hosts[::-1]
        stream = self._stream()
        try:
            self._move(found, source, target, stream, chance)
        finally:
            stream.close()
        self._judge(found, source, target)
        return found

    def _stream(self) -> Proxy:
        self.port += 1
        if self.port > 49_900:
            self.port = 49_501
        return Proxy(("127.0.0.2", self.port), ("127.0.0.1", self.port))

    def _move(self, found: Round, source: Host, target: Host, stream: Proxy, chance: random.Random) -> None:
        words = ["virsh", "-c", source.uri, "migrate", "--live", "--unsafe", "--persistent", NAME, target.far_uri]
        words += ["--migrateuri", f"tcp://127.0.0.2:{self.port}", "--listen-address", "127.0.0.1"]
        words += ["--p2p"] if found.way == "p2p" else []
        words += ["--bandwidth", "1"] if found.slow else []
        client = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)
        if found.moment:
            self._await(found.moment, source if found.moment == "handed" else target, client)
        else:
            time.sleep(found.delay)
        self._strike(found, source, target, stream, client)
        time.sleep(chance.uniform(0.1, 1.5))
        self._heal(found, source, target, stream)
        try:
            found.said.append(client.communicate(timeout=150)[0])
        except subprocess.TimeoutExpired:
            client.kill()
            client.communicate()
            raise Failure("the client of the migration never came back") from None

    def _await(self, phase: str, host: Host, client: subprocess.Popen[str]) -> None:
        """Wait until a daemon has noted that a machine has come that far, and no longer."""
        mark, end = f'"phase":"{phase}"'.encode(), time.monotonic() + 20
        while time.monotonic() < end and client.poll() is None:
            for record in (host.root / "run/machine").glob("*.json"):
                with suppress(OSError):
                    if mark in record.read_bytes():
                        return
            time.sleep(0.0005)

    def _strike(self, found: Round, source: Host, target: Host, stream: Proxy, client: subprocess.Popen[str]) -> None:
        match found.blow:
            case "source daemon":
                source.kill()
            case "target daemon":
                target.kill()
            case "source stop":
                source.stop()
            case "target stop":
                target.stop()
            case "both daemons":
                source.kill()
                target.kill()
            case "source qemu" | "target qemu":
                for pid in (source if found.blow.startswith("source") else target).qemus():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            case "client":
                client.kill()
            case "link":
                stream.break_off()
                for link in self.links:
                    link.break_off()
            case "stream":
                stream.break_off()
            case "database":
                assert self.shared is not None
                self.shared[1]()

    def _heal(self, found: Round, source: Host, target: Host, stream: Proxy) -> None:
        if found.blow == "database":
            assert self.shared is not None
            self.shared[2]()
        stream.cut = False
        for link in self.links:
            link.cut = False
        for host in (source, target):
            if host.process is not None and host.process.poll() is not None:
                host.start()

    def _judge(self, found: Round, source: Host, target: Host) -> None:
        """Wait until all is settled, and demand that one machine runs, or none where its QEMU was killed."""
        end = time.monotonic() + 90
        before: tuple[str, str] | None = None
        while True:
            now = source.state(), target.state()
            running = now.count("running")
            quiet = all(state in ("running", "shut off", "none", "crashed") for state in now)
            alive = len(source.qemus()) + len(target.qemus())
            if (
                now == before
                and quiet
                and running <= 1
                and alive == running
                and (running or found.blow.endswith("qemu"))
            ):
                break
            if time.monotonic() > end:
                raise Failure(f"not settled: source {now[0]}, target {now[1]}, {alive} QEMUs")
            before = now
            time.sleep(0.2)
        for host, state in zip((source, target), now, strict=True):
            self._nothing_left(host, 1 if state == "running" else 0)
        found.ended = "target" if now[1] == "running" else "source" if now[0] == "running" else "crashed"
        if found.blow == "nothing" and found.ended != "target":
            raise Failure(f"nothing died, and yet it did not move: {found.said}")
        self._check_claims(source, target, now)
        if not running:
            # The machine died with its QEMU, as any would; nothing of it is lost.
            (target if now[1] in ("shut off", "crashed") and self._claimable(target) else source).virsh("start", NAME)
        heard = self.spoken.last()
        wait("the guest to go on counting", lambda: self.spoken.last() != heard, 60)
        problems = self.spoken.judge()
        if problems:
            raise Failure("two machines spoke: " + "; ".join(problems[:5]))
        if counted(self.disk) + 1 < self.spoken.last():
            raise Failure(f"the disk counts {counted(self.disk)}, the guest said {self.spoken.last()}")

    def _nothing_left(self, host: Host, machines: int) -> None:
        """Demand that machines that are over have left no record."""
        place = host.root / "run/machine"
        wait("the records of what is over to go", lambda: len(list(place.glob("*.json"))) == machines, 10)

    def _claimable(self, host: Host) -> bool:
        return host.state() in ("shut off", "crashed")

    def _check_claims(self, source: Host, target: Host, states: tuple[str, str]) -> None:
        """Demand that the database says the truth about who may run the machine."""
        deadline = time.monotonic() + 20
        while True:
            holders = [self._claim(host) for host in (source, target)]
            if self.shared is not None:
                expected = next(
                    (h.identity() for h, s in zip((source, target), states, strict=True) if s == "running"), None
                )
                good = holders[0] == expected
            else:
                good = all(
                    (holder == host.identity()) == (state == "running") and (holder is None) == (state != "running")
                    for holder, host, state in zip(holders, (source, target), states, strict=True)
                )
            if good:
                return
            if time.monotonic() > deadline:
                raise Failure(f"the claims are {holders} while the machines are {states}")
            time.sleep(0.2)

    def _claim(self, host: Host) -> str | None:
        if self.shared is not None:
            import psycopg

            with psycopg.connect(self.shared[0]) as connection:
                row = connection.execute("SELECT host FROM claim WHERE uuid = %s", (UUID,)).fetchone()
            return row[0] if row else None
        with sqlite3.connect(f"file:{host.root}/lib/domicile.db?mode=ro", uri=True) as connection:
            row = connection.execute("SELECT host FROM claim WHERE uuid = ?", (UUID,)).fetchone()
        connection.close()
        return row[0] if row else None


def play(
    runs: int, seed: int, seconds: float = 1e9, shared: tuple[str, Callable[[], None], Callable[[], None]] | None = None,
    tell: Callable[[str], object] = print, *, outages: bool = False,
) -> list[Round]:  # fmt: skip
    """Play rounds until there were so many, or the time is over. Raises: Failure, with what the daemons said."""
    arena = Arena(shared, outages=outages)
    done: list[Round] = []
    end = time.monotonic() + seconds
    try:
        while len(done) < runs and time.monotonic() < end:
            number = len(done) + 1
            try:
                done.append(arena.play(number, seed + number))
            except Failure as failure:
                words = "\n".join(f"--- {host.root.name}\n{host.output()}" for host in arena.hosts)
                raise Failure(f"round {number}, seed {seed + number}: {failure}\n{words}") from None
            tell(str(done[-1]))
        return done
    finally:
        arena.close()


def main() -> None:
    """Play as many rounds as somebody wants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shared", action="store_true", help="let both hosts share one PostgreSQL")
    parser.add_argument("--outages", action="store_true", help="let the shared PostgreSQL go down, too")
    given = parser.parse_args()
    server = None
    if given.shared:
        from postgres import Postgres

        server = Postgres()
    try:
        shared = (server.url, server.stop, server.start) if server is not None else None
        done = play(
            given.runs, given.seed, shared=shared, tell=lambda text: print(text, flush=True), outages=given.outages
        )
    except Failure as failure:
        print(f"FAILED {failure}")
        sys.exit(1)
    finally:
        if server is not None:
            server.close()
    print(f"{len(done)} rounds: {dict(Counter((r.blow, r.ended) for r in done))}")


if __name__ == "__main__":
    main()
