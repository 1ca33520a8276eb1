"""Tap devices on bridges, by the kernel's own ioctls: opening one takes a fraction of a millisecond.

`host/fulfil` makes them for the Tap needs of a machine; they vanish when QEMU closes its descriptor.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from domicile.base.errors import HostFailure, Unsupported
from domicile.host import openvswitch, vlans
from domicile.plan.need import Tap

# Source: linux/if_tun.h, linux/sockios.h, linux/if.h.
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR, _IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCGIFMTU, _SIOCSIFMTU = 0x8921, 0x8922
_SIOCSIFHWADDR = 0x8924
_SIOCBRADDIF, _SIOCBRDELIF = 0x89A2, 0x89A3
_SIOCETHTOOL, _ETHTOOL_GCOALESCE, _ETHTOOL_SCOALESCE, _COALESCE_WORDS = 0x8946, 0x0E, 0x0F, 23
_IFF_UP = 0x1
_ARPHRD_ETHER = 1
_NAME = "vnet%d"
_NAME_LENGTH = 15
_NET = Path("/sys/class/net")


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
        Unsupported: the bridge keeps no VLANs apart.
    """
    if need.kind != "ethernet" and need.switch != "openvswitch":
        if not (_NET / need.bridge / "bridge").is_dir() or "/" in need.bridge or not need.bridge:
            there = "is no bridge" if need.bridge and (_NET / need.bridge).exists() else "does not exist"
            raise HostFailure(f"the bridge {need.bridge} {there} on this host")
        if need.vlans and not vlans.kept_apart(need.bridge):
            raise Unsupported(
                f"interface {need.mac} - vlan tag not supported for this connection type: the bridge {need.bridge} does not "
                "filter VLANs; one with vlan_filtering on, or of Open vSwitch, would be accepted"
            )
    for program in (need.script, need.downscript):
        if program and not os.access(program, os.X_OK):
            raise HostFailure(f"the script {program} of an interface is no program that could be run")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise HostFailure("/dev/net/tun cannot be opened, so no tap device can be made")


def open_tap(need: Tap, guard: Callable[[str], None] = lambda _name: None) -> OpenTap:
    """Make a tap, put it on its bridge and bring it up; one that is there already is only opened.

    `guard` is called with its name before the first packet can pass.

    Raises:
        HostFailure: the kernel refused; nothing is left behind.
    """
    check(need)
    fds: list[int] = []
    where = f"on the bridge {need.bridge}" if need.bridge else need.name
    if not need.managed and not (_NET / need.name).exists():
        raise HostFailure(
            f"target device {need.name or '(none)'} does not exist, and managed='no' says that it is there already"
        )
    try:
        name = need.name or _NAME
        for _ in range(max(1, need.queues)):
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            fds.append(fd)
            name = attach(fd, name, need.queues > 1)
        guard(name)
        if need.managed:
            _settle(name, need)
    except BaseException as error:
        for fd in fds:
            os.close(fd)
        if isinstance(error, OSError):
            raise HostFailure(f"cannot make a tap device {where}: {error.strerror}") from error
        raise
    return OpenTap(name, tuple(fds))


def attach(fd: int, name: str, multi: bool) -> str:
    """Make a descriptor that of a tap by this name, or of a macvtap whose it is; returns the name. Raises: OSError."""
    flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | (_IFF_MULTI_QUEUE if multi else 0)
    answer = fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", _bytes(name), flags))
    return answer[:16].rstrip(b"\0").decode()


def _settle(name: str, need: Tap) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)) as control:
        hardware = b"\xfe" + bytes.fromhex(need.mac.replace(":", ""))[1:]
        fcntl.ioctl(control, _SIOCSIFHWADDR, struct.pack("16sH6s16x", _bytes(name), _ARPHRD_ETHER, hardware))
        if need.mtu:
            fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", _bytes(name), need.mtu))
        elif need.bridge:
            mtu = fcntl.ioctl(control, _SIOCGIFMTU, struct.pack("16s24x", _bytes(need.bridge)))
            fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16s", _bytes(name)) + mtu[16:])
        if need.frames:
            _gather(control, name, need.frames)
        if need.switch == "openvswitch":
            openvswitch.add_port(name, need)
        elif need.bridge:
            fcntl.ioctl(control, _SIOCBRADDIF, struct.pack("16si20x", _bytes(need.bridge), socket.if_nametoindex(name)))
            if need.isolated:
                isolate(name)
            if need.vlans:
                vlans.put(name, need.vlans)
        for address in need.addresses:
            vlans.give_address(name, address)
        if need.link_up:
            answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", _bytes(name)))
            flags = struct.unpack_from("H", answer, 16)[0] | _IFF_UP
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", _bytes(name), flags))


def isolate(name: str) -> None:
    """Keep a bridge's port apart from its other isolated ports. Raises: HostFailure."""
    try:
        (_NET / name / "brport/isolated").write_text("1")
    except OSError as error:
        raise HostFailure(f"unable to set bridge port {name} isolated: {error.strerror}") from error


def _gather(control: socket.socket, name: str, frames: int) -> None:
    """Let a tap gather packets before it hands them over. Source: linux/ethtool.h, struct ethtool_coalesce."""
    wanted = array.array("I", bytes(_COALESCE_WORDS * 4))
    for command in (_ETHTOOL_GCOALESCE, _ETHTOOL_SCOALESCE):
        wanted[0] = command
        if command == _ETHTOOL_SCOALESCE:
            wanted[2] = frames
        request = struct.pack("16sP16x", _bytes(name), wanted.buffer_info()[0])
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def move(name: str, bridge: str, *, isolated: bool = False) -> None:
    """Put a tap that exists on another bridge, apart from other ports there or not.

    Raises:
        HostFailure: the kernel refused; it stays where it was then.
    """
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
        if isolated:
            isolate(name)
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
