"""The way that a machine's state takes between two hosts: the URI its owner names, as QEMU's two ends want it.

Pure, but for looking which port is free. `arriving` makes a route, `leaving` follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from domicile.base.errors import INVALID_ARG, InvalidRequest, Unsupported
from domicile.host import inspect
from domicile.host.ports import PortBook
from domicile.plan.host import Settings

_ANY = ("0.0.0.0", "::")  # noqa: S104 - where a target listens unless its owner says otherwise, as libvirt's does


@dataclass(frozen=True, slots=True)
class Route:
    """Where the target listens and where the source connects: for both ends QEMU's words, for the client a URI.

    `port` is one that was taken from the book.
    """

    listen: str
    uri: str
    port: int = 0
    host: str = ""

    @property
    def connect(self) -> str:
        """What the source's QEMU is told."""
        return to_qemu(self.uri)


def to_qemu(uri: str) -> str:
    """Say a migration URI as QEMU's `migrate` wants it. Raises: InvalidRequest, Unsupported."""
    kind, host, port, path = _parts(uri)
    if kind == "unix":
        return f"unix:{path}"
    if not port:
        raise InvalidRequest(f"missing port in migration URI '{uri}'; tcp://host:port would be accepted")
    return f"tcp:{_bracketed(host)}:{port}"


def host_of(uri: str) -> str:
    """Name the host that a migration URI leads to; empty for a socket of this one."""
    return _parts(uri)[1]


def made(uri: str | None, listen: str | None, settings: Settings, ports: PortBook, owner: str) -> Route:
    """Choose where to listen, and say where the source finds it.

    Raises: InvalidRequest, Unsupported; HostFailure where no port is free
    """
    own = settings.migration_host or inspect.hostname()
    kind, host, port, path = _parts(uri) if uri else ("tcp", own, 0, "")
    if kind == "unix":
        return Route(f"unix:{path}", uri or "")
    taken = 0
    if not port:
        port = taken = ports.reserve(owner, settings.migration_port_min, settings.migration_port_max)
    where = listen or settings.migration_address or _any()
    bare = where.strip("[]")
    return Route(f"tcp:{_bracketed(bare)}:{port}", f"tcp://{_bracketed(host)}:{port}", taken, host)


def _any() -> str:
    """Listen on both families where the host has both."""
    return _ANY[1] if inspect.has_ipv6() else _ANY[0]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _parts(uri: str) -> tuple[str, str, int, str]:
    """Take a migration URI apart: kind, host, port, path. Older clients write tcp:host:port."""
    if uri.startswith("tcp:") and not uri.startswith("tcp://"):
        uri = f"tcp://{uri[4:]}"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as error:
        raise InvalidRequest(f"cannot parse the migration URI '{uri}': {error}") from error
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or "," in parts.path:
            raise InvalidRequest(f"the migration URI '{uri}' names no socket; unix:///path would be accepted")
        return "unix", "", 0, parts.path
    if parts.scheme == "rdma":
        raise Unsupported("RDMA migration is not supported; tcp and unix would be accepted")
    if parts.scheme != "tcp":
        scheme = f"unsupported scheme {parts.scheme}" if parts.scheme else "missing scheme"
        raise InvalidRequest(f"{scheme} in migration URI: {uri}; tcp and unix would be accepted", code=INVALID_ARG)
    if not host:
        raise InvalidRequest(f"missing host in migration URI: {uri}")
    return "tcp", host, port, ""
