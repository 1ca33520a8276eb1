"""What a rule can look at in a packet: one element for each protocol, with its attributes in libvirt's order of writing.

`model` makes the elements of it; `expressions` turns them into matches. Source: libvirt's "Network Filters", observed with libvirtd 9.0.
"""

from __future__ import annotations

from domicile.filters import words
from domicile.schema.scalar import STR, Scalar

#: An attribute: its name, its words in English and Chinese, its values.
Attribute = tuple[str, str, str, Scalar]


def _ends(name: str, en: str, zh: str, scalar: Scalar) -> tuple[Attribute, Attribute]:
    """Name an attribute of either end of the way."""
    return (
        (name.format("src"), en.format("sender"), zh.format("源"), scalar),
        (name.format("dst"), en.format("receiver"), zh.format("目的"), scalar),
    )


def _pairs(*both: tuple[Attribute, Attribute]) -> tuple[Attribute, ...]:
    """Put what belongs to one end together: all of the sender, then all of the receiver."""
    return tuple(pair[0] for pair in both) + tuple(pair[1] for pair in both)


_MACS = _ends("{}macaddr", "The {}'s MAC address.", "{}MAC 地址。", words.MAC)
_MAC_MASKS = _ends("{}macmask", "Which bits of the {}'s MAC address count.", "{}MAC 地址掩码。", words.MAC)
_LINK = _pairs(_MACS, _MAC_MASKS)
_PORTS = _pairs(
    _ends("{}portstart", "The {}'s port, or the first of a range.", "{}端口或范围的起点。", words.SHORT),
    _ends("{}portend", "The last port of the {}'s range.", "{}端口范围的终点。", words.SHORT),
)
_DSCP: Attribute = ("dscp", "The class of service.", "DSCP 值。", words.DSCP)


def _addresses(version: int) -> tuple[Attribute, ...]:
    address, mask = (words.IPV4, words.MASK4) if version == 4 else (words.IPV6, words.MASK6)
    return _pairs(
        _ends("{}ipaddr", "The {}'s address.", "{}地址。", address),
        _ends("{}ipmask", "How long the prefix of the {}'s network is.", "{}网络的前缀长度。", mask),
    )


def _ranges(version: int) -> tuple[Attribute, ...]:
    address = words.IPV4 if version == 4 else words.IPV6
    return _pairs(
        _ends("{}ipfrom", "The first of the {}'s addresses.", "{}地址范围的起点。", address),
        _ends("{}ipto", "The last of the {}'s addresses.", "{}地址范围的终点。", address),
    )


def _network(version: int) -> tuple[Attribute, ...]:
    """List what every rule on IP has."""
    return (
        _MACS[0], *_addresses(version), *_ranges(version), _DSCP,
        ("connlimit-above", "Matches once the sender has more connections than this.", "源的连接数超过此值时匹配。", words.COUNT),
        ("state", "The states of the connection it belongs to.", "所属连接的状态。", words.STATE),
    )  # fmt: skip


_SET: tuple[Attribute, ...] = (
    ("ipset", "A set of the host's that an end must be in.", "主机上的地址集合。", words.SET_NAME),
    ("ipsetflags", "Which ends are looked up in it.", "在集合中查找的方向。", words.SET_FLAGS),
)
_ICMP: tuple[Attribute, ...] = (
    ("type", "ICMP's type.", "ICMP 类型。", words.BYTE),
    ("code", "ICMP's code.", "ICMP 代码。", words.BYTE),
)
_TCP: tuple[Attribute, ...] = (
    ("option", "A TCP option that must be there.", "必须存在的 TCP 选项。", words.BYTE),
    ("flags", "Which of TCP's flags are set, among which.", "TCP 标志及其掩码。", words.FLAGS),
)
_ARP: tuple[Attribute, ...] = (
    ("hwtype", "The kind of hardware.", "硬件类型。", words.SHORT),
    ("protocoltype", "The protocol addresses are resolved for.", "协议类型。", words.SHORT),
    ("opcode", "What it asks or answers.", "操作码。", words.OPERATION),
    ("arpsrcmacaddr", "The MAC address the sender says it has.", "报文中的源 MAC 地址。", words.MAC),
    ("arpdstmacaddr", "The MAC address of the one that is asked.", "报文中的目的 MAC 地址。", words.MAC),
    ("arpsrcipaddr", "The address the sender says it has.", "报文中的源 IP 地址。", words.IPV4),
    ("arpsrcipmask", "How long the prefix of that address is.", "该地址的前缀长度。", words.MASK4),
    ("arpdstipaddr", "The address that is asked for.", "被查询的 IP 地址。", words.IPV4),
    ("arpdstipmask", "How long the prefix of that address is.", "该地址的前缀长度。", words.MASK4),
    ("gratuitous", "Whether a sender only tells of its own address.", "是否为免费 ARP。", words.BOOLEAN),
)


