"""What a rule looks at, in the expressions of nftables' JSON. Pure; called by `ruleset`.

Source: libnftables-json(5); the frames' layouts are those of IEEE 802.1D and RFC 826.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from domicile.base.errors import Unsupported
from domicile.filters import words
from domicile.filters.words import number

Json = dict[str, Any]
#: Where the fields of ARP stand: bits from the packet's beginning, and how many. Source: RFC 826, Ethernet and IPv4.
_ARP_FIELDS = {
    "hwtype": (0, 16), "protocoltype": (16, 16), "opcode": (48, 16), "arpsrcmacaddr": (64, 48), "arpsrcipaddr": (112, 32),
    "arpdstmacaddr": (144, 48), "arpdstipaddr": (192, 32),
}  # fmt: skip
_STP_GROUP = "01:80:c2:00:00:00"
_STP_HEAD = 17 * 8
#: Where the fields of a spanning tree's message stand behind the frame's heads: first bit, and how many. Source: IEEE 802.1D.
_STP_FIELDS = {
    "type": (24, 8), "flags": (32, 8), "root-priority": (40, 16), "root-address": (56, 48), "root-cost": (104, 32),
    "sender-priority": (136, 16), "sender-address": (152, 48), "port": (200, 16), "age": (216, 16), "max-age": (232, 16),
    "hello-time": (248, 16), "forward-delay": (264, 16),
}  # fmt: skip
_LAYER_4 = {"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58, "udplite": 136, "esp": 50, "ah": 51, "igmp": 2}


def test(left: Any, right: Any, *, unlike: bool = False) -> Json:
    """Compare: equal, or in a range or a prefix; `unlike` asks for the contrary."""
    return {"match": {"op": "!=" if unlike else "==", "left": left, "right": right}}


def payload(protocol: str, field: str) -> Json:
    """Name a field of a protocol that nftables knows."""
    return {"payload": {"protocol": protocol, "field": field}}


def raw(base: str, offset: int, length: int) -> Json:
    """Name bits of a packet, counted from its link's (``ll``) or network's (``nh``) head."""
    return {"payload": {"base": base, "offset": offset, "len": length}}


def meta(key: str) -> Json:
    """Name something that the kernel knows of a packet."""
    return {"meta": {"key": key}}


def ethertype(value: int) -> Json:
    """Ask for a protocol on the link."""
    return test(payload("ether", "type"), value)


def _mac_number(text: str) -> int:
    return int(text.replace(":", ""), 16)


def _span(values: Mapping[str, str], first: str, last: str) -> Any:
    """Give a number, or a range where a last one is named as well."""
    low = number(values[first])
    high = number(values.get(last, values[first]))
    return low if high == low else {"range": [min(low, high), max(low, high)]}


def _prefix(address: str, length: str | None, bits: int) -> Any:
    if length is None or int(length) == bits:
        return address
    return {"prefix": {"addr": address, "len": int(length)}}


class Reversed(dict[str, str]):
    """Values of a rule seen from the other end: what it says of the sender is asked of the receiver, and so on."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__({_other(name): value for name, value in values.items()})


def _other(name: str) -> str:
    for one, other in (("src", "dst"), ("dst", "src")):
        if name.startswith(one):
            return other + name[3:]
        if name.startswith(f"arp{one}"):
            return f"arp{other}{name[6:]}"
    return name


def link(protocol: str, values: Mapping[str, str], negated: bool) -> Iterable[list[Json]]:
    """Give what a rule on frames asks; several lists where one must be tried after the other.

    Raises:
        Unsupported: nftables cannot ask this.
    """
    found = list(_macs(values, negated))
    if protocol == "mac":
        if "protocolid" in values:
            found.append(
                test(payload("ether", "type"), words.named(values["protocolid"], words.ETHERTYPES), unlike=negated)
            )
    elif protocol == "vlan":
        found.insert(0, ethertype(words.ETHERTYPES["vlan"]))
        if "vlanid" in values:
            found.append(test(payload("vlan", "id"), number(values["vlanid"]), unlike=negated))
        if "encap-protocol" in values:
            inner = words.named(values["encap-protocol"], words.ETHERTYPES)
            found.append(test(payload("vlan", "type"), inner, unlike=negated))
    elif protocol == "stp":
        found = [
            test(payload("ether", "daddr"), _STP_GROUP),
            test(raw("ll", 14 * 8, 24), 0x424203),
            *found,
            *_stp(values, negated),
        ]
    elif protocol in ("arp", "rarp"):
        return [[ethertype(words.ETHERTYPES[protocol]), *found, *asked] for asked in _arp(values, negated)]
    elif protocol in ("ip", "ipv6"):
        found = [
            ethertype(words.ETHERTYPES["ipv4" if protocol == "ip" else "ipv6"]),
            *found,
            *_frame_ip(protocol, values, negated),
        ]
    return [found]


def _macs(values: Mapping[str, str], negated: bool) -> Iterable[Json]:
    for side, field in (("src", "saddr"), ("dst", "daddr")):
        address, mask = values.get(f"{side}macaddr"), values.get(f"{side}macmask")
        if address is None:
            continue
        if mask is None or mask == "ff:ff:ff:ff:ff:ff":
            yield test(payload("ether", field), address, unlike=negated)
        else:
            bits = _mac_number(mask)
            place = raw("ll", 0 if side == "dst" else 48, 48)
            yield test({"&": [place, bits]}, _mac_number(address) & bits, unlike=negated)


