"""The clock and its timers in QEMU's words. Called by domain/machine_options."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from domicile.domain.clock import Clock
from domicile.domain.domain import Domain
from domicile.plan.facts import Planning
from domicile.plan.qemu import Item, Keyed, Option

_TRACKS = {"boot": "vm", "guest": "vm", "wall": "host", "realtime": "rt"}


def clock(domain: Domain, p: Planning) -> Iterator[Item]:
    """Yield when the clock starts, then what is said of single timers."""
    yield Keyed("-rtc", tuple(_rtc(domain, p)), origin="clock")
    timers = domain.clock.timer if domain.clock is not None else ()
    for timer in timers:
        lost = timer.tickpolicy or "delay"
        if timer.name == "pit" and lost in ("delay", "discard") and p.x86 and p.caps.has_device("kvm-pit"):
            yield Keyed("-global", (("kvm-pit.lost_tick_policy", lost),), origin="clock")
        if timer.name == "hpet" and timer.present is False and p.caps.version < (8, 0, 0) and p.x86:
            yield Option("-no-hpet", None, origin="clock")


def _rtc(domain: Domain, p: Planning) -> Iterator[tuple[str, Any]]:
    yield "base", _base(domain.clock or Clock(offset="utc"), p)
    for timer in domain.clock.timer if domain.clock is not None else ():
        if timer.name == "rtc":
            if timer.track is not None:
                yield "clock", _TRACKS[timer.track]
            if timer.tickpolicy == "catchup":
                yield "driftfix", "slew"


def _base(clock: Clock, p: Planning) -> str:
    """Say the moment the clock starts with: a name where QEMU has one, else the moment itself."""
    if clock.offset in ("localtime", "timezone"):
        return "localtime"
    if clock.offset == "absolute":
        moment = clock.start or 0
    elif clock.offset == "variable":
        now = p.host.now()
        moment = int(now) + int(clock.adjustment or 0)
        if clock.basis == "localtime":
            moment += p.host.zone_offset(now)
    else:
        return "utc"
    # The years a date can have, in seconds.
    return datetime.fromtimestamp(max(0, min(moment, 253402300799)), UTC).strftime("%Y-%m-%dT%H:%M:%S")
