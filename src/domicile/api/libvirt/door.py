"""A door: one address to listen at, who may come in there, and what those may do.

The daemon describes its doors; the server opens them; each session knows the one it came through.
"""

from __future__ import annotations

import fnmatch
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Auth = Literal["none", "sasl"]
# Source: RFC 4514, section 3, and the short names that GnuTLS writes, by OpenSSL's long ones.
_SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "domainComponent": "DC",
    "userId": "UID",
    "streetAddress": "STREET",
    "emailAddress": "EMAIL",
}


@dataclass(frozen=True)
class Door:
    """How one listening socket is guarded.

    `local` is a unix socket, on which descriptors can travel and whose peers the kernel knows. `allowed` holds patterns
    of distinguished names; None lets every certificate in that the authority signed.
    """

    name: str
    read_only: bool = False
    auth: Auth = "none"
    local: bool = True
    tls: ssl.SSLContext | None = None
    allowed: tuple[str, ...] | None = None

    @property
    def secure(self) -> bool:
        """Whether nobody can listen in on the way."""
        return self.local or self.tls is not None

    def admits(self, name: str) -> bool:
        """Say whether a certificate's name may come in."""
        return self.allowed is None or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.allowed)


def distinguished_name(certificate: dict[str, Any] | None) -> str:
    """Write a certificate's subject as libvirt's list of allowed names has it: C=GB,ST=London,O=Example,CN=client."""
    parts: Iterable[Any] = (certificate or {}).get("subject", ())
    return ",".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for names in parts for kind, value in names)


def _escaped(value: str) -> str:
    text = "".join("\\" + letter if letter in ',+"\\<>;' else letter for letter in value)
    return "\\" + text if text[:1] in ("#", " ") else text
