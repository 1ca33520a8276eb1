from __future__ import annotations

import pytest

from domicile.api.libvirt.errors import of_exception
from domicile.api.libvirt.flags import Create, affected, known, of_config
from domicile.base.errors import InvalidRequest, WrongState
from domicile.service.entry import Entry

OFF = Entry("u", "vm", head=1)
RUNNING = Entry("u", "vm", head=1, id=3, state=1)
TRANSIENT = Entry("u", "vm", head=0, id=3, state=1)


def test_unknown_flags_are_named() -> None:
    known(1, Create.PAUSED | Create.AUTODESTROY, "start")
    with pytest.raises(InvalidRequest, match=r"^unsupported flags \(0x400\) in function") as fault:
        known(1025, Create.PAUSED | Create.AUTODESTROY, "domain_create_with_flags")
    assert of_exception(fault.value, "x").message == "unsupported flags (0x400) in function qemuDomainCreateWithFlags"
    assert (of_exception(InvalidRequest("no such thing"), "x").message or "").startswith("invalid argument: ")


@pytest.mark.parametrize(
    ("entry", "flags", "expected"),
    [
        (OFF, 0, (False, True)),
        (OFF, 2, (False, True)),
        (RUNNING, 0, (True, False)),
        (RUNNING, 1, (True, False)),
        (RUNNING, 2, (False, True)),
        (RUNNING, 3, (True, True)),
        (TRANSIENT, 0, (True, False)),
    ],
)
def test_which_state_a_change_is_for(entry: Entry, flags: int, expected: tuple[bool, bool]) -> None:
    assert affected(entry, flags) == expected


def test_states_that_are_not_there() -> None:
    with pytest.raises(WrongState, match="not running"):
        affected(OFF, 1)
    with pytest.raises(WrongState, match="persistent config"):
        affected(TRANSIENT, 2)


def test_reading_means_one_state() -> None:
    assert of_config(OFF, 0) and of_config(RUNNING, 2) and not of_config(RUNNING, 0)
    with pytest.raises(InvalidRequest, match="both"):
        of_config(RUNNING, 3)
