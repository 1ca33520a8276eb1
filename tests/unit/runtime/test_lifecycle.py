from __future__ import annotations

from typing import Any

import pytest

from domicile.runtime.lifecycle import (
    Condition,
    CoreDump,
    Policy,
    Quit,
    Restart,
    Say,
    SayRebooted,
    booted,
    ended,
    found,
    heard,
)
from domicile.runtime.states import Kind, Paused, Running, ShutdownBy, Shutoff, State, Stopped, Suspended

RUNNING = Condition(State.RUNNING, Running.BOOTED)
DEFAULT = Policy()


def run(now: Condition, *said: tuple[str, dict[str, Any]], policy: Policy = DEFAULT) -> tuple[Condition, list[Any]]:
    effects: list[Any] = []
    for name, data in said:
        now, more = heard(now, policy, name, data)
        effects += more
    return now, effects


def test_start() -> None:
    starting = Condition(State.PAUSED, Paused.STARTING_UP, run=Running.BOOTED)
    now, effects = run(starting, ("RESUME", {}))
    now, more = booted(now, paused=False)
    assert (now.state, now.reason) == (State.RUNNING, Running.BOOTED)
    assert [*effects, *more] == [Say(Kind.RESUMED, 0), Say(Kind.STARTED, 0)]
    now, more = booted(starting, paused=True)
    assert (now.state, now.reason) == (State.PAUSED, Paused.USER)
    now, _ = run(now, ("RESUME", {}))
    assert (now.state, now.reason) == (State.RUNNING, Running.UNPAUSED)


def test_a_reset_while_starting_is_not_told() -> None:
    now, effects = run(Condition(State.PAUSED, Paused.STARTING_UP), ("RESET", {"guest": False}))
    assert not effects
    assert now.state is State.PAUSED


@pytest.mark.parametrize(
    ("before", "reason", "detail"),
    [
        (("BLOCK_IO_ERROR", {"action": "stop"}), Paused.IOERROR, Suspended.IOERROR),
        (("BLOCK_IO_ERROR", {"action": "report"}), Paused.UNKNOWN, Suspended.PAUSED),
        (("WATCHDOG", {"action": "pause"}), Paused.WATCHDOG, Suspended.WATCHDOG),
        (("WATCHDOG", {"action": "reset"}), Paused.UNKNOWN, Suspended.PAUSED),
    ],
)
def test_why_it_stopped(before: tuple[str, dict[str, Any]], reason: Paused, detail: Suspended) -> None:
    now, effects = run(RUNNING, before, ("STOP", {}))
    assert (now.state, now.reason) == (State.PAUSED, reason)
    assert effects == [Say(Kind.SUSPENDED, detail)]
    assert now.pause is Paused.UNKNOWN


