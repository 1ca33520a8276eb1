"""What happens to a machine, as a pure table: (condition, happening) → (condition, effects).

`runtime/machine` feeds it and carries out the effects; the numbers are the wire protocol's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from domicile.runtime.states import (
    Crashed,
    Kind,
    Paused,
    Resumed,
    Running,
    Shutdown,
    ShutdownBy,
    Shutoff,
    Started,
    State,
    Stopped,
    Suspended,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of a machine whose guest powers off, reboots or crashes, in libvirt's words."""

    on_poweroff: str = "destroy"
    on_reboot: str = "restart"
    on_crash: str = "destroy"


@dataclass(frozen=True, slots=True)
class Condition:
    """How a machine is, and what it is on the way to.

    `pause` is why the next stop will have happened, `run` why the next run; `off` is why it will be off when it ends;
    `reboot_asked` turns the guest's next power-off into a reboot.
    """

    state: State = State.SHUTOFF
    reason: int = Shutoff.UNKNOWN
    pause: Paused = Paused.UNKNOWN
    run: Running = Running.UNPAUSED
    off: Shutoff | None = None
    reboot_asked: bool = False

    def to(self, state: State, reason: int) -> Condition:
        """Give the condition after a change of state."""
        return replace(self, state=state, reason=reason)


@dataclass(frozen=True, slots=True)
class Say:
    """Tell those who listen: a lifecycle event."""

    kind: Kind
    detail: int


@dataclass(frozen=True, slots=True)
class SayRebooted:
    """Tell those who listen that the guest went through a reset."""


@dataclass(frozen=True, slots=True)
class Quit:
    """Make QEMU end."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Reset the virtual hardware and let it run again."""


@dataclass(frozen=True, slots=True)
class CoreDump:
    """Write the guest's memory down; then do what follows."""

    then: Quit | Restart


@dataclass(frozen=True, slots=True)
class Note:
    """Write something into the log."""

    text: str


Effect = Say | SayRebooted | Quit | Restart | CoreDump | Note
Outcome = tuple[Condition, tuple[Effect, ...]]


class Begins(Enum):
    """How a machine's guest begins: it boots, perhaps from images that were brought back, or goes on from a state."""

    BOOTED = auto()
    BOOTED_REVERTED = auto()
    RESTORED = auto()
    REVERTED = auto()


def begun(now: Condition, begins: Begins, *, paused: bool, started: bool) -> Outcome:
    """QEMU is up, in one of these ways."""
    if begins is Begins.RESTORED:
        return restored(now, paused=paused, started=started)
    if begins is Begins.REVERTED:
        return reverted(now, paused=paused)
    return booted(now, paused=paused, snapshot=begins is Begins.BOOTED_REVERTED)


def booted(now: Condition, *, paused: bool, snapshot: bool = False) -> Outcome:
    """QEMU is up and, unless it shall stay paused, its CPUs run; its images may be those of a `snapshot`."""
    said = Say(Kind.STARTED, Started.FROM_SNAPSHOT if snapshot else Started.BOOTED)
    if paused:
        then = replace(now, run=Running.UNPAUSED)
        detail = Suspended.FROM_SNAPSHOT if snapshot else Suspended.PAUSED
        return then.to(State.PAUSED, Paused.USER), (said, Say(Kind.SUSPENDED, detail))
    return now.to(State.RUNNING, Running.BOOTED), (said,)


def restored(now: Condition, *, paused: bool, started: bool = False) -> Outcome:
    """QEMU has read a saved state, perhaps because its domain was `started`; unless it shall stay paused, its CPUs go next."""
    said = Say(Kind.STARTED, Started.RESTORED)
    if paused:
        detail = Suspended.PAUSED if started else Suspended.RESTORED
        then = replace(now, run=Running.UNPAUSED)
        return then.to(State.PAUSED, Paused.MIGRATION), (said, Say(Kind.SUSPENDED, detail))
    return replace(now, run=Running.RESTORED), (said,)


def reverted(now: Condition, *, paused: bool) -> Outcome:
    """QEMU has read a snapshot's state; unless it shall stay paused, its CPUs go next."""
    said = Say(Kind.STARTED, Started.FROM_SNAPSHOT)
    if paused:
        then = replace(now, run=Running.UNPAUSED)
        return then.to(State.PAUSED, Paused.FROM_SNAPSHOT), (said, Say(Kind.SUSPENDED, Suspended.FROM_SNAPSHOT))
    return replace(now, run=Running.FROM_SNAPSHOT), (said,)


