from __future__ import annotations

import pytest

from domicile.schema import scalar
from domicile.schema.scalar import Scalar

GOOD: list[tuple[Scalar, str, object, str]] = [
    (scalar.STR, "", "", ""),
    (scalar.FILLED, "a", "a", "a"),
    (scalar.NAME, "二 号", "二 号", "二 号"),
    (scalar.PATH, "/a b", "/a b", "/a b"),
    (scalar.INT, "-12", -12, "-12"),
    (scalar.INT, " +7", 7, "7"),
    (scalar.UINT, "007", 7, "7"),
    (scalar.UINT, "4294967295", 2**32 - 1, "4294967295"),
    (scalar.ULONG, str(2**64 - 1), 2**64 - 1, str(2**64 - 1)),
    (scalar.YES_NO, "yes", True, "yes"),
    (scalar.ON_OFF, "off", False, "off"),
    (scalar.UUID, "C47E19D5B25C45818A95FCB1CB02FD04", "c47e19d5-b25c-4581-8a95-fcb1cb02fd04", "c47e19d5-b25c-4581-8a95-fcb1cb02fd04"),
    (scalar.MAC, "52:54:0:8C:ed:f9", "52:54:00:8c:ed:f9", "52:54:00:8c:ed:f9"),
    (scalar.hexadecimal(2, 0xFF), "0x1F", 31, "0x1f"),
    (scalar.hexadecimal(4, 0xFFFF), "017", 15, "0x000f"),
    (scalar.hexadecimal(1, 0xFF), "10", 10, "0xa"),
    (scalar.enum("a", "b"), "b", "b", "b"),
    (scalar.NUMBERS, "0-3,^2,8", "0-1,3,8", "0-1,3,8"),
    (scalar.NUMBERS, " 3 , 2,1", "1-3", "1-3"),
]  # fmt: skip
BAD: list[tuple[Scalar, str]] = [
    (scalar.FILLED, ""),
    (scalar.NAME, ""), (scalar.NAME, " "), (scalar.NAME, "a/b"), (scalar.NAME, ".."), (scalar.NAME, "."), (scalar.NAME, "a\nb"),
    (scalar.PATH, "a"), (scalar.PATH, ""),
    (scalar.INT, ""), (scalar.INT, "1.5"), (scalar.INT, "1_000"), (scalar.INT, "٣"), (scalar.INT, "--1"), (scalar.INT, "2147483648"),
    (scalar.INT, "9" * 5000), (scalar.INT, "1e3"), (scalar.INT, "0x1"),
    (scalar.UINT, "-1"), (scalar.UINT, "4294967296"), (scalar.PUINT, "0"), (scalar.ULONG, str(2**64)),
    (scalar.YES_NO, "on"), (scalar.YES_NO, "Yes"), (scalar.ON_OFF, "true"),
    (scalar.UUID, "1234"), (scalar.UUID, "g" * 32),
    (scalar.MAC, "52:54:00:00:00"), (scalar.MAC, "52-54-00-00-00-01"), (scalar.MAC, "52:54:00:00:00:001"),
    (scalar.hexadecimal(2, 0xFF), "0x100"), (scalar.hexadecimal(2, 0xFF), "-1"), (scalar.hexadecimal(2, 0xFF), "1_0"),
    (scalar.hexadecimal(2, 0xFF), "z"), (scalar.hexadecimal(2, 0xFF), ""), (scalar.hexadecimal(2, 0xFF), "09"),
    (scalar.enum("a"), "A"), (scalar.enum("a"), ""),
    (scalar.NUMBERS, ""), (scalar.NUMBERS, "a"), (scalar.NUMBERS, "3-1"), (scalar.NUMBERS, "1-"), (scalar.NUMBERS, "0-99999"),
    (scalar.NUMBERS, "-1"), (scalar.NUMBERS, "1,,2"), (scalar.NUMBERS, "0-4294967295"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "value", "shown"), GOOD, ids=lambda v: v.name if isinstance(v, Scalar) else None
)
def test_what_is_accepted(kind: Scalar, text: str, value: object, shown: str) -> None:
    assert kind.parse(text) == value
    assert kind.show(value) == shown
    assert kind.parse(shown) == value


@pytest.mark.parametrize(("kind", "text"), BAD, ids=lambda v: v.name if isinstance(v, Scalar) else repr(v)[:24])
def test_what_is_not(kind: Scalar, text: str) -> None:
    with pytest.raises(ValueError):
        kind.parse(text)
    assert kind.accepted


def test_sets_of_numbers() -> None:
    assert scalar.numbers("0-1,3") == [0, 1, 3]
    assert scalar.numbers("") == []
    assert scalar.spans([3, 1, 0, 0]) == "0-1,3"
