"""What was defined and what ran at a moment, and by which way the database finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from domicile.store import past
from domicile.store.engine import Database
from domicile.store.values import Action

BASE = datetime(2026, 11, 30, 3, tzinfo=UTC)


def minute(n: int) -> datetime:
    return BASE + timedelta(minutes=n)


def test_what_was_defined(store, make, author):
    before = datetime.now(UTC)
    first = store.define(make(1), author)
    store.define(make(2), author)
    second = store.define(make(1, memory=7), author)
    gone = store.undefine(make(1).uuid, author)
    back = store.undelete(make(1).uuid, author)
    assert store.at(before - timedelta(seconds=1)) == []
    uuid = make(1).uuid

    def then(moment: datetime) -> list[int]:
        return [one.revision.n for one in store.at(moment, uuid)]

    assert then(first.at) == [1]
    assert then(second.at) == [2]
    assert then(gone.at) == []
    assert then(back.at) == [4]
    assert [one.name for one in store.at(second.at)] == ["vm1", "vm2"]
    assert store.at(second.at)[0].revision == second


def test_what_ran(store, make, author):
    store.define(make(1), author)
    uuid, host = make(1).uuid, {"host": "here", "revision": 1}
    store.log(
        Action("start", author, uuid, "vm1", detail=host, at=minute(1)),
        Action("suspend", author, uuid, "vm1", at=minute(2)),
        Action("start", author, "transient", "t", detail=host, at=minute(2)),
        Action("end", author, uuid, "vm1", detail={"reason": "crashed"}, at=minute(3)),
        Action("start", author, uuid, "vm1", "failed", at=minute(4)),
        Action("restore", author, uuid, "vm1", detail=host, at=minute(5)),
        Action("leave", author, uuid, "vm1", at=minute(6)),
    )

    def ran(n: int) -> list[str]:
        return [one.name for one in store.at(minute(n)) if one.started is not None]

    assert [ran(n) for n in range(8)] == [
        [],
        ["vm1"],
        ["t", "vm1"],
        ["t"],
        ["t"],
        ["t", "vm1"],
        ["t", "vm1"],
        ["t", "vm1"],
    ]
    (one,) = store.at(minute(2), uuid)
    assert (one.started.at, one.started.detail, one.revision) == (minute(1), host, None)
    assert store.at(minute(3), uuid) == []


def test_a_run_that_ends_forgets_the_machine_and_stays_in_the_log(store, author):
    store.drop_machine("u", ended=Action("end", author, "u", "vm"))
    assert [one.verb for one in store.actions("u")] == ["end"]


@pytest.mark.parametrize("one", [False, True])
def test_the_indexes_serve(url, store, make, author, one):
    for n in range(30):
        store.define(make(n), author)
        store.log(Action("start", author, make(n).uuid, f"vm{n}", at=minute(n)))
    database = Database(url)
    statements = (past._RAN_ONE, past._DEFINED_ONE) if one else (past._RAN, past._DEFINED)
    values = {"at_": 5, "uuid_": make(1).uuid} if one else {"at_": 5}
    with database.read() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        told = []
        for statement in statements:
            words = "EXPLAIN " if database.dialect == "postgresql" else "EXPLAIN QUERY PLAN "
            if statement in (past._RAN, past._RAN_ONE):
                sql = str(statement).replace(":at_", "5").replace(":uuid_", f"'{make(1).uuid}'")
            else:
                bound = statement.params(**values)
                sql = str(bound.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
            told.append("\n".join(str(row) for row in connection.exec_driver_sql(words + sql)))
    database.close()
    assert "action_life" in told[0]
    assert "revision_domain_at" in told[1]
