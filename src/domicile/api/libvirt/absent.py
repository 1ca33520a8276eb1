"""Handlers of the object kinds that Domicile does not have yet: none is there, and none is found.

So clients that look around (virt-install, virt-manager) go on with what is there. Each kind leaves this file when its
room is built. `doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from domicile.api.libvirt.object_events import event_handlers
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import NotFound
from domicile.rpc.call import Stub
from domicile.rpc.calls import interface, node

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()

LISTS: tuple[Stub[[int, int], tuple[list[Any], int]], ...] = (
    interface.connect_list_all_interfaces,
    node.connect_list_all_node_devices,
)
COUNTS: tuple[Stub[[], int], ...] = (
    interface.connect_num_of_interfaces,
    interface.connect_num_of_defined_interfaces,
)
NAMES: tuple[Stub[[int], list[str]], ...] = (
    interface.connect_list_interfaces,
    interface.connect_list_defined_interfaces,
)
#: What a look-up of one text says when nothing is found, with libvirt's numbers of the error and of its domain.
LOOKUPS: tuple[tuple[Stub[[str], Any], str, int, int], ...] = (
    (interface.interface_lookup_by_name, "couldn't find interface named '{}'", 57, 26),
    (interface.interface_lookup_by_mac_string, "couldn't find interface with MAC address '{}'", 57, 26),
    (node.node_device_lookup_by_name, "no node device with matching name '{}'", 53, 22),
)
#: Calls that ask for events of these kinds and end it, with the events by their numbers: they may be asked for, and none comes.
EVENTS: tuple[tuple[Stub[..., int], Stub[[int], None], tuple[Stub[..., None], ...]], ...] = (
    (
        node.connect_node_device_event_register_any,
        node.connect_node_device_event_deregister_any,
        (node.node_device_event_lifecycle, node.node_device_event_update),
    ),
)


def _lists(stub: Stub[[int, int], tuple[list[Any], int]]) -> None:
    @handlers.handle(stub)
    def empty(conn: Session[Service], need_results: int, flags: int) -> tuple[list[Any], int]:
        return [], 0


def _counts(stub: Stub[[], int]) -> None:
    @handlers.handle(stub)
    def none(conn: Session[Service]) -> int:
        return 0


def _names(stub: Stub[[int], list[str]]) -> None:
    @handlers.handle(stub)
    def none(conn: Session[Service], limit: int) -> list[str]:
        return []


def _lookup(stub: Stub[[str], Any], words: str, code: int, domain: int) -> None:
    @handlers.handle(stub)
    def missing(conn: Session[Service], text: str) -> NoReturn:
        raise NotFound(words.format(text), code=code, domain=domain)


for _list in LISTS:
    _lists(_list)
for _count in COUNTS:
    _counts(_count)
for _name in NAMES:
    _names(_name)
for _kind in EVENTS:
    event_handlers(handlers, *_kind)
for _row in LOOKUPS:
    _lookup(*_row)


@handlers.handle(node.node_num_of_devices)
def count_node_devices(conn: Session[Service], cap: str | None, flags: int) -> int:
    """Count the host's devices: none are shown yet."""
    return 0


@handlers.handle(node.node_list_devices)
def list_node_devices(conn: Session[Service], cap: str | None, maxnames: int, flags: int) -> list[str]:
    """List the host's devices: none are shown yet."""
    return []
