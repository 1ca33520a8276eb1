"""The doors to a daemon, tried by the real virsh: TLS with certificates, passwords, plain TCP, a command in SSH's place."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
USER, PASSWORD = "fréd", "s3cret, with=signs"
XML = """<domain type='qemu'><name>afar</name><memory>65536</memory><os><type>hvm</type></os></domain>"""


def openssl(*words: str, cwd: Path) -> None:
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True, timeout=60)


class Authority:
    """A certificate authority in a directory of its own."""

    def __init__(self, home: Path, name: str) -> None:
        self.home, self.cert = home / name, home / name / "cacert.pem"
        self.home.mkdir(parents=True)
        (self.home / "index.txt").touch()
        self.config = self.home / "ca.cnf"
        self.config.write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.home}/index.txt\ndefault_md=sha256\ndefault_crl_days=9\n"
            "[server]\nbasicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
            "[client]\nbasicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n"
        )
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "cakey.pem")
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-days", "9", "-out", "cacert.pem", cwd=self.home)

    def issue(self, kind: str, subject: str) -> Path:
        """Make a certificate; the directory is what libvirt's `pkipath` wants."""
        place = self.home / subject.rpartition("=")[2].replace(" ", "-")
        place.mkdir()
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{kind}key.pem")
        openssl("req", *key, "-subj", subject, "-out", "request", cwd=place)
        sign = (
            "-CA",
            "../cacert.pem",
            "-CAkey",
            "../cakey.pem",
            "-CAcreateserial",
            "-days",
            "9",
            "-extfile",
            "../ca.cnf",
        )
        openssl("x509", "-req", "-in", "request", *sign, "-extensions", kind, "-out", f"{kind}cert.pem", cwd=place)
        shutil.copy(self.cert, place / "cacert.pem")
        return place

    def revoke(self, place: Path) -> Path:
        sign = ("-config", str(self.config), "-keyfile", "cakey.pem", "-cert", "cacert.pem")
        openssl("ca", *sign, "-revoke", str(place / "clientcert.pem"), cwd=self.home)
        openssl("ca", *sign, "-gencrl", "-out", "crl.pem", cwd=self.home)
        return self.home / "crl.pem"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"), "authority")


@pytest.fixture(scope="module")
def server_pki(pki: Authority) -> Path:
    return pki.issue("server", "/CN=localhost")


@pytest.fixture(scope="module")
def friend(pki: Authority) -> Path:
    return pki.issue("client", "/C=GB/O=Example, Ltd/CN=friend")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def configured(daemon: Any, pki: Authority, server_pki: Path) -> Iterator[Callable[..., int]]:
    """Restart the daemon with tables of its own; the answer is a free port, which `{port}` stands for."""

    def configure(tables: str) -> int:
        port = free_port()
        files = f'ca_file = "{pki.cert}"\ncert_file = "{server_pki}/servercert.pem"\nkey_file = "{server_pki}/serverkey.pem"'
        text = tables.replace("{port}", str(port)).replace("{files}", files)
        (daemon.root / "domicile.toml").write_text(text)
        daemon.restart()
        deadline = time.monotonic() + 20
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", port)):  # the doors open one after another
                assert time.monotonic() < deadline, daemon.output()
                time.sleep(0.05)
        return port

    yield configure


