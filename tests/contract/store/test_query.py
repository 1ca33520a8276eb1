"""Questions by SQL: the same answers as reading every document, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domicile.base.errors import InvalidRequest
from domicile.domain import question as asked
from domicile.store import query
from domicile.store.leaves import leaves_of
from domicile.store.store import Store

GIB = 1048576


@pytest.fixture
def filled(store, make, author):
    for n, memory in ((1, GIB), (2, 2 * GIB), (3, 4 * GIB)):
        store.define(make(n, memory=memory), author)
    mib = make(4, memory=2048)
    store.define(replace(mib, completed=mib.completed.replace("unit='KiB'", "unit='MiB'")), author)
    return store


def names(store, words: str, **more) -> list[str]:
    return [found.name for found in store.query(asked.read(words), [], **more)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("memory >= 2GiB", ["vm2", "vm3", "vm4"]),
        ("memory = 2G", ["vm2", "vm4"]),
        ("memory < 2048MiB", ["vm1"]),
        ("memory != 1GiB", ["vm2", "vm3", "vm4"]),
        ("memory > 2000", ["vm1", "vm2", "vm3", "vm4"]),
        ("memory <= 2048", ["vm4"]),
        ("memory >= 2GiB and name != vm3", ["vm2", "vm4"]),
        ("memory = 1GiB or memory = 4GiB", ["vm1", "vm3"]),
        ("not (memory = 1GiB or memory = 4GiB)", ["vm2", "vm4"]),
        ("not memory = 1GiB and not memory = 4GiB", ["vm2", "vm4"]),
        ("name = vm1 or name = vm2 and memory = 1GiB", ["vm1"]),
        ("(name = vm1 or name = vm2) and memory = 2GiB", ["vm2"]),
        ("devices.disk.source@file = /images/vm3.img", ["vm3"]),
        ("devices/disk[1]/source/@file like /images/vm_.img", ["vm1", "vm2", "vm3", "vm4"]),
        ("disk ~ 'vm[12]'", ["vm1", "vm2"]),
        ("disk !~ 'vm[12]'", ["vm3", "vm4"]),
        ("mac contains 00:03", ["vm3"]),
        ("mac = \"52:54:00:00:00:02\"", ["vm2"]),
        ("exists features.acpi", ["vm1", "vm2", "vm3", "vm4"]),
        ("exists features.apic", []),
        ("not exists features.apic AND name > vm2", ["vm3", "vm4"]),
        ("name >= vm3", ["vm3", "vm4"]),
        ("nothing/here = 1", []),
        ("not nothing/here = 1GiB", ["vm1", "vm2", "vm3", "vm4"]),
        ("name = '2GiB'", []),
    ],
)
def test_questions(filled, words, found):
    assert names(filled, words) == found


def test_they_follow_the_definitions_and_the_past_stays(filled, make, author):
    before = datetime.now(UTC)
    filled.define(make(1, memory=8 * GIB), author)
    filled.undefine("vm3", author)
    assert names(filled, "memory >= 4GiB") == ["vm1"]
    assert names(filled, "memory >= 2GiB", limit=2) == ["vm1", "vm2"]
    wanted = asked.read("memory >= 4GiB")
    assert [found.name for found in filled.query_past(wanted, [], before)] == ["vm3"]
    assert [found.name for found in filled.query_past(wanted, [], datetime.now(UTC))] == ["vm1"]
    assert [(found.name, found.n) for found in filled.query_past(wanted, [], None)] == [("vm1", 2), ("vm3", 1)]
    (found,) = filled.query(asked.read("name = vm1"), ["memory", "devices/disk/target/@dev", "x"])
    assert found.values == {"memory": [str(8 * GIB)], "devices/disk/target/@dev": ["hda", "hdb"], "x": []}


@pytest.mark.parametrize(
    ("words", "place", "what"),
    [
        ("", 1, "the end where a path"),
        ("memory", 7, "the end where an operator"),
        ("memory >", 9, "the end where a value"),
        ("memory >> 3", 9, "'>' where a value"),
        ("memory > 1 memory", 12, "follows a question that is complete"),
        ("(memory > 1", 12, "a bracket is not closed"),
        ("memory > 1)", 11, "')' follows"),
        ("memory is 3", 8, "'is' where an operator"),
        ("name = 'x", 8, "an open quotation"),
        ("name ~ (", 8, "'(' where a value"),
        ("name ~ '('", 8, "no regular expression"),
        ("and = 1", 1, "'and' where a path"),
        ("a and", 3, "'and' where an operator"),
        ("a = 1 and", 10, "the end where a path"),
        ("not", 4, "the end where a path"),
        ("名 = 1 or mem$ = 1", 10, "'mem$' is no path"),
    ],
)
def test_a_wrong_question_is_told_with_its_place(words, place, what):
    with pytest.raises(InvalidRequest) as refused:
        asked.read(words)
    assert f"at character {place} of the question: " in refused.value.message or "名" in words
    assert what in refused.value.message or "名" in words


_PATHS = ("memory", "name", "devices/disk/source/@file", "devices/*/@type", "**/@unit", "mac", "features/acpi", "no/path")
_VALUES = ("1GiB", "2048", "2GiB", "vm2", "/images/vm1.img", "file", "'KiB'", "%vm%")
_TERM = st.builds(
    lambda path, op, value: f"{path} {op} {value}", st.sampled_from(_PATHS), st.sampled_from(("=", "!=", "<", ">=", "like", "contains", "!~")), st.sampled_from(_VALUES)
)  # fmt: skip
_QUESTION = st.recursive(
    _TERM | st.sampled_from(_PATHS).map("exists {}".format),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(("and", "or")), inner) | inner.map("not {}".format),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def both(tmp_path_factory, postgres):
    made = []
    for url in (f"sqlite:///{tmp_path_factory.mktemp('q')}/x.db", postgres.fresh_url()):
        made.append(Store.open(url))
    yield made
    for store in made:
        store.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_QUESTION)
def test_sql_agrees_with_reading_every_document(both, make, author, words):
    for store in both:
        if not store.heads():
            for n, memory in ((1, GIB), (2, 2 * GIB), (3, 2048)):
                store.define(make(n, memory=memory), author)
    wanted = asked.read(words)
    read = [f"vm{n}" for n, memory in ((1, GIB), (2, 2 * GIB), (3, 2048)) if query.holds_for(wanted, leaves_of(make(n, memory=memory).completed))]
    for store in both:
        assert names(store, words) == read
