"""Smartcards in a reader of the guest. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.devices.family import Family
from domicile.devices.parts import chardev
from domicile.devices.parts.bus import alias_of
from domicile.devices.parts.chardev import CharDevice
from domicile.devices.parts.chardev_plan import chardev as host_end
from domicile.devices.parts.device import CcidAddress
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Planning
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Structured
from domicile.schema import field as f
from domicile.schema.scalar import FILLED, PATH, enum
from domicile.schema.shape import element

_DATABASE = "/etc/pki/nssdb"
_CERTIFICATES = 3


@element("smartcard", "智能卡")
class Smartcard(CharDevice):
    """A smartcard: the host's own, one made of certificates, or one a viewer brings."""

    mode: str | None = f.attr(
        "host reads the host's card, host-certificates makes one, passthrough takes a viewer's.",
        "host 读取主机的卡，host-certificates 由证书模拟，passthrough 来自查看器。",
        enum("host", "host-certificates", "passthrough"),
        order=-1,
        guest=True,
    )
    certificate: list[str] = f.leaves(
        "The names of the three certificates in the database.", "数据库中三个证书的名称。", FILLED
    )
    database: str | None = f.leaf("The directory of the certificate database.", "证书数据库的目录。", PATH)


def defaults(smartcard: Smartcard, c: Completion) -> None:
    """Fill in the host's end and the slot of the reader."""
    if smartcard.mode == "passthrough" and smartcard.type is not None:
        chardev.defaults(smartcard, c)
    elif smartcard.mode in ("host", "host-certificates"):
        reason = (f"has no meaning for mode {smartcard.mode}", f"对模式 {smartcard.mode} 没有意义")
        omit(smartcard, ("type", "source", "protocol", "log"), c, *reason)
    if smartcard.address is None:
        c.allocate(smartcard, "address", CcidAddress(), "the slot of the first reader", "第一个读卡器的插槽")


def check(smartcard: Smartcard, c: Completion) -> None:
    """Find what cannot be."""
    mode = smartcard.mode
    if mode is None:
        accepted = "host, host-certificates, passthrough"
        c.problem(smartcard, "element 'smartcard' has no attribute 'mode'", accepted, "@mode")
    elif mode == "passthrough" and smartcard.type is None:
        c.problem(
            smartcard, "<smartcard> of mode 'passthrough' has no attribute 'type'", "spicevmc, tcp, unix", "@type"
        )
    elif mode == "passthrough":
        chardev.check(smartcard, c)
    count = len(smartcard.certificate)
    if mode == "host-certificates" and count != _CERTIFICATES:
        message = f"<smartcard> of mode 'host-certificates' has {count} certificates"
        c.problem(smartcard, message, "exactly three", "certificate")
    if smartcard.address is not None and not isinstance(smartcard.address, CcidAddress):
        c.problem(smartcard.address, f"<smartcard> has an address of type '{smartcard.address.type}'", "ccid", "@type")
    elif isinstance(smartcard.address, CcidAddress) and (smartcard.address.controller or smartcard.address.slot):
        c.problem(
            smartcard.address, "<smartcard> is not in the first reader, and a guest has no other", "controller='0'"
        )


def plan(smartcard: Smartcard, p: Planning) -> Iterator[Item | Need]:
    """Ask for the card in its reader."""
    origin, name = p.origin(smartcard), alias_of(smartcard)
    reader = smartcard.address.controller if isinstance(smartcard.address, CcidAddress) else 0
    tail = {"id": name, "bus": f"{p.controller('ccid', reader)}.0"}
    if smartcard.mode == "passthrough":
        yield from host_end(smartcard, f"char{name}", p, origin=origin, spice="smartcard")
        props: dict[str, Any] = {"driver": "ccid-card-passthru", "chardev": f"char{name}"}
    elif smartcard.mode == "host-certificates":
        names = {f"cert{number}": word for number, word in enumerate(smartcard.certificate, 1)}
        props = {
            "driver": "ccid-card-emulated",
            "backend": "certificates",
            **names,
            "db": smartcard.database or _DATABASE,
        }
    else:
        props = {"driver": "ccid-card-emulated", "backend": "nss-emulated"}
    yield Structured("device", {**props, **tail}, origin=origin)


FAMILY = Family(element=Smartcard, defaults=defaults, check=check, plan=plan)
