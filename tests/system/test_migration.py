"""Live migration between two real daemons, by the real virsh: managed by the client, from daemon to daemon, with and without copies."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import PROGRAMS, Console, Daemon, Guest, open_directory, run, wait_until

UUID = "5a1c3a52-4f5e-4f0c-9d1b-0a8b52d5c0de"
WAY = ("--migrateuri", "tcp://127.0.0.1")


@dataclass
class Pair:
    """Two daemons, and a directory that both see."""

    one: Daemon
    two: Daemon
    place: Path

    @property
    def disk(self) -> Path:
        return self.place / "disk.qcow2"

    def migrate(self, *options: str, back: bool = False, name: str = "mover", check: bool = True, deadline: float = 90):
        """Let virsh migrate a machine."""
        source, target = (self.two, self.one) if back else (self.one, self.two)
        words = ("migrate", "--live", name, target.uri, *WAY, *options)
        return source.virsh(*words, check=check, deadline=deadline)

    def state(self, daemon: Daemon, name: str = "mover") -> str:
        """Say how a machine is at one daemon, with the reason."""
        done = daemon.virsh("domstate", name, "--reason", check=False)
        return done.stdout.strip() if not done.returncode else "none"


def document(disk: Path, more: str = "", name: str = "mover", memory: int = 64) -> str:
    """Give a small machine's document."""
    return f"""<domain type='qemu'><name>{name}</name><uuid>{UUID}</uuid><memory unit='MiB'>{memory}</memory>
      <os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
      <interface type='user'><mac address='52:54:00:6d:69:67'/><model type='virtio'/></interface>{more}</devices></domain>"""


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give two running daemons."""
    one, two, place = Daemon(open_directory("dom-")), Daemon(open_directory("dom-")), open_directory("moves-")
    try:
        one.start()
        two.start()
        made = Pair(one, two, place)
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(made.disk), "16M"], 30, True)
        made.disk.chmod(0o666)
        yield made
    finally:
        one.clean_up()
        two.clean_up()
        run(["rm", "-rf", str(place)], 30, True)


def start(pair: Pair, more: str = "", transient: bool = False, memory: int = 64) -> None:
    """Start the machine at the first daemon."""
    path = pair.place / "mover.xml"
    path.write_text(document(pair.disk, more, memory=memory))
    if transient:
        pair.one.virsh("create", str(path))
    else:
        pair.one.virsh("define", str(path))
        pair.one.virsh("start", "mover")


def boot(pair: Pair, guest: Guest, devices: str = "") -> None:
    """Start a machine with a real guest, which has some hundred thousand pages to send."""
    system = (
        f"<kernel>{guest.kernel}</kernel><initrd>{guest.initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline></os>"
    )
    log = pair.place / "serial.log"
    serial = f"<serial type='file'><source path='{log}'/></serial>{devices}"
    path = pair.place / "mover.xml"
    path.write_text(document(pair.disk, serial, memory=256).replace("</os>", system))
    pair.one.virsh("define", str(path))
    pair.one.virsh("start", "mover")
    wait_until("the guest", lambda: log.exists() and guest.greeting in log.read_text(errors="replace"), 60)


@pytest.mark.parametrize("way", [(), ("--p2p",)], ids=["managed", "p2p"])
def test_a_machine_moves_and_moves_back(pair: Pair, way: tuple[str, ...]) -> None:
    start(pair)
    refused = pair.migrate(*way, check=False)
    assert "Unsafe migration: Migration without shared storage is unsafe" in refused.stderr
    assert pair.state(pair.one) == "running (booted)"

    pair.migrate(*way, "--unsafe")
    assert (pair.state(pair.one), pair.state(pair.two)) == ("shut off (migrated)", "running (migrated)")
    for daemon, operation in ((pair.one, "Outgoing migration"), (pair.two, "Incoming migration")):
        done = daemon.virsh("domjobinfo", "mover", "--completed").stdout
        assert operation in done and "Completed" in done and "Total downtime:" in done and "Memory processed:" in done
    assert "no" in pair.two.virsh("dominfo", "mover").stdout.partition("Persistent:")[2].splitlines()[0]

    pair.migrate(*way, "--unsafe", "--persistent", back=True)
    assert (pair.state(pair.one), pair.state(pair.two)) == ("running (migrated)", "none")
    pair.migrate(*way, "--unsafe", "--persistent", "--undefinesource")
    assert (pair.state(pair.one), pair.state(pair.two)) == ("none", "running (migrated)")
    assert "yes" in pair.two.virsh("dominfo", "mover").stdout.partition("Persistent:")[2].splitlines()[0]
    log = pair.two.cli("log", "mover").stdout
    assert "migrate-in" in log
    assert not pair.one.guests() and len(pair.two.guests()) == 1


def test_both_ends_tell_what_happens(pair: Pair) -> None:
    start(pair)
    listeners = []
    for daemon in (pair.one, pair.two):
        words = ["virsh", "-c", daemon.uri, "event", "--all", "--loop"]
        listeners.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
    time.sleep(1)
    pair.migrate("--unsafe", "--persistent")
    time.sleep(0.5)
    heard = []
    for listener in listeners:
        listener.send_signal(2)
        heard.append(listener.communicate(timeout=20)[0])
    source = [line.partition("'mover': ")[2] for line in heard[0].splitlines() if "event 'lifecycle'" in line]
    target = [line.partition("'mover': ")[2] for line in heard[1].splitlines() if "event 'lifecycle'" in line]
    assert source == ["Suspended Migrated", "Stopped Migrated"]
    assert (
        sorted(target) == ["Defined Added", "Resumed Migrated", "Started Migrated"] and target[0] == "Started Migrated"
    )
    assert "'migration-iteration'" in heard[0] and "'job-completed'" in heard[0] and "memory_processed" in heard[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--parallel", "--parallel-connections", "3"), ("--compressed", "--comp-methods", "xbzrle"),
        ("--parallel", "--compressed", "--comp-methods", "zstd"), ("--auto-converge", "--abort-on-error"),
        ("--bandwidth", "500"),
    ],
    ids=lambda options: options[-1],
)  # fmt: skip
def test_ways_to_travel(pair: Pair, options: tuple[str, ...]) -> None:
    start(pair, transient=True)
    pair.migrate("--unsafe", *options)
    pair.migrate("--unsafe", "--p2p", *options, back=True)
    assert (pair.state(pair.one), pair.state(pair.two)) == ("running (migrated)", "none")


def test_other_names_and_sockets(pair: Pair) -> None:
    start(pair, transient=True)
    pair.migrate("--unsafe", "--dname", "renamed")
    assert pair.state(pair.two, "renamed") == "running (migrated)"
    done = pair.two.virsh(
        "migrate",
        "--live",
        "--unsafe",
        "renamed",
        pair.one.uri,
        "--migrateuri",
        f"unix://{pair.place}/way",
        check=False,
    )
    assert done.returncode == 0 or "Permission denied" in done.stderr
    if done.returncode:
        assert pair.state(pair.two, "renamed").startswith("running")


def test_what_stays_paused(pair: Pair) -> None:
    start(pair, transient=True)
    pair.migrate("--unsafe", "--suspend")
    assert pair.state(pair.two) == "paused (user)"
    pair.migrate("--unsafe", back=True)
    assert pair.state(pair.one) == "paused (user)"
    pair.one.virsh("resume", "mover")
    assert pair.state(pair.one) == "running (unpaused)"


def test_refusals_name_what_would_be_accepted(pair: Pair) -> None:
    start(pair)
    for options, words in (
        (("--p2p", "--tunnelled"), "tunnelled migration is not supported"),
        (("--direct",), "direct migration is not supported"),
        (("--unsafe", "--compressed", "--comp-methods", "zstd"), "requires parallel migration"),
        (("--unsafe", "--compressed", "--comp-methods", "lzo"), "xbzrle, mt, zlib, zstd"),
        (("--unsafe", "--tls"), "migrate_tls_x509_cert_dir"),
        (("--copy-storage-all", "--migrate-disks", "vdx"), "vda"),
        (("--migrate-disks", "vda", "--unsafe"), "copy-storage-all"),
    ):
        done = pair.migrate(*options, check=False)
        assert done.returncode and words in done.stderr, (options, done.stderr)
    for uri, words in (("foo", "missing scheme"), ("rdma://h", "RDMA"), ("tcp://", "missing host")):
        done = pair.one.virsh("migrate", "--live", "--unsafe", "mover", pair.two.uri, "--migrateuri", uri, check=False)
        assert done.returncode and words in done.stderr, (uri, done.stderr)
    same = pair.one.virsh("migrate", "--live", "--unsafe", "mover", pair.one.uri, check=False)
    assert "Attempt to migrate guest to the same host" in same.stderr
    gone = pair.one.virsh(
        "migrate", "--live", "--unsafe", "--p2p", "mover", "qemu+unix:///system?socket=/nowhere", check=False
    )
    assert "no daemon answers at /nowhere" in gone.stderr
    assert pair.state(pair.one) == "running (booted)" and pair.state(pair.two) == "none"
    assert not pair.two.guests()


def test_all_reasons_at_once(pair: Pair) -> None:
    start(pair)
    other = pair.place / "other.xml"
    other.write_text(document(pair.disk).replace(UUID, "0" * 7 + "1" + UUID[8:]))
    pair.two.virsh("define", str(other))
    wished = pair.place / "wished.xml"
    text = pair.one.virsh("dumpxml", "mover", "--migratable").stdout
    wished.write_text(text.replace(str(pair.disk), f"{pair.place}/missing.qcow2"))
    done = pair.migrate("--unsafe", "--xml", str(wished), check=False)
    assert "missing.qcow2' is not there on the target" in done.stderr and "already exists with uuid" in done.stderr
    assert pair.state(pair.one) == "running (booted)"


def test_the_content_of_disks_travels(pair: Pair) -> None:
    start(pair, transient=True)
    copy = pair.place / "there/copy.qcow2"
    wished = pair.place / "wished.xml"
    text = pair.one.virsh("dumpxml", "mover", "--migratable").stdout
    wished.write_text(text.replace(str(pair.disk), str(copy)))
    write = 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "write -P 0x5a 1M 1M"'
    assert "wrote" in pair.one.virsh("qemu-monitor-command", "mover", "--hmp", write).stdout + "wrote"
    pair.migrate("--copy-storage-all", "--xml", str(wished))
    assert pair.state(pair.two) == "running (migrated)" and str(copy) in pair.two.virsh("domblklist", "mover").stdout
    pair.two.virsh("destroy", "mover")
    run(["qemu-io", "-f", "qcow2", "-c", "read -P 0x5a 1M 1M", str(copy)], 60, True)
    run(["qemu-img", "compare", str(pair.disk), str(copy)], 60, True)
    assert not [line for line in pair.one.output().splitlines() if "level=error" in line]


def test_a_migration_is_aborted(pair: Pair) -> None:
    start(pair, transient=True, memory=256)
    pair.one.virsh("migrate-setspeed", "mover", "1")
    words = ["virsh", "-c", pair.one.uri, "migrate", "--live", "--unsafe", "mover", pair.two.uri, *WAY]
    moving = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    wait_until("the migration", lambda: "Outgoing" in pair.one.virsh("domjobinfo", "mover").stdout)
    wait_until("the target", lambda: pair.state(pair.two) == "paused (migrating)")
    refused = pair.two.virsh("resume", "mover", check=False)
    assert "on its way here" in refused.stderr
    pair.one.virsh("domjobabort", "mover")
    assert "canceled by client" in moving.communicate(timeout=30)[1]
    assert pair.state(pair.one).startswith("running") and pair.state(pair.two) == "none"
    assert not pair.two.guests()
    pair.one.virsh("migrate-setspeed", "mover", "8796093022207")
    pair.migrate("--unsafe")
    assert pair.state(pair.two) == "running (migrated)"


def test_a_client_that_goes_away_leaves_one_machine(pair: Pair) -> None:
    start(pair, transient=True, memory=256)
    pair.one.virsh("migrate-setspeed", "mover", "1")
    words = ["virsh", "-c", pair.one.uri, "migrate", "--live", "--unsafe", "mover", pair.two.uri, *WAY]
    moving = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    wait_until("the migration", lambda: "Outgoing" in pair.one.virsh("domjobinfo", "mover").stdout)
    moving.kill()
    moving.wait(20)
    wait_until("the target to give up", lambda: pair.state(pair.two) == "none")
    wait_until("the source to go on", lambda: pair.one.virsh("domjobinfo", "mover").stdout.split()[2] == "None")
    assert pair.state(pair.one).startswith("running") and not pair.two.guests()


def test_a_definition_moves_alone(pair: Pair) -> None:
    path = pair.place / "mover.xml"
    path.write_text(document(pair.disk))
    pair.one.virsh("define", str(path))
    refused = pair.one.virsh("migrate", "--offline", "mover", pair.two.uri, check=False)
    assert "must be specified with the persistent flag" in refused.stderr
    pair.one.virsh("migrate", "--offline", "--persistent", "--undefinesource", "mover", pair.two.uri)
    assert (pair.state(pair.one), pair.state(pair.two)) == ("none", "shut off (unknown)")


def test_speed_and_standstill(pair: Pair) -> None:
    start(pair)
    pair.one.virsh("migrate-setmaxdowntime", "mover", "100")
    assert pair.one.virsh("migrate-getmaxdowntime", "mover").stdout.strip() == "100"
    assert pair.one.virsh("migrate-getspeed", "mover").stdout.strip() == "8796093022207"
    pair.one.virsh("migrate-setspeed", "mover", "77")
    pair.one.restart()
    assert pair.one.virsh("migrate-getspeed", "mover").stdout.strip() == "77"
    assert "1.000 MiB" in pair.one.virsh("migrate-compcache", "mover", "--size", "1048576").stdout


def test_our_own_command(pair: Pair) -> None:
    start(pair)
    way = ("--way", "tcp://127.0.0.1")
    told = pair.one.cli("migrate", "mover", pair.two.uri, "--check", check=False)
    assert told.returncode == 1 and "here: devices/disk: Migration without shared storage is unsafe" in told.stdout
    assert "accepted: shared storage" in told.stdout
    free = pair.one.cli("migrate", "mover", pair.two.uri, "--check", "--unsafe")
    assert "nothing keeps mover from moving" in free.stdout
    assert pair.state(pair.one) == "running (booted)"
    done = pair.one.cli("migrate", "mover", pair.two.uri, "--unsafe", *way)
    assert "mover runs at" in done.stdout
    assert (pair.state(pair.one), pair.state(pair.two)) == ("none", "running (migrated)")
    here = pair.two.cli("--lang", "zh", "migrate", "mover", pair.one.uri, "--unsafe", "--keep-definition", *way)
    assert "现在运行于" in here.stdout
    assert (pair.state(pair.one), pair.state(pair.two)) == ("running (migrated)", "shut off (migrated)")


def test_interrupting_our_own_command(pair: Pair, guest: Guest) -> None:
    boot(pair, guest)
    words = [str(PROGRAMS / "domicile"), "--root", str(pair.one.root), "migrate", "mover", pair.two.uri, "--unsafe"]
    words += ["--way", "tcp://127.0.0.1", "--bandwidth", "1"]
    # A test that runs in the background has inherited that the signal is ignored.
    moving = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    wait_until("the migration", lambda: "Outgoing" in pair.one.virsh("domjobinfo", "mover").stdout)
    moving.send_signal(2)
    _, said = moving.communicate(timeout=30)
    assert moving.returncode == 1 and "canceled by client" in said
    assert pair.state(pair.one).startswith("running") and pair.state(pair.two) == "none"


@pytest.fixture
def bridge() -> Iterator[str]:
    """Give a bridge with the address 10.77.0.1, where one can be made."""
    name = "movbr0"
    made = subprocess.run(
        ["ip", "link", "add", name, "type", "bridge", "forward_delay", "0"], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no bridge can be made here: {made.stderr.strip()}")
    try:
        run(["ip", "address", "add", "10.77.0.1/24", "dev", name], 10, True)
        run(["ip", "link", "set", name, "up"], 10, True)
        yield name
    finally:
        run(["ip", "link", "delete", name], 10, True)


def test_a_connection_and_a_counter_survive(pair: Pair, guest: Guest, bridge: str) -> None:
    card = f"<interface type='bridge'><mac address='52:54:00:77:00:02'/><source bridge='{bridge}'/><model type='virtio'/></interface>"
    system = (
        f"<kernel>{guest.kernel}</kernel><initrd>{guest.initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline></os>"
    )
    text = document(pair.disk, "<serial type='pty'/>", memory=256).replace("</os>", system)
    before, _, rest = text.partition("<interface")
    path = pair.place / "mover.xml"
    path.write_text(before + card + rest.partition("</interface>")[2])
    pair.one.virsh("define", str(path))
    pair.one.virsh("start", "mover", "--paused")
    console = Console(pair.one.virsh("ttyconsole", "mover").stdout.strip())
    pair.one.consoles.append(console)
    pair.one.virsh("resume", "mover")
    console.expect(guest.greeting, 60)
    console.expect("guest# ", 30)
    with socket.create_server(("10.77.0.1", 7777)) as server:
        server.settimeout(30)
        console.send("ip link set eth0 up; ip address add 10.77.0.2/24 dev eth0\n")
        console.send("(i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done) | nc 10.77.0.1 7777 &\n")
        connection, _ = server.accept()
    with connection:
        connection.settimeout(30)
        lines = connection.makefile()
        numbers = [int(lines.readline()) for _ in range(20)]
        pair.migrate("--unsafe")
        assert pair.state(pair.two) == "running (migrated)"
        numbers += [int(lines.readline()) for _ in range(60)]
        pair.migrate("--unsafe", "--p2p", back=True)
        numbers += [int(lines.readline()) for _ in range(60)]
        assert numbers == list(range(1, 141))
        lines.close()


def test_the_source_is_asked_nothing_that_it_does_not_know(pair: Pair) -> None:
    start(pair)
    script = "from domicile.rpc.client import Client; from domicile.rpc.calls import domicile as c; import sys\n"
    script += f"print(Client.connect(sys.argv[1]).call(c.migration_fate, '{UUID}', 'no-such-token', 1))"
    done = run([str(PROGRAMS / "python"), "-c", script, str(pair.one.socket)], 30, True)
    assert "never" in done.stdout and pair.state(pair.one) == "running (booted)"


PKI = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca-cert.pem -days 2 -subj /CN=ca \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
for kind in server client; do
  openssl req -newkey rsa:2048 -nodes -keyout $kind-key.pem -out $kind.csr -subj /CN=127.0.0.1
  printf "subjectAltName=IP:127.0.0.1\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=${kind}Auth" > $kind.ext
  openssl x509 -req -in $kind.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -out $kind-cert.pem -days 2 -extfile $kind.ext
done
chmod 644 *.pem
"""


