"""Typed parameters, read against what a call knows."""

import pytest

from domicile.api.libvirt.params import Kind, answer, values
from domicile.base.errors import DomicileError
from domicile.rpc.types import TypedParam

KNOWN = {"weight": Kind.UINT, "path": Kind.STRING, "on": Kind.BOOLEAN}


def test_values_come_by_name() -> None:
    given = [TypedParam("weight", 2, 5), TypedParam("path", 7, "/a"), TypedParam("on", 6, 1)]
    assert values(given, KNOWN) == {"weight": 5, "path": "/a", "on": True}


@pytest.mark.parametrize(
    ("given", "code"),
    [([TypedParam("bogus", 2, 5)], 74), ([TypedParam("weight", 4, 5)], 8), ([TypedParam("weight", 2, 5)] * 2, 8)],
)  # fmt: skip
def test_what_is_wrong_with_them_is_told_by_kind(given: list[TypedParam], code: int) -> None:
    with pytest.raises(DomicileError) as caught:
        values(given, KNOWN)
    assert caught.value.wire_code == code


def test_without_room_their_number_is_told() -> None:
    found = {"weight": 5, "path": "", "on": False}
    assert answer(found, KNOWN, 0) == ([], 3)
    params, count = answer(found, KNOWN, 2)
    assert [param.field for param in params] == ["weight", "path"] and count == 2
