"""TCP ports of the host, given to displays: each to one machine at a time.

`host/fulfil` reserves them at a machine's start, `runtime/reattach` again for machines that are running already.
"""

from __future__ import annotations

import errno
import socket

from domicile.base.errors import Conflict, HostFailure


class PortBook:
    """Which ports are given out. One book serves a daemon; its methods never wait."""

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}

    def reserve(self, owner: str, low: int, high: int) -> int:
        """Give the lowest port of a range that neither the book nor the host has in use.

        Raises:
            HostFailure: all are in use.
        """
        for port in range(low, high + 1):
            if port not in self._owners and _free(port, ""):
                self._owners[port] = owner
                return port
        raise HostFailure(f"no TCP port between {low} and {high} is free")

    def reserve_fixed(self, owner: str, port: int, address: str = "") -> int:
        """Give the very port a document asks for.

        Raises:
            Conflict: another machine has it.
            HostFailure: some other program of the host has it.
        """
        holder = self._owners.get(port)
        if holder is not None and holder != owner:
            raise Conflict(f"TCP port {port} is taken by {holder}")
        if holder is None and not _free(port, address):
            raise HostFailure(f"TCP port {port} is in use on this host")
        self._owners[port] = owner
        return port

    def remember(self, owner: str, port: int) -> None:
        """Note that a machine that runs already has a port."""
        self._owners[port] = owner

    def release(self, owner: str) -> None:
        """Take back all ports of a machine."""
        for port in [port for port, holder in self._owners.items() if holder == owner]:
            del self._owners[port]

    def owner(self, port: int) -> str | None:
        """Name the machine that has a port."""
        return self._owners.get(port)


def _free(port: int, address: str) -> bool:
    """Try a port on an address, or on all addresses of both families."""
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return _bindable(family, address, port)
    return _bindable(socket.AF_INET, "0.0.0.0", port) and _bindable(socket.AF_INET6, "::", port)  # noqa: S104


def _bindable(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
            probe.listen(1)
    except OSError as error:
        # A host without IPv6, or a name instead of a number: QEMU will find out.
        return error.errno not in (errno.EADDRINUSE, errno.EACCES)
    return True
