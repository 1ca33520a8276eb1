"""What dnsmasq is told: its configuration, the hosts it keeps addresses for, the names it knows. Pure.

Source: dnsmasq(8). The form follows what libvirt's networks are known to offer: DHCP, DNS, TFTP on the bridge alone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from domicile.networks.complete import Interface, address_of
from domicile.networks.model import DhcpHost, DhcpRange, Lease, Network, NetworkIp

_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600}
_SHORTEST = 120


@dataclass(frozen=True, slots=True)
class Files:
    """Where one network's files are."""

    folder: Path
    name: str

    def at(self, suffix: str) -> Path:
        """Name one of them."""
        return self.folder / f"{self.name}.{suffix}"


@dataclass(frozen=True, slots=True)
class Texts:
    """What stands in dnsmasq's files."""

    configuration: str
    hosts: str
    names: str


def needed(network: Network) -> bool:
    """Say whether a network needs a dnsmasq: for names or for addresses."""
    dns = network.dns is None or network.dns.enable is not False
    return bool(network.ip) and (dns or any(ip.dhcp is not None or ip.tftp is not None for ip in network.ip))


def texts(network: Network, files: Files) -> Texts:
    """Write all that a network's dnsmasq reads."""
    lines = [
        "# Written by Domicile for one network, anew at each start; changes belong into the network's definition.",
        f"pid-file={files.at('pid')}",
        f"dhcp-leasefile={files.at('leases')}",
        "strict-order", "except-interface=lo", "bind-dynamic", f"interface={_bridge(network)}",
    ]  # fmt: skip
    lines += _dns(network, files)
    for ip in network.ip:
        lines += _address(network, ip)
    if any(ip.dhcp is not None for ip in network.ip):
        lines += ["dhcp-no-override", "dhcp-authoritative", f"dhcp-hostsfile={files.at('hostsfile')}"]
        lines.append(f"dhcp-lease-max={max(1, sum(_count(r) for ip in network.ip if ip.dhcp for r in ip.dhcp.range))}")
    if any(isinstance(place, ipaddress.IPv6Interface) for place in map(address_of, network.ip)):
        lines.append("enable-ra")
    lines += options(network)
    return Texts("\n".join(lines) + "\n", _hosts(network), _names(network))


def options(network: Network) -> list[str]:
    """List the lines the owner adds himself."""
    if network.options is None:
        return []
    return [value for node in network.options if (value := node.get("value"))]


def _bridge(network: Network) -> str:
    return (network.bridge.name if network.bridge is not None else None) or ""


def _dns(network: Network, files: Files) -> list[str]:
    lines = []
    domain, dns = network.domain, network.dns
    if dns is not None and dns.enable is False:
        lines.append("port=0")
    else:
        lines.append(f"addn-hosts={files.at('addnhosts')}")
    if dns is not None and dns.forwardPlainNames is False:
        lines.append("domain-needed")
    if domain is not None and domain.name:
        lines += [f"domain={domain.name}", "expand-hosts"]
        if domain.localOnly:
            lines.append(f"local=/{domain.name}/")
    if dns is not None:
        if any(not server.domain for server in dns.forwarder):
            lines.append("no-resolv")
        for server in dns.forwarder:
            scope = f"/{server.domain}/" if server.domain else ""
            port = f"#{server.port}" if server.port else ""
            lines.append(f"server={scope}{server.addr or '#'}{port}")
        lines += [f"txt-record={txt.name},{txt.value or ''}" for txt in dns.txt]
        for srv in dns.srv:
            where = f".{srv.domain}" if srv.domain else ""
            rest = [srv.target or "", str(srv.port or 1), str(srv.priority or 0), str(srv.weight or 0)]
            lines.append(",".join([f"srv-host=_{srv.service}._{srv.protocol}{where}", *(rest if srv.target else [])]))
    if not network.mode and not (dns is not None and dns.forwarder):
        lines.append("no-resolv")  # an isolated network asks nobody outside
    return lines


def _address(network: Network, ip: NetworkIp) -> list[str]:
    place = address_of(ip)
    if place is None:
        return []
    lines = []
    if ip.localPtr:
        lines.append(f"local=/{_reverse(place)}/")
    if ip.tftp is not None and ip.tftp.root:
        lines += ["enable-tftp", f"tftp-root={ip.tftp.root}"]
    dhcp = ip.dhcp
    if dhcp is None:
        if place.version == 6:
            lines.append(f"dhcp-range={place.network.network_address},ra-only")
        return lines
    tail = str(place.netmask) if place.version == 4 else str(place.network.prefixlen)
    for spread in dhcp.range:
        lines.append(f"dhcp-range={spread.start},{spread.end},{tail}{_lease(spread.lease)}")
    if dhcp.host and not dhcp.range:
        lines.append(f"dhcp-range={place.ip},static{'' if place.version == 4 else f',{place.network.prefixlen}'}")
    if not network.mode and place.version == 4:
        lines.append("dhcp-option=3")  # there is nowhere to go, so no router is announced
    if dhcp.bootp is not None and dhcp.bootp.file:
        server = f",,{dhcp.bootp.server}" if dhcp.bootp.server else ""
        lines.append(f"dhcp-boot={dhcp.bootp.file}{server}")
    return lines


def _reverse(place: Interface) -> str:
    """Give the domain of reverse questions about a network."""
    length, step = place.network.prefixlen, 8 if place.version == 4 else 4
    name = place.network.network_address.reverse_pointer.split(".")
    parts = 4 if place.version == 4 else 32
    return ".".join(name[parts - length // step :])


def _lease(lease: Lease | None) -> str:
    if lease is None or lease.expiry is None:
        return ""
    if lease.expiry == 0:
        return ",infinite"
    return f",{max(_SHORTEST, lease.expiry * _SECONDS[lease.unit or 'minutes'])}s"


def _count(spread: DhcpRange) -> int:
    return int(ipaddress.ip_address(spread.end or "0.0.0.0")) - int(ipaddress.ip_address(spread.start or "0.0.0.0")) + 1  # noqa: S104


def _hosts(network: Network) -> str:
    return "".join(_host(host) for ip in network.ip if ip.dhcp is not None for host in ip.dhcp.host)


def _host(host: DhcpHost) -> str:
    address = f"[{host.ip}]" if host.ip and ":" in host.ip else host.ip
    parts = [host.mac, f"id:{host.id}" if host.id else None, address, host.name]
    return ",".join(part for part in parts if part) + f"{_lease(host.lease)}\n"


def _names(network: Network) -> str:
    if network.dns is None:
        return ""
    return "".join(f"{record.ip}\t{' '.join(record.hostname)}\n" for record in network.dns.host)
