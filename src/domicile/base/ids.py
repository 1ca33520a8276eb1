"""Identifiers: UUIDs and MAC addresses, checked and made.

Used by completion and by the store.
"""

from __future__ import annotations

import random
import re
import uuid as _uuid
import zlib

_MAC = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}\Z")
_random = random.SystemRandom()


def new_uuid() -> str:
    """Make a random UUID in its 36-character form."""
    return str(_uuid.uuid4())


def parse_uuid(text: str) -> str | None:
    """Return the canonical form of a UUID, or None where it is none.

    Dashes may be anywhere or absent, as libvirt allows.
    """
    digits = text.strip().replace("-", "").lower()
    if len(digits) != 32 or any(c not in "0123456789abcdef" for c in digits):
        return None
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_mac(prefix: str = "52:54:00") -> str:
    """Make a random MAC address below a three-byte prefix (QEMU's by default)."""
    return prefix + "".join(f":{_random.randrange(256):02x}" for _ in range(3))


def parse_mac(text: str) -> str | None:
    """Return a MAC address in lower case with two digits a byte, or None where it is none."""
    if not _MAC.match(text):
        return None
    return ":".join(f"{int(part, 16):02x}" for part in text.split(":"))


# 0, 1 and 2 are reserved: hypervisor, loopback, host. Source: Linux, vsock(7).
_FIRST_CID, _LAST_CID = 3, 2**32 - 2


def vsock_cid(uuid: str) -> int:
    """Choose the number by which a machine's sockets are reached, always the same for a UUID."""
    return _FIRST_CID + zlib.crc32(uuid.encode()) % (_LAST_CID - _FIRST_CID)
