"""The clock and its timers: what is filled in, and what QEMU cannot do. Called by domain/complete.

Source: libvirt's documentation of time keeping; observed with libvirt 9.0.
"""

from __future__ import annotations

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.domain.clock import Clock, Timer
from domicile.domain.domain import Domain
from domicile.plan.facts import Completion

# What happens to lost ticks: the policies that QEMU has for a timer; the others take any word.
_POLICIES: dict[str, tuple[str, ...]] = {
    "pit": ("delay", "catchup", "discard"), "rtc": ("delay", "catchup"), "kvmclock": (), "hypervclock": (),
    "armvtimer": ("discard",),
}  # fmt: skip
# What only one timer can be told.
_OWN = {"track": "rtc", "frequency": "tsc", "mode": "tsc"}
# Where a timer can be turned on; elsewhere it may only be said to be absent.
_OF_PCS = ("tsc", "kvmclock", "hypervclock", "hpet")
_TRACKS = ("guest", "wall", "realtime")


def settle(domain: Domain, c: Completion) -> None:
    """Say what a clock's difference is from."""
    clock = domain.clock
    if clock is None:
        return
    if clock.offset in ("utc", "localtime") and clock.adjustment not in (None, "reset"):
        c.default(clock, "basis", clock.offset, "what the difference is from", "偏移的基准")
        c.default(clock, "offset", "variable", "there is a difference", "给出了偏移量")
    if clock.offset == "variable":
        if clock.adjustment is None:
            c.default(clock, "adjustment", "0", "no difference", "无偏移")
        if clock.basis is None:
            c.default(clock, "basis", "utc", "universal time", "世界时")
    else:
        clock.basis = None
        if clock.offset not in ("utc", "localtime"):
            clock.adjustment = None


def check(domain: Domain, c: Completion) -> None:
    """Find clocks that say too little and timers that QEMU does not have."""
    clock = domain.clock
    if clock is None:
        return
    _offset(clock, c)
    for timer in clock.timer:
        if timer.name is None:
            c.problem(timer, "element 'timer' has no attribute 'name'", "rtc, pit, hpet, …", "@name", XML_ERROR)
        else:
            _timer(timer, timer.name, c)


def _offset(clock: Clock, c: Completion) -> None:
    if clock.offset == "variable" and clock.adjustment == "reset":
        message = "attribute 'adjustment' of element 'clock' has the value 'reset' beside offset 'variable'"
        c.problem(clock, message, "a whole number of seconds", "@adjustment")
    for offset, slot, accepted in (
        ("timezone", "timezone", "a zone such as Europe/Paris"), ("absolute", "start", "seconds since 1970"),
    ):  # fmt: skip
        if clock.offset == offset and getattr(clock, slot) is None:
            what = f"a <clock> of offset '{offset}' has no attribute '{slot}'"
            c.problem(clock, what, accepted, f"@{slot}", INTERNAL_ERROR)


def _timer(timer: Timer, name: str, c: Completion) -> None:
    if name == "platform":
        c.problem(timer, "QEMU has no timer 'platform'", "another timer", "@name")
        return
    if (name in _OF_PCS and timer.present and not c.x86) or (name == "armvtimer" and not c.arm_virt):
        machine = f"machine type '{c.machine}' of '{c.arch}'"
        c.problem(timer, f"timer '{name}' does not exist on {machine}", "another timer", "@name")
        return
    policies = _POLICIES.get(name)
    if timer.tickpolicy is not None and policies is not None and timer.tickpolicy not in policies:
        what = f"timer '{name}' has the 'tickpolicy' '{timer.tickpolicy}'"
        c.problem(timer, what, ", ".join(policies) or "no tickpolicy", "@tickpolicy")
    for slot, owner in _OWN.items():
        if getattr(timer, slot) is not None and name != owner:
            c.problem(timer, f"timer '{name}' has a '{slot}', which only '{owner}' can have", f"no {slot}", f"@{slot}")
    if timer.track not in (None, *_TRACKS) and name == "rtc":
        c.problem(timer, f"timer 'rtc' has the 'track' '{timer.track}'", ", ".join(_TRACKS), "@track")
    if timer.catchup is not None and timer.tickpolicy != "catchup":
        what = f"timer '{name}' has a <catchup> and no tickpolicy 'catchup'"
        c.problem(timer, what, "tickpolicy='catchup'", "catchup", XML_ERROR)
