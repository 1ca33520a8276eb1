"""Scalars of network documents: IP addresses in both families, masks, prefixes."""

from __future__ import annotations

import ipaddress
import re

from domicile.schema.scalar import Scalar, integer, plain

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(text: str) -> str:
    ipaddress.ip_address(text)
    return text


def _four(text: str) -> str:
    ipaddress.IPv4Address(text)
    return text


_HARDWARE = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}\Z")


def _hardware(text: str) -> str:
    if not _HARDWARE.match(text):
        raise ValueError
    return text


#: An address of either family, kept as it was written.
IP = Scalar("ip", _address, plain, "an IPv4 or IPv6 address such as 192.168.122.1")
IPV4 = Scalar("ip", _four, plain, "an IPv4 address such as 255.255.255.0")
PREFIX = integer(0, 128)
#: A MAC address, kept in the case it was written in.
HARDWARE = Scalar("mac", _hardware, plain, "a MAC address such as 52:54:00:8c:ed:f9")