def awaited(now: Condition) -> Outcome:
    """QEMU waits for a machine that comes from another host; its CPUs go once that is settled."""
    then = replace(now, run=Running.MIGRATED)
    return then.to(State.PAUSED, Paused.MIGRATION), (Say(Kind.STARTED, Started.MIGRATED),)


def ended(now: Condition) -> Outcome:
    """Conclude from the end of the process."""
    reason = now.off
    if reason is None:
        reason = {State.SHUTDOWN: Shutoff.SHUTDOWN, State.CRASHED: Shutoff.CRASHED}.get(now.state)
    if reason is None:
        note = Note("QEMU ended without a word; the domain counts as crashed")
        return now.to(State.SHUTOFF, Shutoff.CRASHED), (Say(Kind.STOPPED, Stopped.FAILED), note)
    details = {Shutoff.DESTROYED: Stopped.DESTROYED, Shutoff.CRASHED: Stopped.CRASHED, Shutoff.SAVED: Stopped.SAVED}
    details |= {Shutoff.MIGRATED: Stopped.MIGRATED, Shutoff.FAILED: Stopped.FAILED}
    details |= {Shutoff.FROM_SNAPSHOT: Stopped.FROM_SNAPSHOT}
    return now.to(State.SHUTOFF, reason), (Say(Kind.STOPPED, details.get(reason, Stopped.SHUTDOWN)),)


def heard(now: Condition, policy: Policy, name: str, data: Mapping[str, Any]) -> Outcome:
    """QEMU said something."""
    rule = _RULES.get(name)
    return rule(now, policy, data) if rule else (now, ())


def _stop(now: Condition, _policy: Policy, _data: Mapping[str, Any]) -> Outcome:
    if now.state is not State.RUNNING:
        return now, ()
    detail = _SUSPENDED.get(now.pause, Suspended.PAUSED)
    then = replace(now, pause=Paused.UNKNOWN)
    return then.to(State.PAUSED, now.pause), (Say(Kind.SUSPENDED, detail),)


def _resume(now: Condition, _policy: Policy, _data: Mapping[str, Any]) -> Outcome:
    if now.state is State.RUNNING:
        return now, ()
    then = replace(now, run=Running.UNPAUSED, pause=Paused.UNKNOWN)
    return then.to(State.RUNNING, now.run), (Say(Kind.RESUMED, _RESUMED.get(now.run, Resumed.UNPAUSED)),)


_SUSPENDED = {
    Paused.IOERROR: Suspended.IOERROR,
    Paused.WATCHDOG: Suspended.WATCHDOG,
    Paused.MIGRATION: Suspended.MIGRATED,
    Paused.POSTCOPY: Suspended.POSTCOPY,
}
_RESUMED = {
    Running.MIGRATED: Resumed.MIGRATED,
    Running.MIGRATION_CANCELED: Resumed.MIGRATED,
    Running.RESTORED: Resumed.FROM_SNAPSHOT,
    Running.FROM_SNAPSHOT: Resumed.FROM_SNAPSHOT,
    Running.POSTCOPY: Resumed.POSTCOPY,
}
# Reasons for which QEMU is ended by us while its guest lives on elsewhere or is dead: nobody shut it down.
_NO_SHUTDOWN = (Shutoff.SAVED, Shutoff.CRASHED, Shutoff.MIGRATED, Shutoff.FROM_SNAPSHOT)


def _shutdown(now: Condition, policy: Policy, data: Mapping[str, Any]) -> Outcome:
    reason = data.get("reason", "")
    if now.state in (State.SHUTDOWN, State.CRASHED):
        return now, ()  # told already; this is the end we asked for, or the panic's second word
    by = {True: ShutdownBy.GUEST, False: ShutdownBy.HOST}.get(data.get("guest", None), ShutdownBy.FINISHED)
    said = Say(Kind.SHUTDOWN, by)
    then = now.to(State.SHUTDOWN, Shutdown.USER)
    if reason in ("host-signal", "host-qmp-quit", "host-ui"):
        return then, (() if now.off in _NO_SHUTDOWN else (said,))
    if now.reboot_asked:
        return replace(then, reboot_asked=False, run=Running.BOOTED), (said, Restart())
    action = policy.on_reboot if reason == "guest-reset" else policy.on_poweroff
    if reason == "guest-panic":
        action = policy.on_crash
    return _obey(then, action, (said,), Shutoff.SHUTDOWN, Running.BOOTED)


