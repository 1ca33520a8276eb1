"""Handlers of virtual networks. `doors` merges them with the others.

Their ports are in `network_port`.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING
from uuid import UUID

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.base import ids
from domicile.base.errors import INTERNAL_ERROR, InvalidRequest, NotFound, WrongState
from domicile.domain import metadata as notes
from domicile.networks import driver
from domicile.networks.document import FROM_NETWORK
from domicile.rpc.calls import network
from domicile.rpc.records import DhcpLease
from domicile.rpc.types import Network

if TYPE_CHECKING:
    from domicile.api.libvirt.server import Server
    from domicile.api.libvirt.session import Session
    from domicile.service.networks import Net
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_NO_METADATA = 80
_INACTIVE, _VALIDATE = 1, 1
#: Source: libvirt's virConnectListAllNetworksFlags, in pairs: (flag, what it asks), (flag, the contrary).
_IDLE, _ACTIVE, _PERSISTENT, _TRANSIENT, _AUTOSTART, _BY_HAND = 1, 2, 4, 8, 16, 32
_DESCRIPTION, _TITLE, _ELEMENT = 0, 1, 2


def of_network(conn: Session[Service], net: Network) -> Net:
    """Find the network that a client speaks of. Raises: NotFound."""
    return conn.context.networks.all.by_uuid(str(UUID(bytes=net.uuid)), net.name)


def _reference(found: Net) -> Network:
    if found.ref is None:
        found.ref = Network(found.name, UUID(found.uuid).bytes)
    ref: Network = found.ref
    return ref


# Lists.


def _wanted(found: Net, flags: int) -> bool:
    pairs = (
        (_ACTIVE, _IDLE, found.active),
        (_PERSISTENT, _TRANSIENT, found.persistent),
        (_AUTOSTART, _BY_HAND, found.autostart),
    )
    return all(
        not flags & (yes | no) or bool(flags & yes and is_so) or bool(flags & no and not is_so)
        for yes, no, is_so in pairs
    )


@handlers.handle(network.connect_list_all_networks)
def list_all(conn: Session[Service], need_results: int, flags: int) -> tuple[list[Network], int]:
    """List networks; flags choose."""
    known(flags, 63, "connect_list_all_networks")
    found = [net for net in conn.context.networks.all if _wanted(net, flags)]
    return [_reference(net) for net in found] if need_results else [], len(found)


@handlers.handle(network.connect_list_networks)
def names_active(conn: Session[Service], maxnames: int) -> list[str]:
    """Name the active networks."""
    return [net.name for net in conn.context.networks.all if net.active][:maxnames]


@handlers.handle(network.connect_list_defined_networks)
def names_idle(conn: Session[Service], maxnames: int) -> list[str]:
    """Name the networks that are not active."""
    return [net.name for net in conn.context.networks.all if not net.active][:maxnames]


@handlers.handle(network.connect_num_of_networks)
def count_active(conn: Session[Service]) -> int:
    """Count the active networks."""
    return sum(net.active for net in conn.context.networks.all)


@handlers.handle(network.connect_num_of_defined_networks)
def count_idle(conn: Session[Service]) -> int:
    """Count the networks that are not active."""
    return sum(not net.active for net in conn.context.networks.all)


@handlers.handle(network.network_lookup_by_name)
def by_name(conn: Session[Service], name: str) -> Network:
    """Find a network."""
    return _reference(conn.context.networks.all.by_name(name))


@handlers.handle(network.network_lookup_by_uuid)
def by_uuid(conn: Session[Service], uuid: bytes) -> Network:
    """Find a network."""
    return _reference(conn.context.networks.all.by_uuid(str(UUID(bytes=uuid))))


# Definitions and life.


@handlers.handle(network.network_define_xml_flags)
async def define_flags(conn: Session[Service], xml: str, flags: int) -> Network:
    """Store a definition."""
    known(flags, _VALIDATE, "network_define_xml_flags")
    return _reference(
        await conn.context.networks.define(xml, author(conn, "net-define"), strict=bool(flags & _VALIDATE))
    )


@handlers.handle(network.network_define_xml)
async def define(conn: Session[Service], xml: str) -> Network:
    """Store a definition."""
    return _reference(await conn.context.networks.define(xml, author(conn, "net-define")))


@handlers.handle(network.network_create_xml_flags)
async def create_xml_flags(conn: Session[Service], xml: str, flags: int) -> Network:
    """Start a network that is gone when it stops."""
    known(flags, _VALIDATE, "network_create_xml_flags")
    return _reference(
        await conn.context.networks.create(xml, author(conn, "net-create"), strict=bool(flags & _VALIDATE))
    )


@handlers.handle(network.network_create_xml)
async def create_xml(conn: Session[Service], xml: str) -> Network:
    """Start a network that is gone when it stops."""
    return _reference(await conn.context.networks.create(xml, author(conn, "net-create")))


@handlers.handle(network.network_create)
async def start(conn: Session[Service], net: Network) -> None:
    """Start a network."""
    await conn.context.networks.start(of_network(conn, net))


@handlers.handle(network.network_destroy)
async def destroy(conn: Session[Service], net: Network) -> None:
    """Stop a network."""
    await conn.context.networks.stop(of_network(conn, net))


@handlers.handle(network.network_undefine)
async def undefine(conn: Session[Service], net: Network) -> None:
    """Take a definition out of service."""
    await conn.context.networks.undefine(of_network(conn, net), author(conn, "net-undefine"))


@handlers.handle(network.network_update)
async def update(
    conn: Session[Service], net: Network, command: int, section: int, parent_index: int, xml: str, flags: int
) -> None:
    """Change one part of a network."""
    known(flags, 3, "network_update")
    networks = conn.context.networks
    await networks.update(of_network(conn, net), command, section, parent_index, xml, flags, author(conn, "net-update"))


@handlers.handle(network.network_get_autostart)
def get_autostart(conn: Session[Service], net: Network) -> int:
    """Say whether it starts with the daemon."""
    return int(of_network(conn, net).autostart)


@handlers.handle(network.network_set_autostart)
async def set_autostart(conn: Session[Service], net: Network, autostart: int) -> None:
    """Say whether it shall start with the daemon."""
    await conn.context.networks.all.set_autostart(of_network(conn, net), bool(autostart))


# Looking.


@handlers.handle(network.network_get_xml_desc)
def get_xml(conn: Session[Service], net: Network, flags: int) -> str:
    """Give the document."""
    known(flags, _INACTIVE, "network_get_xml_desc")
    return conn.context.networks.xml(of_network(conn, net), inactive=bool(flags & _INACTIVE))


@handlers.handle(network.network_get_bridge_name)
def bridge_name(conn: Session[Service], net: Network) -> str:
    """Name the bridge."""
    found = of_network(conn, net)
    name = driver.bridge_of(found.document)
    if not name:
        raise WrongState(
            f"network '{found.name}' does not have a bridge name", code=INTERNAL_ERROR, domain=FROM_NETWORK
        )
    return name


@handlers.handle(network.network_is_active)
def is_active(conn: Session[Service], net: Network) -> int:
    """Say whether it is active."""
    return int(of_network(conn, net).active)


@handlers.handle(network.network_is_persistent)
def is_persistent(conn: Session[Service], net: Network) -> int:
    """Say whether it stays when it stops."""
    return int(of_network(conn, net).persistent)


@handlers.handle(network.network_get_dhcp_leases)
async def dhcp_leases(
    conn: Session[Service], net: Network, mac: str | None, need_results: int, flags: int
) -> tuple[list[DhcpLease], int]:
    """List the addresses that were given away."""
    known(flags, 0, "network_get_dhcp_leases")
    found = of_network(conn, net)
    if mac is not None and ids.parse_mac(mac) is None:
        raise InvalidRequest(f"invalid MAC address: '{mac}'", code=40, domain=FROM_NETWORK)
    networks = conn.context.networks
    bridge, answer = driver.bridge_of(found.document), []
    for one in await networks.leases(found, ids.parse_mac(mac) if mac else None):
        kind, prefix = networks.reach(found, one)
        names = (one.hostname or None, one.client or None)
        answer.append(DhcpLease(bridge, one.expires, kind, one.mac or None, one.iaid or None, one.ip, prefix, *names))
    return answer if need_results else [], len(answer)


# Notes.


@handlers.handle(network.network_get_metadata)
def get_metadata(conn: Session[Service], net: Network, type: int, uri: str | None, flags: int) -> str:
    """Give the title, the description, or one program's notes."""
    found = of_network(conn, net)
    document = found.definition if flags & 2 or not found.active else found.document
    if type == _ELEMENT:
        text = notes.get(document, uri or "")
    elif type in (_DESCRIPTION, _TITLE):
        text = document.description if type == _DESCRIPTION else document.title
    else:
        raise InvalidRequest(f"there is no metadata of kind {type}", domain=FROM_NETWORK)
    if text is None:
        raise NotFound("Requested metadata element is not present", code=_NO_METADATA, domain=FROM_NETWORK)
    return text


