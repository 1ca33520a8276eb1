"""Dialogues with connections that have no sockets."""

from __future__ import annotations

import pytest

from domicile.rpc import frame as f
from domicile.rpc.calls import connect, domain, domain_event
from domicile.rpc.connection import (
    PING,
    ClientConnection,
    RemoteFailure,
    ServerConnection,
    error_frame,
    event_frame,
    reply_frame,
    result_of,
    stream_frame,
)
from domicile.rpc.frame import HEADER, FrameReader, frame
from domicile.rpc.types import Domain, RemoteError
from domicile.rpc.xdr import ProtocolError

DOM = Domain("vm", bytes(16), -1)


def test_a_call_and_its_reply() -> None:
    client, server = ClientConnection(), ServerConnection()
    call, data = client.call(domain.domain_lookup_by_name, "vm")
    (asked,) = server.receive(data)
    assert asked == call
    assert domain.domain_lookup_by_name.unpack_args(asked.payload) == ("vm",)
    (reply,) = client.receive(reply_frame(asked, domain.domain_lookup_by_name.pack_result(DOM)))
    assert result_of(domain.domain_lookup_by_name, reply) == DOM


def test_an_error_reply_raises_what_came() -> None:
    client = ClientConnection()
    call, _ = client.call(connect.connect_get_uri)
    (reply,) = client.receive(error_frame(call, RemoteError(42, 10, "no such thing")))
    with pytest.raises(RemoteFailure, match="no such thing") as caught:
        result_of(connect.connect_get_uri, reply)
    assert caught.value.error.code == 42


def test_replies_come_in_any_order_and_once() -> None:
    client = ClientConnection()
    first, _ = client.call(connect.connect_get_uri)
    second, _ = client.call(connect.connect_get_type)
    replies = client.receive(reply_frame(second, b"") + reply_frame(first, b""))
    assert [reply.serial for reply in replies] == [2, 1]
    with pytest.raises(ProtocolError):
        client.receive(reply_frame(first, b""))


def test_a_forgotten_call_gets_no_reply() -> None:
    client = ClientConnection()
    call, _ = client.call(connect.connect_get_uri)
    client.forget(call)
    with pytest.raises(ProtocolError):
        client.receive(reply_frame(call, b""))


def test_events_streams_and_keepalive_reach_the_client() -> None:
    client = ClientConnection()
    call, _ = client.call(connect.connect_get_uri)
    event = domain_event.domain_event_callback_lifecycle
    data = event_frame(event, event.pack_args(0, DOM, 2, 0)) + stream_frame(call, f.CONTINUE, b"abc") + PING
    told, packet, ping = client.receive(data)
    assert (told.type, told.serial, event.unpack_args(told.payload)) == (f.EVENT, 0, (0, DOM, 2, 0))
    assert (packet.type, packet.status, packet.serial, packet.payload) == (f.STREAM, f.CONTINUE, call.serial, b"abc")
    assert ping.program == 0x6B656570


def test_bytes_arrive_one_by_one() -> None:
    data = frame(1, 1, 1, f.CALL, 1, f.OK, b"abcd") + frame(1, 1, 2, f.CALL, 2, f.OK)
    reader = FrameReader()
    frames = [one for byte in data for one in reader.feed(bytes([byte]))]
    assert [(one.procedure, one.payload) for one in frames] == [(1, b"abcd"), (2, b"")]


@pytest.mark.parametrize("length", [0, 27, f.MESSAGE_MAX + 1, 0xFFFFFFFF])
def test_lengths_that_cannot_be(length: int) -> None:
    with pytest.raises(ProtocolError):
        FrameReader().feed(length.to_bytes(4, "big"))
    reader = FrameReader()
    assert reader.feed(length.to_bytes(4, "big")[:2]) == []
    with pytest.raises(ProtocolError):
        reader.feed(length.to_bytes(4, "big")[2:])


def test_unopened_clients_send_small_messages() -> None:
    server = ServerConnection()
    with pytest.raises(ProtocolError):
        server.receive((f.MESSAGE_MAX_UNOPENED + 1).to_bytes(4, "big"))
    server = ServerConnection()
    server.limit = f.MESSAGE_MAX
    assert server.receive((f.MESSAGE_MAX_UNOPENED + 1).to_bytes(4, "big")) == []


@pytest.mark.parametrize("kind", [f.REPLY, f.EVENT, f.REPLY_WITH_FDS, 7, 99])
def test_what_clients_never_send(kind: int) -> None:
    with pytest.raises(ProtocolError):
        ServerConnection().receive(HEADER.pack(28, 0x20008086, 1, 1, kind, 0, 0))


@pytest.mark.parametrize("kind", [f.CALL, f.CALL_WITH_FDS, f.REPLY])
def test_what_servers_never_send(kind: int) -> None:
    with pytest.raises(ProtocolError):
        ClientConnection().receive(frame(0x20008086, 1, 1, kind, 9, 0))


def files(count: int, payload: bytes = b"abcd", serial: int = 5) -> bytes:
    body = count.to_bytes(4, "big") + payload
    return HEADER.pack(28 + len(body), 0x20008086, 1, 249, f.CALL_WITH_FDS, serial, 0) + body


def test_descriptors_come_with_the_message_that_announces_them() -> None:
    reader = FrameReader()
    assert reader.feed(files(2)[:40]) == []
    reader.descriptors.append(7)
    assert reader.feed(b"\0") == []
    reader.descriptors.append(8)
    (one,) = reader.feed(b"\0")
    assert (one.payload, one.fds) == (b"abcd", (7, 8))
    assert not reader.rest
    reader.descriptors.append(9)
    got = reader.feed(files(0) + files(1, b"") + b"\0" + files(0, serial=6))
    assert [(one.serial, one.fds) for one in got] == [(5, ()), (5, (9,)), (6, ())]


@pytest.mark.parametrize(
    ("data", "came"),
    [
        (files(1) + b"\0", []),
        (files(33) + bytes(33), []),
        (files(0), [3]),
        (files(1) + b"\0", [3, 4]),
        (b"\0", list(range(33))),
        (HEADER.pack(28, 1, 1, 1, f.CALL_WITH_FDS, 1, 0), []),
        (files(1) + b"\0" + files(1) + b"\0", [3]),
    ],
)
def test_descriptors_that_do_not_fit_end_the_connection_and_are_all_closed(data: bytes, came: list[int]) -> None:
    reader = FrameReader()
    reader.descriptors.extend(came)
    with pytest.raises(ProtocolError):
        reader.feed(data)
    assert sorted(reader.descriptors) == came


def test_what_clients_never_send_gives_descriptors_back() -> None:
    server = ServerConnection()
    server.descriptors([3])
    with pytest.raises(ProtocolError):
        server.receive(files(1) + b"\0" + frame(0x20008086, 1, 1, f.REPLY, 1, 0))
    assert server.unclaimed() == [3]
