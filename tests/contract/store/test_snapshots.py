"""Snapshots and checkpoints in the database."""

from __future__ import annotations

import pytest

from domicile.base.errors import NotFound
from domicile.store.values import SnapshotRow

ONE, OTHER = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
KIND = "domainsnapshot"


def row(name: str, parent: str = "", document: str | None = "<s/>", uuid: str = ONE) -> SnapshotRow:
    return SnapshotRow(KIND, uuid, name, parent, {"state": "running"}, document)


def test_put_changed_and_dropped_at_once(store):
    store.change_snapshots(KIND, ONE, [row("a"), row("b", "a"), row("c", "b")], current="c")
    store.change_snapshots(KIND, OTHER, [row("a", document="<o/>", uuid=OTHER)], current="a")
    store.change_snapshots(KIND, ONE, [row("c", "a", None)], ["b"], "a")
    found = [(r.domain, r.name, r.parent, r.current, r.facts["state"]) for r in store.every_snapshot()]
    assert found == [
        (ONE, "a", "", True, "running"), (ONE, "c", "a", False, "running"), (OTHER, "a", "", True, "running"),
    ]  # fmt: skip
    assert store.snapshot_text(KIND, ONE, "c") == "<s/>" and store.snapshot_text(KIND, OTHER, "a") == "<o/>"
    store.change_snapshots(KIND, ONE, current="")
    assert not any(r.current for r in store.every_snapshot() if r.domain == ONE)


def test_what_is_not_there(store):
    with pytest.raises(NotFound):
        store.snapshot_text(KIND, ONE, "a")
    with pytest.raises(NotFound):
        store.change_snapshots(KIND, ONE, [row("a", document=None)])
    store.change_snapshots(KIND, ONE, [row("a")])
    store.forget_snapshots(ONE)
    assert store.every_snapshot() == []
