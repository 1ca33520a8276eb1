"""A PostgreSQL that goes away: stopped, cut off, silent, in the middle of a change and of its commit."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import text

from domicile.base.errors import DeadlineExceeded, InvalidRequest, OutcomeUnknown, Unreachable
from domicile.store.store import Store
from postgres_server import PASSWORD, Cut, wait_for

LONGEST = 15.0


@pytest.fixture
def way(postgres, monkeypatch, password_file):
    """Give a store that reaches its database through a proxy, the proxy, and the direct address."""
    monkeypatch.setenv("PGPASSFILE", str(password_file))
    direct = postgres.fresh_url()
    proxy = Cut(postgres.port)
    store = Store.open(postgres.over_tcp(direct, proxy.port))
    yield store, proxy, direct
    proxy.silent = False
    proxy.break_off()
    store.close()
    proxy.close()


def test_a_silent_network_is_noticed_by_the_deadline_and_then_at_once(way, make, author):
    store, proxy, _ = way
    store.define(make(1), author)
    proxy.silent = True
    began = time.monotonic()
    with pytest.raises(Unreachable, match="has not answered for"):
        store.define(make(2), author)
    assert time.monotonic() - began < LONGEST
    assert store.reach.silence is not None
    began = time.monotonic()
    for refused in (store.heads, lambda: store.define(make(3), author), lambda: store.claim("u", "h")):
        with pytest.raises(Unreachable):
            refused()
    assert time.monotonic() - began < 0.1
    proxy.silent = False
    wait_for(lambda: _answers(store))
    assert store.reach.silence is None
    assert [head.name for head in store.heads()] == ["vm1"]
    assert store.define(make(2), author).n == 1


def _answers(store) -> bool:
    try:
        store.ping()
    except Unreachable:
        return False
    return True


def test_a_cut_in_the_middle_of_a_change_leaves_nothing_of_it(way, make, author):
    store, proxy, _ = way
    store.define(make(1), author)
    with pytest.raises(Unreachable, match="nothing was stored"), store._database.write() as connection:
        connection.execute(text("UPDATE domain SET name = 'x'"))
        proxy.break_off()
        connection.execute(text("UPDATE domain SET name = 'y'"))
    assert [head.name for head in store.heads()] == ["vm1"]


def test_the_answer_to_a_commit_that_was_lost_is_asked_for(way, make, author):
    """The server got the COMMIT; the proxy swallows the answer and comes back: the change is there, once."""
    store, proxy, _ = way
    store.define(make(1), author)
    proxy.cut_at_commit = True

    def heal() -> None:
        wait_for(lambda: proxy.silent)
        proxy.break_off()
        time.sleep(0.5)
        proxy.silent = False

    healing = threading.Thread(target=heal)
    healing.start()
    assert store.define(make(1, memory=7), author).n == 2
    healing.join()
    assert [revision.n for revision in store.history("vm1")] == [1, 2]


def test_a_commit_whose_outcome_nobody_can_tell_is_called_so(way, make, author):
    store, proxy, _ = way
    store.define(make(1), author)
    proxy.cut_at_commit = True
    with pytest.raises(OutcomeUnknown):
        store.define(make(1, memory=7), author)
    proxy.silent = False
    wait_for(lambda: _answers(store))
    assert [revision.n for revision in store.history("vm1")] == [1, 2]


def test_a_commit_that_never_arrived_is_told_as_such(way, make, author, postgres):
    """The server's process ends before COMMIT reaches it: nothing is stored, and the daemon knows for certain."""
    store, _, direct = way
    store.define(make(1), author)
    with pytest.raises(Unreachable, match="nothing was stored"), store._database.write() as connection:
        connection.execute(text("UPDATE domain SET autostart = true"))
        backend = connection.info["backend"]
        listeners = [connection]

        def cut(_connection) -> None:
            postgres.sql(direct, f"SELECT pg_terminate_backend({backend}, 5000)")

        from sqlalchemy import event

        event.listen(listeners[0].engine, "commit", cut, once=True)
    assert not store.head("vm1").autostart


def test_a_server_that_is_stopped_and_started(own_postgres, make, author):
    url = own_postgres.fresh_url()
    store = Store.open(url)
    store.define(make(1), author)
    own_postgres.stop("fast")
    began = time.monotonic()
    with pytest.raises(Unreachable):
        store.define(make(2), author)
    with pytest.raises(Unreachable):
        store.heads()
    assert time.monotonic() - began < LONGEST
    own_postgres.start()
    wait_for(lambda: _answers(store))
    assert store.define(make(1), author).n == 2
    own_postgres.stop("immediate")
    own_postgres.start()
    assert wait_for(lambda: _answers(store))
    assert store.define(make(1), author).n == 3
    store.close()


def test_a_lock_that_another_holds_is_waited_for_only_so_long(way, make, author):
    store, _, direct = way
    store.define(make(1), author)
    other = Store.open(direct)
    with other._database.write() as connection:
        connection.execute(text("SELECT * FROM domain FOR UPDATE"))
        with pytest.raises(DeadlineExceeded, match="took too long"):
            store.define(make(1), author)
    assert store.reach.silence is None
    other.close()
    assert store.define(make(1), author).n == 2


def test_passwords_are_in_no_message(postgres):
    url = postgres.over_tcp(postgres.fresh_url()).replace("postgres@", f"postgres:{PASSWORD}x@")
    with pytest.raises(Unreachable) as refused:
        Store.open(url)
    assert PASSWORD not in str(refused.value)
    with pytest.raises(InvalidRequest) as refused_too:
        Store.open(f"postgresql//x:{PASSWORD}@h/d")
    assert PASSWORD not in str(refused_too.value)
    store = Store.open(url.replace(f"{PASSWORD}x", PASSWORD))
    assert PASSWORD not in store.place
    assert store.place.startswith("postgresql://postgres:***@127.0.0.1")
    store.close()
