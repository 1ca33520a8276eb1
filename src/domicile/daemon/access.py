"""Who may connect, and where: the configuration's tables about sockets, and the doors that follow from them.

`config` reads the tables, `wiring` opens the doors.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from domicile.api.libvirt.door import Auth, Door
from domicile.api.libvirt.sasl import Users
from domicile.api.libvirt.server import Limits, Server
from domicile.base.errors import HostFailure, InvalidRequest
from domicile.rpc import frame as f
from domicile.service.paths import Paths

log = structlog.get_logger(__name__)
AUTHS = ("none", "sasl")
#: Descriptors for everything that is no client: the database, QEMUs' monitors, pidfds, taps.
_OWN_DESCRIPTORS = 1024
#: libvirt's own names for its sockets, in the directory where its clients look; the second of each pair is read-only.
_LIBVIRT_NAMES = (("libvirt-sock", "libvirt-sock-ro"), ("virtqemud-sock", "virtqemud-sock-ro"))


@dataclass(frozen=True, slots=True)
class Sockets:
    """The unix sockets, and the limits of all doors together; the names are those of libvirtd.conf."""

    mode: str = "0700"
    mode_read_only: str = "0777"
    group: str = ""
    auth: str = "none"
    auth_read_only: str = "none"
    as_libvirt: bool = False
    max_clients: int = 5000
    max_anonymous_clients: int = 1000
    max_queued_clients: int = 1000
    max_client_requests: int = 20
    max_message: int = f.MESSAGE_MAX
    open_seconds: int = 60
    message_seconds: int = 60
    keepalive_interval: int = 5
    keepalive_count: int = 5


@dataclass(frozen=True, slots=True)
class Tcp:
    """Plain TCP, which nobody else should be able to listen in on."""

    listen: str = ""
    port: int = 16509
    auth: str = "sasl"


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS with certificates of both sides."""

    listen: str = ""
    port: int = 16514
    auth: str = "none"
    ca_file: str = "/etc/pki/CA/cacert.pem"
    crl_file: str = "/etc/pki/CA/cacrl.pem"
    cert_file: str = "/etc/pki/libvirt/servercert.pem"
    key_file: str = "/etc/pki/libvirt/private/serverkey.pem"
    verify_clients: bool = True
    allowed_dn_list: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sasl:
    """Users with passwords."""

    users: str = ""
    allowed_username_list: tuple[str, ...] = ()


def check(sockets: Sockets, tcp: Tcp, tls: Tls, path: Path) -> None:
    """Refuse values of the right type that mean nothing.

    Raises: InvalidRequest
    """
    for key in ("mode", "mode_read_only"):
        value = getattr(sockets, key)
        if not re.fullmatch(r"0?[0-7]{3}", value):
            raise _refused(path, "sockets", key, value, "octal digits such as 0770")
    tables: tuple[tuple[str, Any], ...] = (("sockets", sockets), ("tcp", tcp), ("tls", tls))
    for name, table in tables:
        for key in ("auth", "auth_read_only"):
            value = getattr(table, key, "none")
            if value not in AUTHS:
                raise _refused(path, name, key, value, ", ".join(AUTHS))
        port = getattr(table, "port", 0)
        if not 0 <= port <= 65535:
            raise _refused(path, name, "port", port, "0 (any) to 65535")
    for key in ("max_clients", "max_queued_clients", "max_client_requests", "open_seconds", "message_seconds"):
        if getattr(sockets, key) < 1:
            raise _refused(path, "sockets", key, getattr(sockets, key), "1 or more")
    if not 1 <= sockets.max_anonymous_clients <= sockets.max_clients:
        raise _refused(
            path,
            "sockets",
            "max_anonymous_clients",
            sockets.max_anonymous_clients,
            f"1 to max_clients ({sockets.max_clients})",
        )
    if not f.MESSAGE_MAX_UNOPENED <= sockets.max_message <= f.MESSAGE_MAX:
        accepted = f"{f.MESSAGE_MAX_UNOPENED} to {f.MESSAGE_MAX} bytes"
        raise _refused(path, "sockets", "max_message", sockets.max_message, accepted)
    if sockets.keepalive_count < 0:
        raise _refused(path, "sockets", "keepalive_count", sockets.keepalive_count, "0 or more")


