"""The declared procedures: every number, every codec, the marks on them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from domicile.rpc.call import Program, Stub
from domicile.rpc.calls import PROGRAMS, connect, domain, domain_device, domain_event, node, qemu, storage
from domicile.rpc.layout import Array, Chars, Custom, Fixed, Layout, Number, Opaque, Optional, Struct, Text, i32, u32
from domicile.rpc.records import DomainInfo, NodeInfo
from domicile.rpc.types import Domain, TypedParam
from domicile.rpc.xdr import ProtocolError

ALL = [stub for program in PROGRAMS.values() for stub in program.stubs.values()]


def sample(item: Layout) -> Any:
    match item:
        case Number(code):
            return 1.5 if code == "d" else 3
        case Fixed(count):
            return bytes(range(count))
        case Chars(count, fixed):
            return b"x" * count if fixed else b"xyz"
        case Text():
            return "tëxt"
        case Opaque():
            return b"\0\1\2"
        case Optional(inner):
            return sample(inner)
        case Array(inner, _):
            return [sample(inner), sample(inner)]
        case Struct(kind, fields):
            return kind(*(sample(part) for _, part in fields))
        case Custom():
            return TypedParam.string("name", "value")


def test_all_of_libvirts_procedures_are_declared() -> None:
    assert sorted(PROGRAMS[0x20008086].stubs) == list(range(1, 453))
    assert sorted(PROGRAMS[0x20008087].stubs) == list(range(1, 8))


@pytest.mark.parametrize("stub", ALL, ids=lambda stub: stub.name)
def test_every_procedure_carries_its_values(stub: Stub[..., Any]) -> None:
    arguments, results = stub.layouts()
    given = tuple(sample(item) for item in arguments)
    assert len(given) == stub.arity
    assert stub.unpack_args(stub.pack_args(*given)) == given
    answer = tuple(sample(item) for item in results)
    value = None if not answer else answer[0] if len(answer) == 1 else answer
    assert stub.unpack_result(stub.pack_result(value)) == value
    with pytest.raises(ProtocolError):
        stub.unpack_args(stub.pack_args(*given) + b"\0\0\0\0")


def test_layouts_as_they_were_seen_on_the_wire() -> None:
    dom = Domain("vm", bytes(16), 5)
    assert domain.domain_reboot.pack_args(dom, 2) == b"\0\0\0\2vm\0\0" + bytes(16) + b"\0\0\0\5\0\0\0\2"
    assert len(domain.domain_get_info.pack_result(DomainInfo(1, 2, 3, 4, 5))) == 32
    assert len(node.node_get_info.pack_result(NodeInfo(b"x86_64", 1, 2, 3, 4, 5, 6, 7))) == 128 + 8 + 24
    assert domain_event.domain_event_callback_pmwakeup.pack_args(1, 2, dom)[:8] == b"\0\0\0\1\0\0\0\2"
    assert connect.connect_list_all_domains.pack_result(([], 7)) == b"\0\0\0\0\0\0\0\7"


@pytest.mark.parametrize(
    ("stub", "allowed"),
    [
        (connect.connect_open, True),
        (connect.connect_list_all_domains, True),
        (connect.connect_domain_event_callback_register_any, True),
        (domain.domain_get_xml_desc, True),
        (domain.domain_reboot, False),
        (domain.domain_define_xml_flags, False),
        (domain.domain_save_image_get_xml_desc, False),
        (domain_device.domain_open_console, False),
        (domain_device.domain_screenshot, False),
        (storage.storage_vol_download, False),
        (qemu.qemu_domain_monitor_command, False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_what_read_only_clients_may_call(stub: Stub[..., Any], allowed: bool) -> None:
    assert stub.read_only is allowed


def test_streams_are_marked() -> None:
    assert {stub.name: stub.stream for stub in ALL if stub.stream and not stub.name.startswith("domain_migrate")} == {
        "domain_open_console": "read",
        "domain_open_channel": "read",
        "domain_screenshot": "read",
        "storage_vol_upload": "write",
        "storage_vol_download": "read",
    }


def test_a_number_is_given_once() -> None:
    program = Program(1, 1, "test")

    @program.call(1)
    def first(value: u32) -> None: ...

    with pytest.raises(ValueError, match="first"):

        @program.call(1)
        def second(value: i32) -> None: ...

    assert program.procedure_name(1) == "first"
    assert "2" in program.procedure_name(2)
    assert "first" in repr(first)


def test_references_are_plain_values() -> None:
    dom = Domain.of("vm", "00010203-0405-0607-0809-0a0b0c0d0e0f", 4)
    assert dom.uuid == bytes(range(16))
    assert dom.uuid_text == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert dataclasses.replace(dom, id=-1).id == -1
