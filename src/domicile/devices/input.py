"""Keyboards, mice, tablets, and the host's own input devices handed to the guest. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, virtio_driver, virtio_props, want_virtio, where
from domicile.devices.parts.device import Device, UsbAddress, VirtioOptions
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import File, Need
from domicile.plan.place import Want, WantUsb
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import ON_OFF, enum
from domicile.schema.shape import Element, element

_USB = {"mouse": "usb-mouse", "tablet": "usb-tablet", "keyboard": "usb-kbd"}
_VIRTIO = {
    "mouse": "virtio-mouse",
    "tablet": "virtio-tablet",
    "keyboard": "virtio-keyboard",
    "passthrough": "virtio-input-host",
}
_BUSES = {
    "mouse": ("ps2", "usb", "virtio"),
    "keyboard": ("ps2", "usb", "virtio"),
    "tablet": ("usb", "virtio"),
    "passthrough": ("virtio",),
    "evdev": (),
}
_TOGGLES = ("ctrl-ctrl", "alt-alt", "shift-shift", "meta-meta", "scrolllock", "ctrl-scrolllock")


@element("driver", "virtio 选项")
class InputDriver(VirtioOptions):
    """What a virtio input device lets its owner choose."""


@element("source", "主机的输入设备")
class InputSource(Element):
    """The host's input device."""

    evdev: str | None = f.attr("The event device handed over by virtio.", "经 virtio 交给客户机的事件设备。")
    dev: str | None = f.attr("The event device QEMU reads.", "由 QEMU 读取的事件设备。")
    grab: str | None = f.attr(
        "all: every such device is taken and given back together.", "all 表示所有此类设备一同切换。", enum("all")
    )
    grabToggle: str | None = f.attr(
        "The keys that hand the device over between host and guest.",
        "在主机与客户机之间切换设备的组合键。",
        enum(*_TOGGLES),
    )
    repeat: bool | None = f.attr("Whether held keys repeat.", "按住的键是否自动重复。", ON_OFF)


@element("input", "输入设备")
class Input(Device):
    """A keyboard, mouse, tablet, or an input device of the host."""

    type: str | None = f.attr(
        "What it is: tablet points at an absolute place, passthrough and evdev are the host's own devices.",
        "设备种类：tablet 为绝对定位，passthrough 与 evdev 为主机自己的设备。",
        enum(*_BUSES),
        guest=True,
    )
    bus: str | None = f.attr(
        "How it is connected.", "连接方式。", enum("ps2", "usb", "xen", "parallels", "virtio"), guest=True
    )
    model: str | None = f.attr(
        "The flavour of virtio.",
        "virtio 的变体。",
        enum("virtio", "virtio-transitional", "virtio-non-transitional"),
        guest=True,
    )
    driver: InputDriver | None = f.child("Options of virtio.", "virtio 选项。", InputDriver, keep_empty=False)
    source: InputSource | None = f.child("The host's device.", "主机的设备。", InputSource)


def defaults(device: Input, c: Completion) -> None:
    """Choose the bus its kind usually has on this machine."""
    if device.bus is not None or device.type in (None, "evdev"):
        return
    if device.type in ("mouse", "keyboard") and c.x86:
        c.default(device, "bus", "ps2", "every PC has a PS/2 controller", "PC 均有 PS/2 控制器")
    elif c.board.input == "virtio" or device.type == "passthrough":
        c.default(device, "bus", "virtio", "no other bus has such a device here", "此处没有其他总线提供该设备")
    else:
        c.default(device, "bus", "usb", "the usual bus of this device", "该设备的常见总线")


def check(device: Input, c: Completion) -> None:
    """Find what cannot be."""
    kind, bus = device.type, device.bus
    if kind is None:
        c.problem(device, "element 'input' has no attribute 'type'", ", ".join(_BUSES), "@type")
        return
    if kind == "evdev" and bus is not None:
        c.problem(device, f"input type 'evdev' has no bus, but '{bus}' is given", "no bus", "@bus")
    elif bus is not None and bus not in _BUSES[kind]:
        c.problem(device, f"input type '{kind}' does not exist on bus '{bus}'", ", ".join(_BUSES[kind]), "@bus")
    elif bus == "ps2" and not c.x86:
        c.problem(device, f"machine type '{c.machine}' has no 'ps2' bus", "usb, virtio", "@bus")
    if device.model is not None and bus != "virtio":
        message = f"input model '{device.model}' is only for bus 'virtio', not '{bus}'"
        c.problem(device, message, "bus='virtio'", "@model")
    elif device.model not in (None, "virtio") and not c.caps.has_device(
        virtio_driver(_VIRTIO[kind], device, device.model)
    ):
        c.problem(device, f"input type '{kind}' has no virtio model '{device.model}'", "virtio", "@model")
    wanted = {"passthrough": "evdev", "evdev": "dev"}.get(kind)
    if wanted and not (device.source is not None and getattr(device.source, wanted)):
        c.problem(
            device, f"input type '{kind}' has no <source {wanted}='…'/>", "/dev/input/event…", f"source/@{wanted}"
        )
    _check_address(device, c)


def _check_address(device: Input, c: Completion) -> None:
    address, bus = device.address, device.bus
    if address is None:
        return
    if bus == "usb" and not isinstance(address, UsbAddress):
        c.problem(address, f"input on bus 'usb' has an address of type '{address.type}'", "usb", "@type")
    elif bus == "virtio" and address.type not in ("pci", "ccw", "virtio-mmio"):
        message = f"input on bus 'virtio' has an address of type '{address.type}'"
        c.problem(address, message, "pci, ccw, virtio-mmio", "@type")
    elif bus in ("ps2", None):
        c.problem(address, f"input on bus '{bus or 'none'}' has no address", "no <address>")


def place(device: Input, facts: Facts) -> Want | None:
    """Ask for a USB port or a place on the bus of virtio devices."""
    if device.bus == "usb":
        return WantUsb()
    return want_virtio(device, facts, device.model) if device.bus == "virtio" else None


def plan(device: Input, p: Planning) -> Iterator[Item | Need]:
    """Ask for the device; a PS/2 mouse and keyboard are part of the machine."""
    origin, name, kind = p.origin(device), alias_of(device), device.type or ""
    source = device.source or InputSource()
    host = source.evdev or source.dev
    if host and kind in ("passthrough", "evdev"):
        yield File(host, writable=True, origin=origin)
    if kind == "evdev":
        grab = True if source.grab == "all" else None
        props: dict[str, Any] = {"qom-type": "input-linux", "id": name, "evdev": source.dev, "repeat": source.repeat}
        yield Structured("object", {**props, "grab_all": grab, "grab-toggle": source.grabToggle}, origin=origin)
    elif device.bus == "usb":
        yield Structured("device", {"driver": _USB[kind], "id": name, **where(device, p)}, origin=origin)
    elif device.bus == "virtio":
        props = {
            "driver": virtio_driver(_VIRTIO[kind], device, device.model),
            **virtio_props(device.driver),
            "id": name,
        }
        if kind == "passthrough":
            props["evdev"] = source.evdev
        yield Structured("device", {**props, **where(device, p)}, origin=origin)


FAMILY = Family(element=Input, defaults=defaults, check=check, place=place, plan=plan)
