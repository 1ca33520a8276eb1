"""Hostile clients of the server: whatever bytes come, it lives, forgets them, and serves everybody else.

The server is a real one on a real socket, in this process, so that what is left behind can be counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domicile.api.libvirt.server import Limits, Server
from domicile.rpc import frame as f
from domicile.rpc.calls import PROGRAMS, connect
from domicile.rpc.client import Client
from domicile.rpc.connection import PING
from domicile.rpc.frame import frame

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
from fake_domains import Domains, serve

REMOTE = 0x20008086
OPEN = frame(REMOTE, 1, 1, f.CALL, 1, f.OK, connect.connect_open.pack_args(None, 0))
HOSTNAME = frame(REMOTE, 1, 59, f.CALL, 2, f.OK)
LIMITS = Limits(clients=200, unopened=100, open_seconds=5, message_seconds=5, write_high=65_536, write_max=4_000_000)
ROUNDS = 800


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server[Domains], Path]]:
    path = tmp_path_factory.mktemp("wire") / "sock"
    ready, stop = threading.Event(), asyncio.Event()
    made: list[Any] = []

    async def work() -> None:
        made.extend((await serve(path, 50, limits=LIMITS), asyncio.get_running_loop()))
        ready.set()
        await stop.wait()
        await made[0].close(grace=2)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    assert ready.wait(10)
    yield made[0], path
    made[1].call_soon_threadsafe(stop.set)
    thread.join(20)
    assert not thread.is_alive()


def raw(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(os.fspath(path))
    return sock


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208   the server is in this process


def good_bytes(random: Random) -> bytes:
    """Make a message that could be one."""
    program = random.choice(list(PROGRAMS.values()))
    kind = random.choice((f.CALL, f.CALL, f.CALL, f.STREAM, f.STREAM_HOLE, f.CALL_WITH_FDS))
    number = random.choice(list(program.stubs) or [1])
    payload = random.choice((b"", b"\0" * 4, random.randbytes(random.randrange(80)), b"\0\0\0\1" * random.randrange(9)))
    return frame(program.number, 1, number, kind, random.randrange(6), random.randrange(4), payload)


def bad_bytes(random: Random) -> bytes:
    """Spoil a message, or make bytes that never were one."""
    data = bytearray(good_bytes(random))
    match random.randrange(6):
        case 0:
            return random.randbytes(random.randrange(1, 200))
        case 1:
            length = random.choice((0, 1, 27, 28, 29, f.MESSAGE_MAX_UNOPENED + 1, f.MESSAGE_MAX + 1, 2**31, 2**32 - 1))
            data[:4] = length.to_bytes(4, "big")
        case 2:
            place = random.randrange(len(data))
            data[place] ^= 1 << random.randrange(8)
        case 3:
            del data[random.randrange(len(data)) :]
        case 4:
            data[12:16] = random.choice((1, 2, 5, 7, 255, 2**32 - 1)).to_bytes(4, "big")
        case _:
            data += random.randbytes(random.randrange(8))
    return bytes(data)


def attack(path: Path, random: Random) -> None:
    """Be one bad client."""
    with raw(path) as sock, contextlib.suppress(OSError):
        sock.sendall(OPEN if random.randrange(4) else b"")
        for _ in range(random.randrange(1, 12)):
            data = bad_bytes(random) if random.randrange(3) == 0 else good_bytes(random)
            if random.randrange(5) == 0:
                socket.send_fds(sock, [data or b"\0"], [0] * random.randrange(1, 5))
            else:
                for start in range(0, len(data), random.choice((1, 7, 4096))):
                    sock.sendall(data[start : start + 4096])
                    if start > 400:
                        break
        if random.randrange(3) == 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif random.randrange(2):
            sock.settimeout(0.01)
            sock.recv(65536)


@pytest.mark.parametrize("seed", range(4))
def test_bad_clients_disturb_nobody_and_leave_nothing(server: tuple[Server[Domains], Path], seed: int) -> None:
    made, path = server
    random = Random(seed)
    with Client.connect(path) as good:
        eventually(lambda: len(made.sessions) == 1)
        before = descriptors()
        for number in range(ROUNDS):
            attack(path, random)
            if number % 10 == 0:
                assert good.call_within(5, connect.connect_get_hostname) == "host.example"
        eventually(lambda: len(made.sessions) == 1)
        eventually(lambda: descriptors() <= before)
    assert not made.events._next


def test_what_is_left_half_sent_is_forgotten_in_time(server: tuple[Server[Domains], Path]) -> None:
    made, path = server
    with Client.connect(path) as good, contextlib.ExitStack() as stack:
        for size in range(1, 90):
            sock = stack.enter_context(raw(path))
            sock.sendall((OPEN + HOSTNAME)[:size])
        eventually(lambda: len(made.sessions) > 60)
        assert good.call_within(5, connect.connect_get_hostname) == "host.example"
        eventually(lambda: len(made.sessions) <= 36)  # those that opened may stay, with nothing half sent
        assert good.call_within(5, connect.connect_get_hostname) == "host.example"


def test_memory_is_bounded_whatever_one_client_sends(server: tuple[Server[Domains], Path]) -> None:
    made, path = server
    list_all = frame(REMOTE, 1, 273, f.CALL, 3, f.OK, b"\0\0\0\1\0\0\0\3")
    event = frame(REMOTE, 1, 316, f.CALL, 3, f.OK, b"\0\0\0\0\0\0\0\0")
    for flood in (list_all, HOSTNAME, PING, event, frame(REMOTE, 1, 9999, f.CALL, 4, f.OK)):
        gc.collect()
        before = resident()
        with raw(path) as sock:
            sock.sendall(OPEN)
            sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                for _ in range(400):
                    sock.sendall(flood * 500)
            backlog = [session._transport.get_write_buffer_size() for session in made.sessions]
            assert max(backlog, default=0) < 2_000_000
            assert resident() - before < 40_000, flood
        eventually(lambda: not made.sessions)


def resident() -> int:
    """Give the resident memory of this process in KiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