def _timed(name: str, en: str, zh: str, scalar: Scalar = words.SHORT) -> tuple[Attribute, Attribute]:
    return (
        (name, f"{en}, or the least of a range.", f"{zh}或其范围的下限。", scalar),
        (f"{name}-hi", f"{en}: the greatest of the range.", f"{zh}范围的上限。", scalar),
    )


_STP: tuple[Attribute, ...] = (
    ("type", "The kind of message.", "报文类型。", words.BYTE),
    ("flags", "The message's flags.", "报文标志。", words.BYTE),
    *_timed("root-priority", "The root's priority", "根桥优先级"),
    ("root-address", "The root's MAC address.", "根桥 MAC 地址。", words.MAC),
    ("root-address-mask", "Which bits of it count.", "其掩码。", words.MAC),
    *_timed("root-cost", "The cost of the way to the root", "到根桥的开销", words.LONG),
    *_timed("sender-priority", "The sender's priority", "发送桥优先级"),
    ("sender-address", "The sending bridge's MAC address.", "发送桥 MAC 地址。", words.MAC),
    ("sender-address-mask", "Which bits of it count.", "其掩码。", words.MAC),
    *_timed("port", "The sending port", "发送端口"),
    *_timed("age", "The message's age", "报文寿命"),
    *_timed("max-age", "The greatest age", "最大寿命"),
    *_timed("hello-time", "The time between messages", "问候间隔"),
    *_timed("forward-delay", "The time until frames are passed on", "转发延迟"),
)
_COMMENT: Attribute = ("comment", "What people should know of the rule.", "规则的说明。", STR)
_IP_PROTOCOL: Attribute = ("protocol", "The protocol in it.", "上层协议。", words.IP_PROTOCOL)
_ICMP6: tuple[Attribute, ...] = (
    ("type", "ICMPv6's type, or the first of a range.", "ICMPv6 类型或范围的起点。", words.BYTE),
    ("typeend", "The last type of the range.", "类型范围的终点。", words.BYTE),
    ("code", "ICMPv6's code, or the first of a range.", "ICMPv6 代码或范围的起点。", words.BYTE),
    ("codeend", "The last code of the range.", "代码范围的终点。", words.BYTE),
)


def _whole() -> dict[str, tuple[Attribute, ...]]:
    found: dict[str, tuple[Attribute, ...]] = {
        "mac": (*_LINK, ("protocolid", "The protocol in the frame.", "帧中的协议。", words.ETHERTYPE)),
        "vlan": (
            *_LINK,
            ("vlanid", "The VLAN's number.", "VLAN 编号。", words.VLAN),
            ("encap-protocol", "The protocol in the tagged frame.", "标记帧中的协议。", words.ENCAPSULATED),
        ),
        "stp": (_MACS[0], _MAC_MASKS[0], *_STP),
        "arp": (*_LINK, *_ARP),
        "rarp": (*_LINK, *_ARP),
        "ip": (*_LINK, *_addresses(4), _IP_PROTOCOL, *_PORTS, _DSCP),
        "ipv6": (*_LINK, *_addresses(6), _IP_PROTOCOL, *_PORTS, *_ICMP6),
    }
    own = {"tcp": (*_PORTS, *_TCP), "udp": _PORTS, "sctp": _PORTS, "icmp": _ICMP, "icmpv6": _ICMP}
    for version, suffix in ((4, ""), (6, "-ipv6")):
        names = ["tcp", "udp", "sctp", "icmp" if version == 4 else "icmpv6", "udplite", "esp", "ah", "all"]
        for name in [*names, "igmp"] if version == 4 else names:
            tag = name if name == "icmpv6" else name + suffix
            found[tag] = (*_network(version), *_SET, *own.get(name, ()))
    return {tag: (*attributes, _COMMENT) for tag, attributes in found.items()}


#: The attributes of each protocol's element, without `match`, which all have first.
PROTOCOLS = _whole()
#: What is matched on a link; the rest is matched on IP, where connections are known.
LINK_PROTOCOLS = ("mac", "vlan", "stp", "arp", "rarp", "ip", "ipv6")
TITLES = {
    "mac": ("Any frame", "任意以太网帧"), "vlan": ("A tagged frame", "带 VLAN 标记的帧"),
    "stp": ("A message of the spanning tree", "生成树报文"), "arp": ("ARP", "ARP"), "rarp": ("RARP", "RARP"),
    "ip": ("IPv4 as a frame, without its connection", "IPv4 帧（不跟踪连接）"), "ipv6": ("IPv6 as a frame, without its connection", "IPv6 帧（不跟踪连接）"),
    "all": ("Any IPv4", "任意 IPv4"), "all-ipv6": ("Any IPv6", "任意 IPv6"),
}  # fmt: skip
