"""What every database must keep of a definition."""

from __future__ import annotations

import pytest

from domicile.base.errors import Conflict, NotFound
from domicile.store.values import Author


def test_define_keeps_everything(store, make, author):
    made = store.define(make(1), author, "first")
    (kept,) = store.history("vm1")
    assert kept == made
    assert (kept.n, kept.kind, kept.parent, kept.why, kept.author) == (1, "define", 0, "first", author)
    assert kept.authored == make(1).authored
    assert kept.completed == make(1).completed == store.completed_text(make(1).uuid)
    assert kept.report == '{"defaulted": []}'
    assert store.authored_text(make(1).uuid) == make(1).authored
    (head,) = store.heads()
    assert head == store.head("vm1") == store.head(make(1).uuid)
    assert (head.uuid, head.name, head.n, head.autostart) == (make(1).uuid, "vm1", 1, False)
    assert head.summary == {"memory_kib": 524288}


def test_redefine_adds_a_revision_even_when_nothing_changed(store, make, author):
    store.define(make(1), author)
    again = store.define(make(1), Author("bob", "cli", "edit"), kind="edit")
    assert (again.n, again.parent, again.kind) == (2, 1, "edit")
    assert [one.author.user for one in store.history(make(1).uuid)] == ["alice", "bob"]
    assert store.revision("vm1", 2) == again


def test_texts_of_any_alphabet(store, make, author):
    draft = make(1, name="虚拟机 é \U0001f600")
    store.define(draft, author, "因为")
    assert store.completed_text(draft.uuid) == draft.completed
    assert store.head(draft.name).name == draft.name


def test_a_taken_name_names_both(store, make, author):
    store.define(make(1), author)
    with pytest.raises(Conflict) as refused:
        store.define(make(2, name="vm1"), author)
    assert refused.value.wire_code == 9
    for word in ("vm1", make(1).uuid, make(2).uuid):
        assert word in str(refused.value)
    assert len(store.heads()) == 1
    with pytest.raises(NotFound):
        store.history(make(2).uuid)


def test_a_taken_uuid_names_both(store, make, author):
    store.define(make(1), author)
    with pytest.raises(Conflict) as refused:
        store.define(make(1, name="other"), author)
    for word in ("vm1", "other", make(1).uuid):
        assert word in str(refused.value)


def test_name_and_uuid_of_two_different_domains(store, make, author):
    store.define(make(1), author)
    store.define(make(2), author)
    with pytest.raises(Conflict):
        store.define(make(1, name="vm2"), author)
    assert [(one.name, one.n) for one in store.heads()] == [("vm1", 1), ("vm2", 1)]


def test_expected_head(store, make, author):
    store.define(make(1), author, expect_head=0)
    with pytest.raises(Conflict):
        store.define(make(1), author, expect_head=0)
    store.define(make(1), author, expect_head=1)
    with pytest.raises(Conflict):
        store.define(make(1), author, expect_head=1)
    with pytest.raises(Conflict):
        store.define(make(2), author, expect_head=1)
    assert store.head("vm1").n == 2


def test_undefine_keeps_the_history_and_undelete_brings_it_back(store, make, author):
    store.define(make(1, memory=1), author)
    store.define(make(1, memory=2), author)
    store.set_autostart("vm1", True)
    gone = store.undefine("vm1", author, "old")
    assert (gone.n, gone.kind, gone.completed, gone.authored) == (3, "undefine", "", "")
    assert store.heads() == []
    assert store.find("mac", "52:54:00:00:00:01") == []
    for call in (store.head, store.undefine):
        with pytest.raises(NotFound):
            call("vm1", *([author] if call == store.undefine else []))
    with pytest.raises(NotFound):
        store.completed_text(make(1).uuid)
    assert [one.kind for one in store.history("vm1")] == ["define", "define", "undefine"]
    back = store.undelete("vm1", author)
    assert (back.n, back.kind, back.parent) == (4, "undelete", 2)
    assert store.completed_text(make(1).uuid) == make(1, memory=2).completed
    assert store.head("vm1").summary == {"memory_kib": 2}
    assert not store.head("vm1").autostart
    assert len(store.find("mac", "52:54:00:00:00:01")) == 1
    with pytest.raises(Conflict):
        store.undelete("vm1", author)


def test_undelete_when_the_name_was_taken(store, make, author):
    store.define(make(1), author)
    store.undefine("vm1", author)
    store.define(make(2, name="vm1"), author)
    with pytest.raises(Conflict, match=make(2).uuid):
        store.undelete(make(1).uuid, author)
    assert store.history("vm1")[0].uuid == make(2).uuid
    assert store.history(make(1).uuid)[-1].kind == "undefine"


def test_defining_an_undefined_uuid_continues_its_history(store, make, author):
    store.define(make(1), author)
    store.undefine("vm1", author)
    made = store.define(make(1, name="reborn"), author, expect_head=0)
    assert (made.n, made.parent) == (3, 2)
    assert [one.name for one in store.history("reborn")] == ["vm1", "vm1", "reborn"]


def test_rename(store, make, author):
    store.define(make(1), author)
    store.define(make(2), author)
    assert store.rename(make(1, name="new"), author).kind == "rename"
    assert [one.name for one in store.heads()] == ["new", "vm2"]
    with pytest.raises(Conflict):
        store.rename(make(1, name="vm2"), author)
    with pytest.raises(NotFound):
        store.rename(make(3), author)


def test_autostart(store, make, author):
    store.define(make(1), author)
    store.set_autostart("vm1", True)
    store.define(make(1), author)
    assert store.head("vm1").autostart is True
    with pytest.raises(NotFound):
        store.set_autostart("nobody", True)


def test_what_is_not_there(store, make, author):
    store.define(make(1), author)
    with pytest.raises(NotFound, match="1 to 1"):
        store.revision("vm1", 2)
    for call in (store.history, store.head, store.completed_text):
        with pytest.raises(NotFound) as missing:
            call("00000000-0000-4000-8000-0000000000ff")
        assert missing.value.wire_code == 42


def test_reopening_finds_everything(url, store, make, author):
    store.define(make(1), author)
    store.close()
    again = type(store).open(url)
    assert again.completed_text(make(1).uuid) == make(1).completed
    again.close()
