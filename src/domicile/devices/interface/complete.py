"""What an interface gets when its owner left it open, and what it may not be. Used by this slice's FAMILY."""

from __future__ import annotations

import re
from typing import Any

from domicile.base.errors import XML_ERROR
from domicile.devices.interface.model import TYPES, Interface, InterfaceModel, Mac
from domicile.devices.parts.bus import want_card, want_legacy, want_virtio
from domicile.plan.facts import Completion, Facts
from domicile.plan.place import Want, WantUsb

_LAST_VLAN = 4095
_MODEL_WORD = re.compile(r"[a-zA-Z0-9_-]+\Z")


def defaults(interface: Interface, c: Completion) -> None:
    """Give it an address and a model."""
    if interface.mac is None or interface.mac.address is None:
        c.allocate(
            interface,
            "mac",
            Mac(address=c.host.new_mac()),
            "a random address below QEMU's prefix",
            "在 QEMU 前缀下随机生成的地址",
        )
    if interface.model is None and interface.type not in ("hostdev",):
        model = default_model(c)
        if model is not None:
            c.default(
                interface,
                "model",
                InterfaceModel(type=model),
                "the card this machine type's guests know",
                "此机型的客户机认识的网卡",
            )
    if interface.type == "direct" and interface.source is not None and interface.source.mode is None:
        c.default(interface.source, "mode", "vepa", "frames go over the switch outside", "帧经由外部交换机转发")
    port = interface.virtualport
    if port is not None and port.get("type") == "openvswitch":
        _openvswitch(port, c)
    target = interface.target
    if (
        target is not None
        and target.dev is not None
        and target.managed is None
        and target.dev.startswith(("vnet", "macvtap", "macvlan"))
    ):
        interface.target = None


def _openvswitch(port: Any, c: Completion) -> None:
    """Give a port of Open vSwitch the identity it is known by there."""
    parameters = port.find("parameters")
    if parameters is None:
        parameters = port.makeelement("parameters", {})
        port.append(parameters)
    if parameters.get("interfaceid") is None:
        parameters.set("interfaceid", c.host.new_uuid())


def default_model(facts: Facts) -> str | None:
    """Name the card for a machine whose owner named none."""
    return facts.usual(facts.board.network)


def check(interface: Interface, c: Completion) -> None:
    """Find what cannot be."""
    mac = interface.mac.address if interface.mac is not None else None
    if interface.type is None:
        c.problem(interface, "element 'interface' has no attribute 'type'", ", ".join(TYPES), "@type")
    if mac and int(mac[:2], 16) & 1:
        c.problem(
            interface.mac, f"expected unicast mac address, found multicast '{mac}'", "an even first byte", "@address"
        )
    needed = {"bridge": "bridge", "network": "network", "direct": "dev", "vdpa": "dev"}.get(interface.type or "")
    if needed and (interface.source is None or getattr(interface.source, needed) is None):
        c.problem(
            interface,
            f"interface of type '{interface.type}' has no <source> with an attribute '{needed}'",
            f"<source {needed}='…'/>",
            "source",
        )
    model = interface.model.type if interface.model is not None else None
    if model is not None and not _MODEL_WORD.match(model):
        c.problem(
            interface.model,
            f"attribute 'type' of element 'model' has the value '{model}'",
            "a name of letters, digits, - and _",
            "@type",
        )
    if (
        interface.mtu is not None
        and model is not None
        and not model.startswith("virtio")
        and interface.type in ("user",)
    ):
        c.problem(interface.mtu, "an interface of type 'user' has no 'mtu' of its own", "no <mtu>")
    driver = interface.driver
    if driver is not None and driver.name == "vhost" and model is not None and not model.startswith("virtio"):
        c.problem(driver, f"driver 'vhost' is not for model '{model}'", "model virtio", "@name")
    if interface.ip and interface.type not in ("user", "ethernet"):
        message = f"an interface of type '{interface.type}' has an <ip> for the guest's end, which QEMU cannot give it"
        c.problem(interface, message, "no <ip>", "ip")
    for tag in interface.vlan.iterfind("tag") if interface.vlan is not None else ():
        number = tag.get("id") or ""
        if not number.isdigit() or int(number) > _LAST_VLAN:
            c.problem(
                interface,
                f"attribute 'id' of element 'tag' has the value '{number}'",
                "0 to 4095",
                "vlan/tag/@id",
                XML_ERROR,
            )


def place(interface: Interface, facts: Facts) -> Want | None:
    """Ask for a PCI slot or a USB port."""
    model = interface.model.type if interface.model is not None else None
    if model == "usb-net":
        return WantUsb()
    if model is not None and model.startswith("virtio"):
        return want_virtio(interface, facts, model)
    if model in ("e1000e", "igb"):
        return want_card(facts)
    return want_legacy()
