"""Watchdogs: chips that act when the guest no longer answers. Used through `FAMILY` in devices/__init__."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domicile.devices.family import Family
from domicile.devices.parts.bus import alias_of, want_legacy, where
from domicile.devices.parts.device import Device, PciAddress
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item, Keyed, Option, Structured
from domicile.schema import field as f
from domicile.schema.scalar import enum
from domicile.schema.shape import element

_MODELS = ("i6300esb", "ib700", "diag288", "itco")


@element("watchdog", "看门狗")
class Watchdog(Device):
    """A chip that acts when the guest has not answered for a while."""

    model: str | None = f.attr(
        "The chip; itco is part of every q35 machine.", "芯片；itco 是 q35 机型自带的。", enum(*_MODELS), guest=True
    )
    action: str | None = f.attr(
        "What becomes of the machine when it expires.",
        "超时后如何处理虚拟机。",
        enum("reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi"),
        effect="live",
    )


def defaults(watchdog: Watchdog, c: Completion) -> None:
    """Fill in the action."""
    if watchdog.action is None:
        c.default(
            watchdog, "action", "reset", "a machine that hangs is reset unless told otherwise", "默认在死机时复位"
        )


def check(watchdog: Watchdog, c: Completion) -> None:
    """Find what cannot be."""
    model, address = watchdog.model, watchdog.address
    if model is None:
        c.problem(watchdog, "element 'watchdog' has no attribute 'model'", ", ".join(_MODELS), "@model")
        return
    here = {
        "i6300esb": c.pci,
        "ib700": c.x86,
        "diag288": c.board.name == "s390-ccw",
        "itco": c.q35,
    }[model]
    if model == "itco" and c.host.libvirt < (9, 1):
        # It is in every q35 machine all the same; only an element for it came later.
        message = "watchdog model 'itco' is known since libvirt 9.1, and 9.0 is what this daemon follows"
        c.problem(watchdog, message, "another model, or qemu.libvirt = '9.1' in the configuration", "@model")
    if not here:
        message = f"watchdog model '{model}' does not exist on machine type '{c.machine}' of '{c.arch}'"
        c.problem(watchdog, message, "another model", "@model")
    if address is not None and model != "i6300esb":
        c.problem(address, f"watchdog model '{model}' has no address", "no <address>")
    elif address is not None and not isinstance(address, PciAddress):
        c.problem(address, f"watchdog model '{model}' has an address of type '{address.type}'", "pci", "@type")


def check_together(watchdogs: Sequence[Watchdog], c: Completion) -> None:
    """Find watchdogs that want different things: QEMU has one action for all of them."""
    for watchdog in watchdogs[1:]:
        if watchdog.action != watchdogs[0].action:
            message = f"a watchdog has the action '{watchdog.action}' beside one that has '{watchdogs[0].action}'"
            c.problem(watchdog, message, "the same action for all of them", "@action")


def place(watchdog: Watchdog, facts: Facts) -> Want | None:
    """Ask for a PCI slot."""
    return want_legacy() if watchdog.model == "i6300esb" else None


def plan(watchdog: Watchdog, p: Planning) -> Iterator[Item | Need]:
    """Ask for the chip and for what is done when it expires; QEMU has one action for all of them."""
    origin = p.origin(watchdog)
    if watchdog.model == "itco":
        yield Keyed("-global", (("ICH9-LPC.noreboot", False),), origin=origin)
    else:
        props = {"driver": watchdog.model, "id": alias_of(watchdog), **where(watchdog, p)}
        yield Structured("device", props, origin=origin)
    # A dump is taken from outside while the machine stands still.
    action = "pause" if watchdog.action == "dump" else watchdog.action or "reset"
    yield Option("-watchdog-action", action, origin=origin)


FAMILY = Family(element=Watchdog, defaults=defaults, check=check, place=place, plan=plan)
