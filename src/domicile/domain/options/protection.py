"""Protection of the guest from the host in QEMU's words. Called by domain/machine_options; checked by domain/rules/protection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.domain.domain import Domain
from domicile.plan.qemu import Item, Structured

#: The kinds that are carried out, and QEMU's object for each.
OBJECTS = {"s390-pv": "s390-pv-guest"}
_NAME = "lsec0"


def kind_of(domain: Domain) -> str | None:
    """Name the kind of protection that is asked for."""
    return domain.launchSecurity.get("type") if domain.launchSecurity is not None else None


def machine(domain: Domain) -> Iterator[tuple[str, Any]]:
    """Yield the key of ``-machine``."""
    if kind_of(domain) in OBJECTS:
        yield "confidential-guest-support", _NAME


def objects(domain: Domain) -> Iterator[Item]:
    """Yield the object that protects."""
    found = OBJECTS.get(kind_of(domain) or "")
    if found is not None:
        yield Structured("object", {"qom-type": found, "id": _NAME}, origin="launchSecurity")
