"""Subscribing to the events of kinds of objects beside domains: pools, secrets.

The files of their handlers call `event_handlers` with the numbers and the events that belong together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest
from domicile.rpc.call import Stub

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service


def event_handlers(
    handlers: Registry[Service],
    register: Stub[..., int],
    deregister: Stub[[int], None],
    events: tuple[Stub[..., None], ...],
) -> None:
    """Register the calls that subscribe to a kind's events (the position is the number) and end it."""

    @handlers.handle(register)
    def subscribe(conn: Session[Service], event_id: int, about: Any) -> int:
        if not 0 <= event_id < len(events):
            raise InvalidRequest(f"unsupported event ID {event_id}; accepted: 0 to {len(events) - 1}")
        return conn.server.events.subscribe(conn, events[event_id], getattr(about, "uuid", None))

    @handlers.handle(deregister)
    def unsubscribe(conn: Session[Service], callback_id: int) -> None:
        if not conn.server.events.unsubscribe(conn, lambda kind, wish: kind in events and wish.number == callback_id):
            raise InvalidRequest(f"event callback {callback_id} not registered")
