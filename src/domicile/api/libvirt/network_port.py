"""Handlers of the ports of virtual networks. `doors` merges them with the others.

A port is a machine's interface, or one that a client made for something of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.network import of_network
from domicile.api.libvirt.params import Kind, answer, values
from domicile.api.libvirt.registry import Registry
from domicile.devices.interface.model import Rate
from domicile.networks.document import write_part
from domicile.networks.port import PortBandwidth
from domicile.rpc.calls import network
from domicile.rpc.types import Network, NetworkPort, TypedParam

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.networks import Net
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
_RECLAIM, _VALIDATE = 1, 2
_LIMITS = (
    "inbound.average", "inbound.peak", "inbound.burst", "inbound.floor", "outbound.average", "outbound.peak", "outbound.burst",
)  # fmt: skip


def _uuid(port: NetworkPort) -> str:
    return str(UUID(bytes=port.uuid))


def _reference(net: Net, uuid: str) -> NetworkPort:
    return NetworkPort(Network(net.name, UUID(net.uuid).bytes), UUID(uuid).bytes)


@handlers.handle(network.network_list_all_ports)
def list_ports(conn: Session[Service], net: Network, need_results: int, flags: int) -> tuple[list[NetworkPort], int]:
    """List the ports."""
    known(flags, 0, "network_list_all_ports")
    found = of_network(conn, net)
    ports = conn.context.networks.ports.of(found.uuid)
    return [_reference(found, port.uuid or "") for port in ports] if need_results else [], len(ports)


@handlers.handle(network.network_port_lookup_by_uuid)
def port_by_uuid(conn: Session[Service], net: Network, uuid: bytes) -> NetworkPort:
    """Find a port."""
    found = of_network(conn, net)
    return _reference(found, conn.context.networks.ports.find(found, str(UUID(bytes=uuid))).uuid or "")


@handlers.handle(network.network_port_create_xml)
async def create_port(conn: Session[Service], net: Network, xml: str, flags: int) -> NetworkPort:
    """Make a port."""
    known(flags, _RECLAIM | _VALIDATE, "network_port_create_xml")
    found = of_network(conn, net)
    port = await conn.context.networks.ports.create(found, xml, reclaim=bool(flags & _RECLAIM))
    return _reference(found, port.uuid or "")


@handlers.handle(network.network_port_get_xml_desc)
def get_xml(conn: Session[Service], port: NetworkPort, flags: int) -> str:
    """Give a port's document."""
    known(flags, 0, "network_port_get_xml_desc")
    return write_part(conn.context.networks.ports.find(of_network(conn, port.net), _uuid(port)))


@handlers.handle(network.network_port_delete)
async def delete_port(conn: Session[Service], port: NetworkPort, flags: int) -> None:
    """Let go of a port."""
    known(flags, 0, "network_port_delete")
    await conn.context.networks.ports.delete(of_network(conn, port.net), _uuid(port))


@handlers.handle(network.network_port_get_parameters)
def get_parameters(conn: Session[Service], port: NetworkPort, nparams: int, flags: int) -> tuple[list[TypedParam], int]:
    """Give the limits on a port's traffic."""
    found = conn.context.networks.ports.find(of_network(conn, port.net), _uuid(port))
    limits = {}
    for name in _LIMITS:
        side, _, word = name.partition(".")
        rate = getattr(found.bandwidth, side) if found.bandwidth is not None else None
        limits[name] = (getattr(rate, word) if rate is not None else None) or 0
    return answer(limits, dict.fromkeys(_LIMITS, Kind.UINT), nparams)


@handlers.handle(network.network_port_set_parameters)
async def set_parameters(conn: Session[Service], port: NetworkPort, params: list[TypedParam], flags: int) -> None:
    """Change the limits on a port's traffic; a side that is given no average or floor has none from then on."""
    known(flags, 0, "network_port_set_parameters")
    wanted = values(params, dict.fromkeys(_LIMITS, Kind.UINT))
    sides = {}
    for side in ("inbound", "outbound"):
        told = {name.partition(".")[2]: value or None for name, value in wanted.items() if name.startswith(side)}
        if told.get("average") or told.get("floor"):
            sides[side] = Rate(**told)
    ports = conn.context.networks.ports
    await ports.set_limits(of_network(conn, port.net), _uuid(port), PortBandwidth(**sides))
