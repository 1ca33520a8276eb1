"""Completion of a network: identity, bridge, what libvirt fills in, and all that is wrong with it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection
from dataclasses import dataclass

from domicile.base import ids
from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, NO_NAME, XML_DETAIL, XML_ERROR
from domicile.base.problem import Problem
from domicile.networks import document
from domicile.networks.model import Bridge, BridgeMac, Dns, Forward, ForwardInterface, Network, NetworkIp, NetworkRoute
from domicile.schema import tree

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
#: Bridges of networks that name none, as libvirt calls them.
_BRIDGE = "virbr{}"
_PROSE = ("title", "description")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What completion must know: the bridges of other networks and the host, and where identities come from."""

    bridges: Collection[str] = ()
    taken: Callable[[str], bool] = lambda _bridge: False
    new_uuid: Callable[[], str] = ids.new_uuid
    new_mac: Callable[[], str] = ids.new_mac


def complete_text(text: str | bytes, around: Surroundings, *, strict: bool = False) -> tuple[Network, list[Problem]]:
    """Read and complete a document; returns it with what of it has no effect.

    Raises:
        InvalidDocument: with every problem.
    """
    network, problems = document.read(text)
    wrong = [p for p in problems if strict or p.severity == "error"]
    if not wrong:
        settle(network, around)
        wrong = check(network, around)
    elif network.name is None and not any(p.path == "name" for p in wrong):
        wrong.append(
            Problem("name", "element 'network' has no <name>", network.source_line, "<name>…</name>", code=NO_NAME)
        )
    if wrong:
        raise document.refused(wrong)
    return network, problems


def settle(network: Network, around: Surroundings) -> None:
    """Fill in what libvirt fills in."""
    if network.uuid is None:
        network.uuid = around.new_uuid()
    forward = network.forward
    if forward is not None:
        _forward(forward)
    if network.own_bridge:
        bridge = network.bridge = network.bridge or Bridge()
        if not bridge.name:
            bridge.name = free_bridge(around)
        bridge.stp = "off" if bridge.stp == "off" else "on"
        bridge.delay = bridge.delay or 0
        if network.mac is None:
            network.mac = BridgeMac(address=around.new_mac())
    if network.domain is not None and network.domain.localOnly is False:
        network.domain.localOnly = None


def _forward(forward: Forward) -> None:
    forward.mode = forward.mode or "nat"
    if forward.mode == "hostdev":
        return
    if forward.dev and not forward.interface:
        forward.interface.append(ForwardInterface(dev=forward.dev))
    if forward.interface and not forward.dev:
        forward.dev = forward.interface[0].dev


def free_bridge(around: Surroundings) -> str:
    """Find a name for a bridge that no network and no device of the host has."""
    number = 0
    while (name := _BRIDGE.format(number)) in around.bridges or around.taken(name):
        number += 1
    return name


def address_of(ip: NetworkIp) -> Interface | None:
    """Give an address of the host with its network; without mask or prefix by the old classes."""
    if ip.address is None:
        return None
    if ip.netmask is not None:
        return ipaddress.ip_interface(f"{ip.address}/{ip.netmask}")
    if ip.prefix is not None:
        return ipaddress.ip_interface(f"{ip.address}/{ip.prefix}")
    address = ipaddress.ip_address(ip.address)
    if address.version == 6:
        return ipaddress.ip_interface(f"{address}/64")
    first = address.packed[0]
    return ipaddress.ip_interface(f"{address}/{8 if first < 128 else 16 if first < 192 else 24}")


def check(network: Network, around: Surroundings) -> list[Problem]:
    """List all that is wrong."""
    checks = _Checks()
    if network.name is None:
        checks.say(network, "name", "element 'network' has no <name>", "<name>…</name>", NO_NAME)
    checks.mode(network)
    bridge = network.bridge
    if network.own_bridge and bridge is not None and bridge.name in around.bridges:
        checks.say(
            bridge,
            "bridge/@name",
            f"bridge name '{bridge.name}' is used by another network",
            "a free name",
            INTERNAL_ERROR,
        )
    for index, ip in enumerate(network.ip, 1):
        checks.ip(ip, f"ip[{index}]" if len(network.ip) > 1 else "ip")
    for index, route in enumerate(network.route, 1):
        checks.route(route, f"route[{index}]" if len(network.route) > 1 else "route")
    checks.limits(network)
    checks.names(network)
    checks.lines(network)
    return checks.found