def _refused(path: Path, table: str, key: str, value: object, accepted: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: '{key}' in [{table}] has the value {value!r}; accepted: {accepted}")


def limits(sockets: Sockets) -> Limits:
    """Give the server's limits."""
    return Limits(
        clients=sockets.max_clients,
        unopened=sockets.max_anonymous_clients,
        queued=sockets.max_queued_clients,
        requests=sockets.max_client_requests,
        open_seconds=sockets.open_seconds,
        message_seconds=sockets.message_seconds,
        message=sockets.max_message,
        keepalive_interval=sockets.keepalive_interval,
        keepalive_count=sockets.keepalive_count,
    )


def users(sasl: Sasl, paths: Paths) -> Users:
    """Give those who may log in: by default those in a file beside the configuration."""
    return Users(Path(sasl.users) if sasl.users else paths.config.with_name("sasl-users"), sasl.allowed_username_list)


def renew(server: Server[Any], tls: Tls) -> None:
    """Read the certificates anew, for the connections to come; where they cannot be used, those before stay."""
    if not tls.listen:
        return
    try:
        server.renew(tls_context(tls))
    except HostFailure as fault:
        log.error("the certificates stay as they were", why=fault.message)
    else:
        log.info("certificates read anew")


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Read the certificates.

    Raises: HostFailure
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # libvirt's clients wait for one byte after the handshake and give up where a ticket of TLS 1.3 comes instead.
    # Observed with libvirt 9.0.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    try:
        _look(tls.cert_file, tls.key_file)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.verify_clients:
            _look(tls.ca_file)
            context.load_verify_locations(tls.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
            if tls.crl_file and Path(tls.crl_file).exists():
                context.load_verify_locations(tls.crl_file)
                context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    except OSError as fault:  # ssl.SSLError is one of them
        files = ", ".join((tls.cert_file, tls.key_file, tls.ca_file))
        raise HostFailure(f"the certificates for TLS cannot be used ({files}): {fault}") from fault
    return context


def _look(*files: str) -> None:
    """Name the file that is missing or closed, which the TLS library does not."""
    for name in files:
        with Path(name).open("rb"):
            pass


def libvirt_directory() -> Path:
    """Say where clients of libvirt look when their URI names no socket. Source: observed with libvirt 9.0."""
    if os.geteuid() == 0:
        return Path("/run/libvirt")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "libvirt" if runtime else Path.home() / ".cache/libvirt"


async def open_doors(server: Server[Any], sockets: Sockets, tcp: Tcp, tls: Tls, paths: Paths) -> None:
    """Listen wherever the configuration says; closing the server undoes it.

    Raises: Conflict where another daemon listens; HostFailure
    """
    raise_descriptors(server.limits.clients)
    places = [(paths.socket, paths.socket_read_only)]
    if sockets.as_libvirt:
        directory = libvirt_directory()
        _make(server, directory)
        places += [(directory / one, directory / other) for one, other in _LIBVIRT_NAMES]
    auth, auth_read_only = _auth(sockets.auth), _auth(sockets.auth_read_only)
    for changing, reading in places:
        await server.listen(changing, mode=int(sockets.mode, 8), group=sockets.group or None, auth=auth)
        await server.listen(reading, mode=int(sockets.mode_read_only, 8), read_only=True, auth=auth_read_only)
    if tls.listen:
        allowed = tls.allowed_dn_list or None
        context = tls_context(tls)
        door = Door(f"tls {tls.listen}:{tls.port}", auth=_auth(tls.auth), local=False, tls=context, allowed=allowed)
        await server.listen_tcp("" if tls.listen == "*" else tls.listen, tls.port, door)
        if not tls.verify_clients and tls.auth == "none":
            log.warning("whoever reaches the TLS port may do everything: verify_clients is off and auth is none")
    if tcp.listen:
        door = Door(f"tcp {tcp.listen}:{tcp.port}", auth=_auth(tcp.auth), local=False)
        await server.listen_tcp("" if tcp.listen == "*" else tcp.listen, tcp.port, door)
        log.warning("plain TCP is not encrypted; use it on networks that nobody else is on", port=tcp.port)


def _auth(word: str) -> Auth:
    return "sasl" if word == "sasl" else "none"


def _make(server: Server[Any], directory: Path) -> None:
    try:
        directory.mkdir(parents=True)
    except FileExistsError:
        return
    except OSError as fault:
        raise HostFailure(f"cannot make {directory}: {fault.strerror}") from fault

    def remove() -> None:
        with contextlib.suppress(OSError):
            directory.rmdir()

    server.on_close(remove)


def raise_descriptors(clients: int) -> None:
    """Let the daemon have as many descriptors as its clients may need, as far as the host allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = clients + _OWN_DESCRIPTORS
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    given = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(given, soft), hard))
    if given < wanted:
        log.warning("the host allows fewer descriptors than max_clients may need", allowed=given, wanted=wanted)
