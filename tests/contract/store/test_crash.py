"""A killed daemon: what was acknowledged is there, and the database opens."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domicile.store.store import Store

CHILD = """
import sys
from domicile.store.store import Store
from domicile.store.values import Author, Draft, Fact
store = Store.open(sys.argv[1])
for n in range(1_000_000):
    text = f"<domain><name>vm{n}</name><pad>{'x' * 5000}</pad></domain>"
    draft = Draft(f"00000000-0000-4000-8000-{n:012x}", f"vm{n}", text, text, facts=[Fact("k", str(n)), Fact("k", "all")])
    store.define(draft, Author("a", "b", "c"))
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    if n % 50 == 49:
        store.catch_up()
"""


@pytest.mark.parametrize("moment", [0.05, 0.21, 0.4])
def test_killed_in_the_middle_of_defining(tmp_path: Path, moment: float) -> None:
    url = f"sqlite:///{tmp_path}/domicile.db"
    acknowledged = tmp_path / "acknowledged"
    with acknowledged.open("w") as out:
        child = subprocess.Popen([sys.executable, "-c", CHILD, url], stdout=out)
    deadline = time.monotonic() + 30
    while acknowledged.stat().st_size == 0:
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(moment)
    child.send_signal(signal.SIGKILL)
    child.wait(30)
    whole_lines = acknowledged.read_text().split("\n")[:-1]
    store = Store.open(url)
    names = [head.name for head in store.heads()]
    # One more may have been stored that the child had no time to tell of; never one less.
    assert len(names) - len(whole_lines) in (0, 1)
    assert names == [f"vm{n}" for n in range(len(names))]
    assert len(store.find("k", "all")) == len(names)
    assert len(store.find_leaf("name", "contains", "vm")) == len(names)
    for name in names:
        (revision,) = store.history(name)
        assert revision.completed.startswith(f"<domain><name>{name}<")
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    store.close()
