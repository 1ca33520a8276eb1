"""The service's events on their way to clients, with libvirt's numbers.

The daemon's wiring calls `follow` once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from domicile.api.libvirt import qemu
from domicile.rpc.call import Stub
from domicile.rpc.calls import domain_event as d
from domicile.rpc.records import GraphicsAddress, GraphicsIdentity
from domicile.rpc.types import Domain, TypedParam

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server
    from domicile.service.service import Happening, Service, ServiceEvent

_INT, _ULLONG, _BOOLEAN, _STRING = 1, 4, 6, 7
# A kind's name is its stub's, but for these.
_STUBS: dict[str, Stub[..., None]] = {
    "block_threshold": d.domain_event_block_threshold,
    "memory_failure": d.domain_event_memory_failure,
    "memory_device_size_change": d.domain_event_memory_device_size_change,
    "block_job_2": d.domain_event_block_job_2,
    "nic_mac_change": d.domain_event_nic_mac_change,
}
#: Events whose layout has a number before the domain. Source: the remote program.
_REASON_FIRST = ("pmwakeup", "pmsuspend", "pmsuspend_disk")


def follow(server: Server[Service]) -> None:
    """Tell clients who asked for it what the service says from now on."""
    publish: Callable[..., None] = server.events.publish

    def tell(event: ServiceEvent) -> None:
        dom = Domain.of(event.name, event.uuid, event.id)
        server.events.publish(d.domain_event_callback_lifecycle, dom, event.event, event.detail)

    def happened(what: Happening) -> None:
        dom = Domain.of(what.name, what.uuid, what.id)
        if what.kind == "qemu":
            name, at, data = what.args
            qemu.publish(server, dom, name, at, data)
            return
        stub = _STUBS.get(what.kind) or getattr(d, f"domain_event_callback_{what.kind}")
        if not server.events.wanted(stub):
            return
        if what.kind in _REASON_FIRST:
            publish(stub, 0, dom)
        else:
            args = _ON_THE_WIRE[what.kind](*what.args) if what.kind in _ON_THE_WIRE else what.args
            publish(stub, dom, *args)

    server.context.subscribe(tell)
    server.context.attend(happened)


def _graphics(
    phase: int, local: tuple[int, str, str], remote: tuple[int, str, str], auth: str, who: list[tuple[str, str]]
) -> tuple[Any, ...]:
    return phase, GraphicsAddress(*local), GraphicsAddress(*remote), auth, [GraphicsIdentity(*each) for each in who]


def _job(operation: int, took_ms: int, amounts: Mapping[str, int | str]) -> tuple[Any, ...]:
    params = [TypedParam("operation", _INT, operation), TypedParam("time_elapsed", _ULLONG, took_ms)]
    return ([*params, *(TypedParam(name, _type(value), value) for name, value in amounts.items())],)


def _type(value: int | str) -> int:
    return _STRING if isinstance(value, str) else _BOOLEAN if isinstance(value, bool) else _ULLONG


_ON_THE_WIRE: dict[str, Callable[..., tuple[Any, ...]]] = {"graphics": _graphics, "job_completed": _job}
