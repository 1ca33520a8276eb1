"""Questions about any attribute of any domain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domicile.base.errors import InvalidRequest
from domicile.store.values import Fact

MAC = "devices/interface/mac/@address"


def names(matches):
    return [match.name for match in matches]


def test_find_follows_the_definition(store, make, author):
    store.define(make(1), author)
    store.define(make(2), author)
    (match,) = store.find("mac", "52:54:00:00:00:01")
    assert (match.uuid, match.name, match.path) == (make(1).uuid, "vm1", MAC)
    store.define(make(1, mac="52:54:00:aa:aa:aa"), author)
    assert store.find("mac", "52:54:00:00:00:01") == []
    assert names(store.find("mac", "52:54:00:aa:aa:aa")) == ["vm1"]
    assert names(store.find("bridge", "br0")) == ["vm1", "vm2"]


def test_facts_too_long_for_an_index(store, make, author):
    long = ["/images/" + "长" * 4000 + end for end in "ab"]
    for n in (0, 1):
        store.define(replace(make(n), facts=[Fact("disk", long[n], "p" * 3000)]), author)
    assert names(store.find("disk", long[0])) == ["vm0"]
    assert names(store.find("disk", long[1])) == ["vm1"]


@pytest.mark.parametrize(
    ("path", "op", "value", "found"),
    [
        (MAC, "=", "52:54:00:00:00:02", ["vm2"]),
        ("domain/" + MAC, "=", "52:54:00:00:00:02", ["vm2"]),
        ("devices/*/mac/@*", "contains", "00:03", ["vm3"]),
        ("**/@address", "~", "0[12]$", ["vm1", "vm2"]),
        ("memory", "=", "2000.0", ["vm2"]),
        ("memory", "!=", "2000", ["vm1", "vm3"]),
        ("memory", ">", "999", ["vm1", "vm2", "vm3"]),
        ("memory", "<", "2500", ["vm1", "vm2"]),
        ("memory", ">", "x", []),
        ("name", ">", "vm1", ["vm2", "vm3"]),
        ("features/acpi", "=", "", ["vm1", "vm2", "vm3"]),
        ("devices/disk[1]/source/@file", "=", "/images/vm1.img", ["vm1"]),
        ("devices/disk[2]/source/@file", "contains", "", []),
        ("devices/interface[1]/mac/@address", "=", "52:54:00:00:00:01", ["vm1"]),
        ("@type", "=", "kvm", ["vm1", "vm2", "vm3"]),
        ("nothing/here", "!=", "x", []),
    ],
)
def test_find_leaf(store, make, author, path, op, value, found):
    for n in (1, 2, 3):
        store.define(make(n, memory=n * 1000), author)
    assert names(store.find_leaf(path, op, value)) == found


def test_leaves_follow_changes(store, make, author):
    store.define(make(1, memory=1), author)
    assert store.find_leaf("memory", "=", "1")
    store.define(make(1, memory=2), author)
    store.define(make(1, memory=3), author)
    assert not store.find_leaf("memory", "<", "3")
    (match,) = store.find_leaf("memory", "=", "3")
    assert match == (make(1).uuid, "vm1", "memory", "3")
    store.undefine("vm1", author)
    assert not store.find_leaf("memory", "=", "3")
    store.undelete("vm1", author)
    assert store.find_leaf("memory", "=", "3")
    assert store.catch_up() == 0


def test_catch_up_in_steps(store, make, author):
    for n in range(5):
        store.define(make(n), author)
    assert [store.catch_up(2) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize(("path", "op", "value"), [("", "=", ""), ("a[x]", "=", ""), ("a", "~", "("), ("a", "?", "")])
def test_questions_that_make_no_sense(store, make, author, path, op, value):
    with pytest.raises(InvalidRequest):
        store.find_leaf(path, op, value)


def test_projections_can_be_made_anew(store, make, author):
    store.define(make(1), author)
    store.define(make(2), author)
    store.undefine("vm2", author)
    reader = lambda completed: ({"size": len(completed)}, [Fact("length", str(len(completed)), "")])  # noqa: E731
    assert store.rebuild_projections(reader) == 2
    size = len(make(1).completed)
    assert store.head("vm1").summary == {"size": size}
    assert store.find("mac", "52:54:00:00:00:01") == []
    assert names(store.find("length", str(size))) == ["vm1"]
    store.undelete("vm2", author)
    assert names(store.find("length", str(size))) == ["vm1", "vm2"]
    assert names(store.find_leaf("name", "=", "vm2")) == ["vm2"]
