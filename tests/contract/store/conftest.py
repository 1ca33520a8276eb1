"""The subjects of the store's contract: SQLite, and a PostgreSQL of our own where one is installed.

Used by every test in this folder through `url`, `store` and `make`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domicile.store.store import Store
from domicile.store.values import Author, Draft, Fact

AUTHOR = Author("alice", "virsh 9.0", "define vm.xml")
XML = """<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{memory}</memory>
  <features><acpi/></features>
  <devices>
    <disk type='file'><source file='/images/{name}.img'/><target dev='hda'/></disk>
    <disk type='file'><target dev='hdb'/></disk>
    <interface type='bridge'><mac address='{mac}'/><source bridge='br0'/></interface>
  </devices>
</domain>
"""
Make = Callable[..., Draft]


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class Postgres:
    """A PostgreSQL below one folder, reachable by its unix socket alone."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries, self.folder, self.databases = binaries, folder, 0
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "-N", "--locale=C.UTF-8")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        self._run(
            "pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", options, "-w", "-t", "30", "start"
        )

    def fresh_url(self) -> str:
        self.databases += 1
        name = f"domicile{self.databases}"
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "-t", "30", "stop")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), *words]
        done = subprocess.run(command, user=self.user, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (package postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (domicile[postgresql])")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user 'postgres'")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket's path has 107 bytes
    server = Postgres(binaries, folder)
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/domicile.db"
    return str(request.getfixturevalue("postgres").fresh_url())


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def author() -> Author:
    return AUTHOR


@pytest.fixture
def make() -> Make:
    """Make the nth draft: its name, uuid and MAC follow from n, unless they are given."""

    def draft(n: int, *, name: str = "", uuid: str = "", memory: int = 524288, mac: str = "") -> Draft:
        name, uuid = name or f"vm{n}", uuid or f"00000000-0000-4000-8000-{n:012x}"
        mac = mac or f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}"
        text = XML.format(name=name, uuid=uuid, memory=memory, mac=mac)
        facts = [
            Fact("mac", mac, "devices/interface/mac/@address"),
            Fact("disk", f"/images/{name}.img", "devices/disk[1]/source/@file"),
            Fact("bridge", "br0", "devices/interface/source/@bridge"),
        ]
        return Draft(uuid, name, f"<!-- mine -->{text}", text, '{"defaulted": []}', {"memory_kib": memory}, facts)

    return draft
