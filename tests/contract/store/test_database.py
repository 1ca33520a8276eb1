"""What the database itself guarantees: append-only history, one schema, many threads, many daemons."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import bindparam, insert, text
from sqlalchemy.exc import DBAPIError

from domicile.base.errors import Conflict, HostFailure
from domicile.store import bulk, schema, tables
from domicile.store.engine import Database
from domicile.store.indexes import metadata
from domicile.store.store import Store


@pytest.mark.parametrize("statement", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["revision", "action"])
def test_history_cannot_be_changed(url, store, make, author, table, statement):
    from domicile.store.values import Action

    store.define(make(1), author)
    store.log(Action("start", author))
    database = Database(url)
    with pytest.raises((Conflict, HostFailure, DBAPIError), match="append-only"), database.write() as connection:
        connection.execute(text(statement.format(table)))
    database.close()
    assert len(store.history("vm1")) == len(store.actions()) == 1


def test_the_migrations_make_the_tables_that_the_code_knows(url, store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    database = Database(url)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_a_newer_schema_is_refused(url, store):
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(HostFailure, match="schema"):
        Store.open(url)
    database.close()


def test_what_a_driver_refuses_is_told_in_our_words_and_undone(url, store, make, author):
    store.define(make(1), author)
    twice = (1, "mac", "52:54:00:00:00:99", "devices/interface/mac/@address")
    database = Database(url)
    with pytest.raises(Conflict, match="another change came first"), database.write() as connection:
        bulk.add(connection, tables.fact, [twice, twice])
    same = {c.name: 1 for c in tables.domain.c} | {
        "uuid": "u",
        "name": "vm1",
        "owner": "",
        "summary": "",
        "undefined_at": None,
    }
    same["autostart"] = False
    with pytest.raises(Conflict, match="another change came first"), database.write() as connection:
        bulk.Prepared(insert(tables.domain).values({name: bindparam(name) for name in same})).run(connection, same)
    assert not store.find("mac", "52:54:00:00:00:99")
    with database.write() as connection:
        bulk.add(connection, tables.fact, [twice])
    database.close()
    assert len(store.find("mac", "52:54:00:00:00:99")) == 1


def test_a_refused_change_leaves_the_store_usable(store, make, author):
    store.define(make(1), author)
    with pytest.raises(TypeError):
        store.define(make(2, memory=object()), author)  # type: ignore[arg-type]
    store.define(make(3), author)
    assert [one.name for one in store.heads()] == ["vm1", "vm3"]


def test_many_threads(store, make, author):
    def work(n: int) -> None:
        store.define(make(n), author)
        store.heads()
        store.find_leaf("name", "=", f"vm{n}")
        store.define(make(n), author)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(30)))
    assert sorted(one.n for one in store.heads()) == [2] * 30


def test_two_daemons_at_once_give_one_outcome(url, store, make, author):
    """Of several that define the same name, claim the same domain or expect the same head, one wins."""
    others = [Store.open(url) for _ in range(4)]
    store.register_host("h")
    store.define(make(0), author)
    for round_ in range(1, 6):
        together = threading.Barrier(len(others))

        def attempt(n: int, round_: int = round_, together: threading.Barrier = together) -> int:
            won = 0
            tries = (
                lambda: others[n].define(make(round_ * 10 + n, name=f"same{round_}"), author),
                lambda: others[n].claim(f"u{round_}", "h"),
                lambda: others[n].define(make(0), author, expect_head=round_),
            )
            for attempted in tries:
                together.wait(30)
                try:
                    attempted()
                    won += 1
                except Conflict:
                    pass
            return won

        with ThreadPoolExecutor(len(others)) as pool:
            assert sum(pool.map(attempt, range(len(others)))) == 3
    assert [one.n for one in store.history("vm0")] == [1, 2, 3, 4, 5, 6]
    for other in others:
        other.close()


def test_the_version_is_the_newest_migration():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "domicile.store:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [schema.VERSION]


def test_a_connection_that_was_cut_while_idle_is_made_again(store, make, author, url):
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no connection to cut")
    store.define(make(1), author)
    cutter = Database(url)
    with cutter.write() as connection:
        cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        connection.execute(text(f"{cut} WHERE pid <> pg_backend_pid() AND datname = current_database()"))
    cutter.close()
    assert store.head("vm1").n == 1
    assert store.define(make(1), author).n == 2
