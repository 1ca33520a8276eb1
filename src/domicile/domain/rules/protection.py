"""Protection of the guest from the host, and wrapping of its keys: settled and checked. Called by domain/complete."""

from __future__ import annotations

from domicile.base.errors import INTERNAL_ERROR
from domicile.domain.domain import Domain
from domicile.domain.options.protection import OBJECTS, kind_of
from domicile.plan.facts import Completion


def settle(domain: Domain) -> None:
    """Forget what says nothing: no ciphers, and choices for the protection of s390, which has none."""
    if domain.keywrap is not None and not domain.keywrap.cipher:
        domain.keywrap = None
    if kind_of(domain) == "s390-pv":
        for child in list(domain.launchSecurity):
            domain.launchSecurity.remove(child)


def check(domain: Domain, c: Completion) -> None:
    """Find protection that this QEMU cannot give, and keys that are spoken of twice."""
    wanted = kind_of(domain)
    needed = OBJECTS.get(wanted or "")
    able = c.caps.has_option("machine", "confidential-guest-support")
    if needed is not None and not (able and c.caps.has_object(needed)):
        message = f"this QEMU cannot protect a guest by launch security of type '{wanted}'"
        c.problem(domain, message, "no <launchSecurity>", "launchSecurity")
    seen: set[str | None] = set()
    for cipher in domain.keywrap.cipher if domain.keywrap is not None else ():
        if cipher.name in seen:
            message = f"there are two elements 'cipher' with the name '{cipher.name}'"
            c.problem(cipher, message, "one for each name", "@name", code=INTERNAL_ERROR)
        seen.add(cipher.name)