def test_an_encrypted_way(pair: Pair) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("not installed: openssl")
    pki = pair.place / "pki"
    pki.mkdir(mode=0o755)
    subprocess.run(["sh", "-ec", PKI], cwd=pki, check=True, capture_output=True)
    for daemon in (pair.one, pair.two):
        (daemon.root / "domicile.toml").write_text(f'[qemu]\nmigrate_tls_x509_cert_dir = "{pki}"\n')
        daemon.restart()
    start(pair, transient=True)
    pair.migrate("--unsafe", "--tls")
    wrong = pair.migrate("--unsafe", "--tls", "--tls-destination", "other.example.com", back=True, check=False)
    assert "Certificate does not match the hostname" in wrong.stderr and pair.state(pair.two).startswith("running")
    pair.migrate("--unsafe", "--tls", "--p2p", "--parallel", back=True)
    wished = pair.place / "wished.xml"
    text = pair.one.virsh("dumpxml", "mover", "--migratable").stdout
    wished.write_text(text.replace(str(pair.disk), f"{pair.place}/copy.qcow2"))
    pair.migrate("--tls", "--copy-storage-all", "--xml", str(wished))
    assert pair.state(pair.two) == "running (migrated)"
    assert (
        "16.000 MiB"
        in pair.two.virsh("domjobinfo", "mover", "--completed").stdout.partition("File total:")[2].splitlines()[0]
    )


