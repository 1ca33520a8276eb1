"""What a device family is: one declared element and the functions that say what it needs.

Every slice ends with one of these; devices/__init__ lists them in libvirt's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from domicile.devices.parts.device import Device
from domicile.plan.facts import Completion, Facts, Planning
from domicile.plan.need import Need
from domicile.plan.place import Want
from domicile.plan.qemu import Item


def _nothing(device: Any, context: Any) -> None:
    return None


def _no_plan(device: Any, planning: Planning) -> Iterable[Item | Need]:
    return ()


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of device.

    `defaults` fills in what libvirt would, `check` records problems, `place` says which address it wants,
    `alias` names the n-th of its kind, `plan` says what it asks of QEMU and of the host.
    """

    element: type[Device]
    defaults: Callable[[Any, Completion], None] = _nothing
    check: Callable[[Any, Completion], None] = _nothing
    place: Callable[[Any, Facts], Want | None] = _nothing
    alias: Callable[[Any, int, Planning], str] = lambda device, index, planning: f"{device.shape.tag}{index}"
    plan: Callable[[Any, Planning], Iterable[Item | Need]] = _no_plan

    tag: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Take the element's name: it is asked for at every step over all families."""
        object.__setattr__(self, "tag", self.element.shape.tag)