def _stp(values: Mapping[str, str], negated: bool) -> Iterable[Json]:
    for name, (offset, length) in _STP_FIELDS.items():
        if name not in values:
            continue
        place: Any = raw("ll", _STP_HEAD + offset, length)
        if name.endswith("address"):
            bits = _mac_number(values.get(f"{name}-mask", "ff:ff:ff:ff:ff:ff"))
            whole = bits == 0xFFFFFFFFFFFF
            yield test(place if whole else {"&": [place, bits]}, _mac_number(values[name]) & bits, unlike=negated)
        else:
            yield test(place, _span(values, name, f"{name}-hi"), unlike=negated)


def _arp(values: Mapping[str, str], negated: bool) -> Iterable[list[Json]]:
    found = []
    for name, (offset, length) in _ARP_FIELDS.items():
        text = values.get(name)
        if text is None:
            continue
        place: Any = raw("nh", offset, length)
        if name.endswith("macaddr"):
            found.append(test(place, _mac_number(text), unlike=negated))
        elif name.endswith("ipaddr"):
            bits = int(values.get(name.replace("addr", "mask"), "32"))
            mask = ((1 << bits) - 1) << (32 - bits)
            wanted = _address_number(text) & mask
            found.append(test(place if bits == 32 else {"&": [place, mask]}, wanted, unlike=negated))
        else:
            found.append(test(place, words.named(text, words.ARP_OPERATIONS), unlike=negated))
    if values.get("gratuitous") == "true":
        yield [*found, *_gratuitous(values, negated)]
    else:
        yield found


def _gratuitous(values: Mapping[str, str], negated: bool) -> list[Json]:
    """Ask that sender and target are one; nftables compares no two fields, but either with a value that is known."""
    known = {values[name] for name in ("arpsrcipaddr", "arpdstipaddr") if name in values}
    masked = any(values.get(name, "32") != "32" for name in ("arpsrcipmask", "arpdstipmask"))
    if negated or len(known) != 1 or masked:
        raise Unsupported(
            "gratuitous='true' needs arpsrcipaddr or arpdstipaddr beside it, without a mask and without match='no': "
            "the kernel's rules compare no two fields of a packet"
        )
    wanted = _address_number(known.pop())
    return [test(raw("nh", offset, 32), wanted) for offset in (112, 192)]


def _address_number(text: str) -> int:
    parts = [int(part) for part in text.split(".")]
    return parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3]


def _frame_ip(protocol: str, values: Mapping[str, str], negated: bool) -> Iterable[Json]:
    version = 4 if protocol == "ip" else 6
    yield from _addresses(version, values, negated)
    if "protocol" in values:
        wanted = words.named(values["protocol"], words.IP_PROTOCOLS)
        yield test(meta("l4proto"), wanted, unlike=negated)
    yield from _ports(values, negated)
    if "dscp" in values:
        yield test(payload(_family(version), "dscp"), number(values["dscp"]), unlike=negated)
    if version == 6 and ("type" in values or "code" in values):
        if "protocol" not in values:
            yield test(meta("l4proto"), _LAYER_4["icmpv6"])
        for name, offset in (("type", 0), ("code", 8)):
            if name in values:
                yield test(raw("th", offset, 8), _span(values, name, f"{name}end"), unlike=negated)


def _family(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _addresses(version: int, values: Mapping[str, str], negated: bool) -> Iterable[Json]:
    family, bits = _family(version), 32 if version == 4 else 128
    for side, field in (("src", "saddr"), ("dst", "daddr")):
        if f"{side}ipaddr" in values:
            wanted = _prefix(
                _network(values[f"{side}ipaddr"], values.get(f"{side}ipmask"), bits), values.get(f"{side}ipmask"), bits
            )
            yield test(payload(family, field), wanted, unlike=negated)
        if f"{side}ipfrom" in values:
            first = values[f"{side}ipfrom"]
            last = values.get(f"{side}ipto", first)
            yield test(payload(family, field), first if first == last else {"range": [first, last]}, unlike=negated)


def _network(address: str, length: str | None, bits: int) -> str:
    """Give the address of a network; nftables refuses one with bits behind its prefix."""
    if length is None or int(length) == bits:
        return address
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False).network_address)


def _ports(values: Mapping[str, str], negated: bool) -> Iterable[Json]:
    for side, offset in (("src", 0), ("dst", 16)):
        if f"{side}portstart" in values:
            yield test(raw("th", offset, 16), _span(values, f"{side}portstart", f"{side}portend"), unlike=negated)


def on_ip(protocol: str, values: Mapping[str, str], negated: bool) -> list[Json]:
    """Give what a rule on IP asks, but for the connection. Raises: Unsupported."""
    if "ipset" in values:
        raise Unsupported(f"the set '{values['ipset']}' is one of ipset(8), which the kernel's nftables do not know")
    if "option" in values:
        raise Unsupported("TCP options cannot be matched by their number")
    name, _, six = protocol.partition("-")
    version = 6 if six or name == "icmpv6" else 4
    found = [ethertype(words.ETHERTYPES["ipv4" if version == 4 else "ipv6"])]
    if name in _LAYER_4:
        found.append(test(meta("l4proto"), _LAYER_4[name]))
    found += _macs(values, negated)
    found += _addresses(version, values, negated)
    if "dscp" in values:
        found.append(test(payload(_family(version), "dscp"), number(values["dscp"]), unlike=negated))
    found += _ports(values, negated)
    if "flags" in values:
        among, wanted = (words.flag_bits(part) for part in values["flags"].split("/"))
        found.append(test({"&": [raw("th", 104, 8), among]}, wanted, unlike=negated))
    for kind, offset in (("type", 0), ("code", 8)):
        if kind in values:
            found.append(test(raw("th", offset, 8), number(values[kind]), unlike=negated))
    return found