@handlers.handle(network.network_set_metadata)
async def set_metadata(
    conn: Session[Service], net: Network, type: int, metadata: str | None, key: str | None, uri: str | None, flags: int
) -> None:
    """Set the title, the description, or one program's notes."""
    if type == _ELEMENT:
        change = functools.partial(notes.put, uri=uri or "", key=key, xml=metadata)
    elif type in (_DESCRIPTION, _TITLE):
        slot = "description" if type == _DESCRIPTION else "title"
        if slot == "title" and metadata is not None and re.search(r"[\r\n]", metadata):
            raise InvalidRequest("the title has a line break; one line would be accepted", domain=FROM_NETWORK)
        change = functools.partial(_set, slot, metadata or None)
    else:
        raise InvalidRequest(f"there is no metadata of kind {type}", domain=FROM_NETWORK)
    await conn.context.networks.set_metadata(of_network(conn, net), change, flags, author(conn, "net-metadata"))


def _set(slot: str, value: str | None, document: object) -> None:
    setattr(document, slot, value)


# Events.


@handlers.handle(network.connect_network_event_register_any)
def event_register(conn: Session[Service], event_id: int, net: Network | None) -> int:
    """Ask to be told of what becomes of networks."""
    if event_id != 0:
        raise InvalidRequest(f"unsupported network event ID {event_id}", domain=FROM_NETWORK)
    return conn.server.events.subscribe(conn, network.network_event_lifecycle, net.uuid if net else None)


@handlers.handle(network.connect_network_event_deregister_any)
def event_deregister(conn: Session[Service], callback_id: int) -> None:
    """Ask to be told no longer."""
    event = network.network_event_lifecycle
    if not conn.server.events.unsubscribe(conn, lambda kind, wish: kind is event and wish.number == callback_id):
        raise InvalidRequest(f"network event callback {callback_id} not registered", domain=FROM_NETWORK)


def follow(server: Server[Service]) -> None:
    """Tell clients who asked for it what becomes of networks from now on."""

    def tell(found: Net, event: int, detail: int) -> None:
        server.events.publish(network.network_event_lifecycle, _reference(found), event, detail)

    server.context.networks.all.subscribe(tell)
