"""A PostgreSQL of our own and a way to it that can be cut; used by the contract and the system tests as fixtures.

`postgres` skips where no server is installed. Whatever is started here is ended here, by process id.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "s3cret-of-the-test"


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A PostgreSQL below one folder: by its unix socket without a password, on loopback with one."""

    def __init__(self, binaries: Path, folder: Path, *options: str) -> None:
        self.binaries, self.folder, self.databases = binaries, folder, 0
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run(
            "initdb", "-D", str(self.data), "-U", "postgres", "-N", "--locale=C.UTF-8",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.options = " ".join(
            [f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={folder} -c fsync=off", *options]
        )
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        self.run("pg_ctl", "-D", str(self.data), "-l", str(self.folder / "log"), "-o", self.options, "-w", "-t", "60", "start")

    def stop(self, how: str = "immediate") -> None:
        self.run("pg_ctl", "-D", str(self.data), "-m", how, "-w", "-t", "60", "stop")

    def fresh_url(self) -> str:
        self.databases += 1
        name = f"domicile{self.databases}"
        self.run("createdb", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}&port={self.port}"

    def over_tcp(self, url: str, port: int = 0) -> str:
        """Give the address of the same database on loopback; the password is not in it."""
        name = url.partition("@/")[2].partition("?")[0]
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{name}"

    def sql(self, url: str, statement: str) -> str:
        name = url.partition("@/")[2].partition("?")[0]
        words = ["psql", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-Atq", "-c", statement, name]
        return self.run(*words).strip()

    def run(self, program: str, *words: str) -> str:
        command = [str(self.binaries / program), *words]
        # Files, not pipes: pg_ctl's server would hold a pipe open for ever.
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run(command, user=self.user, cwd=self.folder, stdout=out, stderr=out, timeout=120)
            out.seek(0)
            said = out.read()
        assert done.returncode == 0, said
        return said


class Cut:
    """A TCP proxy that can go silent, or cut what passes through it."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.silent = False
        self.cut_at_commit = False
        """Go silent when a client commits a definition; the server has got the COMMIT then."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def break_off(self) -> None:
        """Cut all that is open now."""
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        self._thread.join(5)
        self._listening.close()
        for end in self._ends:
            end.close()

    def _run(self) -> None:
        pairs: dict[socket.socket, tuple[socket.socket, bool]] = {}
        changing: set[socket.socket] = set()
        while not self._closed:
            for ready in select.select([self._listening, *([] if self.silent else pairs)], [], [], 0.05)[0]:
                if ready is self._listening:
                    client, _ = self._listening.accept()
                    server = socket.create_connection(("127.0.0.1", self.to)) if self._answers() else None
                    if server is None:
                        client.close()
                        continue
                    pairs[client], pairs[server] = (server, True), (client, False)
                    self._ends += [client, server]
                    continue
                if ready not in pairs or self.silent:
                    continue
                other, from_client = pairs[ready]
                try:
                    data = ready.recv(65536)
                    other.sendall(data)
                except OSError:
                    data = b""
                if not data:
                    for end in (ready, other):
                        pairs.pop(end, None)
                        self._ends.remove(end)
                        end.close()
                elif from_client and b"INTO revision" in data:
                    changing.add(ready)
                elif from_client and b"COMMIT" in data and ready in changing:
                    changing.discard(ready)
                    if self.cut_at_commit:
                        self.silent, self.cut_at_commit = True, False

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.to)) == 0


def _make(*options: str) -> Iterator[Postgres]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (package postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (domicile[postgresql])")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres'")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path has 107 bytes
    server = Postgres(binaries, folder, *options)
    try:
        yield server
    finally:
        if (server.data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Give one PostgreSQL to all tests; each takes a database of its own."""
    yield from _make()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Give a PostgreSQL to one test, which may stop it."""
    yield from _make()


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    """Write the password where libpq finds it by PGPASSFILE."""
    path = tmp_path / "pgpass"
    path.write_text(f"*:*:*:*:{PASSWORD}\n")
    path.chmod(0o600)
    return path


def signal_backends(server: Postgres, number: signal.Signals) -> None:
    """Send a signal to every process that serves a client."""
    pids = server.sql("@/postgres?", "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL")
    for pid in pids.split():
        os.kill(int(pid), number)


def wait_for(question, seconds: float = 30.0, every: float = 0.1):
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, "it did not come to be so"
        time.sleep(every)
    return answer
