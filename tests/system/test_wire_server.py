"""The server over real unix sockets, with the blocking client and with raw bytes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domicile.api.libvirt.registry import Registry
from domicile.api.libvirt.server import Limits, Server
from domicile.base import errors as e
from domicile.rpc import frame as f
from domicile.rpc.calls import connect, domain, domain_device, domain_event, network
from domicile.rpc.client import Client
from domicile.rpc.connection import PING, PONG
from domicile.rpc.frame import Frame, FrameReader, frame
from domicile.rpc.types import Domain

sys.path.insert(0, str(Path(__file__).parent))
from fake_domains import Domains, serve

LIMITS = Limits(clients=8, unopened=4, requests=2, open_seconds=0.5, write_high=65_536, write_max=1_000_000)


@contextlib.contextmanager
def running(path: Path, limits: Limits | None = None, count: int = 3) -> Iterator[Server[Domains]]:
    """Run the server on a thread of its own."""
    ready, stop = threading.Event(), asyncio.Event()
    made: list[Server[Domains]] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        made.append(await serve(path, count, limits=limits))
        loops.append(asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        await made[0].close(grace=2)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert ready.wait(5)
    try:
        yield made[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sock"


def raw(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(os.fspath(path))
    return sock


def answers(sock: socket.socket, count: int) -> list[Frame]:
    reader, frames = FrameReader(), list[Frame]()
    while len(frames) < count:
        data = sock.recv(1 << 20)
        assert data, "the server closed the connection"
        frames += reader.feed(data)
    return frames


def opened(path: Path) -> socket.socket:
    sock = raw(path)
    sock.sendall(frame(0x20008086, 1, 1, f.CALL, 1, f.OK, connect.connect_open.pack_args(None, 0)))
    assert answers(sock, 1)[0].status == f.OK
    return sock


def fake(name: str) -> Domain:
    return Domains(3).by_name[name]


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_calls_and_errors(path: Path) -> None:
    with running(path), Client.connect(path) as client:
        assert client.call(connect.connect_get_lib_version) == 9000000
        dom = client.call(domain.domain_lookup_by_name, "vm1")
        assert dom.name == "vm1"
        assert client.call(domain.domain_create_with_flags, dom, 0).id == 1
        with pytest.raises(e.WrongState, match=r"^Requested operation is not valid: domain is already running$"):
            client.call(domain.domain_create_with_flags, dom, 0)
        with pytest.raises(e.NotFound, match=r"^Domain not found: no domain with matching name 'x'$"):
            client.call(domain.domain_lookup_by_name, "x")
        with pytest.raises(e.Unsupported, match="virNetworkGetXMLDesc") as caught:
            client.call(
                network.network_get_xml_desc,
                network.network_lookup_by_name.unpack_result(b"\0\0\0\1x\0\0\0" + bytes(16)),
                0,
            )
        assert caught.value.wire_code == e.NO_SUPPORT


def test_who_asks_is_known(path: Path) -> None:
    with running(path), Client.connect(path) as client:
        text = client.call(connect.connect_get_capabilities)
        assert "by='" in text
        assert Path("/proc/self/comm").read_text().strip() in text


def test_events_reach_those_who_asked(path: Path) -> None:
    with running(path), Client.connect(path) as one, Client.connect(path) as other, Client.connect(path) as old:
        vm0, vm1 = (one.call(domain.domain_lookup_by_name, name) for name in ("vm0", "vm1"))
        number = one.call(connect.connect_domain_event_callback_register_any, 0, None)
        only = other.call(connect.connect_domain_event_callback_register_any, 0, vm1)
        old.call(connect.connect_domain_event_register)
        for dom in (vm0, vm1):
            old.call(domain.domain_create_with_flags, dom, 0)
        seen = [one.next_event(5), one.next_event(5)]
        assert [event and (event.args[0], event.args[1].name, event.args[2:]) for event in seen] == [
            (number, "vm0", (2, 0)),
            (number, "vm1", (2, 0)),
        ]
        told = other.next_event(5)
        assert told is not None
        assert (told.stub, told.args[0], told.args[1].name) == (
            domain_event.domain_event_callback_lifecycle,
            only,
            "vm1",
        )
        assert other.next_event(0.05) is None
        legacy = old.next_event(5)
        assert legacy is not None
        assert (legacy.stub, legacy.args[0].name) == (domain_event.domain_event_lifecycle, "vm0")
        one.call(connect.connect_domain_event_callback_deregister_any, number)
        with pytest.raises(e.InvalidRequest):
            one.call(connect.connect_domain_event_callback_deregister_any, number)
        with pytest.raises(e.InvalidRequest):
            one.call(connect.connect_domain_event_callback_register_any, 99, None)
        one.call(domain.domain_destroy, vm0)
        assert one.next_event(0.05) is None


def test_streams(path: Path) -> None:
    with running(path), Client.connect(path) as client:
        dom = client.call(domain.domain_lookup_by_name, "vm1")
        _, stream = client.open_stream(domain_device.domain_open_console, dom, None, 0)
        assert stream.recv(5) == b"hello from the console\r\n"
        stream.send(b"abc")
        assert client.call(connect.connect_get_type) == "QEMU"
        assert stream.recv(5) == b"ABC"
        stream.send(b"bye")
        assert [stream.recv(5), stream.recv(5)] == [b"BYE", b""]
        stream.finish(5)
        for end in ("abort", "finish"):
            _, stream = client.open_stream(domain_device.domain_open_console, dom, None, 0)
            getattr(stream, end)(5)
            assert stream.recv(1) == b""
        _, stream = client.open_stream(domain_device.domain_open_console, dom, None, 0)
        stream.recv(5)
        stream.send(b"fail")
        with pytest.raises(e.WrongState, match="the console broke"):
            stream.recv(5)


def test_a_hole_ends_a_stream_that_knows_none(path: Path) -> None:
    with running(path), opened(path) as sock:
        dom = domain.domain_lookup_by_name.pack_result(fake("vm1"))
        sock.sendall(frame(0x20008086, 1, 201, f.CALL, 2, f.OK, dom + bytes(8)))
        assert answers(sock, 1)[0].status == f.OK
        sock.sendall(frame(0x20008086, 1, 201, f.STREAM_HOLE, 2, f.CONTINUE, bytes(12)))
        last = answers(sock, 1)[-1]
        while last.status == f.CONTINUE:
            last = answers(sock, 1)[-1]
        assert (last.type, last.serial, last.status) == (f.STREAM, 2, f.ERROR)


def test_a_stream_keeps_the_readers_pace(path: Path) -> None:
    with running(path, LIMITS), Client.connect(path) as client:
        dom = client.call(domain.domain_lookup_by_name, "vm1")
        _, stream = client.open_stream(domain_device.domain_open_console, dom, None, 0)
        stream.recv(5)
        size, got = 8_000_000, 0
        sender = threading.Thread(target=stream.send, args=(b"x" * size,))
        sender.start()
        while got < size:
            got += len(stream.recv(5))
        sender.join(5)
        assert got == size
        stream.abort(5)


def test_read_only_sockets_change_nothing(path: Path) -> None:
    with running(path), Client.connect(f"{path}-ro") as client:
        dom = client.call(domain.domain_lookup_by_name, "vm1")
        assert client.call(domain.domain_get_state, dom, 0) == (5, 0)
        with pytest.raises(e.Denied, match=r"^operation forbidden: read only access prevents virDomainDestroy$"):
            client.call(domain.domain_destroy, dom)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(f"{path}-ro").stat().st_mode) == 0o666


def test_nothing_but_opening_before_opening(path: Path) -> None:
    with running(path), raw(path) as sock:
        sock.sendall(frame(0x20008086, 1, 157, f.CALL, 1, f.OK))
        sock.sendall(frame(0x20008086, 1, 66, f.CALL, 2, f.OK))
        assert [answer.status for answer in answers(sock, 2)] == [f.ERROR, f.OK]


def test_keepalive_is_answered_and_bad_calls_do_not_end_the_connection(path: Path) -> None:
    with running(path), opened(path) as sock:
        sock.sendall(
            PING
            + frame(0x20008086, 1, 23, f.CALL, 2, f.OK, b"\xff\xff\xff\xff")
            + frame(0x20008086, 1, 9999, f.CALL, 3, f.OK)
            + frame(0x20008086, 7, 157, f.CALL, 4, f.OK)
            + frame(0x12345678, 1, 1, f.CALL, 5, f.OK)
            + frame(0x20008086, 1, 157, f.CALL_WITH_FDS, 6, f.OK, b"\0\0\0\0")
            + frame(0x20008086, 1, 201, f.STREAM, 77, f.CONTINUE, b"lost")
            + frame(0x20008086, 1, 157, f.CALL, 8, f.OK)
        )
        got = answers(sock, 7)
        assert [(one.serial, one.status) for one in got[1:]] == [(2, 1), (3, 1), (4, 1), (5, 1), (6, 0), (8, 0)]
        assert (got[0].program, got[0].procedure) == (0x6B656570, 2)


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.0\r\n\r\n" * 4, b"\0\0\0\1", b"\xff" * 64, frame(0x20008086, 1, 1, f.REPLY, 1, f.OK)]
)
def test_junk_ends_the_connection_and_no_other(path: Path, junk: bytes) -> None:
    with running(path) as server, Client.connect(path) as client:
        with raw(path) as sock:
            sock.sendall(junk)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(100) == b""
        assert client.call(connect.connect_get_type) == "QEMU"
        eventually(lambda: len(server.sessions) == 1)


def test_long_calls_do_not_block_short_ones_and_are_limited(path: Path) -> None:
    with running(path, LIMITS), opened(path) as sock:
        slow = b"".join(frame(0x20008086, 1, 7, f.CALL, serial, f.OK) for serial in (2, 3, 4))
        sock.sendall(frame(0x20008086, 1, 7, f.CALL, 1, f.OK) + frame(0x20008086, 1, 157, f.CALL, 9, f.OK))
        assert [one.serial for one in answers(sock, 2)] == [9, 1]
        sock.sendall(slow + frame(0x20008086, 1, 157, f.CALL, 9, f.OK))
        assert [one.serial for one in answers(sock, 4)] == [2, 3, 9, 4]


def test_pings_and_streams_pass_by_calls_that_wait(path: Path) -> None:
    with running(path, LIMITS), opened(path) as sock:
        dom = domain.domain_lookup_by_name.pack_result(fake("vm1"))
        sock.sendall(frame(0x20008086, 1, 201, f.CALL, 1, f.OK, dom + bytes(8)))
        assert [one.type for one in answers(sock, 2)] == [f.REPLY, f.STREAM]
        slow = [frame(0x20008086, 1, 7, f.CALL, serial, f.OK) for serial in range(2, 12)]
        echo = frame(0x20008086, 1, 201, f.STREAM, 1, f.CONTINUE, b"abc")
        sock.sendall(b"".join(slow) + PING + echo)
        got = answers(sock, 12)
        assert {one.serial for one in got[:4] if one.type in (f.EVENT, f.STREAM)} == {0, 1}
        assert sorted(one.serial for one in got if one.type == f.REPLY) == list(range(2, 12))


def test_many_calls_at_once_are_all_answered(path: Path) -> None:
    with running(path), opened(path) as sock:
        count = 5000
        calls = b"".join(frame(0x20008086, 1, 157, f.CALL, serial, f.OK) for serial in range(count))
        sender = threading.Thread(target=sock.sendall, args=(calls,))
        sender.start()
        assert [one.serial for one in answers(sock, count)] == list(range(count))
        sender.join()


def test_a_client_that_does_not_read_is_not_served_further(path: Path) -> None:
    with running(path, LIMITS, count=2000) as server, opened(path) as sock, Client.connect(path) as other:
        call = frame(0x20008086, 1, 273, f.CALL, 1, f.OK, b"\0\0\0\1\0\0\0\3")
        sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            for _ in range(3000):
                sock.sendall(call * 20)
        assert other.call(connect.connect_get_type) == "QEMU"
        backlog = max(session._transport.get_write_buffer_size() for session in server.sessions)
        assert backlog < 400_000
        sock.settimeout(5)
        assert answers(sock, 50)


def test_descriptors_of_bad_clients_are_closed(path: Path) -> None:
    with running(path):
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208   the server's thread is in this process
        for junk in (b"\0\0", frame(0x20008086, 1, 157, f.CALL, 2, f.OK), b"\0\0\0\x20" + bytes(28)):
            with opened(path) as sock:
                socket.send_fds(sock, [junk], [0] * 40)
                assert junk == b"\0\0" or closed(sock)
        with opened(path) as sock:
            call = frame(0x20008086, 1, 157, f.CALL_WITH_FDS, 2, f.OK, b"\0\0\0\2")
            sock.sendall(call)
            socket.send_fds(sock, [b"\0"], [0])
            socket.send_fds(sock, [b"\0"], [0])
            assert answers(sock, 1)[0].status == f.OK
        eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208


def test_too_many_events_unread_drop_the_client(path: Path) -> None:
    with running(path, LIMITS) as server, opened(path) as sock, Client.connect(path) as other:
        for serial in range(400):
            sock.sendall(frame(0x20008086, 1, 316, f.CALL, serial, f.OK, b"\0\0\0\0\0\0\0\0"))
            answers(sock, 1)
        dom = other.call(domain.domain_lookup_by_name, "vm0")
        for _ in range(30):
            if len(server.sessions) == 1:
                break
            other.call(domain.domain_create_with_flags, dom, 0)
            other.call(domain.domain_destroy, dom)
        eventually(lambda: len(server.sessions) == 1)


def closed(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_clients_must_open_in_time_and_the_longest_wait_ends_first(path: Path) -> None:
    with running(path, LIMITS) as server, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(raw(path)) for _ in range(6)]
        assert closed(idle[0])
        assert closed(idle[1])
        with Client.connect(path) as client:
            assert client.call(connect.connect_get_type) == "QEMU"
        assert all(closed(one) for one in idle)
        eventually(lambda: not server.sessions)


def test_who_comes_when_all_places_are_taken_waits(path: Path) -> None:
    with running(path, LIMITS), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client.connect(path)) for _ in range(8)]
        with pytest.raises(e.DeadlineExceeded):
            Client.connect(path, 0.2)
        with opened_later(path) as late:
            clients[0].close()
            assert answers(late, 1)[0].status == f.OK


@contextlib.contextmanager
def opened_later(path: Path) -> Iterator[socket.socket]:
    with raw(path) as sock:
        sock.sendall(frame(0x20008086, 1, 1, f.CALL, 1, f.OK, connect.connect_open.pack_args(None, 0)))
        yield sock


def test_a_message_left_half_sent_ends_the_connection(path: Path) -> None:
    limits = Limits(message_seconds=0.4)
    with running(path, limits), opened(path) as half, opened(path) as whole, Client.connect(path) as client:
        half.sendall(b"\0\0\0")
        for _ in range(8):
            whole.sendall(frame(0x20008086, 1, 157, f.CALL, 2, f.OK))
            assert answers(whole, 1)[0].status == f.OK
            time.sleep(0.1)
        assert closed(half)
        assert client.call(connect.connect_get_type) == "QEMU"


def test_a_silent_client_is_asked_and_then_dropped(path: Path) -> None:
    limits = Limits(keepalive_interval=0.2, keepalive_count=2)
    with running(path, limits), opened(path) as dead, opened(path) as living, opened(path) as old:
        ask = frame(0x20008086, 1, 60, f.CALL, 2, f.OK, connect.connect_supports_feature.pack_args(10))
        for sock in (dead, living):
            sock.sendall(ask)
            assert answers(sock, 1)[0].payload == b"\0\0\0\1"
        for _ in range(6):
            ping = answers(living, 1)[0]
            assert (ping.program, ping.procedure, ping.type) == (0x6B656570, 1, f.EVENT)
            living.sendall(PONG)
        assert [one.procedure for one in answers(dead, 2)] == [1, 1]
        assert closed(dead)
        old.sendall(frame(0x20008086, 1, 157, f.CALL, 3, f.OK))
        assert answers(old, 1)[0].status == f.OK


def test_deadlines_and_broken_connections(path: Path) -> None:
    with running(path):
        client = Client.connect(path)
        with pytest.raises(e.DeadlineExceeded):
            client.call_within(0.001, connect.connect_get_capabilities)
        assert client.call(connect.connect_get_type) == "QEMU"
    with pytest.raises(e.OutcomeUnknown):
        client.call(connect.connect_get_type)
    client.close()
    with pytest.raises(e.HostFailure, match="no daemon answers"):
        Client.connect(path)


def test_sockets_are_not_taken_from_a_living_daemon(path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(os.fspath(path))
    stale.close()
    with running(path):
        with pytest.raises(e.Conflict):
            asyncio.run(serve(path, 1))
        with pytest.raises(e.InvalidRequest, match="107"):
            asyncio.run(serve(path.with_name("x" * 120), 1))
    assert not path.exists()


def test_handlers_fit_their_stubs() -> None:
    handlers: Registry[None] = Registry()
    with pytest.raises(TypeError, match="takes 1 arguments, domain_reboot gives 3"):
        handlers.handle(domain.domain_reboot)(lambda conn: None)  # type: ignore[misc,arg-type]
    with pytest.raises(TypeError, match=r"opens a stream|opens stream"):
        handlers.handle(domain_device.domain_open_console)(lambda conn, dom, device, flags: None)
    handlers.handle(domain.domain_reboot)(lambda conn, dom, flags: None)
    with pytest.raises(ValueError, match="two handlers"):
        handlers.handle(domain.domain_reboot)(lambda conn, dom, flags: None)
