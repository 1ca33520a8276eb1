"""A whole database into another, both ways, and what `domicile db check` finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from domicile.base.errors import Conflict, HostFailure, InvalidRequest
from domicile.service import keeping
from domicile.service.paths import Paths
from domicile.service.place import Place, named
from domicile.store import tables, transfer
from domicile.store.engine import Database
from domicile.store.store import Store
from domicile.store.values import Action, ActiveObject, MachineRecord


def silent(_table: str, _rows: int) -> None:
    pass


def fill(store, make, author):
    """Put something into every table."""
    for n in range(60):
        store.define(make(n), author, "why: 中文")
    store.define(make(1, memory=7), author)
    store.undefine("vm2", author)
    store.set_autostart("vm3", True)
    store.register_host("h1")
    store.claim(make(4).uuid, "h1")
    store.put_machine(MachineRecord(make(4).uuid, "vm4", 1, 77, 88, "/run/x", "<domain/>", 1, 1, 1, {"a": 1}, "h1"))
    store.log(Action("start", author, make(4).uuid, "vm4", detail={"x": 1.5}))
    store.define_object("network", make(5).uuid, "default", "", "<network/>", author)
    store.put_active(ActiveObject("network", make(5).uuid, "default", "<network/>", {"pid": 7}, "h1"))


@pytest.fixture(params=["sqlite→postgresql", "postgresql→sqlite", "sqlite→sqlite"])
def pair(request, tmp_path, postgres):
    def url(kind: str, name: str) -> str:
        return f"sqlite:///{tmp_path}/{name}.db" if kind == "sqlite" else postgres.fresh_url()

    one, other = request.param.split("→")
    return url(one, "a"), url(other, "b")


def test_everything_arrives(pair, make, author):
    source = Store.open(pair[0])
    fill(source, make, author)
    copied = keeping.move(Place(pair[0]), Place(pair[1]), silent)
    target = Store.open(pair[1])
    assert copied["domain"].rows == 60
    assert copied["revision"].rows == 62
    assert keeping.check(Place(pair[1])) == ([], copied)
    filled = {name for name, one in copied.items() if one.rows}
    assert filled >= {"domain", "revision", "fact", "host", "claim", "machine", "action", "object", "object_revision", "active_object"}
    assert target.heads() == source.heads()
    for name in ("vm1", "vm2", "vm9"):
        assert target.history(name) == source.history(name)
    assert target.actions() == source.actions()
    assert target.get_machines() == source.get_machines()
    assert target.claim_of(make(4).uuid) == source.claim_of(make(4).uuid)
    assert target.find("mac", "52:54:00:00:00:09") == source.find("mac", "52:54:00:00:00:09")
    assert target.find_leaf("memory", "=", "7") == source.find_leaf("memory", "=", "7")
    # It goes on where the other was: numbers are not given twice.
    assert target.define(make(100), author).n == 1
    assert target.define(make(1), author).n == 3
    target.undelete("vm2", author)
    target.log(Action("x", author))
    with pytest.raises((Conflict, HostFailure), match="append-only"), target._database.write() as connection:
        connection.execute(text("UPDATE revision SET at = 0"))
    source.close()
    target.close()


def test_a_target_that_is_not_empty_is_refused_and_stays(pair, make, author):
    source, target = Store.open(pair[0]), Store.open(pair[1])
    fill(source, make, author)
    target.define(make(200), author)
    with pytest.raises(Conflict, match="is not empty: table 'domain' has 1 rows"):
        keeping.move(Place(pair[0]), Place(pair[1]), silent)
    assert [head.name for head in target.heads()] == ["vm200"]
    source.close()
    target.close()


def test_a_copy_that_breaks_off_leaves_nothing(pair, make, author):
    source = Store.open(pair[0])
    fill(source, make, author)

    def broken(table: str, _rows: int) -> None:
        if table == "revision":
            raise RuntimeError("the cable")

    with pytest.raises(RuntimeError, match="the cable"):
        keeping.move(Place(pair[0]), Place(pair[1]), broken)
    target = Store.open(pair[1])
    assert target.heads() == []
    target.close()
    assert keeping.move(Place(pair[0]), Place(pair[1]), silent)["domain"].rows == 60
    source.close()


def test_a_backup_is_one_state_while_daemons_work(url, make, author, tmp_path):
    store = Store.open(url)
    fill(store, make, author)
    busy = []

    def meanwhile(table: str, _rows: int) -> None:
        busy.append(table)
        store.define(make(1, memory=len(busy)), author)

    saved = keeping.backup(Place(url), tmp_path / "saved", meanwhile)
    assert saved["revision"].rows == 62
    assert (tmp_path / "saved").stat().st_mode & 0o777 == 0o600
    assert keeping.check(Place(f"sqlite:///{tmp_path}/saved")) == ([], saved)
    assert sorted(path.name for path in tmp_path.iterdir() if "saved" in path.name) == ["saved"]
    with pytest.raises(Conflict, match="exists"):
        keeping.backup(Place(url), tmp_path / "saved", silent)
    keeping.move(Place(f"sqlite:///{tmp_path}/saved"), Place(f"sqlite:///{tmp_path}/restored"), silent)
    restored = Store.open(f"sqlite:///{tmp_path}/restored")
    assert len(restored.history("vm1")) == 2
    assert len(store.history("vm1")) == 2 + len(busy)
    restored.close()
    store.close()


def test_check_finds_what_is_wrong(url, make, author):
    store = Store.open(url)
    store.define(make(1), author)
    store.define(make(2), author)
    with store._database.write() as connection:
        connection.execute(tables.domain.update().where(tables.domain.c.name == "vm1").values(head=3))
        bad = {c.name: 0 for c in tables.revision.c if c.name != "id"} | {
            "domain": 2, "n": 2, "name": "vm2", "kind": "edit", "author_user": "", "author_client": "", "author_command": "",
            "why": "", "document": b"no zlib",
        }  # fmt: skip
        connection.execute(tables.revision.insert().values(bad | {"parent": 2}))
    found, sums = keeping.check(Place(url))
    assert [fault.partition(":")[0][:40] for fault in found] == [
        "domain 'vm1' (00000000-0000-4000-8000-00",
        "domain 'vm2' (00000000-0000-4000-8000-00",
        "row 3 of table 'revision'",
        "revision 2 of 'vm2' (row 3 of 'revision'",
    ]
    assert sums["revision"].rows == 3
    store.close()


def test_sums_do_not_depend_on_the_order_and_see_every_change(store, make, author):
    store.define(make(1), author)
    with store._database.read() as connection:
        before = transfer.sums(connection)
    store.set_autostart("vm1", True)
    with store._database.read() as connection:
        after = transfer.sums(connection)
    assert {name for name in after if after[name] != before[name]} == {"domain"}


def test_what_cannot_be(tmp_path: Path, make, author):
    with pytest.raises(HostFailure, match="there is no database"):
        keeping.check(named(str(tmp_path / "none")))
    with pytest.raises(HostFailure, match="there is no database"):
        keeping.move(named(str(tmp_path / "none")), named(str(tmp_path / "other")), silent)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InvalidRequest, match="password"):
        named("postgresql://u:p@h/d")
    old = Database(f"sqlite:///{tmp_path}/old")
    old.close()
    with pytest.raises(InvalidRequest, match="db upgrade"):
        keeping.backup(named(str(tmp_path / "old")), tmp_path / "b", silent)
    assert keeping.upgrade(named(str(tmp_path / "old")))[0] is None
    paths = Paths.below(tmp_path / "root")
    paths.make()
    import fcntl

    with paths.pid.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="stop it first"):
            keeping.move(named(str(tmp_path / "old")), named(str(paths.database)), silent, paths)
