"""Handlers of secrets. Values go only to those who may write, and never where a secret is private.

`doors` merges them with the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.object_events import event_handlers
from domicile.api.libvirt.registry import Registry
from domicile.rpc.calls import secret as calls
from domicile.rpc.types import Secret as Reference
from domicile.secrets.secret import FROM_SECRET, Secret
from domicile.service.objects import Object

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_VALIDATE = 1
# Source: virConnectListAllSecretsFlags.
Test = Callable[[Secret], bool]
GROUPS: tuple[tuple[tuple[int, Test], ...], ...] = (
    ((1, lambda s: bool(s.ephemeral)), (2, lambda s: not s.ephemeral)),
    ((4, lambda s: bool(s.private)), (8, lambda s: not s.private)),
)


def secret_of(conn: Session[Service], ref: Reference) -> Object[Secret]:
    """Find what a client's reference means; its UUID decides. Raises: NotFound."""
    return conn.context.secrets.objects.by_uuid(str(UUID(bytes=ref.uuid)))


def reference(found: Object[Secret]) -> Reference:
    """Give the reference to a secret."""
    return Reference(UUID(found.uuid).bytes, *found.definition.use)


@handlers.handle(calls.connect_num_of_secrets)
def count(conn: Session[Service]) -> int:
    """Count the secrets."""
    return len(conn.context.secrets.objects)


@handlers.handle(calls.connect_list_secrets)
def uuids(conn: Session[Service], maxuuids: int) -> list[str]:
    """List the UUIDs of all secrets."""
    return [found.uuid for found in conn.context.secrets.objects][: max(0, maxuuids)]


@handlers.handle(calls.connect_list_all_secrets)
def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[Reference], int]:
    """List secrets."""
    known(flags, 15, "connect_list_all_secrets", FROM_SECRET)
    found = list(conn.context.secrets.objects)
    for group in GROUPS:
        wanted = [test for flag, test in group if flags & flag]
        if wanted and len(wanted) < len(group):
            found = [one for one in found if any(test(one.definition) for test in wanted)]
    return ([reference(one) for one in found] if need_results else []), len(found)


@handlers.handle(calls.secret_lookup_by_uuid)
def by_uuid(conn: Session[Service], uuid: bytes) -> Reference:
    """Find a secret by UUID."""
    return reference(conn.context.secrets.objects.by_uuid(str(UUID(bytes=uuid))))


@handlers.handle(calls.secret_lookup_by_usage)
def by_usage(conn: Session[Service], usage_type: int, usage_id: str) -> Reference:
    """Find a secret by what it is for."""
    return reference(conn.context.secrets.by_usage(usage_type, usage_id))


@handlers.handle(calls.secret_get_xml_desc)
def get_xml_desc(conn: Session[Service], secret: Reference, flags: int) -> str:
    """Write a secret's document."""
    known(flags, 0, "secret_get_xml_desc", FROM_SECRET)
    return conn.context.secrets.xml(secret_of(conn, secret))


@handlers.handle(calls.secret_define_xml)
async def define(conn: Session[Service], xml: str, flags: int) -> Reference:
    """Store a definition."""
    known(flags, _VALIDATE, "secret_define_xml", FROM_SECRET)
    who = author(conn, "secret-define")
    return reference(await conn.context.secrets.define(xml, who, strict=bool(flags & _VALIDATE)))


@handlers.handle(calls.secret_undefine)
async def undefine(conn: Session[Service], secret: Reference) -> None:
    """Take a secret out of service and forget its value."""
    await conn.context.secrets.undefine(secret_of(conn, secret), author(conn, "secret-undefine"))


@handlers.handle(calls.secret_set_value)
async def set_value(conn: Session[Service], secret: Reference, value: bytes, flags: int) -> None:
    """Keep a value."""
    known(flags, 0, "secret_set_value", FROM_SECRET)
    await conn.context.secrets.set_value(secret_of(conn, secret), value, author(conn, "secret-set-value"))


@handlers.handle(calls.secret_get_value)
async def get_value(conn: Session[Service], secret: Reference, flags: int) -> bytes:
    """Give a value."""
    known(flags, 0, "secret_get_value", FROM_SECRET)
    return await conn.context.secrets.get_value(secret_of(conn, secret))


event_handlers(
    handlers, calls.connect_secret_event_register_any, calls.connect_secret_event_deregister_any,
    (calls.secret_event_lifecycle, calls.secret_event_value_changed),
)  # fmt: skip


def follow(server: Server[Any]) -> None:
    """Tell clients who asked for it what becomes of secrets."""
    publish, secrets = server.events.publish, server.context.secrets

    def tell(found: Object[Secret], event: int, detail: int) -> None:
        publish(calls.secret_event_lifecycle, reference(found), event, detail)

    def changed(found: Object[Secret]) -> None:
        publish(calls.secret_event_value_changed, reference(found))

    secrets.objects.subscribe(tell)
    secrets.on_change(changed)
