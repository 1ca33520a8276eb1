"""Learning a guest's address from its packets: what may pass meanwhile, what a packet tells, and where packets are seen.

Called by the service for filters that ask for $IP where nobody said it. Source: libvirt's "Automatic IP address detection and
DHCP snooping"; RFC 2131; observed with libvirtd 9.0.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.filters import document
from domicile.filters.instance import LEARNING, Instance, Values, instantiate
from domicile.filters.model import Filter

ANY, DHCP, NONE = "any", "dhcp", "none"
#: Source: linux/if_ether.h, linux/socket.h, linux/if_packet.h.
_ALL_PROTOCOLS, _ATTACH_FILTER, _OUTGOING = 0x0003, 26, 4
_ARP, _IPV4, _UDP = 0x0806, 0x0800, 17
_MAGIC = b"\x63\x82\x53\x63"
_ACK = 5
#: How many bytes of a packet are looked at.
SEEN = 1024
# While nothing is known: what cannot lie about more than an address, or only DHCP. Source: observed with libvirtd 9.0.
_MEANWHILE = {
    ANY: """<filter name='learning'>
  <rule action='drop' direction='out' priority='1'><mac match='no' srcmacaddr='$MAC'/></rule>
  <rule action='accept' direction='out' priority='2'><mac protocolid='ipv4'/></rule>
  <rule action='accept' direction='out' priority='2'><mac protocolid='arp'/></rule>
  <rule action='drop' direction='out' priority='3'/>
</filter>""",
    DHCP: """<filter name='learning'>
  <rule action='accept' direction='out' priority='1'>
    <ip srcmacaddr='$MAC' protocol='udp' srcportstart='68' dstportstart='67'/>
  </rule>
  <rule action='accept' direction='in' priority='1'>
    <ip dstmacaddr='$MAC' srcipaddr='$DHCPSERVER' protocol='udp' srcportstart='67' dstportstart='68'/>
  </rule>
  <rule action='accept' direction='in' priority='1'>
    <ip dstmacaddr='ff:ff:ff:ff:ff:ff' srcipaddr='$DHCPSERVER' protocol='udp' srcportstart='67' dstportstart='68'/>
  </rule>
  <rule action='drop' direction='inout' priority='2'/>
</filter>""",
}
_ANY_SERVER = " srcipaddr='$DHCPSERVER'"


@dataclass(frozen=True, slots=True)
class Learnt:
    """An address that a guest has; `seconds` says for how long, 0 where it was not lent."""

    address: str
    seconds: int = 0


def way(values: Values) -> str:
    """Say how an address is to be learnt. Raises: InvalidRequest."""
    told = (values.get(LEARNING) or (ANY,))[0].lower()
    if told not in (ANY, DHCP, NONE):
        raise InvalidRequest(f"the parameter {LEARNING} has the value '{told}'; {ANY}, {DHCP} and {NONE} are accepted")
    return told


def meanwhile(how: str, values: Values) -> Instance:
    """Give the rules that hold until the address is known."""
    known = "DHCPSERVER" in values
    return instantiate("learning", values, {"learning": _filter(how, known)}.get)


@cache
def _filter(how: str, server: bool) -> Filter:
    text = _MEANWHILE[how]
    return document.complete_text(text if server else text.replace(_ANY_SERVER, ""))


def told(frame: bytes, outgoing: bool, mac: bytes, how: str, values: Mapping[str, tuple[str, ...]]) -> Learnt | None:
    """Say what a packet tells of the guest's address; `outgoing` is one on its way to the guest."""
    if len(frame) < 34:
        return None
    kind = int.from_bytes(frame[12:14], "big")
    if outgoing:
        return _lent(frame, mac, values) if kind == _IPV4 else None
    if how != ANY or frame[6:12] != mac:
        return None
    if kind == _ARP and len(frame) >= 42 and frame[14:20] == b"\x00\x01\x08\x00\x06\x04" and frame[22:28] == mac:
        return _usable(frame[28:32])
    return _usable(frame[26:30]) if kind == _IPV4 else None


def _usable(packed: bytes) -> Learnt | None:
    address = ipaddress.IPv4Address(packed)
    if address.is_unspecified or address.is_multicast or address.is_loopback or packed == b"\xff" * 4:
        return None
    return Learnt(str(address))


def _lent(frame: bytes, mac: bytes, values: Mapping[str, tuple[str, ...]]) -> Learnt | None:
    """Read the answer by which a DHCP server lends an address. Source: RFC 2131, section 2."""
    head = (frame[14] & 0x0F) * 4
    if frame[23] != _UDP or int.from_bytes(frame[20:22], "big") & 0x1FFF or head < 20:
        return None
    udp = 14 + head
    message = frame[udp + 8 :]
    if frame[udp : udp + 4] != b"\x00\x43\x00\x44" or len(message) < 240 or message[0] != 2:
        return None
    if message[28:34] != mac or message[236:240] != _MAGIC:
        return None
    servers = values.get("DHCPSERVER")
    if servers and str(ipaddress.IPv4Address(frame[26:30])) not in servers:
        return None
    options = _options(message[240:])
    if options.get(53) != bytes((_ACK,)):
        return None
    seconds = options.get(51, b"")
    found = _usable(message[16:20])
    return Learnt(found.address, int.from_bytes(seconds, "big")) if found is not None else None


def _options(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place + 1 < len(data) and data[place] != 255:
        if data[place] == 0:
            place += 1
            continue
        length = data[place + 1]
        found.setdefault(data[place], data[place + 2 : place + 2 + length])
        place += 2 + length
    return found


def listen(device: str, how: str) -> socket.socket:
    """Open what sees an interface's packets; with `dhcp`, the kernel only gives those of DHCP servers. Raises: HostFailure."""
    try:
        seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except OSError as error:
        raise HostFailure(f"packets of {device} cannot be seen: {error.strerror}") from error
    try:
        if how == DHCP:
            _only_dhcp(seen)
        seen.bind((device, _ALL_PROTOCOLS))
    except OSError as error:
        seen.close()
        raise HostFailure(f"packets of {device} cannot be seen: {error.strerror}") from error
    return seen


def outgoing(address: tuple[object, ...]) -> bool:
    """Say by what came with a packet whether it is on its way to the guest."""
    return address[2] == _OUTGOING


def _only_dhcp(seen: socket.socket) -> None:
    """Let the kernel pass IPv4's UDP from port 67 to 68 alone, in its packet filter's instructions."""
    # Source: linux/filter.h. Load half word at 12, compare; byte at 23, compare; head's length; ports, compare.
    steps = (
        (0x28, 0, 0, 12), (0x15, 0, 6, _IPV4), (0x30, 0, 0, 23), (0x15, 0, 4, _UDP), (0xB1, 0, 0, 14),
        (0x40, 0, 0, 14), (0x15, 0, 1, 67 << 16 | 68), (0x06, 0, 0, SEEN), (0x06, 0, 0, 0),
    )  # fmt: skip
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program)
    seen.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(steps), ctypes.addressof(buffer)))