def test_a_guest_that_stands_still_meanwhile(pair: Pair, guest: Guest) -> None:
    boot(pair, guest)
    words = ["virsh", "-c", pair.one.uri, "migrate", "--unsafe", "mover", pair.two.uri, *WAY, "--bandwidth", "30"]
    moving = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    wait_until("the guest to stand still", lambda: pair.state(pair.one) == "paused (migrating)")
    assert moving.communicate(timeout=60)[1] == "" and pair.state(pair.two) == "running (migrated)"


@pytest.mark.parametrize("at", ["source", "target"])
def test_pulling_the_plug_meanwhile(pair: Pair, guest: Guest, at: str) -> None:
    boot(pair, guest)
    words = [
        "virsh",
        "-c",
        pair.one.uri,
        "migrate",
        "--live",
        "--unsafe",
        "mover",
        pair.two.uri,
        *WAY,
        "--bandwidth",
        "1",
    ]
    moving = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    wait_until("the machine to be awaited", lambda: pair.state(pair.two) == "paused (migrating)")
    wait_until("the state to travel", lambda: "Data remaining" in pair.one.virsh("domjobinfo", "mover").stdout)
    (pair.one if at == "source" else pair.two).virsh("destroy", "mover")
    assert "error:" in moving.communicate(timeout=60)[1]
    if at == "source":
        assert pair.state(pair.one) == "shut off (destroyed)"
    else:
        assert pair.state(pair.one) == "running (booted)"
        pair.migrate("--unsafe")
        assert pair.state(pair.two) == "running (migrated)"
    wait_until(
        "nothing to be left", lambda: len(pair.one.guests()) + len(pair.two.guests()) == (0 if at == "source" else 1)
    )