def virsh(uri: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["virsh", "-q", "-c", uri, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def over_tls(port: int, place: Path, extra: str = "") -> str:
    return f"qemu+tls://localhost:{port}/system?pkipath={place}{extra}"


def test_certificates_of_both_sides(
    daemon: Any, configured: Callable[..., int], pki: Authority, friend: Path, tmp_path: Path
) -> None:
    port = configured('[tls]\nlisten = "127.0.0.1"\nport = {port}\n{files}\n')
    (tmp_path / "afar.xml").write_text(XML)
    assert not virsh(over_tls(port, friend), "define", str(tmp_path / "afar.xml")).returncode
    assert virsh(over_tls(port, friend), "list", "--all", "--name").stdout.strip() == "afar"
    who = daemon.cli("--json", "history", "afar").stdout
    assert r"C=GB,O=Example\\, Ltd,CN=friend" in who
    stranger = Authority(tmp_path, "other").issue("client", "/CN=friend")
    shutil.copy(pki.cert, stranger / "cacert.pem")
    assert virsh(over_tls(port, stranger), "list").returncode
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    shutil.copy(pki.cert, nobody / "cacert.pem")
    assert virsh(over_tls(port, nobody), "list").returncode
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.settimeout(10)
        while plain.recv(100):
            pass
    assert not virsh(over_tls(port, friend), "list").returncode


def test_names_that_are_not_on_the_list_and_revoked_certificates(
    daemon: Any, configured: Callable[..., int], pki: Authority, friend: Path
) -> None:
    lost = pki.issue("client", "/CN=lost")
    crl = pki.revoke(lost)
    table = '[tls]\nlisten = "localhost"\nport = {port}\n{files}\n'
    port = configured(f'{table}allowed_dn_list = ["CN=lost", "C=GB,*,CN=other"]\n')
    assert not virsh(over_tls(port, lost), "list").returncode
    refused = virsh(over_tls(port, friend), "list")
    assert refused.returncode
    port = configured(f'{table}allowed_dn_list = ["C=GB,*,CN=friend", "CN=lost"]\ncrl_file = "{crl}"\n')
    assert not virsh(over_tls(port, friend), "list").returncode
    assert virsh(over_tls(port, lost), "list").returncode
    assert "revoked" in daemon.output()


def test_certificates_are_read_anew_at_a_signal(
    daemon: Any, configured: Callable[..., int], pki: Authority, friend: Path, tmp_path: Path
) -> None:
    careless = pki.issue("client", "/CN=careless")
    crl = tmp_path / "crl.pem"
    port = configured(f'[tls]\nlisten = "localhost"\nport = {{port}}\n{{files}}\ncrl_file = "{crl}"\n')
    assert not virsh(over_tls(port, careless), "list").returncode
    crl.write_text("none yet")
    tell(daemon, "the certificates stay as they were")
    assert not virsh(over_tls(port, careless), "list").returncode
    shutil.copy(pki.revoke(careless), crl)
    tell(daemon, "certificates read anew")
    assert virsh(over_tls(port, careless), "list").returncode
    assert not virsh(over_tls(port, friend), "list").returncode


def tell(daemon: Any, answer: str) -> None:
    """Send the signal and wait until the daemon says that it has obeyed."""
    os.kill(daemon.pid, signal.SIGHUP)
    deadline = time.monotonic() + 20
    while answer not in daemon.output():
        assert time.monotonic() < deadline, daemon.output()
        time.sleep(0.05)


def authfile(place: Path, user: str, password: str) -> str:
    place.write_text(
        f"[credentials-me]\nauthname={user}\npassword={password}\n"
        "[auth-libvirt-localhost]\ncredentials=me\n[auth-libvirt-default]\ncredentials=me\n"
    )
    place.chmod(0o600)
    return str(place)


def add_user(daemon: Any, name: str, password: str) -> None:
    words = [str(Path(sys.executable).with_name("domiciled")), "--root", str(daemon.root), "--add-user", name]
    subprocess.run(words, input=f"{password}\n", text=True, check=True, timeout=60)


def test_passwords_over_tls_and_unix_sockets(
    daemon: Any, configured: Callable[..., int], friend: Path, tmp_path: Path
) -> None:
    add_user(daemon, USER, PASSWORD)
    add_user(daemon, "barred", PASSWORD)
    port = configured(
        '[tls]\nlisten = "127.0.0.1"\nport = {port}\nauth = "sasl"\n{files}\n'
        '[sockets]\nauth = "sasl"\n[sasl]\nallowed_username_list = ["fr*"]\n'
    )
    good = authfile(tmp_path / "good", USER, PASSWORD)
    doors = [over_tls(port, friend, "&authfile="), f"qemu+unix:///system?socket={daemon.socket}&authfile="]
    for door in doors:
        assert virsh(door + good, "list").returncode == 0, virsh(door + good, "list").stderr
        for name, word in ((USER, "wrong"), ("nobody", PASSWORD), ("barred", PASSWORD)):
            refused = virsh(door + authfile(tmp_path / "bad", name, word), "list")
            assert refused.returncode and "authentication failed" in refused.stderr
    (tmp_path / "afar.xml").write_text(XML)
    assert not virsh(doors[0] + good, "define", str(tmp_path / "afar.xml")).returncode
    assert PASSWORD not in daemon.output() + (daemon.root / "sasl-users").read_text()
    assert (daemon.root / "sasl-users").stat().st_mode & 0o777 == 0o600
    # The other socket asks for nothing; what was defined by password bears the name.
    reading = f"qemu+unix:///system?socket={daemon.socket}-ro"
    assert virsh(reading, "list", "--all", "--name").stdout.strip() == "afar"
    add_user(daemon, USER, "another")
    assert virsh(doors[1] + good, "list").returncode
    assert not virsh(doors[1] + authfile(tmp_path / "new", USER, "another"), "list").returncode


def test_plain_tcp(daemon: Any, configured: Callable[..., int], tmp_path: Path) -> None:
    add_user(daemon, USER, PASSWORD)
    port = configured('[tcp]\nlisten = "127.0.0.1"\nport = {port}\n')
    good = authfile(tmp_path / "good", USER, PASSWORD)
    refused = virsh(f"qemu+tcp://localhost:{port}/system?authfile={good}", "list")
    assert refused.returncode
    # libvirt's clients ask a mechanism without TLS for encryption of its own, which SCRAM has not.
    assert "No worthy mechs found" in refused.stderr
    port = configured('[tcp]\nlisten = "127.0.0.1"\nport = {port}\nauth = "none"\n')
    uri = f"qemu+tcp://localhost:{port}/system"
    (tmp_path / "afar.xml").write_text(XML)
    assert not virsh(uri, "define", str(tmp_path / "afar.xml")).returncode
    assert virsh(uri, "list", "--all", "--name").stdout.strip() == "afar"
    assert "anonymous" in daemon.cli("history", "afar").stdout
    domain = virsh(uri, "domdisplay", "afar")
    assert "not running" in domain.stderr


def test_a_command_in_the_place_of_ssh(shared_daemon: Any, tmp_path: Path) -> None:
    if shutil.which("nc") is None:
        pytest.skip("nc is not installed")
    fake = tmp_path / "ssh"
    fake.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nwhile [ "$1" != -- ]; do shift; done\nshift 2\nexec sh -c "$*"\n'
    )
    fake.chmod(0o755)
    uri = f"qemu+ssh://there/system?command={fake}&socket={shared_daemon.socket}&proxy=netcat&netcat=nc"
    shared_daemon.define(XML)
    done = virsh(uri, "list", "--all", "--name")
    assert done.stdout.strip() == "afar", done.stderr + (tmp_path / "asked").read_text()
    through = tmp_path / "through"
    through.write_text(f"#!/bin/sh\nexec nc -U {shared_daemon.socket}\n")
    through.chmod(0o755)
    assert virsh(f"qemu+ext:///system?command={through}", "list", "--all", "--name").stdout.strip() == "afar"


def test_certificates_that_are_not_there_are_named(daemon: Any, tmp_path: Path) -> None:
    daemon.stop()
    (daemon.root / "domicile.toml").write_text(f'[tls]\nlisten = "127.0.0.1"\ncert_file = "{tmp_path}/none.pem"\n')
    program = str(Path(sys.executable).with_name("domiciled"))
    done = subprocess.run(
        [program, "--root", str(daemon.root), "--foreground"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert f"{tmp_path}/none.pem" in done.stderr.splitlines()[-1]
    assert not daemon.socket.exists()


def test_handshakes_that_never_end_lock_nobody_out(daemon: Any, configured: Callable[..., int], friend: Path) -> None:
    limits = "[sockets]\nmax_clients = 30\nmax_anonymous_clients = 10\n"
    port = configured(f'{limits}[tls]\nlisten = "127.0.0.1"\nport = {{port}}\n{{files}}\n')
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(60)]
    try:
        done = virsh(over_tls(port, friend), "list")
        assert not done.returncode, done.stderr
        assert not virsh(f"qemu+unix:///system?socket={daemon.socket}", "list").returncode
        idle[0].settimeout(10)
        assert idle[0].recv(1) == b""
    finally:
        for one in idle:
            one.close()