GUEST_OFF = ("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})
GUEST_RESET = ("SHUTDOWN", {"guest": True, "reason": "guest-reset"})
SIGNAL = ("SHUTDOWN", {"guest": False, "reason": "host-signal"})
STOP: tuple[str, dict[str, Any]] = ("STOP", {})


@pytest.mark.parametrize(
    ("said", "policy", "effect"),
    [
        (GUEST_OFF, Policy(), Quit()),
        (GUEST_OFF, Policy(on_poweroff="restart"), Restart()),
        (GUEST_OFF, Policy(on_poweroff="rename-restart"), Restart()),
        (GUEST_RESET, Policy(on_reboot="destroy"), Quit()),
        (GUEST_RESET, Policy(on_reboot="restart"), Restart()),
    ],
)
def test_a_shutdown_obeys_its_policy(said: tuple[str, dict[str, Any]], policy: Policy, effect: Any) -> None:
    now, effects = run(RUNNING, said, STOP, policy=policy)
    assert now.state is State.SHUTDOWN
    assert effects == [Say(Kind.SHUTDOWN, ShutdownBy.GUEST), effect]


def test_preserved_after_power_off() -> None:
    now, effects = run(RUNNING, GUEST_OFF, STOP, policy=Policy(on_poweroff="preserve"))
    assert (now.state, now.reason) == (State.PAUSED, Paused.SHUTTING_DOWN)
    assert effects == [Say(Kind.SHUTDOWN, ShutdownBy.GUEST)]
    assert found(now, DEFAULT, "shutdown") == (now, ())


def test_a_reboot_that_was_asked_for() -> None:
    asked = Condition(State.RUNNING, Running.BOOTED, reboot_asked=True)
    now, effects = run(asked, GUEST_OFF, STOP, ("RESET", {"guest": False}), ("RESUME", {}))
    assert (now.state, now.reason, now.reboot_asked) == (State.RUNNING, Running.BOOTED, False)
    assert effects == [Say(Kind.SHUTDOWN, 1), Restart(), SayRebooted(), Say(Kind.RESUMED, 0)]


def test_a_guest_that_resets_by_itself_forgets_the_asked_reboot() -> None:
    asked = Condition(State.RUNNING, Running.BOOTED, reboot_asked=True)
    now, effects = run(asked, ("RESET", {"guest": True, "reason": "guest-reset"}))
    assert effects == [SayRebooted()]
    assert not now.reboot_asked


def test_the_end_we_asked_for() -> None:
    doomed = Condition(State.RUNNING, Running.BOOTED, off=Shutoff.DESTROYED)
    now, effects = run(doomed, SIGNAL, SIGNAL)
    assert effects == [Say(Kind.SHUTDOWN, ShutdownBy.HOST)]
    now, more = ended(now)
    assert (now.state, now.reason) == (State.SHUTOFF, Shutoff.DESTROYED)
    assert more == (Say(Kind.STOPPED, Stopped.DESTROYED),)


def test_an_end_without_a_word() -> None:
    now, effects = ended(RUNNING)
    assert (now.state, now.reason) == (State.SHUTOFF, Shutoff.CRASHED)
    assert effects[0] == Say(Kind.STOPPED, Stopped.FAILED)


@pytest.mark.parametrize(
    ("action", "last"),
    [
        ("destroy", Quit()),
        ("restart", Restart()),
        ("coredump-destroy", CoreDump(Quit())),
        ("coredump-restart", CoreDump(Restart())),
    ],
)
def test_a_panic(action: str, last: Any) -> None:
    panic = ("GUEST_PANICKED", {"action": "pause"})
    second = ("SHUTDOWN", {"guest": True, "reason": "guest-panic"})
    now, effects = run(RUNNING, panic, second, STOP, policy=Policy(on_crash=action))
    assert now.state is State.CRASHED
    assert effects[0] == Say(Kind.CRASHED, 0)
    assert effects[-1] == last


def test_sleep_and_wake() -> None:
    now, effects = run(RUNNING, ("SUSPEND", {}), ("WAKEUP", {}))
    assert (now.state, now.reason) == (State.RUNNING, Running.WAKEUP)
    assert effects == [Say(Kind.PMSUSPENDED, 0), Say(Kind.STARTED, 4)]


def test_what_is_found_again() -> None:
    paused = Condition(State.PAUSED, Paused.USER)
    assert found(RUNNING, DEFAULT, "running") == (RUNNING, ())
    assert found(paused, DEFAULT, "paused") == (paused, ())
    assert found(paused, DEFAULT, "prelaunch") == (paused, ())
    starting = Condition(State.PAUSED, Paused.STARTING_UP)
    assert found(starting, DEFAULT, "prelaunch")[0].reason == Paused.STARTING_UP
    assert found(paused, DEFAULT, "running")[0].state is State.RUNNING
    assert found(RUNNING, DEFAULT, "io-error")[0].reason == Paused.IOERROR
    assert found(RUNNING, DEFAULT, "paused")[0].reason == Paused.UNKNOWN
    assert Quit() in found(paused, DEFAULT, "shutdown")[1]
    assert Quit() in found(RUNNING, DEFAULT, "guest-panicked")[1]


def test_unknown_words_change_nothing() -> None:
    assert run(RUNNING, ("RTC_CHANGE", {"offset": 1})) == (RUNNING, [])
