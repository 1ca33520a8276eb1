"""A daemon whose definitions are in a real PostgreSQL: everything works, and it bears that the server goes away."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postgres_server import PASSWORD, Cut, Postgres, wait_for

pytestmark = pytest.mark.system
LONGEST = 20.0
UUID = "22222222-3333-4444-8555-666666666666"


def document(disk: Path, name: str = "vm", extra: str = "", uuid: str = UUID) -> str:
    return f"""<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>{extra}
<devices><disk type='file'><driver type='raw'/><source file='{disk}'/><target dev='hda'/></disk>
<serial type='pty'/><panic model='isa'/></devices></domain>"""


@dataclass
class Placed:
    """A daemon, its PostgreSQL, the proxy between them, and the options that name the database."""

    daemon: Any
    server: Postgres
    proxy: Cut
    direct: str
    options: tuple[str, ...]

    def sql(self, statement: str) -> str:
        return self.server.sql(self.direct, statement)

    def database(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.daemon.cli("--json", "db", "status").stdout)
        return found

    def wait_until_answers(self) -> None:
        wait_for(lambda: self.database()["answers"] and not self.database()["owed"])


@pytest.fixture
def placed(own_postgres: Postgres, tmp_path: Path, idle_daemon: Any) -> Iterator[Placed]:
    direct = own_postgres.fresh_url()
    proxy = Cut(own_postgres.port)
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    options = ("--database", own_postgres.over_tcp(direct, proxy.port), "--database-password-file", str(secret))
    try:
        idle_daemon.start(*options)
        yield Placed(idle_daemon, own_postgres, proxy, direct, options)
    finally:
        proxy.silent = False
        proxy.close()


def test_the_usual_day_on_postgresql(placed: Placed, guest: Any) -> None:
    daemon = placed.daemon
    daemon.define(document(guest.boot_sector))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    assert placed.sql("SELECT count(*) FROM machine") == "1"
    daemon.virsh("suspend", "vm")
    daemon.virsh("resume", "vm")
    daemon.virsh("desc", "vm", "--config", "a new description")
    daemon.virsh("setmem", "vm", "32M", "--config")
    daemon.virsh("net-define", "/dev/stdin", text_in="<network><name>lonely</name><bridge name='brlonely'/></network>")
    assert "lonely" in daemon.virsh("net-list", "--all").stdout
    daemon.restart(*placed.options)
    assert daemon.state("vm") == "running"
    assert "lonely" in daemon.virsh("net-list", "--all").stdout
    assert "a new description" in daemon.virsh("dumpxml", "--inactive", "vm").stdout
    history = json.loads(daemon.cli("--json", "history", "vm").stdout)
    assert [one["revision"] for one in history] == [3, 2, 1]
    assert daemon.cli("find", "name=vm").stdout
    daemon.cli("rollback", "vm", "1")
    console.send("P")
    daemon.wait_state("vm", "shut off")
    wait_for(lambda: placed.sql("SELECT count(*) FROM machine") == "0")
    assert placed.sql("SELECT count(*) FROM claim WHERE host IS NOT NULL") == "0"
    daemon.virsh("undefine", "vm")
    daemon.cli("undelete", "vm")
    assert placed.sql("SELECT count(*) FROM revision") == "6"
    arguments = Path(f"/proc/{daemon.pid}/cmdline").read_text() + daemon.output()
    assert PASSWORD not in arguments
    assert PASSWORD not in daemon.cli("--json", "db", "status").stdout


def test_a_network_that_goes_silent(placed: Placed, guest: Any) -> None:
    daemon = placed.daemon
    images = [guest.boot_sector.with_name(f"boot{number}.img") for number in range(3)]
    for number, image in enumerate(images):
        shutil.copyfile(guest.boot_sector, image)
        image.chmod(0o666)
        daemon.define(document(image, f"vm{number}", uuid=UUID[:-1] + str(number)))
    consoles = [daemon.start_listening(f"vm{number}") for number in range(2)]
    for console in consoles:
        console.expect(guest.boot_greeting)
    placed.proxy.silent = True
    began = time.monotonic()
    refused = daemon.virsh("define", "/dev/stdin", text_in=document(guest.boot_sector, "late"), check=False)
    assert refused.returncode != 0
    assert "the database has not answered for" in refused.stderr
    assert time.monotonic() - began < LONGEST
    # What needs no database goes on, and at once.
    began = time.monotonic()
    assert "vm2" in daemon.virsh("list", "--all").stdout
    assert "<name>vm2</name>" in daemon.virsh("dumpxml", "vm2").stdout
    for refusal in (("start", "vm2"), ("undefine", "vm2"), ("desc", "vm2", "--config", "x"), ("autostart", "vm2")):
        done = daemon.virsh(*refusal, check=False)
        assert done.returncode, refusal
        assert done.stderr.count("the database has not answered for") == 1, done.stderr
    assert time.monotonic() - began < 5
    shown = daemon.cli("list")
    assert "vm0" in shown.stdout
    assert "the database has not answered" in shown.stderr
    assert placed.database()["age"] > 0
    # One guest powers itself off, the other is destroyed: both are so afterwards, also in the database.
    consoles[0].send("P")
    daemon.wait_state("vm0", "shut off")
    daemon.virsh("destroy", "vm1")
    assert placed.sql("SELECT count(*) FROM machine") == "2"
    placed.proxy.silent = False
    placed.wait_until_answers()
    assert placed.sql("SELECT count(*) FROM machine") == "0"
    assert placed.sql("SELECT count(*) FROM claim WHERE host IS NOT NULL") == "0"
    assert "destroy" in placed.sql("SELECT string_agg(verb, ' ') FROM action")
    for number in range(3):
        daemon.virsh("start", f"vm{number}")
    assert "late" not in daemon.virsh("list", "--all").stdout


def test_a_server_that_is_stopped_and_a_daemon_that_is_killed_meanwhile(placed: Placed, guest: Any) -> None:
    daemon = placed.daemon
    daemon.define(document(guest.boot_sector))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    (pid,) = daemon.guests()
    placed.server.stop("immediate")
    assert daemon.virsh("start", "vm", check=False).returncode
    wait_for(lambda: not placed.database()["answers"])
    daemon.kill9()
    daemon.launch(*placed.options)
    time.sleep(2)
    assert daemon.process.poll() is None, "it waits for the database"
    placed.server.start()
    wait_for(lambda: daemon.virsh("domstate", "vm", check=False).stdout.strip() == "running")
    assert daemon.guests() == [pid]
    daemon.virsh("destroy", "vm")
    daemon.virsh("start", "vm")


def test_a_definition_whose_answer_was_lost_is_known_afterwards(placed: Placed, guest: Any) -> None:
    daemon = placed.daemon
    daemon.define(document(guest.boot_sector))
    placed.proxy.cut_at_commit = True
    done = daemon.virsh("define", "/dev/stdin", text_in=document(guest.boot_sector, extra="<on_crash>destroy</on_crash>"), check=False)
    assert done.returncode
    assert "look whether it did" in done.stderr
    placed.proxy.silent = False
    placed.wait_until_answers()
    # The server had got the COMMIT: the revision is there, and the daemon's memory agrees.
    assert placed.sql("SELECT count(*) FROM revision") == "2"
    assert json.loads(daemon.cli("--json", "info", "vm").stdout)["revision"] == 2
    assert "<on_crash>destroy</on_crash>" in daemon.virsh("dumpxml", "vm").stdout


def test_connections_killed_under_load_do_no_harm(placed: Placed, guest: Any) -> None:
    daemon = placed.daemon
    daemon.define(document(guest.boot_sector))
    backends = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'domicile'"
    done = 0
    for number in range(12):
        killer = subprocess.Popen(
            [str(placed.server.binaries / "psql"), "-h", str(placed.server.folder), "-p", str(placed.server.port), "-U", "postgres", "-c", backends, placed.direct.partition("@/")[2].partition("?")[0]],
            stdout=subprocess.DEVNULL, cwd="/tmp",
        )  # fmt: skip
        done += daemon.virsh("desc", "vm", "--config", f"number {number}", check=False).returncode == 0
        killer.wait(30)
    placed.wait_until_answers()
    daemon.virsh("desc", "vm", "--config", "the last")
    assert "the last" in daemon.virsh("desc", "vm").stdout
    stored = placed.sql("SELECT string_agg(n::text, ',' ORDER BY n) FROM revision")
    numbers = [int(n) for n in stored.split(",")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == done + 2


def test_a_daemon_moves_from_sqlite_and_back_with_its_machine_running(
    own_postgres: Postgres, password_file: Path, idle_daemon: Any, guest: Any
) -> None:
    daemon = idle_daemon
    daemon.start()
    daemon.define(document(guest.boot_sector))
    console = daemon.start_listening("vm")
    console.expect(guest.boot_greeting)
    (pid,) = daemon.guests()
    for n in range(5):
        daemon.virsh("desc", "vm", "--config", f"number {n}")
    history = json.loads(daemon.cli("--json", "history", "vm").stdout)
    daemon.cli("db", "backup", str(daemon.root / "saved.db"))
    sqlite, address = daemon.root / "lib/domicile.db", own_postgres.over_tcp(own_postgres.fresh_url())
    secret = password_file.with_name("secret")
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    words = ("db", "migrate", str(sqlite), address, "--password-file", str(secret))
    refused = daemon.cli(*words, check=False)
    assert refused.returncode == 1
    assert "stop it first" in refused.stderr
    daemon.stop()
    daemon.cli(*words)
    daemon.start("--database", address, "--database-password-file", str(secret))
    assert daemon.state("vm") == "running"
    assert daemon.guests() == [pid]
    assert json.loads(daemon.cli("--json", "history", "vm").stdout) == history
    daemon.virsh("desc", "vm", "--config", "on PostgreSQL")
    daemon.stop()
    sqlite.rename(sqlite.with_name("old.db"))
    daemon.cli("db", "migrate", address, str(sqlite), "--password-file", str(secret))
    daemon.start()
    assert daemon.state("vm") == "running"
    assert "on PostgreSQL" in daemon.virsh("desc", "vm", "--config").stdout
    console.send("P")
    daemon.wait_state("vm", "shut off")
    assert json.loads(daemon.cli("--json", "db", "check", str(daemon.root / "saved.db")).stdout)["faults"] == []
    assert "数据库完好" in daemon.cli("--lang", "zh", "db", "check").stdout


def test_a_password_among_the_arguments_is_refused(tmp_path: Path, programs: Path) -> None:
    words = [str(programs / "domiciled"), "--root", str(tmp_path / "r"), "--foreground"]
    done = subprocess.run(
        [*words, "--database", f"postgresql://u:{PASSWORD}@127.0.0.1/d"], capture_output=True, text=True, timeout=30
    )
    assert done.returncode != 0
    assert "--database-password-file" in done.stderr
    assert PASSWORD not in done.stderr
    open_to_all = tmp_path / "secret"
    open_to_all.write_text(PASSWORD)
    open_to_all.chmod(0o644)
    done = subprocess.run(
        [*words, "--database", "postgresql://u@127.0.0.1/d", "--database-password-file", str(open_to_all)],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0
    assert "chmod 600" in done.stderr


def test_questions_on_the_command_line(placed: Placed, guest: Any) -> None:
    daemon = placed.daemon
    for number, memory in enumerate((64, 128, 256)):
        text = document(guest.boot_sector, f"vm{number}", uuid=UUID[:-1] + str(number))
        daemon.define(text.replace("<memory unit='MiB'>64<", f"<memory unit='MiB'>{memory}<"))
    found = daemon.cli("query", "memory >= 128MiB and not name = vm2", "--columns", "memory,devices.disk.target@dev")
    assert [line.split() for line in found.stdout.splitlines()[1:]] == [["vm1", "off", "131072", "hda"]]
    answer = json.loads(daemon.cli("--json", "query", "disk", "like", "%boot.img").stdout)
    assert [one["name"] for one in answer] == ["vm0", "vm1", "vm2"]
    daemon.virsh("setmaxmem", "vm0", "1G", "--config")
    assert "vm0" in daemon.cli("query", "memory = 1GiB").stdout
    assert len(json.loads(daemon.cli("--json", "query", "name = vm0", "--all-revisions").stdout)) == 2
    assert daemon.cli("query", "memory = 3GiB", check=False).returncode == 1
    refused = daemon.cli("query", "memory >> 3", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "at character 9 of the question" in refused.stderr