class _Checks:
    def __init__(self) -> None:
        self.found: list[Problem] = []

    def say(self, element: object, path: str, message: str, accepted: str, code: int = XML_ERROR) -> None:
        self.found.append(Problem(path, message, getattr(element, "source_line", 0), accepted, code=code))

    def lines(self, network: Network) -> None:
        """Refuse line breaks in what becomes a line of dnsmasq's configuration."""
        for path, value in tree.leaves(network):
            if path not in _PROSE and not path.startswith("metadata") and not value.isprintable():
                shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in value[:80])
                self.say(network, path, f"the value '{shown}' has a character that cannot be shown", "one line of text")

    def mode(self, network: Network) -> None:
        """Say which parts do not go with the way the network is connected."""
        forward, mode = network.forward, network.mode
        if not network.own_bridge:
            for tag in ("ip", "dns", "domain", "route"):
                if getattr(network, tag):
                    what = f"a network with forward mode '{mode}' cannot have <{tag}>"
                    self.say(network, tag, what, "a network with a bridge of its own", CONFIG_UNSUPPORTED)
            if mode != "bridge" and network.bridge is not None:
                self.say(network.bridge, "bridge", f"forward mode '{mode}' has no bridge", "forward mode 'bridge'")
        if forward is None:
            return
        if mode == "bridge" and network.bridge is not None and (network.bridge.delay or network.bridge.stp):
            what = "a bridge of the host's keeps its own stp and delay"
            self.say(network.bridge, "bridge", what, "only a name", XML_ERROR)
        if mode in ("", "nat", "route", "open") and len(forward.interface) > 1:
            self.say(
                forward, "forward/interface", f"forward mode '{mode}' has {len(forward.interface)} interfaces", "one"
            )
        if mode == "open" and forward.dev:
            self.say(forward, "forward/@dev", "forward mode 'open' sets no rules, so it has no device", "no dev")
        if forward.nat is not None and mode != "nat":
            self.say(forward.nat, "forward/nat", f"forward mode '{mode}' translates no addresses", "forward mode 'nat'")
        if forward.interface and forward.dev and all(i.dev != forward.dev for i in forward.interface):
            self.say(forward, "forward/@dev", f"'{forward.dev}' is not among the interfaces", "the first of them")
        if mode == "hostdev" and forward.interface and forward.pf:
            self.say(forward, "forward", "interfaces and a physical function are both given", "one of them")

    def ip(self, ip: NetworkIp, path: str) -> None:
        """Check an address of the host and what DHCP gives away in its network."""
        if ip.address is None:
            return
        family = "ipv6" if ":" in ip.address else "ipv4"
        if (ip.family or "ipv4") != family:
            what = f"the address '{ip.address}' is not of family '{ip.family or 'ipv4'}'"
            self.say(ip, f"{path}/@family", what, family, CONFIG_UNSUPPORTED)
            return
        if ip.netmask is not None and (ip.prefix is not None or family == "ipv6"):
            what = "a netmask and a prefix are both given" if ip.prefix is not None else "IPv6 has no netmask"
            self.say(ip, f"{path}/@netmask", what, "a prefix", CONFIG_UNSUPPORTED)
            return
        try:
            network = address_of(ip)
        except ValueError:
            shown = ip.netmask if ip.netmask is not None else ip.prefix
            what = f"network mask '{shown}' of address '{ip.address}' is none"
            self.say(ip, f"{path}/@netmask", what, "a mask such as 255.255.255.0, a prefix up to 32", INTERNAL_ERROR)
            return
        if ip.dhcp is None or network is None:
            return
        for spread in ip.dhcp.range:
            self._range(spread, network, f"{path}/dhcp/range")
        for host in ip.dhcp.host:
            where = f"{path}/dhcp/host"
            if family == "ipv4" and host.mac is None and host.name is None:
                self.say(host, where, f"the host '{host.ip}' has neither mac nor name", "a mac", XML_ERROR)
            if host.ip is None:
                self.say(host, where, f"the host '{host.mac or host.name}' has no ip", "an ip", XML_ERROR)

    def _range(self, spread: object, network: Interface, path: str) -> None:
        start, end = getattr(spread, "start", None), getattr(spread, "end", None)
        if start is None or end is None:
            self.say(spread, path, "element 'range' needs start and end", "both addresses")
            return
        first, last = ipaddress.ip_address(start), ipaddress.ip_address(end)
        whole = network.network
        if first not in whole or last not in whole:
            what = f"the range {start} - {end} is not entirely within the network {network}"
            self.say(spread, path, what, f"addresses of {whole}", INTERNAL_ERROR)
        elif int(first) > int(last):
            what = f"the range {start} - {end} begins after its end"
            self.say(spread, path, what, "the lower address first", INTERNAL_ERROR)

    def route(self, route: NetworkRoute, path: str) -> None:
        """Check a route."""
        for slot in ("address", "gateway"):
            if getattr(route, slot) is None:
                self.say(route, f"{path}/@{slot}", f"element 'route' has no attribute '{slot}'", "an address")

    def limits(self, network: Network) -> None:
        """Say where a floor is promised that nothing could be promised of."""
        for path, found in [("bandwidth", network.bandwidth), *(("portgroup", g.bandwidth) for g in network.portgroup)]:
            if found is None:
                continue
            for slot in ("inbound", "outbound"):
                rate = getattr(found, slot)
                if rate is not None and rate.floor is not None:
                    what = "floor attribute is not supported for this config: only an interface is promised one"
                    self.say(rate, f"{path}/{slot}/@floor", what, "no floor", CONFIG_UNSUPPORTED)
                elif rate is not None and rate.average is None:
                    what = f"element '{slot}' has no average"
                    self.say(rate, f"{path}/{slot}/@average", what, "average='…'")

    def names(self, network: Network) -> None:
        """Check the records of the name server and the port groups."""
        defaults = [group for group in network.portgroup if group.default]
        if len(defaults) > 1:
            what = f"the port groups '{defaults[0].name}' and '{defaults[1].name}' are both the default"
            self.say(defaults[1], "portgroup/@default", what, "one default", CONFIG_UNSUPPORTED)
        seen: set[str] = set()
        for group in network.portgroup:
            if group.name in seen:
                what = f"two port groups have the name '{group.name}'"
                self.say(group, "portgroup/@name", what, "names that differ", CONFIG_UNSUPPORTED)
            seen.add(group.name or "")
        if network.vlan is not None and (network.mode not in ("hostdev", "passthrough")):
            kind = network.virtualport.type if network.virtualport is not None else None
            if not (network.mode == "bridge" and kind == "openvswitch"):
                what = f"this kind of network ('{network.name}') cannot put guests on a VLAN"
                self.say(
                    network.vlan, "vlan", what, "an Open vSwitch bridge, or devices of the host", CONFIG_UNSUPPORTED
                )
        dns = network.dns if network.dns is not None else Dns()
        for record in dns.host:
            if not record.hostname or record.ip is None:
                missing, accepted = ("hostname", "<hostname>") if not record.hostname else ("IP address", "ip='…'")
                what = f"Missing {missing} in network '{network.name}' DNS HOST record"
                self.say(record, "dns/host", what, accepted, XML_DETAIL)
        for text in dns.txt:
            if text.name is None:
                what = f"missing required name attribute in DNS TXT record of network {network.name}"
                self.say(text, "dns/txt", what, "name='…'", XML_DETAIL)
        for service in dns.srv:
            for slot in ("service", "protocol"):
                if getattr(service, slot) is None:
                    what = f"missing required {slot} attribute in DNS SRV record of network '{network.name}'"
                    self.say(service, "dns/srv", what, f"{slot}='…'", XML_DETAIL)
