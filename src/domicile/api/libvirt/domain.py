"""Handlers that look a domain up and say what it is. They answer from memory.

`doors` merges them with the others.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import Xml, known
from domicile.api.libvirt.reference import entry_of, machine_of, reference
from domicile.api.libvirt.registry import Registry
from domicile.rpc.calls import domain
from domicile.rpc.records import DomainInfo, SecurityLabel
from domicile.rpc.types import Domain
from domicile.service import stats

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()


@handlers.handle(domain.domain_lookup_by_name)
def lookup_by_name(conn: Session[Service], name: str) -> Domain:
    """Find a domain by name."""
    return reference(conn.context.by_name(name))


@handlers.handle(domain.domain_lookup_by_uuid)
def lookup_by_uuid(conn: Session[Service], uuid: bytes) -> Domain:
    """Find a domain by UUID."""
    return reference(conn.context.by_uuid(str(uuids.UUID(bytes=uuid))))


@handlers.handle(domain.domain_lookup_by_id)
def lookup_by_id(conn: Session[Service], id: int) -> Domain:
    """Find a running domain by its number."""
    return reference(conn.context.by_id(id))


@handlers.handle(domain.domain_get_info)
def get_info(conn: Session[Service], dom: Domain) -> DomainInfo:
    """Sum a domain up."""
    entry = entry_of(conn, dom)
    summary = entry.summary
    maximum = summary["memory_kib"]
    return DomainInfo(entry.state, maximum, stats.balloon(entry), summary["vcpus"], stats.cpu_time(entry))


@handlers.handle(domain.domain_get_state)
def get_state(conn: Session[Service], dom: Domain, flags: int) -> tuple[int, int]:
    """Give a domain's state and the reason for it."""
    known(flags, 0, "domain_get_state")
    entry = entry_of(conn, dom)
    return entry.state, entry.reason


@handlers.handle(domain.domain_get_xml_desc)
def get_xml_desc(conn: Session[Service], dom: Domain, flags: int) -> str:
    """Write a domain's document; what is secret, or for another host, is only for those who may also write."""
    known(flags, 15, "domain_get_xml_desc")
    entry = entry_of(conn, dom)
    inactive, migratable = bool(flags & Xml.INACTIVE), bool(flags & Xml.MIGRATABLE)
    return conn.context.xml(entry, inactive=inactive, secrets=bool(flags & Xml.SECURE), migratable=migratable)


@handlers.handle(domain.domain_get_os_type)
def get_os_type(conn: Session[Service], dom: Domain) -> str:
    """Name the kind of virtualisation."""
    kind: str = entry_of(conn, dom).summary["os_type"]
    return kind


@handlers.handle(domain.domain_get_max_memory)
def get_max_memory(conn: Session[Service], dom: Domain) -> int:
    """Give the memory a domain may have, in KiB."""
    kib: int = entry_of(conn, dom).summary["memory_kib"]
    return kib


@handlers.handle(domain.domain_get_max_vcpus)
def get_max_vcpus(conn: Session[Service], dom: Domain) -> int:
    """Give the most virtual CPUs a running domain may have."""
    entry, _ = machine_of(conn, dom)
    count: int = entry.summary["vcpus_max"]
    return count


@handlers.handle(domain.domain_is_active)
def is_active(conn: Session[Service], dom: Domain) -> int:
    """Say whether it runs."""
    return int(entry_of(conn, dom).id != -1)


@handlers.handle(domain.domain_is_persistent)
def is_persistent(conn: Session[Service], dom: Domain) -> int:
    """Say whether it is defined."""
    return int(entry_of(conn, dom).persistent)


@handlers.handle(domain.domain_is_updated)
def is_updated(conn: Session[Service], dom: Domain) -> int:
    """Say no, as libvirt's QEMU driver always does: a pending definition is told by Domicile's own calls."""
    entry_of(conn, dom)
    return 0


@handlers.handle(domain.domain_get_autostart)
def get_autostart(conn: Session[Service], dom: Domain) -> int:
    """Say whether the daemon starts it by itself."""
    return int(entry_of(conn, dom).autostart)


@handlers.handle(domain.domain_get_security_label)
def get_security_label(conn: Session[Service], dom: Domain) -> SecurityLabel:
    """Give the label of the first security model: there is none."""
    entry_of(conn, dom)
    return SecurityLabel(b"\0", 0)


@handlers.handle(domain.domain_get_security_label_list)
def get_security_label_list(conn: Session[Service], dom: Domain) -> tuple[list[SecurityLabel], int]:
    """Give the label of each security model: none has none, dac is whom QEMU runs as."""
    entry = entry_of(conn, dom)
    found = [] if entry.machine is None else [SecurityLabel(b"\0", 0)]
    user = conn.context.resources.user
    if found and user is not None:
        found.append(SecurityLabel(f"+{user.uid}:+{user.gid}".encode() + b"\0", 1))
    return found, len(found)


@handlers.handle(domain.domain_get_control_info)
def get_control_info(conn: Session[Service], dom: Domain, flags: int) -> tuple[int, int, int]:
    """Say that the daemon's way to QEMU is free."""
    known(flags, 0, "domain_get_control_info")
    machine_of(conn, dom)
    return 0, 0, 0


@handlers.handle(domain.domain_get_messages)
def get_messages(conn: Session[Service], dom: Domain, flags: int) -> list[str]:
    """List what there is to say against a domain: nothing."""
    known(flags, 3, "domain_get_messages")
    entry_of(conn, dom)
    return []