def _obey(then: Condition, action: str, said: tuple[Effect, ...], off: Shutoff, run: Running) -> Outcome:
    dump, action = action.startswith("coredump-"), action.removeprefix("coredump-")
    if action in ("restart", "rename-restart"):
        return replace(then, run=run), (*said, CoreDump(Restart()) if dump else Restart())
    if action == "preserve":
        if then.state is State.SHUTDOWN:
            then = then.to(State.PAUSED, Paused.SHUTTING_DOWN)
        return then, said
    return replace(then, off=off), (*said, CoreDump(Quit()) if dump else Quit())


def _reset(now: Condition, policy: Policy, data: Mapping[str, Any]) -> Outcome:
    if now.state is State.PAUSED and now.reason == Paused.STARTING_UP:
        return now, ()
    then = replace(now, reboot_asked=False)
    if data.get("guest") and data.get("reason") != "guest-panic" and policy.on_reboot == "destroy":
        return replace(then, off=Shutoff.SHUTDOWN), (SayRebooted(), Quit())
    return then, (SayRebooted(),)


def _panicked(now: Condition, policy: Policy, data: Mapping[str, Any]) -> Outcome:
    if data.get("action") == "run" or now.state is State.CRASHED:
        return now, ()
    said: tuple[Effect, ...] = (Say(Kind.CRASHED, 0),)
    return _obey(now.to(State.CRASHED, Crashed.PANICKED), policy.on_crash, said, Shutoff.CRASHED, Running.CRASHED)


def _io_error(now: Condition, _policy: Policy, data: Mapping[str, Any]) -> Outcome:
    return (replace(now, pause=Paused.IOERROR) if data.get("action") == "stop" else now), ()


def _watchdog(now: Condition, _policy: Policy, data: Mapping[str, Any]) -> Outcome:
    return (replace(now, pause=Paused.WATCHDOG) if data.get("action") == "pause" else now), ()


def _suspend(now: Condition, _policy: Policy, _data: Mapping[str, Any]) -> Outcome:
    return now.to(State.PMSUSPENDED, 0), (Say(Kind.PMSUSPENDED, 0),)


def _suspend_disk(now: Condition, _policy: Policy, _data: Mapping[str, Any]) -> Outcome:
    return now.to(State.PMSUSPENDED, 0), (Say(Kind.PMSUSPENDED, 1),)


def _wakeup(now: Condition, _policy: Policy, _data: Mapping[str, Any]) -> Outcome:
    if now.state is not State.PMSUSPENDED:
        return now, ()
    return now.to(State.RUNNING, Running.WAKEUP), (Say(Kind.STARTED, Started.WAKEUP),)


_RULES = {
    "STOP": _stop,
    "RESUME": _resume,
    "SHUTDOWN": _shutdown,
    "RESET": _reset,
    "GUEST_PANICKED": _panicked,
    "BLOCK_IO_ERROR": _io_error,
    "WATCHDOG": _watchdog,
    "SUSPEND": _suspend,
    "SUSPEND_DISK": _suspend_disk,
    "WAKEUP": _wakeup,
}


def found(now: Condition, policy: Policy, status: str) -> Outcome:
    """Conclude from the run state a machine is found in; what happened unseen happens now."""
    if status in _SETTLED:
        states = _SETTLED[status]
        return (now, ()) if now.state is states[0] else (now.to(*states), ())
    if status == "shutdown":
        preserved = (now.state, now.reason) == (State.PAUSED, Paused.SHUTTING_DOWN)
        return (now, ()) if preserved else heard(now, policy, "SHUTDOWN", {"guest": True})
    if status == "guest-panicked":
        return heard(now, policy, "GUEST_PANICKED", {"action": "pause"})
    if status in ("prelaunch", "inmigrate") and now.reason != Paused.USER:
        return now.to(State.PAUSED, Paused.STARTING_UP), ()
    return (now, ()) if now.state is State.PAUSED else (now.to(State.PAUSED, Paused.UNKNOWN), ())


_SETTLED: dict[str, tuple[State, int]] = {
    "running": (State.RUNNING, Running.UNKNOWN),
    "io-error": (State.PAUSED, Paused.IOERROR),
    "watchdog": (State.PAUSED, Paused.WATCHDOG),
    "suspended": (State.PMSUSPENDED, 0),
}
