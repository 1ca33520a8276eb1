"""Databases that each older version really made, upgraded: nothing is lost, and all that is newer works.

scripts/sample-database makes the sample of a version; one that was made is never made anew.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from sqlalchemy import text

from domicile.base.errors import Conflict, HostFailure
from domicile.service import keeping
from domicile.service.place import Place
from domicile.store import schema
from domicile.store.store import Store

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
VERSIONS = sorted(path.name[1:5] for path in SAMPLES.glob("v*.db.gz"))
ONE = "00000000-0000-4000-8000-{:012x}"


def test_there_is_a_sample_of_each_older_version():
    wanted = [f"{number:04}" for number in range(1, int(schema.VERSION))]
    assert [version for version in VERSIONS if version < schema.VERSION] == wanted
    assert {path.name[1:5] for path in SAMPLES.glob("v*.sql.gz")} == set(VERSIONS)


@pytest.fixture(params=[f"{kind} {version}" for version in VERSIONS for kind in ("sqlite", "postgresql")])
def sample(request, tmp_path):
    kind, version = request.param.split()
    if kind == "sqlite":
        path = tmp_path / "sample.db"
        path.write_bytes(gzip.decompress((SAMPLES / f"v{version}.db.gz").read_bytes()))
        return version, f"sqlite:///{path}"
    postgres = request.getfixturevalue("postgres")
    url = postgres.fresh_url()
    dump = postgres.folder / f"v{version}.sql"
    dump.write_bytes(gzip.decompress((SAMPLES / f"v{version}.sql.gz").read_bytes()))
    dump.chmod(0o644)
    name = url.partition("@/")[2].partition("?")[0]
    words = ("-h", str(postgres.folder), "-p", str(postgres.port), "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1")
    postgres.run("psql", *words, "-f", str(dump), name)
    return version, url


def test_an_old_database_is_upgraded_with_all_it_holds(sample, make, author):
    version, url = sample
    assert keeping.upgrade(Place(url)) == (version, schema.VERSION)
    faults, sums = keeping.check(Place(url))
    assert faults == []
    assert sums["revision"].rows == 9
    store = Store.open(url)
    assert [(head.name, head.n, head.autostart) for head in store.heads()] == [
        ("vm1", 2, True), ("renamed", 2, False), ("vm4", 3, False),
    ]  # fmt: skip
    assert [revision.kind for revision in store.history("vm4")] == ["define", "undefine", "undelete"]
    assert [revision.kind for revision in store.history("vm3")] == ["define", "undefine"]
    first = store.revision("vm1", 1)
    assert (first.why, first.author.user, first.author.client) == ("因为", "alice", "virsh 9.0")
    assert "<memory unit='KiB'>524288</memory>" in first.completed
    assert first.authored == f"<!-- mine -->{first.completed}"
    assert "<title>示例 1</title>" in store.completed_text(ONE.format(1))
    assert [match.name for match in store.find("bridge", "br0")] == ["renamed", "vm1", "vm4"]
    assert [match.name for match in store.find_leaf("memory", "=", "1048576")] == ["vm1"]
    assert [match.name for match in store.find_leaf("title", "~", "示例")] == ["renamed", "vm1", "vm4"]
    (machine,) = store.get_machines()
    assert (machine.name, machine.id, machine.pid, machine.start_time, machine.revision) == ("vm1", 7, 1234, 5678, 2)
    claim = store.claim_of(ONE.format(1))
    assert claim is not None
    assert claim.generation == 1
    assert [done.verb for done in store.actions()] == ["start"]
    if version >= "0002":
        assert [head.name for head in store.objects("network")] == ["default"]
        store.register_host("11111111-2222-4333-8444-555555555555")
        assert [active.facts for active in store.active_objects("network")] == [{"bridge": "virbr0"}] or version < "0002"
    # It goes on.
    assert store.define(make(1, name="vm1"), author).n == 3
    assert store.define(make(50), author).n == 1
    store.undelete("vm3", author)
    with pytest.raises((Conflict, HostFailure), match="append-only"), store._database.write() as connection:
        connection.execute(text("DELETE FROM revision"))
    store.close()
    assert keeping.check(Place(url))[0] == []
