from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any, cast

import pytest

from domicile.api.libvirt import doors
from domicile.api.libvirt.reference import entry_of, machine_of, reference
from domicile.base.errors import DomicileError, NotFound, WrongState
from domicile.rpc.types import Domain
from domicile.service.entry import Entry
from domicile.service.registry import Registry

UUID = "11111111-2222-4333-8444-555555555555"
# What must answer at once: a plain function, for these are asked thousands of times a second.
HOT = (
    *("domain_get_info", "domain_get_state", "domain_lookup_by_name", "domain_lookup_by_uuid", "domain_lookup_by_id"),
    *("connect_list_all_domains", "connect_get_lib_version", "domain_is_active", "domain_get_autostart"),
)
HANDLERS = {entry.stub.name: entry for entry in doors.registry().entries.values()}


@pytest.fixture
def connection() -> Any:
    registry = Registry()
    registry.add(Entry(UUID, "vm", head=1))
    return SimpleNamespace(context=SimpleNamespace(by_uuid=registry.by_uuid, registry=registry))


def test_what_is_asked_often_answers_at_once() -> None:
    assert not [name for name in HOT if HANDLERS[name].awaits]


def test_changes_never_stand_on_the_read_only_socket() -> None:
    changing = ("define", "undefine", "create", "destroy", "shutdown", "reboot", "suspend", "resume", "set_", "rename")
    for name, entry in HANDLERS.items():
        if name.startswith("domain_") and any(word in name for word in changing):
            assert not entry.read_only, name


def test_every_handler_says_what_it_does() -> None:
    local = [name for name, entry in HANDLERS.items() if "<locals>" not in entry.function.__qualname__]
    assert local
    assert not [name for name in local if not inspect.getdoc(HANDLERS[name].function)]


def test_a_reference_is_kept_until_it_changes(connection: Any) -> None:
    entry = connection.context.by_uuid(UUID)
    first = reference(entry)
    assert reference(entry) is first and (first.name, first.uuid_text, first.id) == ("vm", UUID, -1)
    connection.context.registry.run(entry, 7)
    assert reference(entry).id == 7
    entry.name = "other"
    assert reference(entry).name == "other"


def test_a_reference_finds_its_domain_by_uuid(connection: Any) -> None:
    assert entry_of(connection, Domain.of("whatever", UUID)).name == "vm"
    with pytest.raises(NotFound, match=r"uuid '9.*' \(gone\)"):
        entry_of(connection, Domain.of("gone", f"9{UUID[1:]}"))
    with pytest.raises(WrongState, match="not running") as fault:
        machine_of(connection, Domain.of("vm", UUID))
    assert cast(DomicileError, fault.value).wire_code == 55
