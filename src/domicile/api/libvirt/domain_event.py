"""The service's events on their way to clients, with libvirt's numbers.

The daemon's wiring calls `follow` once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.rpc.calls.domain_event import domain_event_callback_lifecycle
from domicile.rpc.types import Domain

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server
    from domicile.service.service import Service, ServiceEvent


def follow(server: Server[Service]) -> None:
    """Tell clients who asked for it what the service says from now on."""

    def tell(event: ServiceEvent) -> None:
        dom = Domain.of(event.name, event.uuid, event.id)
        server.events.publish(domain_event_callback_lifecycle, dom, event.event, event.detail)

    server.context.subscribe(tell)
