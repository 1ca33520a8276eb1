"""How the values in a rule of a filter are written: addresses, ports, flags, or a variable in their place.

`protocols` names one for each attribute. Everything is kept as the text libvirt would write; `expressions` reads it again.
Source: observed with libvirtd 9.0.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from domicile.schema.scalar import Scalar, plain

_VARIABLE = re.compile(r"\$([A-Za-z0-9_]+)(?:\[\s*(@?)\s*([0-9]{1,4})\s*\])?\s*\Z", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,10}\Z", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]{1,8}\Z", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}\Z", re.ASCII)
ETHERTYPES = {"ipv4": 0x0800, "arp": 0x0806, "rarp": 0x8035, "vlan": 0x8100, "ipv6": 0x86DD}
IP_PROTOCOLS = {
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132, "udplite": 136,
}  # fmt: skip
ARP_OPERATIONS = {
    "Request": 1, "Reply": 2, "Request_Reverse": 3, "Reply_Reverse": 4, "DRARP_Request": 5, "DRARP_Reply": 6,
    "DRARP_Error": 7, "InARP_Request": 8, "ARP_NAK": 9,
}  # fmt: skip
TCP_FLAGS = {"FIN": 0x1, "SYN": 0x2, "RST": 0x4, "PSH": 0x8, "ACK": 0x10, "URG": 0x20}
STATES = ("NEW", "ESTABLISHED", "RELATED", "INVALID")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable where a value could stand: all of a list in turn, in step with others of its `iterator`, or one of it."""

    name: str
    iterator: int = 0
    index: int | None = None

    @classmethod
    def of(cls, text: str) -> Variable | None:
        """Read ``$NAME``, ``$NAME[@1]`` or ``$NAME[0]``; None where a text is no variable."""
        found = _VARIABLE.match(text)
        if found is None:
            return None
        number = int(found[3]) if found[3] else None
        return cls(found[1], number or 0) if found[2] else cls(found[1], 0, number)


def number(text: str) -> int:
    """Read a number as a rule has it. Raises: ValueError."""
    return int(text, 0) if text[:2] in ("0x", "0X") else int(text)


def named(text: str, names: Mapping[str, int]) -> int:
    """Read a number that may have a name. Raises: ValueError."""
    found = names.get(text)
    return number(text) if found is None else found


def _value(name: str, parse: Callable[[str], str], accepted: str) -> Scalar:
    def read(text: str) -> str:
        if text.startswith("$"):
            found = _VARIABLE.match(text)
            if found is None:
                raise ValueError
            place = f"[{found[2]}{int(found[3])}]" if found[3] else ""
            return f"${found[1]}{place}"
        return parse(text)

    return Scalar(name, read, plain, f"{accepted}, or a variable such as $NAME")


def _number(text: str, high: int, low: int = 0) -> int:
    if not (_DECIMAL.match(text) or _HEXADECIMAL.match(text)) or not low <= number(text) <= high:
        raise ValueError
    return number(text)


def _shown(text: str, value: int) -> str:
    return f"{value:#x}" if text[:2] in ("0x", "0X") else str(value)


def numeric(high: int) -> Scalar:
    """A number, decimal or hexadecimal, which is kept as it was written."""
    return _value("number", lambda text: _shown(text, _number(text, high)), f"a number from 0 to {high}")


def _known(names: Mapping[str, int], high: int, low: int = 0) -> Callable[[str], str]:
    folded = {name.lower(): name for name in names}
    called = {value: name for name, value in names.items()}

    def parse(text: str) -> str:
        if text.lower() in folded:
            return folded[text.lower()]
        value = _number(text, high, low)
        return called.get(value) or _shown(text, value)

    return parse


def _mac(text: str) -> str:
    if not _MAC.match(text):
        raise ValueError
    return ":".join(f"{int(part, 16):02x}" for part in text.split(":"))


