"""Domains as the wire names them: from a client's reference to the entry it means, and back.

The handlers of every domain call begin here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.base.errors import FROM_DOMAIN, NotFound, WrongState
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.runtime.machine import Machine
    from domicile.service.entry import Entry
    from domicile.service.service import Service


def entry_of(conn: Session[Service], dom: Domain) -> Entry:
    """Find what a client's reference means; its UUID decides.

    Raises: NotFound
    """
    uuid = dom.uuid_text
    try:
        return conn.context.by_uuid(uuid)
    except NotFound:
        raise NotFound(f"no domain with matching uuid '{uuid}' ({dom.name})") from None


def machine_of(conn: Session[Service], dom: Domain) -> tuple[Entry, Machine]:
    """Find a domain that must be running.

    Raises: NotFound, WrongState
    """
    entry = entry_of(conn, dom)
    if entry.machine is None:
        raise not_running()
    return entry, entry.machine


def not_running() -> WrongState:
    """Make the refusal of what only a running domain can do."""
    return WrongState("domain is not running", domain=FROM_DOMAIN)


def reference(entry: Entry) -> Domain:
    """Give the reference to an entry; it is kept until the name or the id changes."""
    ref: Domain | None = entry.ref
    if ref is None or ref.id != entry.id or ref.name != entry.name:
        ref = entry.ref = Domain.of(entry.name, entry.uuid, entry.id)
    return ref
