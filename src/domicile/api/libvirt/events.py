"""Events to those who asked for them: subscriptions of every client, and the calls that make and end them.

The server keeps the hub; the daemon publishes into it what the runtime reports.

    server.events.publish(domain_event_callback_lifecycle, dom, event, detail)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, TypeVar

from domicile.api.libvirt.registry import Registry
from domicile.base.errors import Conflict, InvalidRequest
from domicile.rpc.call import P, Stub
from domicile.rpc.calls import connect
from domicile.rpc.calls import domain_event as d
from domicile.rpc.connection import event_frame
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session

C = TypeVar("C")

# Source: libvirt's virDomainEventID; the position is the number. (the form with a callback number, the form without)
DOMAIN_EVENTS: list[tuple[Stub[..., None], Stub[..., None] | None]] = [
    (d.domain_event_callback_lifecycle, d.domain_event_lifecycle),
    (d.domain_event_callback_reboot, d.domain_event_reboot),
    (d.domain_event_callback_rtc_change, d.domain_event_rtc_change),
    (d.domain_event_callback_watchdog, d.domain_event_watchdog),
    (d.domain_event_callback_io_error, d.domain_event_io_error),
    (d.domain_event_callback_graphics, d.domain_event_graphics),
    (d.domain_event_callback_io_error_reason, d.domain_event_io_error_reason),
    (d.domain_event_callback_control_error, d.domain_event_control_error),
    (d.domain_event_callback_block_job, d.domain_event_block_job),
    (d.domain_event_callback_disk_change, d.domain_event_disk_change),
    (d.domain_event_callback_tray_change, d.domain_event_tray_change),
    (d.domain_event_callback_pmwakeup, d.domain_event_pmwakeup),
    (d.domain_event_callback_pmsuspend, d.domain_event_pmsuspend),
    (d.domain_event_callback_balloon_change, d.domain_event_balloon_change),
    (d.domain_event_callback_pmsuspend_disk, d.domain_event_pmsuspend_disk),
    (d.domain_event_callback_device_removed, d.domain_event_device_removed),
    (d.domain_event_block_job_2, None),
    (d.domain_event_callback_tunable, None),
    (d.domain_event_callback_agent_lifecycle, None),
    (d.domain_event_callback_device_added, None),
    (d.domain_event_callback_migration_iteration, None),
    (d.domain_event_callback_job_completed, None),
    (d.domain_event_callback_device_removal_failed, None),
    (d.domain_event_callback_metadata_change, None),
    (d.domain_event_block_threshold, None),
    (d.domain_event_memory_failure, None),
    (d.domain_event_memory_device_size_change, None),
    (d.domain_event_nic_mac_change, None),
]
_LEGACY = dict(DOMAIN_EVENTS)
WISHES_MAX = 4096
"""Wishes of one client at a time; libvirt's own clients have a few dozen at most."""


@dataclass(slots=True, eq=False)
class Subscription:
    """One client's wish: one event, of every domain or of the one with that uuid; `number` is None in the old form.

    `accepts` looks at the event's other arguments, where the client wants only some.
    """

    session: Session[Any]
    number: int | None
    uuid: bytes | None
    accepts: Callable[..., bool] | None = None


class EventHub:
    """Who wants to hear of what."""

    def __init__(self) -> None:
        self._wishes: dict[Stub[..., None], list[Subscription]] = {}
        self._next: dict[Session[Any], int] = {}
        self._held: dict[Session[Any], int] = {}

    def subscribe(
        self, session: Session[Any], event: Stub[..., None], uuid: bytes | None = None, *, numbered: bool = True,
        accepts: Callable[..., bool] | None = None,
    ) -> int:  # fmt: skip
        """Add a wish and return its number, counted a client from 0."""
        number = self._next.get(session, 0)
        held = self._held.get(session, 0)
        if held >= WISHES_MAX:
            raise Conflict(f"this client waits for {held} kinds of events already, at most {WISHES_MAX} may be")
        self._next[session], self._held[session] = number + 1, held + 1
        self._wishes.setdefault(event, []).append(Subscription(session, number if numbered else None, uuid, accepts))
        return number

    def unsubscribe(self, session: Session[Any], matches: Callable[[Stub[..., None], Subscription], bool]) -> int:
        """Remove a client's wishes that match; return how many there were."""
        removed = 0
        for event, wishes in self._wishes.items():
            kept = [wish for wish in wishes if wish.session is not session or not matches(event, wish)]
            removed += len(wishes) - len(kept)
            self._wishes[event] = kept
        if removed:
            self._held[session] -= removed
        return removed

    def drop(self, session: Session[Any]) -> None:
        """Forget a client."""
        if self._next.pop(session, None) is not None:
            self.unsubscribe(session, lambda event, wish: True)
            del self._held[session]

    def wanted(self, event: Stub[..., None]) -> bool:
        """Say whether anybody wants to hear of it."""
        return bool(self._wishes.get(event))

    def publish(self, event: Stub[Concatenate[int, P], None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Tell every client that wants to hear of it; the arguments follow the callback's number."""
        wishes = self._wishes.get(event)
        if not wishes:
            return
        uuid: bytes | None = next((arg.uuid for arg in args if hasattr(arg, "uuid")), None)
        payload = event.pack_args(0, *args, **kwargs)
        for wish in list(wishes):
            if wish.uuid is not None and wish.uuid != uuid:
                continue
            if wish.accepts is not None and not wish.accepts(*args):
                continue
            if wish.number is not None:
                wish.session.send(event_frame(event, wish.number.to_bytes(4, "big") + payload[4:]))
            elif legacy := _LEGACY.get(event):
                wish.session.send(event_frame(legacy, legacy.pack_args(*args[len(args) - legacy.arity :])))


def _event(number: int) -> Stub[..., None]:
    if not 0 <= number < len(DOMAIN_EVENTS):
        raise InvalidRequest(f"unsupported event ID {number}")
    return DOMAIN_EVENTS[number][0]


def event_handlers(registry: Registry[C]) -> None:
    """Register the calls that subscribe to domain events and end it."""

    @registry.handle(connect.connect_domain_event_callback_register_any)
    def register(conn: Session[C], event_id: int, dom: Domain | None) -> int:
        return conn.server.events.subscribe(conn, _event(event_id), dom.uuid if dom else None)

    @registry.handle(connect.connect_domain_event_callback_deregister_any)
    def deregister(conn: Session[C], callback_id: int) -> None:
        if not conn.server.events.unsubscribe(conn, lambda kind, wish: kind in _LEGACY and wish.number == callback_id):
            raise InvalidRequest(f"domain event callback {callback_id} not registered")

    @registry.handle(connect.connect_domain_event_register_any)
    def register_old(conn: Session[C], event_id: int) -> None:
        conn.server.events.subscribe(conn, _event(event_id), numbered=False)

    @registry.handle(connect.connect_domain_event_deregister_any)
    def deregister_old(conn: Session[C], event_id: int) -> None:
        event = _event(event_id)
        if not conn.server.events.unsubscribe(conn, lambda kind, wish: kind is event and wish.number is None):
            raise InvalidRequest(f"domain event {event_id} not registered")

    @registry.handle(connect.connect_domain_event_register)
    def register_lifecycle(conn: Session[C]) -> int:
        conn.server.events.subscribe(conn, d.domain_event_callback_lifecycle, numbered=False)
        return 1

    @registry.handle(connect.connect_domain_event_deregister)
    def deregister_lifecycle(conn: Session[C]) -> int:
        event = d.domain_event_callback_lifecycle
        conn.server.events.unsubscribe(conn, lambda kind, wish: kind is event and wish.number is None)
        return 0
