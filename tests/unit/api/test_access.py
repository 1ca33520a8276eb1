"""What a read-only client may do, procedure by procedure: by its declared rights, and against what libvirt refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domicile.api.libvirt import doors
from domicile.api.libvirt.registry import Entry
from domicile.api.libvirt.server import Server
from domicile.base.errors import FROM_QEMU, NO_SUPPORT, OPERATION_DENIED
from domicile.rpc import frame as f
from domicile.rpc.calls import PROGRAMS, connect, domain, domain_guest, domain_tune
from domicile.rpc.connection import unpack_error
from domicile.rpc.frame import FrameReader, frame
from domicile.rpc.types import Domain

REMOTE = 0x20008086
STUBS = [stub for program in PROGRAMS.values() for stub in program.stubs.values() if not stub.is_event]
ENTRIES = sorted(doors.registry().entries.items())
# What the functions of libvirt's library refuse on a read-only connection although their names say "get" or "compare", or
# seem to change nothing. Source: libvirt's documentation of each, and its security notices LSN-2019-0003 to 0007.
REFUSED = [
    "connect_get_domain_capabilities",
    "connect_compare_hypervisor_cpu",
    "connect_baseline_hypervisor_cpu",
    "domain_save_image_get_xml_desc",
    "domain_get_time",
    "domain_get_hostname",
    "domain_get_fsinfo",
    "domain_get_guest_info",
    "domain_get_guest_vcpus",
    "domain_screenshot",
    "domain_open_console",
    "domain_open_channel",
    "domain_open_graphics",
    "domain_open_graphics_fd",
    "domain_send_key",
    "domain_block_peek",
    "domain_memory_peek",
    "domain_core_dump",
    "domain_inject_nmi",
    "domain_pm_wakeup",
    "connect_domain_xml_to_native",
    "connect_domain_xml_from_native",
    "connect_find_storage_pool_sources",
    "storage_vol_download",
    "domain_migrate_get_max_downtime?",
    "qemu_domain_monitor_command",
    "secret_get_value",
    "domain_authorized_ssh_keys_get",
    "node_device_reset",
    "domain_fsfreeze",
]


def test_each_condition_of_a_right_is_known() -> None:
    """A word that nobody resolves would fail when the stub is declared; those that matter are these."""
    conditional = {stub.name for stub in STUBS if stub.read_only and any("?" in rule for rule in stub.acl)}
    assert conditional >= {"domain_get_xml_desc", "domain_interface_addresses", "domain_get_vcpus_flags"}


def test_what_libvirt_refuses_is_refused() -> None:
    known = {stub.name: stub for stub in STUBS}
    for name in REFUSED:
        if not name.endswith("?"):
            assert not known[name].read_only, name


class Watched:
    """A context that no call of a read-only client may reach when it is refused."""


@pytest.fixture
def reached() -> list[str]:
    return []


@pytest.fixture
def answers(reached: list[str], tmp_path: Path) -> Iterator[Any]:
    """Give a function that makes calls on a read-only connection; handlers only note that they were reached."""

    async def talk(calls: bytes, count: int) -> list[f.Frame]:
        server = Server(doors.registry(), Watched())
        server.entries = {key: noting(entry, reached) for key, entry in ENTRIES}
        path = tmp_path / "sock"
        await server.listen(path, read_only=True)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(frame(REMOTE, 1, 1, f.CALL, 0, f.OK, connect.connect_open.pack_args(None, 0)) + calls)
        cut, frames = FrameReader(), list[f.Frame]()
        while len(frames) < count + 1:
            data = await asyncio.wait_for(reader.read(1 << 20), 20)
            assert data
            frames += cut.feed(data)
        writer.close()
        await server.close(grace=1)
        return frames[1:]

    yield lambda calls, count: asyncio.run(talk(calls, count))


def noting(entry: Entry, reached: list[str]) -> Entry:
    def handler(*_: Any) -> None:
        reached.append(entry.stub.name)

    noted = Entry(entry.stub, handler, files=entry.takes_files)
    noted.pack = lambda *_: b""  # type: ignore[method-assign,assignment]
    return noted


def test_every_writing_procedure_is_refused(answers: Any, reached: list[str]) -> None:
    writing = [entry.stub for _, entry in ENTRIES if not entry.stub.read_only]
    assert writing
    calls = b"".join(frame(s.program, s.version, s.number, f.CALL, i, f.OK) for i, s in enumerate(writing, 1))
    for stub, answer in zip(writing, answers(calls, len(writing)), strict=True):
        assert answer.status == f.ERROR
        error = unpack_error(answer.payload)
        assert (error.code, error.domain) == (OPERATION_DENIED, FROM_QEMU), stub.name
        assert error.message is not None and "read only access prevents vir" in error.message
    assert reached == ["connect_open"]


@pytest.mark.parametrize(
    ("stub", "allowed", "refused"),
    [
        (domain.domain_get_xml_desc, [(0,), (2,)], [(1,), (8,), (3,)]),
        (domain_tune.domain_get_vcpus_flags, [(0,), (4,)], [(8,), (9,)]),
        (domain_guest.domain_interface_addresses, [(0, 0), (2, 0)], [(1, 0)]),
    ],
)
def test_some_arguments_need_more(stub: Any, allowed: Any, refused: Any, answers: Any, reached: list[str]) -> None:
    """Whether somebody handles them or not, the right comes first."""
    dom = Domain("x", bytes(16), -1)
    calls = b"".join(
        frame(stub.program, 1, stub.number, f.CALL, i, f.OK, stub.pack_args(dom, *args))
        for i, args in enumerate((*allowed, *refused), 1)
    )
    got = answers(calls, len(allowed) + len(refused))
    if (stub.program, stub.number) not in dict(ENTRIES):
        assert {unpack_error(one.payload).code for one in got} == {NO_SUPPORT}
        assert all(stub.withheld((dom, *args)) for args in refused) and not any(
            stub.withheld((dom, *a)) for a in allowed
        )
        return
    assert [one.status for one in got] == [f.OK] * len(allowed) + [f.ERROR] * len(refused)
    assert {unpack_error(one.payload).code for one in got[len(allowed) :]} == {OPERATION_DENIED}
    assert reached == ["connect_open", *[stub.name] * len(allowed)]
