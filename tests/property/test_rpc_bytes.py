"""Whatever the bytes: messages or a ProtocolError, nothing else."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domicile.rpc.call import Stub
from domicile.rpc.calls import PROGRAMS
from domicile.rpc.connection import ClientConnection, ServerConnection
from domicile.rpc.frame import frame
from domicile.rpc.xdr import ProtocolError

ALL = [stub for program in PROGRAMS.values() for stub in program.stubs.values()]
small = st.integers(0, 8)
headers = st.builds(
    frame, st.sampled_from([*PROGRAMS, 1]), small, st.integers(0, 460), small, small, small, st.binary(max_size=64)
)
junk = st.lists(st.one_of(st.binary(max_size=80), headers), max_size=6).map(b"".join)


@given(junk, st.lists(st.integers(0, 200), max_size=5))
@pytest.mark.parametrize("side", [ServerConnection, ClientConnection])
def test_connections(side: type[ServerConnection | ClientConnection], data: bytes, cuts: list[int]) -> None:
    connection = side()
    edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    try:
        for start, end in itertools.pairwise(edges):
            for one in connection.receive(data[start:end]):
                assert isinstance(one.payload, bytes)
    except ProtocolError:
        pass


@settings(max_examples=600)
@given(st.sampled_from(ALL), st.binary(max_size=200))
def test_payloads(stub: Stub[..., Any], payload: bytes) -> None:
    for unpack in (stub.unpack_args, stub.unpack_result):
        with contextlib.suppress(ProtocolError):
            unpack(payload)


words = st.lists(
    st.sampled_from([b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\3", b"\xff\xff\xff\xff", b"ab\0\0", b"\0\4\0\0"]), max_size=40
)


@settings(max_examples=600)
@given(st.sampled_from(ALL), words.map(b"".join))
def test_what_unpacks_survives_being_packed(stub: Stub[..., Any], payload: bytes) -> None:
    try:
        values = stub.unpack_args(payload)
    except ProtocolError:
        return
    assert stub.unpack_args(stub.pack_args(*values)) == values
