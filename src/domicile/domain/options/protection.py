"""Protection of the guest from the host in QEMU's words. Called by domain/machine_options; checked by domain/rules/protection.

Source: libvirt's documentation of launch security; QEMU's object types sev-guest, sev-snp-guest, tdx-guest, s390-pv-guest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domicile.domain.domain import Domain
from domicile.plan.facts import Planning
from domicile.plan.qemu import Item, Structured

#: The kinds of protection, and QEMU's object for each.
OBJECTS = {"s390-pv": "s390-pv-guest", "sev": "sev-guest", "sev-snp": "sev-snp-guest", "tdx": "tdx-guest"}
#: The children of each kind, in libvirt's order.
CHILDREN: dict[str, tuple[str, ...]] = {
    "s390-pv": (),
    "sev": ("cbitpos", "reducedPhysBits", "policy", "dhCert", "session"),
    "sev-snp": (
        "cbitpos", "reducedPhysBits", "policy", "guestVisibleWorkarounds", "idBlock", "idAuth", "hostData",
    ),
    "tdx": ("policy", "mrConfigId", "mrOwner", "mrOwnerConfig", "quoteGenerationService"),
}  # fmt: skip
_NAME = "lsec0"
_SNP = {
    "guestVisibleWorkarounds": "guest-visible-workarounds", "idBlock": "id-block", "idAuth": "id-auth",
    "hostData": "host-data",
}  # fmt: skip
_TDX = {"mrConfigId": "mrconfigid", "mrOwner": "mrowner", "mrOwnerConfig": "mrownerconfig"}
_SWITCH = {"yes": True, "no": False}


def kind_of(domain: Domain) -> str | None:
    """Name the kind of protection that is asked for."""
    return domain.launchSecurity.get("type") if domain.launchSecurity is not None else None


def number(text: str | None) -> int | None:
    """Read a number in any base C knows; None where it is none."""
    try:
        return int((text or "").strip(), 0)
    except ValueError:
        return None


def machine(domain: Domain) -> Iterator[tuple[str, Any]]:
    """Yield the keys of ``-machine``."""
    kind = kind_of(domain)
    if kind in OBJECTS:
        yield "confidential-guest-support", _NAME
    chosen = domain.features.ioapic if domain.features is not None else None
    if kind == "tdx" and chosen is None:
        # The module that keeps the guest's secrets imitates the rest of the interrupt controller itself.
        yield "kernel_irqchip", "split"


def objects(domain: Domain, p: Planning) -> Iterator[Item]:
    """Yield the object that protects."""
    kind = kind_of(domain)
    found = OBJECTS.get(kind or "")
    if found is None:
        return
    node = domain.launchSecurity
    props: dict[str, Any] = {"qom-type": found, "id": _NAME}
    if kind in ("sev", "sev-snp"):
        known = p.caps.sev or {}
        for child, key in (("cbitpos", "cbitpos"), ("reducedPhysBits", "reduced-phys-bits")):
            given = number(node.findtext(child))
            props[key] = known.get(key) if given is None else given
        props["kernel-hashes"] = _SWITCH.get(node.get("kernelHashes"))
    if kind == "sev":
        props["policy"] = number(node.findtext("policy"))
        folder = f"{p.host.directories.state}/domain-{p.short_name}"
        for child, key, name in (("dhCert", "dh-cert-file", "dh_cert"), ("session", "session-file", "session")):
            props[key] = f"{folder}/{name}.base64" if node.findtext(child) else None
    elif kind == "sev-snp":
        props["author-key-enabled"] = _SWITCH.get(node.get("authorKey"))
        vcek = _SWITCH.get(node.get("vcek"))
        props["vcek-disabled"] = None if vcek is None else not vcek
        props["policy"] = number(node.findtext("policy"))
        props |= {key: node.findtext(child) for child, key in _SNP.items()}
    elif kind == "tdx":
        props["attributes"] = number(node.findtext("policy"))
        props |= {key: node.findtext(child) for child, key in _TDX.items()}
        service = node.find("quoteGenerationService")
        if service is not None:
            path = service.get("path") or "/var/run/tdx-qgs/qgs.socket"
            props["quote-generation-socket"] = {"type": "unix", "path": path}
    yield Structured("object", props, origin="launchSecurity")
