"""Handlers of what concerns the wire alone: features, authentication, closing.

The daemon adds these to the others with `wire_handlers`.
"""

from __future__ import annotations

from typing import TypeVar

from domicile.api.libvirt.events import event_handlers
from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.sasl import login_handlers
from domicile.api.libvirt.session import Session
from domicile.rpc.calls import connect
from domicile.rpc.feature import Feature

C = TypeVar("C")
FEATURES = frozenset(
    {
        Feature.FD_PASSING,
        Feature.TYPED_PARAM_STRING,
        Feature.PROGRAM_KEEPALIVE,
        Feature.XML_MIGRATABLE,
        Feature.MIGRATION_V3,
        Feature.MIGRATION_P2P,
        Feature.MIGRATE_CHANGE_PROTECTION,
        Feature.MIGRATION_OFFLINE,
        Feature.MIGRATION_PARAMS,
        Feature.REMOTE_EVENT_CALLBACK,
        Feature.REMOTE_CLOSE_CALLBACK,
        Feature.NETWORK_UPDATE_HAS_CORRECT_ORDER,
    }
)


def wire_handlers(registry: Registry[C]) -> Registry[C]:
    """Register them, and the event calls."""
    event_handlers(registry)
    login_handlers(registry)

    @registry.handle(connect.connect_supports_feature)
    def supports_feature(conn: Session[C], feature: int) -> int:
        if feature == Feature.PROGRAM_KEEPALIVE:
            conn.keepalive = True
            return int(conn.limits.keepalive_interval > 0)
        if feature == Feature.FD_PASSING:
            return int(conn.door.local)
        return int(feature in FEATURES)

    @registry.handle(connect.connect_is_secure)
    def is_secure(conn: Session[C]) -> int:
        return int(conn.door.secure)

    @registry.handle(connect.connect_close)
    def close(conn: Session[C]) -> None:
        conn.server.events.drop(conn)

    @registry.handle(connect.connect_register_close_callback)
    def register_close(conn: Session[C]) -> None:
        """Accept it: a unix socket that closes says the same."""

    @registry.handle(connect.connect_unregister_close_callback)
    def unregister_close(conn: Session[C]) -> None:
        """Accept it."""

    return registry
