"""Tap devices on bridges, by the kernel's own ioctls: opening one takes a fraction of a millisecond.

`host/fulfil` makes them for the Tap needs of a machine; they vanish when QEMU closes its descriptor.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domicile.base.errors import HostFailure
from domicile.plan.need import Tap

# Source: linux/if_tun.h, linux/sockios.h, linux/if.h.
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCGIFMTU, _SIOCSIFMTU = 0x8921, 0x8922
_SIOCSIFHWADDR = 0x8924
_SIOCBRADDIF, _SIOCBRDELIF = 0x89A2, 0x89A3
_IFF_UP = 0x1
_ARPHRD_ETHER = 1
_NAME = "vnet%d"
_NAME_LENGTH = 15


@dataclass(frozen=True, slots=True)
class OpenTap:
    """A tap that exists as long as one of its descriptors is open."""

    name: str
    fds: tuple[int, ...]

    def close(self) -> None:
        """Let go of it; QEMU's own descriptors keep it alive."""
        for fd in self.fds:
            os.close(fd)


def check(need: Tap) -> None:
    """Say before anything is done what stands in the way.

    Raises:
        HostFailure: there is no such bridge, or no tap can be made here.
    """
    if not Path(f"/sys/class/net/{need.bridge}/bridge").is_dir() or "/" in need.bridge:
        there = "is no bridge" if Path(f"/sys/class/net/{need.bridge}").exists() else "does not exist"
        raise HostFailure(f"the bridge {need.bridge} {there} on this host")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise HostFailure("/dev/net/tun cannot be opened, so no tap device can be made")


def open_tap(need: Tap) -> OpenTap:
    """Make a tap, put it on its bridge and bring it up.

    Raises:
        HostFailure: the kernel refused; nothing is left behind.
    """
    check(need)
    fds: list[int] = []
    try:
        name = need.name or _NAME
        for _ in range(max(1, need.queues)):
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            fds.append(fd)
            name = _attach(fd, name, need.queues > 1)
        _join(name, need)
    except OSError as error:
        for fd in fds:
            os.close(fd)
        raise HostFailure(f"cannot make a tap device on the bridge {need.bridge}: {error.strerror}") from error
    return OpenTap(name, tuple(fds))


def _attach(fd: int, name: str, multi: bool) -> str:
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if multi else 0)
    answer = fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", _bytes(name), flags))
    return answer[:16].rstrip(b"\0").decode()


def _join(name: str, need: Tap) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as control:
        hardware = b"\xfe" + bytes.fromhex(need.mac.replace(":", ""))[1:]
        fcntl.ioctl(control, _SIOCSIFHWADDR, struct.pack("16sH6s16x", _bytes(name), _ARPHRD_ETHER, hardware))
        mtu = fcntl.ioctl(control, _SIOCGIFMTU, struct.pack("16s24x", _bytes(need.bridge)))
        fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16s", _bytes(name)) + mtu[16:])
        index = socket.if_nametoindex(name)
        fcntl.ioctl(control, _SIOCBRADDIF, struct.pack("16si20x", _bytes(need.bridge), index))
        if need.link_up:
            answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", _bytes(name)))
            flags = struct.unpack_from("H", answer, 16)[0] | _IFF_UP
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", _bytes(name), flags))


def move(name: str, bridge: str) -> None:
    """Put a tap that exists on another bridge. Raises: HostFailure; it stays where it was then."""
    before = Path(f"/sys/class/net/{name}/brport/bridge")
    try:
        old = before.resolve(strict=True).name if before.exists() else ""
        index = socket.if_nametoindex(name)
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as control:
            if old:
                fcntl.ioctl(control, _SIOCBRDELIF, struct.pack("16si20x", _bytes(old), index))
            try:
                fcntl.ioctl(control, _SIOCBRADDIF, struct.pack("16si20x", _bytes(bridge), index))
            except OSError:
                if old:
                    fcntl.ioctl(control, _SIOCBRADDIF, struct.pack("16si20x", _bytes(old), index))
                raise
    except OSError as error:
        raise HostFailure(f"cannot put {name} on the bridge {bridge}: {error.strerror}") from error


def _bytes(name: str) -> bytes:
    raw = os.fsencode(name)
    if len(raw) > _NAME_LENGTH or "/" in name:
        raise HostFailure(f"{name!r} cannot be the name of a network device")
    return raw


def bridges() -> list[str]:
    """Name the bridges of this host."""
    return sorted(path.parent.name for path in Path("/sys/class/net").glob("*/bridge"))


def interfaces() -> set[str]:
    """Name all network devices of this host."""
    return {name for _, name in socket.if_nameindex()}
