"""Network devices of the host: their links, what their hardware does. Used by `describe` and `interface`.

Source: linux/ethtool.h, linux/sockios.h; the words are libvirt's.
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domicile.hostdevs import sysfs

_SIOCETHTOOL = 0x8946
_SINGLE = (("rx", 0x14), ("tx", 0x16), ("sg", 0x18), ("tso", 0x1E), ("gso", 0x23), ("gro", 0x2B))
_FLAGS, _FEATURES = 0x25, 0x3A
_BITS = (("lro", 1 << 15), ("rxvlan", 1 << 8), ("txvlan", 1 << 7), ("ntuple", 1 << 27), ("rxhash", 1 << 28))
_TUNNEL_BIT = 25


@dataclass(frozen=True, slots=True)
class Link:
    """The state of a device's cable, and its speed in Mbit/s where it is known."""

    state: str
    speed: int | None


def link(path: Path) -> Link:
    """Look at a device's link."""
    state = sysfs.read(path / "operstate") or "unknown"
    speed = sysfs.number(path / "speed") if state == "up" else None
    return Link(state, speed & 0xFFFFFFFF if speed is not None else None)


def features(name: str) -> list[str]:
    """Name what a device's hardware or driver does for the kernel."""
    found = []
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as control:
        found += [word for word, command in _SINGLE if _ask(control, name, struct.pack("II", command, 0), 4)]
        flags = _ask(control, name, struct.pack("II", _FLAGS, 0), 4)
        found += [word for word, bit in _BITS if flags & bit]
        if (Path("/sys/class/net") / name / "device/infiniband").is_dir():
            found.append("rdma")
        # A head and one block: available, requested, active, never changed.
        if _ask(control, name, struct.pack("IIIIII", _FEATURES, 1, 0, 0, 0, 0), 16) >> _TUNNEL_BIT & 1:
            found.append("txudptnl")
    return found


def _ask(control: socket.socket, name: str, question: bytes, place: int) -> int:
    """Ask the driver; nothing is answered as 0."""
    answer = array.array("B", question + bytes(32))
    where, _ = answer.buffer_info()
    try:
        fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), where))
    except OSError:
        return 0
    return int(struct.unpack_from("I", answer, place)[0])
