"""The names of devices in a running machine, carried to the machine that goes on at another host: some are in QEMU's state.

`leaving` reads them, `arriving` gives them again.
"""

from __future__ import annotations

from collections.abc import Iterable

from domicile.devices.parts.device import Alias, Device
from domicile.domain.domain import Domain
from domicile.schema import tree


def taken(domain: Domain) -> dict[int, str]:
    """Note the name of each device of a running machine's document, by the element itself."""
    devices = domain.devices
    return {id(d): d.alias.name for d in devices.every() if d.alias is not None and d.alias.name} if devices else {}


def by_place(domain: Domain, known: dict[int, str]) -> tuple[tuple[str, str], ...]:
    """Say the names by the places that devices have in the document that travels."""
    return tuple((place, known[id(element)]) for place, element in tree.places(domain) if id(element) in known)


def give(domain: Domain, names: Iterable[tuple[str, str]]) -> Domain:
    """Copy a domain and give its devices the names they had."""
    named: Domain = tree.copy(domain)
    known = dict(names)
    for place, element in tree.places(named):
        if place in known and isinstance(element, Device) and element.alias is None:
            element.alias = Alias(name=known[place])
    return named