def _ipv4(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def _ipv6(text: str) -> str:
    found = ipaddress.IPv6Address(text)
    if found.scope_id is not None:
        raise ValueError
    return f"::ffff:{found.ipv4_mapped}" if found.ipv4_mapped is not None else str(found)


def _mask(text: str, bits: int) -> str:
    if _DECIMAL.match(text):
        return str(_number(text, bits))
    value = int(ipaddress.IPv4Address(text) if bits == 32 else ipaddress.IPv6Address(text))
    length = value.bit_count()
    if value != ((1 << length) - 1) << (bits - length):
        raise ValueError
    return str(length)


def _tcp_flags(text: str) -> str:
    parts = text.upper().split("/")
    if len(parts) != 2:
        raise ValueError
    return "/".join(_flag_words(part) for part in parts)


def _flag_words(text: str) -> str:
    words = text.split(",")
    if not set(words) <= {*TCP_FLAGS, "ALL", "NONE"}:
        raise ValueError
    if "ALL" in words or set(words) == set(TCP_FLAGS):
        return "ALL"
    return ",".join(word for word in TCP_FLAGS if word in words) or "NONE"


def flag_bits(text: str) -> int:
    """Read a set of TCP's flags."""
    if text == "ALL":
        return sum(TCP_FLAGS.values())
    return sum(TCP_FLAGS[word] for word in text.split(",")) if text != "NONE" else 0


def _state(text: str) -> str:
    words = text.upper().split(",")
    if not set(words) <= {*STATES, "NONE"}:
        raise ValueError
    return "NONE" if "NONE" in words else ",".join(word for word in STATES if word in words)


def _set_flags(text: str) -> str:
    words = text.lower().split(",")
    if not 0 < len(words) <= 6 or not set(words) <= {"src", "dst"}:
        raise ValueError
    return ",".join(words)


def _set_name(text: str) -> str:
    if len(text) > 31 or not re.fullmatch(r"[A-Za-z0-9_.:\-+ ]*", text):
        raise ValueError
    return text


def _yes(text: str) -> str:
    known = {"yes": "true", "true": "true", "1": "true", "no": "false", "false": "false", "0": "false"}
    try:
        return known[text.lower()]
    except KeyError:
        raise ValueError from None


def _decimal(text: str) -> str:
    if not _DECIMAL.match(text):
        raise ValueError
    return str(_number(text, 0xFFFF))


MAC = _value("mac address", _mac, "a MAC address")
IPV4 = _value("IPv4 address", _ipv4, "an IPv4 address")
IPV6 = _value("IPv6 address", _ipv6, "an IPv6 address")
MASK4 = _value("mask", lambda text: _mask(text, 32), "a prefix length up to 32 or a mask such as 255.255.255.0")
MASK6 = _value("mask", lambda text: _mask(text, 128), "a prefix length up to 128 or a mask such as ffff::")
BYTE, SHORT, LONG, DSCP, VLAN = (numeric(high) for high in (0xFF, 0xFFFF, 0xFFFFFFFF, 63, 4095))
COUNT = _value("number", _decimal, "a decimal number up to 65535")
ETHERTYPE = _value("protocol", _known(ETHERTYPES, 0xFFFF, 0x600), f"{', '.join(ETHERTYPES)}, a number from 0x600")
ENCAPSULATED = _value("protocol", _known(ETHERTYPES, 0xFFFF), f"{', '.join(ETHERTYPES)}, a number")
IP_PROTOCOL = _value("protocol", _known(IP_PROTOCOLS, 0xFF), f"{', '.join(IP_PROTOCOLS)}, a number up to 255")
OPERATION = _value("operation", _known(ARP_OPERATIONS, 0xFFFF), f"{', '.join(ARP_OPERATIONS)}, a number")
FLAGS = _value("flags", _tcp_flags, "two sets of SYN, ACK, URG, PSH, FIN, RST (or ALL, NONE) such as SYN/ALL")
STATE = _value("states", _state, f"a list of {', '.join(STATES)}, or NONE")
SET_NAME = _value("set", _set_name, "the name of a set, at most 31 characters")
SET_FLAGS = _value("set flags", _set_flags, "a list of at most six of src, dst")
BOOLEAN = _value("boolean", _yes, "true, false")
