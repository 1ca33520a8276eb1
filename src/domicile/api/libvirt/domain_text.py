"""Handlers of what people and programs note about a domain: title, description, metadata.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import affected, known, of_config
from domicile.api.libvirt.reference import entry_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import FROM_DOMAIN, InvalidRequest, NotFound
from domicile.rpc.calls import domain
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
NO_DOMAIN_METADATA = 80
# Source: virDomainMetadataType.
TEXTS = {0: "description", 1: "title"}
ELEMENT = 2


@handlers.handle(domain.domain_get_metadata)
def get_metadata(conn: Session[Service], dom: Domain, type: int, uri: str | None, flags: int) -> str:
    """Give the title, the description, or what a program noted under its URI."""
    known(flags, 3, "domain_get_metadata", FROM_DOMAIN)
    entry = entry_of(conn, dom)
    kind = "" if type == ELEMENT else _kind(type)
    config = of_config(entry, flags)
    if not kind:
        return conn.context.get_metadata(entry, _named(uri, "uri"), inactive=config)
    found: str | None = (entry.stored_summary if config else entry.summary).get(kind)
    if not found:
        raise NotFound("Requested metadata element is not present", code=NO_DOMAIN_METADATA, domain=FROM_DOMAIN)
    return found


def _kind(type: int) -> str:
    if type not in TEXTS:
        raise InvalidRequest(f"unknown metadata type '{type}'", domain=FROM_DOMAIN)
    return TEXTS[type]


def _named(value: str | None, what: str) -> str:
    if value is None:
        raise InvalidRequest(f"an element among the metadata has a {what}", domain=FROM_DOMAIN)
    return value


@handlers.handle(domain.domain_set_metadata)
async def set_metadata(
    conn: Session[Service], dom: Domain, type: int, metadata: str | None, key: str | None, uri: str | None, flags: int
) -> None:
    """Set or, given nothing, remove a note, in the state that the flags mean."""
    known(flags, 3, "domain_set_metadata")
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    who = author(conn, "metadata")
    if type == ELEMENT:
        name, prefix = _named(uri, "uri"), _named(key, "key") if metadata is not None else key or ""
        await conn.context.set_metadata(entry, name, prefix, metadata, who, live=live, config=config)
    else:
        kind = _kind(type)
        if kind == "title" and metadata is not None and "\n" in metadata:
            raise InvalidRequest("a title is one line", domain=FROM_DOMAIN)
        await conn.context.set_text(entry, kind, metadata, who, live=live, config=config)
