"""What a definition may say and this version does not yet do: told when it is defined, refused at start where it matters.

What would leave data unprotected, lose it, or give the guest another machine is refused; the host's tuning is only told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from domicile.devices.disk import Disk
from domicile.devices.disk.complete import sources as disk_sources
from domicile.devices.disk.protocol import owner_number
from domicile.devices.disk.source import DiskSource
from domicile.devices.interface import Interface
from domicile.devices.tpm import Tpm
from domicile.domain.domain import Domain
from domicile.plan.facts import Completion
from domicile.schema.shape import Element


@dataclass(frozen=True, slots=True)
class Gap:
    """Something declared that is not carried out; `refused` says that a start without it would do harm."""

    element: Element
    slot: str
    what: str
    refused: bool


_TUNING = ("resource", "perf", "seclabel", "qemu_capabilities")
_INTERFACE = ("guest",)
# Switches that are told of a port by protocols of their own.
_SWITCHES = ("802.1Qbg", "802.1Qbh", "midonet")


def gaps(domain: Domain) -> Iterator[Gap]:
    """List everything a document says that would not be carried out."""
    for slot in _TUNING:
        if getattr(domain, slot) not in (None, []):
            yield Gap(domain, slot, f"<{slot.replace('_', ':')}>", False)
    files = [
        name
        for name in ("dhCert", "session")
        if domain.launchSecurity is not None and domain.launchSecurity.findtext(name)
    ]
    if files:
        # The owner's half of an agreement on keys; its files are not written for QEMU yet.
        yield Gap(domain, "launchSecurity", f"<{files[0]}> of <launchSecurity>", True)
    smbios = domain.os.smbios if domain.os is not None else None
    if smbios is not None and smbios.mode == "host":
        yield Gap(smbios, "mode", "SMBIOS mode 'host'", True)
    placed = domain.numatune.memory if domain.numatune is not None else None
    if placed is not None and placed.mode == "restrictive":
        yield Gap(placed, "mode", "mode 'restrictive' of <numatune>", False)
    if placed is not None and placed.placement == "auto":
        yield Gap(placed, "placement", "placement 'auto' of <numatune>", False)
    yield from _firmware(domain)
    if domain.devices is not None:
        for disk in domain.devices.of(Disk):
            yield from _disk(disk)
        for interface in domain.devices.of(Interface):
            yield from _interface(interface)
        yield from _others(domain)


def _firmware(domain: Domain) -> Iterator[Gap]:
    os = domain.os
    if os is None:
        return
    loader = os.loader
    # Definitions that were stored before firmware was chosen.
    if os.firmware is not None and (loader is None or not loader.path):
        yield Gap(os, "firmware", f"firmware '{os.firmware}' without an image chosen (define the domain again)", True)
    elif (
        loader is not None and loader.type == "pflash" and loader.readonly and not loader.stateless and os.nvram is None
    ):
        yield Gap(os, "loader", "a <loader> of type 'pflash' without <nvram> (define the domain again)", True)
    if os.nvram is not None and os.nvram.type is not None and os.nvram.source is not None:
        yield from _source(os.nvram.type, os.nvram.source, "<nvram>")


def _disk(disk: Disk) -> Iterator[Gap]:
    dev = disk.target.dev if disk.target is not None else ""
    if disk.transient is not None:
        yield Gap(disk, "transient", f"<transient/> of disk '{dev}'", True)
    if disk.type in _KINDS and (disk.source is not None or disk.device == "disk"):
        yield Gap(disk, "type", f"type '{disk.type}' of disk '{dev}'", True)
    for kind, source in disk_sources(disk):
        yield from _source(kind, source, f"disk '{dev}'")


_KINDS = ("nvme",)
# What asks for files that are not prepared yet.
_HELP = ("knownHosts",)


def _source(kind: str, source: DiskSource, whose: str) -> Iterator[Gap]:
    for slot in _HELP:
        if getattr(source, slot) is not None:
            yield Gap(source, slot, f"<{slot}> in the <source> of {whose}", True)
    if kind == "network" and source.protocol in ("sheepdog", "vxhs", "tftp"):
        yield Gap(source, "protocol", f"protocol '{source.protocol}' of {whose}", True)
    identity = source.identity
    if identity is not None:
        for slot in ("user", "group"):
            owner = getattr(identity, slot)
            if owner is not None and owner_number(owner) is None:
                yield Gap(identity, slot, f"the name '{owner}' for a {slot} of {whose}", True)
        if identity.keyfile is not None or identity.agentsock is not None:
            yield Gap(source, "identity", f"the SSH key of {whose}", True)
    if source.reservations is not None and source.reservations.managed:
        yield Gap(source, "reservations", f"managed <reservations> of {whose}", True)
    if source.seclabel:
        yield Gap(source, "seclabel", f"<seclabel> of {whose}", False)


def _interface(interface: Interface) -> Iterator[Gap]:
    port = interface.virtualport
    if port is not None and port.type in _SWITCHES:
        yield Gap(interface, "virtualport", f"<virtualport> of type '{port.type}' of an interface", True)
    for slot in _INTERFACE:
        if getattr(interface, slot) not in (None, [], False):
            yield Gap(interface, slot, f"<{slot}> of an interface", False)


def _others(domain: Domain) -> Iterator[Gap]:
    assert domain.devices is not None
    for tpm in domain.devices.of(Tpm):
        if tpm.backend is not None and tpm.backend.encryption is not None:
            yield Gap(tpm.backend, "encryption", "the <encryption> of an emulated TPM", True)
        if tpm.backend is not None and tpm.backend.profile is not None:
            yield Gap(tpm.backend, "profile", "the <profile> of an emulated TPM", False)


def tell(domain: Domain, c: Completion) -> None:
    """Note in the report what will not be carried out."""
    for gap in gaps(domain):
        en = (
            "this version cannot do it yet: the machine will not start"
            if gap.refused
            else "this version does not apply it yet"
        )
        zh = "本版本尚不能实现：虚拟机将无法启动" if gap.refused else "本版本尚未应用此项"
        c.notes.append((gap.element, gap.slot, "ignored", en, zh))
