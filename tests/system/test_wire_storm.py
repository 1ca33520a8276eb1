"""A real daemon under thousands of connections, and every procedure it has called with nonsense."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from domicile.api.libvirt import doors
from domicile.base.errors import DomicileError
from domicile.rpc import frame as f
from domicile.rpc.calls import PROGRAMS, connect, domain
from domicile.rpc.client import Client
from domicile.rpc.frame import FrameReader, frame
from domicile.rpc.layout import Array, Chars, Custom, Fixed, Layout, Number, Opaque, Optional, Struct, Text
from domicile.rpc.types import Domain, TypedParam

IDLE = 3000
REMOTE = 0x20008086
OPEN = frame(REMOTE, 1, 1, f.CALL, 1, f.OK, connect.connect_open.pack_args(None, 0))
XML = "<domain type='qemu'><name>{}</name><memory>65536</memory><os><type>hvm</type></os>{}</domain>"
#: What these do is meant for hosts and files, and they do it well: nothing to be called with nonsense.
WORDS = (
    "",
    "a",
    "one",
    "two",
    "vda",
    "net0",
    "serial0",
    "x y",
    "\u623f",
    "<a/>",
    "<domain",
    "9" * 50,
    "memory",
    "%s%n",
)
KEPT_AWAY = ("node_suspend_for_duration",)


def resident(pid: int) -> int:
    """Give a process's resident memory in KiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2 * IDLE:
        pytest.skip(f"the host allows {before[1]} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * IDLE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_thousands_of_idle_connections_are_in_nobodys_way(daemon: Any, many_descriptors: None) -> None:
    daemon.define(XML.format("one", ""))
    before = resident(daemon.pid)
    with contextlib.ExitStack() as stack:
        for number in range(IDLE):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.settimeout(30)
            sock.connect(str(daemon.socket))
            if number % 2:
                sock.sendall(OPEN)
                assert FrameReader().feed(sock.recv(1000))[0].status == f.OK
            elif number % 4:
                sock.sendall(OPEN[: number % 36])
        assert daemon.virsh("list", "--all", "--name").stdout.strip() == "one"
        with Client.connect(daemon.socket) as client:
            for _ in range(200):
                assert client.call(domain.domain_lookup_by_name, "one").name == "one"
        assert (resident(daemon.pid) - before) / IDLE < 20, "KiB for a connection"
    assert daemon.virsh("list", "--all", "--name").stdout.strip() == "one"


class Nonsense:
    """Values of the right type and little sense."""

    def __init__(self, random: Random, refs: list[Domain]) -> None:
        self.random, self.refs = random, refs

    def value(self, layout: Layout) -> Any:
        random = self.random
        match layout:
            case Number(code):
                if code == "d":
                    return random.choice((0.0, -1.5, 1e300, float("nan")))
                low, high = {
                    "I": (0, 2**32 - 1),
                    "i": (-(2**31), 2**31 - 1),
                    "Q": (0, 2**64 - 1),
                    "q": (-(2**63), 2**63 - 1),
                }[code]
                return random.choice([v for v in (0, 0, 0, 1, 2, 3, 4, 7, 64, 4096, -1, low, high) if low <= v <= high])
            case Fixed(count):
                return random.choice((bytes(count), random.randbytes(count)))
            case Chars(count):
                return random.randbytes(random.randrange(min(count, 20)))
            case Text():
                return random.choice(WORDS)
            case Opaque():
                return random.choice((b"", b"\xff", random.randbytes(random.randrange(40))))
            case Optional(inner):
                return random.choice((None, self.value(inner)))
            case Array(inner):
                return [self.value(inner) for _ in range(random.choice((0, 0, 1, 2, 5)))]
            case Struct(kind, fields):
                if kind is Domain:
                    return random.choice(self.refs)
                return kind(*(self.value(part) for _, part in fields))
            case Custom(kind):
                assert kind is TypedParam, kind
                name = random.choice(("", "cpu_shares", "bandwidth", "vcpu_quota", "nonsense", "total_bytes_sec"))
                return random.choice(
                    (
                        TypedParam.llong(name, -1),
                        TypedParam.ullong(name, 2**64 - 1),
                        TypedParam.string(name, "x"),
                        TypedParam.boolean(name, True),
                    )
                )


def test_no_procedure_falls_over_nonsense(daemon: Any) -> None:
    """Errors are answers; what must not be is an error of ours that a handler did not mean."""
    daemon.define(XML.format("one", ""))
    daemon.define(XML.format("two", "<devices><serial type='pty'/><graphics type='vnc'/></devices>"))
    daemon.virsh("start", "--paused", "two")
    random = Random(7)
    handled = doors.registry().entries
    tried: list[str] = []
    with Client.connect(daemon.socket) as names:
        one, two = (names.call(domain.domain_lookup_by_name, name) for name in ("one", "two"))
    nonsense = Nonsense(random, [one, two, Domain("none", random.randbytes(16), -1), Domain("", bytes(16), 99)])
    for (program, number), entry in sorted(handled.items()):
        stub = PROGRAMS[program].stubs[number]
        if stub.name in KEPT_AWAY or (program, number) in ((REMOTE, 1), (REMOTE, 2)):
            continue
        with Client.connect(daemon.socket) as client:
            for _ in range(15):
                values = [nonsense.value(layout) for layout in stub.layouts()[0]]
                try:
                    if entry.stub.stream:
                        _, stream = client.open_stream(stub, *values)
                        stream.abort()
                    elif not stub.files:
                        client.call_within(30, stub, *values)
                except DomicileError as fault:
                    tried.append(f"{stub.name}{tuple(values)}: {fault.message[:200]}")
    assert "handler failed" not in daemon.log.read_text(), tried[-20:]
    assert daemon.process is not None and daemon.process.poll() is None
    assert daemon.virsh("list", "--all").returncode == 0
