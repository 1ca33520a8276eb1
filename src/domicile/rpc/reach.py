"""The way to a daemon that a URI names, as libvirt's clients write them: unix, tcp, tls, ssh.

Whoever must reach another host's daemon calls `open_uri`: migration from daemon to daemon, the command line.
"""

from __future__ import annotations

import shlex
import shutil
import socket
import ssl
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from domicile.base import errors as e
from domicile.rpc.client import Client

#: Where sockets are that a URI does not name; the first that answers counts.
SOCKETS = ("/run/domicile/domicile-sock", "/run/libvirt/libvirt-sock")
_TCP, _TLS = 16509, 16514
_PKI = Path("/etc/pki")
_ADMITTED = b"\1"


@dataclass(frozen=True, slots=True)
class Address:
    """What a URI says: the way, the host, its port, the user, and the rest."""

    transport: str
    host: str = ""
    port: int = 0
    user: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Read a URI. Raises: InvalidRequest."""
        try:
            parts = urlsplit(uri)
            host, port, user = parts.hostname or "", parts.port or 0, unquote(parts.username or "")
        except ValueError as error:
            raise e.InvalidRequest(f"'{uri}' is no URI: {error}") from error
        driver, _, transport = parts.scheme.partition("+")
        if driver not in ("qemu", "domicile"):
            raise e.InvalidRequest(
                f"'{uri}' names the driver '{driver}'; qemu is accepted, as in qemu+tls://host.example.com/system"
            )
        transport = transport or ("tls" if host else "unix")
        if transport not in ("unix", "tcp", "tls", "ssh"):
            raise e.InvalidRequest(f"'{uri}' names the transport '{transport}'; accepted: unix, tcp, tls, ssh")
        if transport != "unix" and not host:
            raise e.InvalidRequest(f"'{uri}' names no host")
        if host.startswith("-") or user.startswith("-"):
            raise e.InvalidRequest(f"'{uri}' names a host or user that begins with '-'")
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        return cls(transport, host, port, user, options)


def open_uri(uri: str, timeout: float = 10.0) -> Client:
    """Connect to the daemon that a URI names and open.

    Raises: InvalidRequest; HostFailure where nobody answers; Denied where it lets nobody in
    """
    address = Address.parse(uri)
    if address.transport == "unix":
        return _unix(address, timeout)
    sock = _connected(address, timeout)
    try:
        return Client.over(sock, timeout)
    except e.OutcomeUnknown as error:
        sock.close()
        raise e.HostFailure(f"no daemon answers at {uri}: {error.message}") from error
    except BaseException:
        sock.close()
        raise


def _unix(address: Address, timeout: float) -> Client:
    named = address.options.get("socket")
    if named:
        return Client.connect(named, timeout)
    for path in SOCKETS[:-1]:
        if Path(path).exists():
            return Client.connect(path, timeout)
    return Client.connect(SOCKETS[-1], timeout)


def _connected(address: Address, timeout: float) -> socket.socket:
    if address.transport == "ssh":
        return _through_ssh(address)
    port = address.port or (_TLS if address.transport == "tls" else _TCP)
    try:
        sock = socket.create_connection((address.host, port), timeout)
    except OSError as error:
        raise e.HostFailure(f"no daemon answers at {address.host}:{port}: {error.strerror or error}") from error
    if address.transport == "tcp":
        return sock
    try:
        return _encrypted(sock, address)
    except (OSError, ssl.SSLError) as error:
        sock.close()
        raise e.Denied(f"TLS with {address.host}:{port} failed: {error}") from error


def _encrypted(sock: socket.socket, address: Address) -> socket.socket:
    place = address.options.get("pkipath")
    home = Path(place) if place else None
    authority = home / "cacert.pem" if home else _PKI / "CA/cacert.pem"
    certificate = home / "clientcert.pem" if home else _PKI / "libvirt/clientcert.pem"
    key = home / "clientkey.pem" if home else _PKI / "libvirt/private/clientkey.pem"
    context = ssl.create_default_context(cafile=str(authority))
    if address.options.get("no_verify") == "1":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate.exists():
        context.load_cert_chain(certificate, key)
    encrypted = context.wrap_socket(sock, server_hostname=address.host)
    if encrypted.recv(1) != _ADMITTED:
        raise ssl.SSLError("the server does not accept this host's certificate")
    return encrypted


def _through_ssh(address: Address) -> socket.socket:
    """Let ssh join the daemon's socket at the other end; it must need no password."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise e.HostFailure("ssh is not installed on this host")
    path = address.options.get("socket") or SOCKETS[0]
    words = [ssh, "-T", "-e", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    words += ["-p", str(address.port)] if address.port else []
    words += ["-l", address.user] if address.user else []
    words += ["-i", address.options["keyfile"]] if address.options.get("keyfile") else []
    # The other end has a shell, whatever we do: what it gets is one word.
    words += ["--", address.host, f"nc -U {shlex.quote(path)}"]
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = subprocess.Popen(
                words, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            ours.close()
            raise e.HostFailure(f"ssh cannot be started: {error.strerror}") from error
    # It ends with its socket; the kernel's note of that is collected when the next one is started.
    _ended(process)
    return ours


_left: list[subprocess.Popen[bytes]] = []


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Collect those that ended, and remember the new one."""
    with suppress(OSError):
        _left[:] = [one for one in _left if one.poll() is None]
    _left.append(process)