FULL = """<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  <serial type='pty'/><console type='pty'/><controller type='usb' model='qemu-xhci' ports='15'/><input type='tablet' bus='usb'/>
  <graphics type='vnc' port='-1'/><video><model type='virtio'/></video><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  <memballoon model='virtio'/><watchdog model='i6300esb'/><sound model='ich9'/>
  <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"""


def test_a_machine_with_all_that_is_usual_and_devices_that_came_later(pair: Pair) -> None:
    start(
        pair,
        FULL + "<controller type='pci' model='pcie-root'/>" + "<controller type='pci' model='pcie-root-port'/>" * 14,
    )
    second = pair.place / "second.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(second), "8M"], 30, True)
    second.chmod(0o666)
    card = pair.place / "card.xml"
    card.write_text("<interface type='user'><mac address='52:54:00:6d:69:68'/><model type='virtio'/></interface>")
    pair.one.virsh("detach-interface", "mover", "user", "--mac", "52:54:00:6d:69:67", "--live", check=False)
    pair.one.virsh("attach-device", "mover", str(card), "--live")
    pair.one.virsh("attach-disk", "mover", str(second), "vdb", "--driver", "qemu", "--subdriver", "qcow2", "--live")
    before = names(pair.one)
    pair.migrate("--unsafe")
    assert names(pair.two) == before
    pair.two.virsh("detach-disk", "mover", "vdb", "--live", check=False)
    pair.migrate("--unsafe", "--p2p", back=True)
    assert pair.state(pair.one) == "running (migrated)"
    display = pair.one.virsh("domdisplay", "mover").stdout.strip()
    assert display.startswith("vnc://")
    pair.one.restart()
    assert pair.state(pair.one).startswith("running")


def names(daemon: Daemon) -> list[str]:
    """List the names and PCI places of a running machine's devices."""
    text = daemon.virsh("dumpxml", "mover").stdout
    return sorted(line.strip() for line in text.splitlines() if "<alias " in line or "<address type='pci'" in line)


def test_daemons_that_are_reached_through_tcp(pair: Pair) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (pair.two.root / "domicile.toml").write_text(f'[tcp]\nlisten = "127.0.0.1"\nport = {port}\nauth = "none"\n')
    pair.two.restart()
    start(pair, transient=True)
    uri = f"qemu+tcp://127.0.0.1:{port}/system"
    pair.one.virsh("migrate", "--live", "--unsafe", "--p2p", "mover", uri, *WAY, deadline=90)
    assert pair.state(pair.two) == "running (migrated)"
