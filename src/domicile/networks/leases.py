"""The addresses a network's dnsmasq has given away, as its own lease file tells. Pure but for reading the file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DhcpLease:
    """One lease; `expires` is seconds since the epoch, 0 for ever; `iaid` and `client` are what IPv6 knows a guest by."""

    expires: int
    mac: str
    ip: str
    hostname: str
    client: str
    iaid: str = ""

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.ip else 4


def read(path: Path) -> list[DhcpLease]:
    """Read the leases that still hold; a network that never gave one away has none."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return parse(text, time.time())


def parse(text: str, now: float) -> list[DhcpLease]:
    """Read a lease file's lines: ``expiry mac ip name client``; after a ``duid`` line they are IPv6's, with an IAID for the MAC.

    Source: dnsmasq(8), "dhcp-leasefile".
    """
    found = []
    six = False
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["duid"]:
            six = True
            continue
        if len(words) != 5 or not words[0].isdigit():
            continue
        expires, hardware, ip, name, client = int(words[0]), *words[1:]
        if expires and expires < now:
            continue
        name, client = ("" if word == "*" else word for word in (name, client))
        if six:
            found.append(DhcpLease(expires, _mac(client), ip, name, client, hardware.lstrip("T")))
        else:
            found.append(DhcpLease(expires, hardware.rpartition("-")[2], ip, name, client))
    return found


def _mac(duid: str) -> str:
    """Take the hardware address out of a DUID that ends with one. Source: RFC 8415, 11.2 and 11.4."""
    parts = duid.split(":")
    if len(parts) == 14 and parts[:2] == ["00", "01"]:
        return ":".join(parts[8:])
    if len(parts) == 10 and parts[:2] == ["00", "03"]:
        return ":".join(parts[4:])
    return ""
