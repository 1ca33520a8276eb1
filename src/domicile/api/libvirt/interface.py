"""Handlers of the host's network interfaces, which are only looked at. `doors` merges them with the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.hostdevs import interface as host
from domicile.hostdevs.interface import HostInterface
from domicile.rpc.calls import interface
from domicile.rpc.types import Interface

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_INACTIVE, _ACTIVE = 1, 2


async def _all(active: bool | None = None) -> list[HostInterface]:
    found = await asyncio.to_thread(host.every)
    return [one for one in found if active is None or one.active == active]


def _reference(found: HostInterface) -> Interface:
    return Interface(found.name, found.mac)


@handlers.handle(interface.connect_num_of_interfaces)
async def count(conn: Session[Service]) -> int:
    """Count the interfaces that are up."""
    return len(await _all(True))


@handlers.handle(interface.connect_list_interfaces)
async def names(conn: Session[Service], maxnames: int) -> list[str]:
    """Name the interfaces that are up."""
    return [one.name for one in await _all(True)][: max(0, maxnames)]


@handlers.handle(interface.connect_num_of_defined_interfaces)
async def count_down(conn: Session[Service]) -> int:
    """Count the interfaces that are not up."""
    return len(await _all(False))


@handlers.handle(interface.connect_list_defined_interfaces)
async def names_down(conn: Session[Service], maxnames: int) -> list[str]:
    """Name the interfaces that are not up."""
    return [one.name for one in await _all(False)][: max(0, maxnames)]


@handlers.handle(interface.connect_list_all_interfaces)
async def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[Interface], int]:
    """List interfaces; flags choose."""
    known(flags, _INACTIVE | _ACTIVE, "connect_list_all_interfaces")
    one_kind = flags in (_INACTIVE, _ACTIVE)
    found = await _all(flags == _ACTIVE if one_kind else None)
    return [_reference(one) for one in found] if need_results else [], len(found)


@handlers.handle(interface.interface_lookup_by_name)
async def by_name(conn: Session[Service], name: str) -> Interface:
    """Find an interface."""
    return _reference(await asyncio.to_thread(host.by_name, name))


@handlers.handle(interface.interface_lookup_by_mac_string)
async def by_mac(conn: Session[Service], mac: str) -> Interface:
    """Find an interface."""
    return _reference(await asyncio.to_thread(host.by_mac, mac))


@handlers.handle(interface.interface_get_xml_desc)
async def get_xml_desc(conn: Session[Service], iface: Interface, flags: int) -> str:
    """Write an interface's document."""
    known(flags, 1, "interface_get_xml_desc")
    return await asyncio.to_thread(host.document, iface.name)


@handlers.handle(interface.interface_is_active)
async def is_active(conn: Session[Service], iface: Interface) -> int:
    """Say whether an interface is up."""
    return int((await asyncio.to_thread(host.by_name, iface.name)).active)
