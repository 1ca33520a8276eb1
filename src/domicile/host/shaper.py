"""Limits on traffic, by the kernel's queueing disciplines: of one tap, or of a network's bridge with what its guests were promised.

Used by service/live_net and networks/driver. What a device sends is put into classes, what arrives at it is policed; a tap
sends what the guest receives, a macvtap what the guest sends.
Source: tc-htb(8), tc-u32(8); the classes' numbers are those of libvirt, as observed with libvirtd 9.0.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from domicile.base.errors import FROM_NONE, HostFailure

_DEADLINE = 10.0
#: Bytes a packet has; a class gives way to the next after that many for each of its shares.
_PACKET = 1500 * 8
Side = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Promise:
    """What one guest may count on: its class, KiB a second, and the hardware address by which its packets are known."""

    number: int
    floor: int
    mac: str


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left for those who were promised nothing, and the most for anybody, in KiB a second."""

    average: int
    peak: int


def shape(device: str, inbound: Side, outbound: Side, *, reverse: bool = False) -> None:
    """Limit a tap; each side is (average, peak, burst), the first two in KiB a second, burst in KiB, 0 for none.

    With `reverse` it is a macvtap, which sends what its guest sends.

    Raises:
        HostFailure: there is no `tc`, or the kernel knows no such discipline; no limit is left then.
    """
    clear(device)
    sent, arriving = (outbound, inbound) if reverse else (inbound, outbound)
    lines = []
    if sent[0]:
        lines.append(f"qdisc add dev {device} root handle 1: htb default 1")
        lines.append(f"class add dev {device} parent 1: classid 1:1 htb {_rates(sent)} {_quantum(sent[0])}")
    lines += _police(device, arriving)
    _whole(device, lines)
    if sent[0]:
        _fair(device, 1, 2)


def shape_bridge(bridge: str, inbound: Side, outbound: Side) -> None:
    """Limit a network's bridge, so that guests may be promised parts of it. Raises: HostFailure; no limit is left then."""
    clear(bridge)
    lines = []
    if inbound[0]:
        average, peak, _ = inbound
        lines.append(f"qdisc add dev {bridge} root handle 1: htb default 2")
        lines.append(
            f"class add dev {bridge} parent 1: classid 1:1 htb {_rates((average, peak, 0))} {_quantum(average)}"
        )
        lines.append(f"class add dev {bridge} parent 1:1 classid 1:2 htb {_rates(inbound)} {_quantum(average)}")
    lines += _police(bridge, outbound)
    _whole(bridge, lines)
    if inbound[0]:
        _fair(bridge, 2, 2)


def add_class(bridge: str, promise: Promise, rest: Rest) -> None:
    """Promise a guest its floor; done again it changes nothing. Raises: HostFailure."""
    number, high, low = promise.number, promise.mac.replace(":", "")[:4], promise.mac.replace(":", "")[4:]
    _tc(
        f"class replace dev {bridge} parent 1:1 classid 1:{number:x} htb rate {promise.floor}kbps ceil {rest.peak}kbps"
        f" {_quantum(promise.floor)}",
        f"filter replace dev {bridge} parent 1: protocol ip prio 2 handle 800::{0x800 + number:x} u32"
        f" match u16 0x0800 0xffff at -2 match u32 0x{low} 0xffffffff at -12 match u16 0x{high} 0xffff at -14"
        f" flowid 1:{number:x}",
        _rest(bridge, rest),
    )
    _fair(bridge, number, number)


def drop_class(bridge: str, promise: Promise | None, rest: Rest) -> None:
    """Take a promise back; what is gone already is no error. Raises: HostFailure."""
    if promise is None:
        return
    number = promise.number
    for line in (
        f"filter del dev {bridge} parent 1: protocol ip prio 2 handle 800::{0x800 + number:x} u32",
        f"qdisc del dev {bridge} parent 1:{number:x} handle {number:x}:",
        f"class del dev {bridge} classid 1:{number:x}",
        _rest(bridge, rest),
    ):
        _tc(line, may_fail=True)


def clear(device: str) -> None:
    """Take all limits off a device."""
    _tc(f"qdisc del dev {device} root", may_fail=True)
    _tc(f"qdisc del dev {device} ingress", may_fail=True)


def _rest(bridge: str, rest: Rest) -> str:
    # A rate of nothing is none to the kernel; those who were promised nothing keep the least there is.
    average = max(rest.average, 1)
    return f"class change dev {bridge} parent 1:1 classid 1:2 htb rate {average}kbps ceil {rest.peak}kbps {_quantum(rest.peak)}"


def _rates(side: Side) -> str:
    average, peak, burst = side
    words = f"rate {average}kbps ceil {peak or average}kbps"
    return f"{words} burst {burst}kb" if burst else words


def _quantum(average: int) -> str:
    # Shares among classes go by their averages, and never below a packet.
    return f"quantum {max(average * 1000 // _PACKET, 2) * 1500}"


def _police(device: str, side: Side) -> list[str]:
    average, _, burst = side
    if not average:
        return []
    return [
        f"qdisc add dev {device} ingress",
        f"filter add dev {device} parent ffff: protocol all u32 match u32 0 0"
        f" police rate {average}kbps burst {burst or max(average, 64)}kb mtu 64kb drop flowid :1",
    ]


def _fair(device: str, number: int, handle: int) -> None:
    """Let the flows of a class take turns, where the kernel has the discipline for that."""
    _tc(f"qdisc replace dev {device} parent 1:{number:x} handle {handle:x}: sfq perturb 10", may_fail=True)


def _whole(device: str, lines: Sequence[str]) -> None:
    try:
        _tc(*lines)
    except HostFailure:
        clear(device)
        raise


def _tc(*lines: str, may_fail: bool = False) -> None:
    """Give `tc` all lines at once; it stops at the first it refuses."""
    if not lines:
        return
    program = shutil.which("tc") or shutil.which("tc", path="/usr/sbin:/sbin")
    if program is None:
        if may_fail:
            return
        raise HostFailure("there is no program 'tc' (package iproute2), which limits traffic", domain=FROM_NONE)
    words, given = [program, "-batch", "-"], "".join(line + "\n" for line in lines)
    try:
        done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailure(f"tc {lines[0]}: {error}", domain=FROM_NONE) from error
    if done.returncode and not may_fail:
        raise HostFailure(f"tc {' / '.join(lines)}: {done.stderr.strip()}", domain=FROM_NONE)
