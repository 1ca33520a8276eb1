"""The codec against bytes written out by hand from RFC 4506."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from domicile.rpc.layout import Chars, Limit, Uuid, f64, i32, i64, layout, u32, u64
from domicile.rpc.types import Domain, RemoteError, TypedParam
from domicile.rpc.xdr import ProtocolError, packer, unpacker


@dataclass(slots=True)
class Pair:
    left: u32
    right: str | None


UUID = bytes(range(16))
CASES: list[tuple[Any, Any, str]] = [
    (u32, 7, "00000007"),
    (i32, -1, "ffffffff"),
    (u64, 1 << 40, "0000010000000000"),
    (i64, -2, "fffffffffffffffe"),
    (f64, 0.5, "3fe0000000000000"),
    (str, "", "00000000"),
    (str, "abc", "0000000361626300"),
    (str, "é", "00000002c3a90000"),
    (str | None, None, "00000000"),
    (str | None, "abcd", "000000010000000461626364"),
    (bytes, b"\0\1", "0000000200010000"),
    (Uuid, UUID, UUID.hex()),
    (Annotated[list[i32], Limit(4)], [1, -1], "0000000200000001ffffffff"),
    (Annotated[list[u64], Limit(4)], [], "00000000"),
    (Annotated[list[str], Limit(4)], ["a", "bcde"], "0000000200000001610000000000000462636465"),
    (Annotated[bytes, Chars(8)], b"ab", "000000020000006100000062"),
    (Annotated[bytes, Chars(2, fixed=True)], b"ab", "0000006100000062"),
    (Pair, Pair(1, None), "0000000100000000"),
    (Pair | None, Pair(1, "x"), "0000000100000001000000010000000178000000"),
    (Annotated[list[Pair], Limit(9)], [Pair(1, None), Pair(2, None)], "0000000200000001000000000000000200000000"),
    (Domain, Domain("a", UUID, -1), "0000000161000000" + UUID.hex() + "ffffffff"),
    (TypedParam, TypedParam.integer("f", -1), "000000016600000000000001ffffffff"),
    (TypedParam, TypedParam.ullong("f", 2), "0000000166000000000000040000000000000002"),
    (TypedParam, TypedParam.double("f", 0.5), "0000000166000000000000053fe0000000000000"),
    (TypedParam, TypedParam.boolean("f", True), "00000001660000000000000600000001"),
    (TypedParam, TypedParam.string("f", "hi"), "000000016600000000000007000000026869" + "0000"),
]


@pytest.mark.parametrize(("annotation", "value", "wire"), CASES, ids=lambda case: str(case)[:40])
def test_value_and_bytes(annotation: Any, value: Any, wire: str) -> None:
    layouts = [layout(annotation)]
    assert packer("case", layouts)(value).hex() == wire
    assert packer("case", layouts, single=True)(value).hex() == wire
    assert unpacker("case", layouts)(bytes.fromhex(wire)) == (value,)
    assert unpacker("case", layouts, single=True)(bytes.fromhex(wire)) == value


def test_several_values_are_a_tuple_and_none_is_nothing() -> None:
    layouts = [layout(str), layout(u32), layout(i64)]
    wire = packer("many", layouts)("a", 1, 2)
    assert unpacker("many", layouts, single=True)(wire) == ("a", 1, 2)
    assert packer("many", layouts, single=True)(("a", 1, 2)) == wire
    assert packer("none", [], single=True)(None) == b""
    assert unpacker("none", [], single=True)(b"") is None
    assert unpacker("none", [])(b"") == ()


def test_error_survives_the_way() -> None:
    error = RemoteError(42, 10, "gone", dom=Domain("a", UUID, 3), str1="x")
    layouts = [layout(RemoteError)]
    assert unpacker("e", layouts, single=True)(packer("e", layouts)(error)) == error


@pytest.mark.parametrize(
    ("annotation", "wire"),
    [
        (u32, ""),
        (u32, "000000"),
        (u32, "0000000000000000"),
        (str, "00000004616263"),
        (str, "ffffffff61626364"),
        (str, "0000000461ff0062"),
        (str, "0000000400616263"),
        (str | None, "0000000200000000"),
        (Annotated[list[u32], Limit(2)], "00000003000000010000000100000001"),
        (Annotated[list[u32], Limit(9)], "0000000300000001"),
        (Annotated[list[str], Limit(1 << 30)], "3fffffff"),
        (Annotated[bytes, Chars(4)], "7fffffff00000001"),
        (TypedParam, "000000016600000000000009ffffffff"),
        (TypedParam, "0000000166"),
        (TypedParam, "0000000166000000"),
    ],
)
def test_malformed_bytes_are_a_protocol_error(annotation: Any, wire: str) -> None:
    with pytest.raises(ProtocolError):
        unpacker("bad", [layout(annotation)])(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (u32, -1),
        (u32, 1 << 32),
        (u32, "1"),
        (str, None),
        (str, 5),
        (str, "\ud800"),
        (Annotated[str, Limit(3)], "four"),
        (Annotated[list[u32], Limit(1)], [1, 2]),
        (Annotated[bytes, Chars(2)], b"abc"),
        (Domain, "a"),
        (TypedParam, TypedParam("f", 99, 1)),
    ],
)
def test_values_that_do_not_fit_are_a_protocol_error(annotation: Any, value: Any) -> None:
    with pytest.raises(ProtocolError):
        packer("bad", [layout(annotation)])(value)


@pytest.mark.parametrize("annotation", [int, list[int], dict, Annotated[list[u32], "no limit"]])
def test_annotations_without_a_layout_are_refused(annotation: Any) -> None:
    with pytest.raises(TypeError):
        layout(annotation)


def test_numbers_in_a_row_are_one_operation() -> None:
    assert packer("row", [layout(u32), layout(u64), layout(i32)])(1, 2, 3) == struct.pack(">IQi", 1, 2, 3)
