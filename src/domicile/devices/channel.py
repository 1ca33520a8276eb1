"""Channels: named byte streams between guest and host, such as the guest agent's and SPICE's.

Used through `FAMILY` in devices/__init__.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.devices.parts.device import VirtioSerialAddress
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Directory, Need
from domicile.plan.place import Want, WantVirtioSerial
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import STR, enum, integer
from domicile.schema.shape import Element, Variant, element

SPICE_AGENT = "com.redhat.spice.0"
# Where libvirt keeps the sockets it names itself; a definition taken from there carries such a path no further.
_LIBVIRTS = ("/var/lib/libvirt/qemu/channel/target", "/run/libvirt/qemu/channel", "/var/run/libvirt/qemu/channel")


@element("target", "virtio 通道")
class VirtioTarget(Element):
    """A port of a virtio-serial controller, found by its name."""

    type: str = f.attr("The kind of channel.", "通道的种类。", enum("virtio"), default="virtio", guest=True)
    name: str | None = f.attr(
        "The name by which the guest finds it, such as org.qemu.guest_agent.0.",
        "客户机据以找到它的名称，如 org.qemu.guest_agent.0。",
        guest=True,
    )
    state: str | None = f.attr(
        "Whether a program of the guest holds it open; only known while the machine runs.",
        "客户机内是否有程序打开它；仅在运行时才有。",
        enum("connected", "disconnected"),
    )


@element("target", "转发给主机的地址")
class GuestForwardTarget(Element):
    """An address and port of the user-mode network that leads to the host's end."""

    type: str = f.attr("The kind of channel.", "通道的种类。", enum("guestfwd"), default="guestfwd", guest=True)
    address: str | None = f.attr("The IPv4 address.", "IPv4 地址。", STR, guest=True)
    port: int | None = f.attr("The port.", "端口。", integer(1, 65535), guest=True)


@element("target", "Xen 通道")
class XenTarget(Element):
    """A channel of Xen."""

    type: str = f.attr("The kind of channel.", "通道的种类。", enum("xen"), default="xen")
    name: str | None = f.attr("Its name.", "名称。")
    state: str | None = f.attr("Whether it is open.", "是否已打开。", enum("connected", "disconnected"))


TARGET = Variant("type", {"virtio": VirtioTarget, "guestfwd": GuestForwardTarget, "xen": XenTarget})


@element("channel", "通道", identity=("target.name",))
class Channel(CharDevice):
    """A named byte stream between a program in the guest and one on the host."""

    target: VirtioTarget | GuestForwardTarget | XenTarget | None = f.child(
        "How the guest finds it.", "客户机如何找到它。", TARGET
    )


def defaults(channel: Channel, c: Completion) -> None:
    """Fill in the host's end; drop the path of a socket that is named anew at each start."""
    chardev.defaults(channel, c)
    target = channel.target
    if not isinstance(target, VirtioTarget):
        return
    omit(target, ("state",), c, "only known while the machine runs", "仅在运行时才有")
    again = channel.source[0].reconnect if channel.source else None
    if channel.type == "unix" and again is not None and again.enabled and channel.source[0].path is None:
        return  # refused: nothing is connected to that the machine itself listens on
    if channel.type == "unix" and channel.source and _generated(channel.source[0].path, target, c):
        omit(channel, ("source",), c, "the socket is named at each start", "套接字在每次启动时命名")


def _generated(path: str | None, target: VirtioTarget, c: Completion) -> bool:
    if path is None:
        return True
    for directory in (c.host.directories.channels, *_LIBVIRTS):
        if path.startswith(directory + "/") and target.name is not None:
            rest = path[len(directory) + 1 :]
            if re.fullmatch(r"([^/]+\.|domain-[^/]+/|[0-9]+-[^/]+/)" + re.escape(target.name), rest):
                return True
    return False


def check(channel: Channel, c: Completion) -> None:
    """Find what cannot be."""
    target = channel.target
    if target is None:
        c.problem(channel, "<channel> has no <target> with an attribute 'type'", "virtio, guestfwd", "target/@type")
        return
    chardev.check(channel, c, path_optional=isinstance(target, VirtioTarget))
    if isinstance(target, XenTarget):
        c.problem(target, "channel target type 'xen' does not exist in QEMU", "virtio", "@type")
    elif isinstance(target, GuestForwardTarget):
        _check_forward(channel, target, c)
    else:
        address = channel.address
        if address is not None and not isinstance(address, VirtioSerialAddress):
            c.problem(address, f"virtio <channel> has an address of type '{address.type}'", "virtio-serial", "@type")
        again = channel.source[0].reconnect if channel.source else None
        if channel.type == "unix" and again is not None and again.enabled and channel.source[0].path is None:
            message = "<reconnect> of a <channel> needs a 'path' to connect to; one that is left open is listened on"
            c.problem(again, message, "path='…' mode='connect'")
        if channel.type == "spicevmc" and target.name not in (None, SPICE_AGENT):
            c.problem(target, f"spicevmc channel has the target name '{target.name}'", SPICE_AGENT, "@name")


def _check_forward(channel: Channel, target: GuestForwardTarget, c: Completion) -> None:
    if target.address is None or not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", target.address):
        message = f"attribute 'address' of element 'target' has the value '{target.address or ''}'"
        c.problem(target, message, "an IPv4 address such as 10.0.2.1", "@address")
    if target.port is None:
        c.problem(target, "element 'target' has no attribute 'port'", "1 to 65535", "@port")
    if channel.address is not None:
        c.problem(channel.address, "<channel> of type 'guestfwd' has no <address>", "no <address>")


def place(channel: Channel, facts: Facts) -> Want | None:
    """Ask for a port of a virtio-serial controller."""
    return WantVirtioSerial() if isinstance(channel.target, VirtioTarget) else None


def plan(channel: Channel, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end, and for the port or the forwarded address."""
    origin, name, target = p.origin(channel), alias_of(channel), channel.target
    ident = f"char{name}"
    if isinstance(target, GuestForwardTarget):
        yield from host_end(channel, ident, p, origin=origin)
        forward = [{"str": f"tcp:{target.address}:{target.port}-chardev:{ident}"}]
        yield Structured("netdev", {"type": "user", "guestfwd": forward, "id": name}, origin=origin)
        return
    if not isinstance(target, VirtioTarget):
        return
    path = None
    if channel.type == "unix" and not (channel.source and channel.source[0].path):
        path = socket_path(channel, target, p)
        yield Directory(path.rpartition("/")[0], origin=origin)
    yield from host_end(channel, ident, p, origin=origin, path=path)
    props: dict[str, Any] = {"driver": "virtserialport", **where(channel, p), "chardev": ident, "id": name}
    props["name"] = target.name or (SPICE_AGENT if channel.type == "spicevmc" else None)
    yield Structured("device", props, origin=origin)


def socket_path(channel: Channel, target: VirtioTarget, p: Planning) -> str:
    """Name the socket of a channel whose owner left it open: below the machine's own directory."""
    file = target.name
    if file is None or "/" in file or file in ("", ".", ".."):
        a = channel.address if isinstance(channel.address, VirtioSerialAddress) else VirtioSerialAddress()
        file = f"vioser-{a.controller:02d}-{a.bus:02d}-{a.port or 0:02d}.sock"
    return f"{p.host.directories.channels}/{p.short_name}/{file}"


FAMILY = Family(element=Channel, defaults=defaults, check=check, place=place, plan=plan)
