"""Limits on the traffic of a tap, by the kernel's queueing disciplines. Used by service/live_net.

What the guest receives is sent by the tap, so a class limits it; what the guest sends arrives at the tap and is policed.
"""

from __future__ import annotations

import shutil
import subprocess

from domicile.base.errors import FROM_NONE, HostFailure

_DEADLINE = 10.0


def shape(tap: str, inbound: tuple[int, int, int], outbound: tuple[int, int, int]) -> None:
    """Limit a tap; each side is (average, peak, burst), the first two in KiB a second, burst in KiB, 0 for none.

    Raises:
        HostFailure: there is no `tc`, or the kernel knows no such discipline; no limit is left then.
    """
    _tc("qdisc", "del", "dev", tap, "root", may_fail=True)
    _tc("qdisc", "del", "dev", tap, "ingress", may_fail=True)
    try:
        if inbound[0]:
            average, peak, burst = inbound
            words = ["rate", f"{average}kbps", "ceil", f"{peak or average}kbps"]
            words += ["burst", f"{burst}kb"] if burst else []
            _tc("qdisc", "add", "dev", tap, "root", "handle", "1:", "htb", "default", "1")
            _tc("class", "add", "dev", tap, "parent", "1:", "classid", "1:1", "htb", *words)
        if outbound[0]:
            average, peak, burst = outbound
            police = [
                "police",
                "rate",
                f"{average}kbps",
                "burst",
                f"{burst or max(average, 64)}kb",
                "mtu",
                "64kb",
                "drop",
            ]
            _tc("qdisc", "add", "dev", tap, "ingress")
            _tc(
                "filter",
                "add",
                "dev",
                tap,
                "parent",
                "ffff:",
                "protocol",
                "all",
                "u32",
                "match",
                "u32",
                "0",
                "0",
                *police,
                "flowid",
                ":1",
            )
    except HostFailure:
        _tc("qdisc", "del", "dev", tap, "root", may_fail=True)
        _tc("qdisc", "del", "dev", tap, "ingress", may_fail=True)
        raise


def _tc(*words: str, may_fail: bool = False) -> None:
    program = shutil.which("tc") or shutil.which("tc", path="/usr/sbin:/sbin")
    if program is None:
        if may_fail:
            return
        raise HostFailure("there is no program 'tc' (package iproute2), which limits traffic", domain=FROM_NONE)
    try:
        done = subprocess.run([program, *words], capture_output=True, text=True, timeout=_DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailure(f"tc {' '.join(words)}: {error}", domain=FROM_NONE) from error
    if done.returncode and not may_fail:
        raise HostFailure(f"tc {' '.join(words)}: {done.stderr.strip()}", domain=FROM_NONE)
