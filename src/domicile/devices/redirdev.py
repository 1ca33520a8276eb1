"""USB devices redirected from a viewer or another host. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of, where
from domicile.devices.parts.chardev import CharDevice, CharSource
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.devices.parts.device import UsbAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want, WantUsb
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import YES_NO, Scalar, enum, hexadecimal
from domicile.schema.shape import Element, element

_DBUS_CHANNEL = "org.qemu.usbredir"


_VERSION = re.compile(r"\s*(\d{1,2})(?:\.(\d{1,2}))?\s*\Z")


def _version(text: str) -> int | None:
    """Read a USB version such as 2.56, of which each digit is four bits; -1 says that all match."""
    if text.strip() == "-1":
        return None
    found = _VERSION.match(text)
    if found is None:
        raise ValueError
    # One digit behind the point is a tenth: 2.5 is 2.50.
    major, minor = int(found[1]), int((found[2] or "0").ljust(2, "0"))
    return major // 10 << 12 | major % 10 << 8 | minor // 10 << 4 | minor % 10


def _show_version(value: int) -> str:
    digits = f"{value:04x}"
    return f"{int(digits[:2])}.{digits[2:]}"


def _number(width: int) -> Scalar:
    """A number in capital hexadecimal digits; -1 says that all match, as leaving it out does."""
    plain = hexadecimal(width, 16**width - 1)

    def parse(text: str) -> int | None:
        return None if text.strip() == "-1" else int(plain.parse(text))

    return Scalar("hexadecimal", parse, lambda value: f"0x{value:0{width}X}", f"{plain.accepted}, or -1 for any")


@element("usbdev", "过滤规则")
class UsbFilter(Element):
    """One rule; what is left out matches all."""

    class_: int | None = f.attr("The class of the device.", "设备类别。", _number(2), name="class")
    vendor: int | None = f.attr("The maker's number.", "厂商编号。", _number(4))
    product: int | None = f.attr("The product's number.", "产品编号。", _number(4))
    version: int | None = f.attr(
        "The device's version, such as 2.56.",
        "设备版本，如 2.56。",
        Scalar("version", _version, _show_version, "a version such as 2.56, or -1 for any"),
    )
    allow: bool | None = f.attr("Whether such a device may be redirected.", "是否允许重定向。", YES_NO, required=True)


@element("redirfilter", "USB 重定向过滤器")
class RedirFilter(Element):
    """Which USB devices may be redirected; the first rule that matches decides."""

    usbdev: list[UsbFilter] = f.children("The rules.", "规则。", UsbFilter)


@element("redirdev", "重定向的 USB 设备")
class RedirDev(CharDevice):
    """A USB port whose device is somewhere else."""

    bus: str | None = f.attr("The kind of bus.", "总线的种类。", enum("usb"), order=-1, guest=True)


def defaults(redirdev: RedirDev, c: Completion) -> None:
    """Fill in the bus and the host's end."""
    if redirdev.bus is None:
        c.default(redirdev, "bus", "usb", "nothing else can be redirected", "仅 USB 可重定向")
    if redirdev.type is None:
        return
    chardev.defaults(redirdev, c)
    if redirdev.type == "dbus" and not (redirdev.source and redirdev.source[0].channel):
        source = CharSource()
        redirdev.source = [source]
        c.default(source, "channel", _DBUS_CHANNEL, "where viewers look for it", "查看器约定的名称")


def check(redirdev: RedirDev, c: Completion) -> None:
    """Find what cannot be."""
    if redirdev.type is None:
        c.problem(redirdev, "element 'redirdev' has no attribute 'type'", "spicevmc, tcp, unix", "@type")
        return
    chardev.check(redirdev, c)
    if redirdev.address is not None and not isinstance(redirdev.address, UsbAddress):
        c.problem(redirdev.address, f"<redirdev> has an address of type '{redirdev.address.type}'", "usb", "@type")


def place(redirdev: RedirDev, facts: Facts) -> Want | None:
    """Ask for a USB port."""
    return WantUsb()


def plan(redirdev: RedirDev, p: Planning) -> Iterator[Item | Need]:
    """Ask for the host's end and the port."""
    origin, name = p.origin(redirdev), alias_of(redirdev)
    yield from host_end(redirdev, f"char{name}", p, origin=origin, spice="usbredir")
    props: dict[str, Any] = {
        "driver": "usb-redir",
        "chardev": f"char{name}",
        "id": name,
        "filter": p.usb_filter,
        "bootindex": p.boot_index(redirdev),
        **where(redirdev, p),
    }
    yield Structured("device", props, origin=origin)


def filter_words(given: RedirFilter) -> str:
    """Say the rules in QEMU's words: class:vendor:product:version:allow, joined by a bar, -1 for any."""
    return "|".join(_rule(rule) for rule in given.usbdev)


def _rule(rule: UsbFilter) -> str:
    def shown(value: int | None, width: int) -> str:
        return "-1" if value is None else f"0x{value:0{width}X}"

    words = (
        shown(rule.class_, 2),
        shown(rule.vendor, 4),
        shown(rule.product, 4),
        shown(rule.version, 4),
        "1" if rule.allow else "0",
    )
    return ":".join(words)


FAMILY = Family(
    element=RedirDev,
    defaults=defaults,
    check=check,
    place=place,
    alias=lambda device, index, planning: f"redir{index}",
    plan=plan,
)
