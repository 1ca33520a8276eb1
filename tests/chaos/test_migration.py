"""A few rounds of the arena, in a fixed time; by hand there are more (see arena.py)."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
#: Seconds that all rounds of one kind may take, and how many there are at most.
SECONDS, RUNS = float(os.environ.get("DOMICILE_CHAOS_SECONDS", "45")), int(os.environ.get("DOMICILE_CHAOS_RUNS", "12"))
pytestmark = [pytest.mark.system, pytest.mark.slow]


def _missing() -> str:
    programs = [name for name in ("qemu-system-x86_64", "virsh", "unshare") if shutil.which(name) is None]
    if programs:
        return f"not installed: {', '.join(programs)}"
    if os.geteuid() != 0:
        return "daemons that do not see each other's files need root"
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return f"namespaces are not permitted: {allowed.stderr.strip()}" if allowed.returncode else ""


def _load(name: str):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arena():
    """Give the arena, where it can be here."""
    if why := _missing():
        pytest.skip(why)
    return _load("arena")


def test_one_machine_runs_whatever_dies(arena) -> None:
    done = arena.play(RUNS, 7, SECONDS)
    assert done and all(one.ended in ("source", "target", "crashed") for one in done)


def test_the_claim_moves_with_the_machine(arena) -> None:
    postgres = _load("postgres")
    if postgres.binaries() is None:
        pytest.skip("no PostgreSQL server is installed (package postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (domicile[postgresql])")
    server = postgres.Postgres()
    try:
        field = arena.Arena((server.url, server.stop, server.start))
        try:
            one, two = field.hosts
            words = (
                "migrate",
                "--live",
                "--unsafe",
                "--persistent",
                "--undefinesource",
                "--p2p",
                arena.NAME,
                two.far_uri,
            )
            one.virsh(*words, "--migrateuri", "tcp://127.0.0.1")
            assert (one.state(), two.state()) == ("shut off", "running")
            assert field._claim(one) == two.identity()
            refused = one.virsh("start", arena.NAME, check=False)
            assert refused.returncode and "holds the domain" in refused.stderr
            two.virsh("destroy", arena.NAME)
            assert field._claim(one) is None
            one.virsh("start", arena.NAME)
            assert field._claim(two) == one.identity() and not field.spoken.judge()
        finally:
            field.close()
    finally:
        server.close()


def test_one_machine_runs_where_hosts_share_a_database(arena) -> None:
    postgres = _load("postgres")
    if postgres.binaries() is None:
        pytest.skip("no PostgreSQL server is installed (package postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (domicile[postgresql])")
    server = postgres.Postgres()
    try:
        done = arena.play(RUNS, 70, SECONDS, (server.url, server.stop, server.start))
    finally:
        server.close()
    assert done and all(one.ended in ("source", "target", "crashed") for one in done)


def test_a_host_is_emptied(arena) -> None:
    postgres = _load("postgres")
    if postgres.binaries() is None:
        pytest.skip("no PostgreSQL server is installed (package postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (domicile[postgresql])")
    server = postgres.Postgres()
    try:
        field = arena.Arena((server.url, server.stop, server.start))
        try:
            one, two = field.hosts

            def cli(host, *words: str) -> subprocess.CompletedProcess[str]:
                command = [str(arena.PROGRAMS / "domicile"), "--root", str(host.root), *words]
                return subprocess.run(command, capture_output=True, text=True, timeout=120, env=arena.ENVIRONMENT)

            seen = json.loads(cli(one, "host", "list", "--json").stdout)
            assert {each["id"]: each["open"] for each in seen} == {one.identity(): True, two.identity(): True}
            kept = cli(one, "host", "drain")
            assert (
                kept.returncode == 1 and "without shared storage is unsafe" in kept.stderr and one.state() == "running"
            )
            refused = cli(two, "migrate", arena.NAME, "no-such-host")
            assert refused.returncode == 1
            done = cli(one, "host", "drain", "--to", two.identity(), "--unsafe")
            assert done.returncode == 0 and "nothing runs here any more" in done.stdout
            assert (one.state(), two.state()) == ("shut off", "running") and field._claim(one) == two.identity()
            back = cli(two, "migrate", arena.NAME, one.far_uri, "--unsafe")
            assert back.returncode == 1 and "drained" in back.stderr and two.state() == "running"
            assert cli(two, "host", "drain", "--unsafe").returncode == 1 and two.state() == "running"
            for host in (one, two):
                assert cli(host, "host", "undrain").returncode == 0
            moved = cli(two, "migrate", arena.NAME, one.identity(), "--unsafe")
            assert moved.returncode == 0 and one.state() == "running" and not field.spoken.judge()
        finally:
            field.close()
    finally:
        server.close()
