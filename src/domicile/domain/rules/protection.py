"""Protection of the guest from the host, and wrapping of its keys: settled and checked. Called by domain/complete."""

from __future__ import annotations

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.domain.domain import Domain
from domicile.domain.options.protection import CHILDREN, OBJECTS, kind_of, number
from domicile.plan.facts import Completion

_ATTRIBUTES = {"sev": ("kernelHashes",), "sev-snp": ("kernelHashes", "authorKey", "vcek")}
# How wide the policy is written.
_POLICY = {"sev": "#06x", "sev-snp": "#010x", "tdx": "#x"}


def settle(domain: Domain) -> None:
    """Forget what says nothing, and bring the rest into libvirt's order."""
    if domain.keywrap is not None and not domain.keywrap.cipher:
        domain.keywrap = None
    node, kind = domain.launchSecurity, kind_of(domain) or ""
    if node is None or kind not in CHILDREN:
        return
    found = {name: node.find(name) for name in CHILDREN[kind]}
    for child in list(node):
        node.remove(child)
    for child in found.values():
        if child is not None:
            node.append(child)
    policy = node.find("policy")
    value = number(policy.text) if policy is not None else None
    if policy is not None and value is not None:
        policy.text = format(value, _POLICY[kind])


def check(domain: Domain, c: Completion) -> None:
    """Find protection that this QEMU cannot give, and keys that are spoken of twice."""
    if domain.launchSecurity is not None:
        _check(domain, c)
    seen: set[str | None] = set()
    for cipher in domain.keywrap.cipher if domain.keywrap is not None else ():
        if cipher.name in seen:
            message = f"there are two elements 'cipher' with the name '{cipher.name}'"
            c.problem(cipher, message, "one for each name", "@name", code=INTERNAL_ERROR)
        seen.add(cipher.name)


def _check(domain: Domain, c: Completion) -> None:
    node, wanted = domain.launchSecurity, kind_of(domain)
    if wanted not in OBJECTS:
        said = "has no attribute 'type'" if wanted is None else f"has the 'type' '{wanted}'"
        what = f"element 'launchSecurity' {said}"
        c.problem(domain, what, ", ".join(OBJECTS), "launchSecurity/@type", XML_ERROR)
        return
    able = c.caps.has_option("machine", "confidential-guest-support") and c.caps.has_object(OBJECTS[wanted])
    if not able or (wanted == "sev" and c.caps.sev is None):
        message = f"this QEMU cannot protect a guest by launch security of type '{wanted}'"
        c.problem(domain, message, "no <launchSecurity>", "launchSecurity")
    if wanted in ("sev", "sev-snp") and number(node.findtext("policy")) is None:
        what = f"<launchSecurity> of type '{wanted}' has no <policy> that is a number"
        c.problem(domain, what, "<policy>0x…</policy>", "launchSecurity/policy", XML_ERROR)
    for name in ("cbitpos", "reducedPhysBits"):
        text = node.findtext(name)
        if text is not None and number(text) is None:
            c.problem(
                domain, f"element '{name}' has the value '{text}'", "a number", f"launchSecurity/{name}", XML_ERROR
            )
    for name in _ATTRIBUTES.get(wanted, ()):
        if node.get(name) not in (None, "yes", "no"):
            what = f"attribute '{name}' of element 'launchSecurity' has the value '{node.get(name)}'"
            c.problem(domain, what, "yes, no", f"launchSecurity/@{name}", XML_ERROR)
