"""The filters that people know by name, offered when a database is new. Called by the service.

The names, chains and effects are libvirt's. Source: observed with libvirtd 9.0.
"""

from __future__ import annotations

_SELF = "arpsrcmacaddr='$MAC' arpdstmacaddr='$MAC' arpsrcipaddr='0.0.0.0' arpdstipaddr='0.0.0.0'"
_ASKS = "srcipaddr='0.0.0.0' dstipaddr='255.255.255.255' protocol='udp' srcportstart='68' dstportstart='67'"
_ASKS6 = "srcipaddr='fe80::' srcipmask='10' dstipaddr='ff02::1:2' protocol='udp' srcportstart='546' dstportstart='547'"
_SERVER = "srcipaddr='$DHCPSERVER'"
Rows = tuple[str, ...]


def _rule(action: str, way: str, priority: int, match: str = "") -> str:
    head = f"<rule action='{action}' direction='{way}' priority='{priority}'"
    return f"{head}><{match}/></rule>" if match else f"{head}/>"


def _ref(*names: str) -> Rows:
    return tuple(f"<filterref filter='{name}'/>" for name in names)


#: Each filter: its chain, then its rules and the filters it refers to.
_FILTERS: dict[str, tuple[str, Rows]] = {
    "allow-arp": ("arp", (_rule("accept", "inout", 500),)),
    "allow-dhcp": (
        "ipv4",
        (
            _rule("accept", "out", 100, f"ip {_ASKS}"),
            _rule("accept", "in", 100, "ip protocol='udp' srcportstart='67' dstportstart='68'"),
        ),
    ),
    "allow-dhcp-server": (
        "ipv4",
        (
            _rule("accept", "out", 100, f"ip {_ASKS}"),
            _rule("accept", "in", 100, f"ip {_SERVER} protocol='udp' srcportstart='67' dstportstart='68'"),
        ),
    ),
    "allow-dhcpv6": (
        "ipv6",
        (
            _rule("accept", "out", 100, f"ipv6 {_ASKS6}"),
            _rule("accept", "in", 100, "ipv6 protocol='udp' srcportstart='547' dstportstart='546'"),
        ),
    ),
    "allow-dhcpv6-server": (
        "ipv6",
        (
            _rule("accept", "out", 100, f"ipv6 {_ASKS6}"),
            _rule("accept", "in", 100, f"ipv6 {_SERVER} protocol='udp' srcportstart='547' dstportstart='546'"),
        ),
    ),
    "allow-incoming-ipv4": ("ipv4", (_rule("accept", "in", 500),)),
    "allow-incoming-ipv6": ("ipv6", (_rule("accept", "in", 500),)),
    "allow-ipv4": ("ipv4", (_rule("accept", "inout", 500),)),
    "allow-ipv6": ("ipv6", (_rule("accept", "inout", 500),)),
    "no-arp-ip-spoofing": (
        "arp-ip' priority='-510",
        (_rule("return", "out", 400, "arp arpsrcipaddr='$IP'"), _rule("drop", "out", 1000)),
    ),
    "no-arp-mac-spoofing": (
        "arp-mac' priority='-520",
        (_rule("return", "out", 350, "arp arpsrcmacaddr='$MAC'"), _rule("drop", "out", 1000)),
    ),
    "no-arp-spoofing": ("root", _ref("no-arp-mac-spoofing", "no-arp-ip-spoofing")),
    "no-ip-multicast": ("ipv4", (_rule("drop", "out", 500, "ip dstipaddr='224.0.0.0' dstipmask='4'"),)),
    "no-ip-spoofing": (
        "ipv4-ip' priority='-710",
        (
            _rule("return", "out", 100, "ip srcipaddr='0.0.0.0' protocol='udp'"),
            _rule("return", "out", 500, "ip srcipaddr='$IP'"),
            _rule("drop", "out", 1000),
        ),
    ),
    "no-ipv6-multicast": ("ipv6", (_rule("drop", "out", 500, "ipv6 dstipaddr='ff00::' dstipmask='8'"),)),
    "no-ipv6-spoofing": (
        "ipv6-ip' priority='-610",
        (
            _rule("return", "out", 100, "ipv6 srcipaddr='fe80::' srcipmask='10' protocol='udp'"),
            _rule("return", "out", 500, "ipv6 srcipaddr='$IPV6'"),
            _rule("drop", "out", 1000),
        ),
    ),
    "no-mac-broadcast": ("ipv4", (_rule("drop", "out", 500, "mac dstmacaddr='ff:ff:ff:ff:ff:ff'"),)),
    "no-mac-spoofing": (
        "mac",
        (_rule("return", "out", 500, "mac srcmacaddr='$MAC'"), _rule("drop", "out", 500, "mac")),
    ),
    "no-other-l2-traffic": ("root", (_rule("drop", "inout", 1000),)),
    "no-other-rarp-traffic": ("rarp", (_rule("drop", "inout", 1000),)),
    "qemu-announce-self-rarp": (
        "rarp",
        (
            _rule("accept", "out", 500, f"rarp srcmacaddr='$MAC' dstmacaddr='ff:ff:ff:ff:ff:ff' opcode='3' {_SELF}"),
            _rule("accept", "in", 500, f"rarp dstmacaddr='ff:ff:ff:ff:ff:ff' opcode='3' {_SELF}"),
        ),
    ),
    "qemu-announce-self": (
        "root",
        (
            _rule("accept", "out", 500, "mac protocolid='0x835'"),
            *_ref("qemu-announce-self-rarp", "no-other-rarp-traffic"),
        ),
    ),
    "clean-traffic": (
        "root",
        (
            *_ref("no-mac-spoofing", "no-ip-spoofing"),
            _rule("accept", "out", -650, "mac protocolid='ipv4'"),
            *_ref("allow-incoming-ipv4", "no-arp-spoofing"),
            _rule("accept", "inout", -500, "mac protocolid='arp'"),
            *_ref("no-other-l2-traffic", "qemu-announce-self"),
        ),
    ),
    "clean-traffic-gateway": (
        "root",
        (
            *_ref("no-mac-spoofing", "no-ip-spoofing", "no-arp-spoofing"),
            _rule("accept", "inout", -500, "mac protocolid='arp'"),
            _rule("accept", "in", 500, "mac srcmacaddr='$GATEWAY_MAC'"),
            _rule("accept", "out", 500, "mac dstmacaddr='$GATEWAY_MAC'"),
            *_ref("no-other-l2-traffic", "qemu-announce-self"),
        ),
    ),
}


def documents() -> list[str]:
    """Write the documents of all of them."""
    return [
        f"<filter name='{name}' chain='{chain}'>{''.join(entries)}</filter>"
        for name, (chain, entries) in sorted(_FILTERS.items())
    ]
