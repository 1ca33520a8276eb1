"""Machines, claims and the action log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domicile.base.errors import Conflict, NotFound
from domicile.store.values import Action, Author, Claim, MachineRecord

RECORD = MachineRecord(
    uuid="00000000-0000-4000-8000-000000000001",
    name="vm1",
    id=3,
    pid=4711,
    start_time=2**40,
    directory="/run/domicile/vm1",
    live_xml="<domain id='3'/>",
    revision=2,
    state=1,
    reason=1,
    facts={"ports": {"vnc": 5900}},
    host="here",
)


def test_machine_records(store):
    store.put_machine(RECORD)
    store.put_machine(replace(RECORD, uuid="transient", id=4, revision=None, host="there"))
    first, second = store.get_machines()
    assert abs(first.observed_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert replace(first, observed_at=None) == RECORD
    assert second.revision is None
    assert [one.id for one in store.get_machines("there")] == [4]
    store.put_machine(replace(RECORD, pid=4712))
    store.observe_machine(RECORD.uuid, 3, 1)
    (seen,) = store.get_machines("here")
    assert (seen.pid, seen.state, seen.facts) == (4712, 3, {"ports": {"vnc": 5900}})
    store.drop_machine(RECORD.uuid)
    store.drop_machine(RECORD.uuid)
    assert [one.id for one in store.get_machines()] == [4]
    with pytest.raises(NotFound):
        store.observe_machine(RECORD.uuid, 3, 1)


def test_a_claim_is_held_by_one(store):
    store.register_host("a")
    store.register_host("a")
    store.register_host("b")
    held = store.claim("u", "a")
    assert held == Claim("u", "a", 1) == store.claim_of("u")
    for host in "ab":
        with pytest.raises(Conflict, match="'a' holds"):
            store.claim("u", host)
    assert store.release(held)
    assert not store.release(held)
    assert store.claim_of("u") is None
    assert store.claim("u", "b") == Claim("u", "b", 2)
    assert not store.release(held)
    assert store.claims_held_by("b") == [Claim("u", "b", 2)]
    assert store.claims_held_by("a") == []


def test_a_claim_needs_a_known_host(store):
    with pytest.raises(Conflict):
        store.claim("u", "nowhere")


def test_action_log(store, author):
    store.log(
        Action("start", author, "u1", "vm1"), Action("start", author, "u2", outcome="refused", detail={"why": "x"})
    )
    store.log(Action("destroy", author, "u1", "vm1", at=datetime(2020, 1, 1, tzinfo=UTC)))
    store.log()
    assert [one.verb for one in store.actions()] == ["destroy", "start", "start"]
    assert [one.verb for one in store.actions("u1", limit=1)] == ["destroy"]
    (refused,) = store.actions("u2")
    assert (refused.outcome, refused.detail, refused.author) == ("refused", {"why": "x"}, author)
    assert store.actions("u1")[0].at == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_claim_is_handed_on_once(store):
    store.register_host("a")
    store.register_host("b")
    held = store.claim("u", "a")
    renewed = store.move_claim(held, "a")
    assert renewed == Claim("u", "a", 2)
    with pytest.raises(Conflict, match="claim 2"):
        store.move_claim(held, "b", RECORD)
    assert not store.get_machines()
    record = replace(RECORD, uuid="u", host="b")
    assert store.move_claim(renewed, "b", record, Action("migrate-in", Author(), "u")) == Claim("u", "b", 3)
    assert [one.host for one in store.get_machines()] == ["b"] and store.actions("u")[0].verb == "migrate-in"
    assert not store.release(renewed)
    store.drop_machine("u", "a")
    assert store.get_machines()
    store.drop_machine("u", "b")
    assert not store.get_machines()
