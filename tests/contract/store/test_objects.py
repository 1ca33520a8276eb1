"""Networks, pools, secrets and filters in the database: revisions like a domain's, and what of them is active."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from domicile.base.errors import Conflict, NotFound
from domicile.store.engine import Database
from domicile.store.store import Store
from domicile.store.values import ActiveObject

ONE, OTHER = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"


def test_a_definition_its_change_and_its_end_are_three_revisions(store, author):
    store.define_object("network", ONE, "default", "<a/>", "<b/>", author)
    store.define_object("network", ONE, "default", "<a2/>", "<b2/>", author, "why not")
    assert [(h.uuid, h.name, h.n, h.autostart, h.document) for h in store.objects("network")] == [
        (ONE, "default", 2, False, "<b2/>")
    ]
    store.set_object_autostart("network", ONE, True)
    assert store.objects("network")[0].autostart
    store.undefine_object("network", ONE, author)
    assert store.objects("network") == []
    history = store.object_history("network", "default")
    assert [(r.n, r.kind, r.authored, r.completed, r.parent) for r in history] == [
        (1, "define", "<a/>", "<b/>", 0), (2, "define", "<a2/>", "<b2/>", 1), (3, "undefine", "", "", 2),
    ]  # fmt: skip
    assert history[1].why == "why not" and history[0].author == author
    store.define_object("network", ONE, "default", "<a3/>", "<b3/>", author)
    assert store.objects("network")[0].n == 4 and not store.objects("network")[0].autostart


def test_kinds_do_not_meet_and_names_are_unique_within_one(store, author):
    store.define_object("network", ONE, "default", "", "<n/>", author)
    store.define_object("pool", ONE, "default", "", "<p/>", author)
    with pytest.raises(Conflict, match="already exists"):
        store.define_object("network", OTHER, "default", "", "<n/>", author)
    with pytest.raises(Conflict, match="already belongs"):
        store.define_object("network", ONE, "another", "", "<n/>", author)
    with pytest.raises(NotFound):
        store.undefine_object("network", OTHER, author)
    with pytest.raises(NotFound):
        store.object_history("secret", "default")
    store.undefine_object("network", ONE, author)
    store.define_object("network", OTHER, "default", "", "<n/>", author)
    assert [h.uuid for h in store.objects("network")] == [OTHER]
    assert [h.uuid for h in store.objects("pool")] == [ONE]


def test_history_of_objects_cannot_be_changed(url, store, author):
    store.define_object("network", ONE, "default", "", "<n/>", author)
    database = Database(url)
    with pytest.raises(Exception, match="append-only"), database.write() as connection:
        connection.execute(text("DELETE FROM object_revision"))
    database.close()


def test_what_is_active_comes_back(store):
    first = ActiveObject("network", ONE, "default", "<n/>", {"pid": 7, "bridge": "virbr0"}, "h1")
    store.put_active(first)
    store.put_active(ActiveObject("network", ONE, "default", "<n2/>", {"pid": 8}, "h1"))
    store.put_active(ActiveObject("network", ONE, "default", "<n/>", {}, "h2"))
    assert store.active_objects("network", "h1") == [ActiveObject("network", ONE, "default", "<n2/>", {"pid": 8}, "h1")]
    store.drop_active("network", ONE, "h1")
    assert store.active_objects("network", "h1") == []
    assert len(store.active_objects("network", "h2")) == 1


def test_a_database_of_the_first_schema_is_upgraded_with_all_it_holds(url, make, author):
    database = Database(url)
    with database.write() as connection:
        config = Config()
        config.set_main_option("script_location", "domicile.store:migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO domain (uuid, name, head, leaf_head, autostart, owner, summary)"
                " VALUES (:u, 'old', 1, 0, false, 'alice', '{}')"
            ),
            {"u": ONE},
        )
    database.close()
    store = Store.open(url)
    assert [head.name for head in store.heads()] == ["old"]
    store.define_object("network", ONE, "default", "", "<n/>", author)
    store.close()
