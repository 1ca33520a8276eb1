from __future__ import annotations

import stat

import pytest

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.store.store import Store


@pytest.mark.parametrize("url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "oracle://x"])
def test_urls_that_are_none(url):
    with pytest.raises(InvalidRequest):
        Store.open(url)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(HostFailure, match="cannot open"):
        Store.open(f"sqlite:///{tmp_path}/no/such.db")


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(HostFailure):
        Store.open(f"sqlite:///{tmp_path}/x.db")


def test_a_postgresql_that_does_not_answer(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(HostFailure):
        Store.open(f"postgresql://u@/d?host={tmp_path}")


def test_the_database_is_its_owners_alone(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/x.db")
    modes = {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    store.close()
    assert modes == {0o600}


def test_sqlite_is_set_up_to_be_durable(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/x.db")
    asked = {}
    with store._database.write() as connection:
        for pragma in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
            asked[pragma] = connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
    store.close()
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
