"""One part of a network changed: a host of DHCP, a range, a record, a port group. Pure; `net-update` ends here.

Source: libvirt's virNetworkUpdateCommand and virNetworkUpdateSection; what they refuse was observed with libvirt 9.0.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from domicile.base.errors import InvalidRequest, Unsupported, WrongState
from domicile.networks import document
from domicile.networks.document import FROM_NETWORK
from domicile.networks.model import (
    Dhcp,
    DhcpHost,
    DhcpRange,
    Dns,
    DnsHost,
    ForwardInterface,
    Network,
    NetworkIp,
    PortGroup,
    Srv,
    Txt,
)


class Command(IntEnum):
    """What to do."""

    MODIFY, DELETE, ADD_LAST, ADD_FIRST = 1, 2, 3, 4


class Section(IntEnum):
    """To which part."""

    BRIDGE, DOMAIN, IP, IP_DHCP_HOST, IP_DHCP_RANGE, FORWARD = 1, 2, 3, 4, 5, 6
    FORWARD_INTERFACE, FORWARD_PF, PORTGROUP, DNS_HOST, DNS_TXT, DNS_SRV = 7, 8, 9, 10, 11, 12


_CLASSES: dict[Section, type[Any]] = {
    Section.IP_DHCP_HOST: DhcpHost, Section.IP_DHCP_RANGE: DhcpRange, Section.FORWARD_INTERFACE: ForwardInterface,
    Section.PORTGROUP: PortGroup, Section.DNS_HOST: DnsHost, Section.DNS_TXT: Txt, Section.DNS_SRV: Srv,
}  # fmt: skip
_MODIFIED = (Section.IP_DHCP_HOST, Section.PORTGROUP)


def apply(network: Network, command: int, section: int, index: int, xml: str) -> None:
    """Change a network in place.

    Raises:
        InvalidRequest: there is no such command or section.
        Unsupported: this part cannot be changed by itself.
        InvalidDocument: the part is wrong.
        WrongState: it is there already, or is not there.
    """
    try:
        what, where = Command(command), Section(section)
    except ValueError:
        raise InvalidRequest(
            f"no part {section} of a network can be changed by command {command}", domain=FROM_NETWORK
        ) from None
    cls = _CLASSES.get(where)
    if cls is None or (what is Command.MODIFY and where not in _MODIFIED):
        name = where.name.lower().replace("_", "-")
        raise Unsupported(
            f"the part '{name}' of a network cannot be changed by '{what.name.lower()}'; define the network anew",
            code=84, domain=FROM_NETWORK,
        )  # fmt: skip
    made = document.part(cls, xml)
    _Change(network, what, where, made).into(*_list(network, where, index, made))


def _list(network: Network, where: Section, index: int, made: Any) -> tuple[list[Any], Callable[[Any, Any], bool]]:
    """Find the list a part belongs to, and what makes two of its entries the same."""
    if where in (Section.IP_DHCP_HOST, Section.IP_DHCP_RANGE):
        ip = _ip(network, index, made.ip if where is Section.IP_DHCP_HOST else made.start)
        if ip.dhcp is None:
            ip.dhcp = Dhcp()
        return (ip.dhcp.host, _same_host) if where is Section.IP_DHCP_HOST else (ip.dhcp.range, _same_range)
    if where is Section.PORTGROUP:
        return network.portgroup, lambda a, b: a.name == b.name
    if where is Section.FORWARD_INTERFACE:
        if network.forward is None:  # an isolated network keeps none, as libvirt forgets them too
            return [], lambda a, b: a.dev == b.dev
        return network.forward.interface, lambda a, b: a.dev == b.dev
    if network.dns is None:
        network.dns = Dns()
    if where is Section.DNS_HOST:
        return network.dns.host, lambda a, b: a.ip == b.ip or bool(set(a.hostname) & set(b.hostname))
    if where is Section.DNS_TXT:
        return network.dns.txt, lambda a, b: a.name == b.name
    return network.dns.srv, _same_service


def _ip(network: Network, index: int, address: str | None) -> NetworkIp:
    """Find the address of the host whose DHCP is meant: the one named, else the one that has DHCP."""
    if index >= 0:
        if index >= len(network.ip):
            raise WrongState(f"network '{network.name}' has no <ip> of index {index}", domain=FROM_NETWORK)
        return network.ip[index]
    version = ipaddress.ip_address(address).version if address else 4
    family = [ip for ip in network.ip if (":" in (ip.address or "")) == (version == 6)]
    found = next((ip for ip in family if ip.dhcp is not None), family[0] if family else None)
    if found is None:
        raise WrongState(f"network '{network.name}' has no <ip> that DHCP could be for", domain=FROM_NETWORK)
    return found


def _same_host(one: DhcpHost, other: DhcpHost) -> bool:
    pairs = [
        (one.mac and one.mac.lower(), other.mac and other.mac.lower()), (one.name, other.name), (one.ip, other.ip), (one.id, other.id),
    ]  # fmt: skip
    return any(a is not None and a == b for a, b in pairs)


def _same_range(one: DhcpRange, other: DhcpRange) -> bool:
    return (one.start, one.end) == (other.start, other.end)


def _same_service(one: Srv, other: Srv) -> bool:
    slots = ("service", "protocol", "domain", "target", "port")
    return all(getattr(other, slot) in (None, getattr(one, slot)) for slot in slots)


class _Change:
    def __init__(self, network: Network, what: Command, where: Section, made: Any) -> None:
        self.network, self.what, self.where, self.made = network, what, where, made

    def into(self, entries: list[Any], same: Callable[[Any, Any], bool]) -> None:
        """Change the list."""
        if self.what in (Command.ADD_FIRST, Command.ADD_LAST):
            if any(same(entry, self.made) for entry in entries):
                raise self._state("has one like it already")
            entries.insert(0 if self.what is Command.ADD_FIRST else len(entries), self.made)
            return
        if self.where is Section.IP_DHCP_HOST and self.made.mac is not None:
            mac = self.made.mac.lower()
            matching = [i for i, entry in enumerate(entries) if (entry.mac or "").lower() == mac]
        else:
            matching = [i for i, entry in enumerate(entries) if same(entry, self.made)]
        if not matching:
            raise self._state("has none like it")
        if self.what is Command.DELETE:
            del entries[matching[0]]
        else:
            entries[matching[0]] = self.made

    def _state(self, why: str) -> WrongState:
        name = self.where.name.lower().replace("_", "-")
        return WrongState(f"network '{self.network.name}' {why} ({name})", domain=FROM_NETWORK)
