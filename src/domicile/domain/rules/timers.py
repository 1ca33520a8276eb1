"""Timers that only some machines have. Called by domain/complete."""

from __future__ import annotations

from domicile.domain.domain import Domain
from domicile.plan.facts import Completion

# Where a timer can be turned on; elsewhere it may only be said to be absent. Observed with libvirt 9.0.
_OF_PCS = ("tsc", "kvmclock", "hypervclock", "hpet")


def check(domain: Domain, c: Completion) -> None:
    """Find timers that this machine has not."""
    for timer in domain.clock.timer if domain.clock is not None else ():
        name = timer.name
        if name == "platform":
            c.problem(timer, "QEMU has no timer 'platform'", "another timer", "@name")
        elif (name in _OF_PCS and timer.present and not c.x86) or (name == "armvtimer" and not c.arm_virt):
            machine = f"machine type '{c.machine}' of '{c.arch}'"
            c.problem(timer, f"timer '{name}' does not exist on {machine}", "another timer", "@name")
