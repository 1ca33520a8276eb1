"""Several daemons on one database that want the same: no machine twice, no revision lost, every history a line.

COUNT operations in all; `DOMICILE_CONFLICTS=1000` makes it the full count.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from domicile.store.store import Store

COUNT = int(os.environ.get("DOMICILE_CONFLICTS", "150"))
DAEMONS, DOMAINS = 5, 6

DAEMON = """
import random, sys, time
sys.path.insert(0, sys.argv[4])
from conftest import AUTHOR, XML
from dataclasses import replace
from domicile.base.errors import Conflict
from domicile.store.store import Store
from domicile.store.values import Draft, MachineRecord

url, me, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
domains = int(sys.argv[5])
store, rnd = Store.open(url), random.Random(me)
store.register_host(me)

def draft(n, memory):
    uuid, name = f"00000000-0000-4000-8000-{n:012x}", f"vm{n}"
    text = XML.format(name=name, uuid=uuid, memory=memory, mac="52:54:00:00:00:01")
    return Draft(uuid, name, text, text)

print("ready", flush=True)
sys.stdin.readline()
for k in range(count):
    n = rnd.randrange(domains)
    uuid, what = draft(n, 1).uuid, rnd.choice(("define", "edit", "rollback", "start"))
    try:
        if what == "define":
            made = store.define(draft(n, rnd.randrange(1, 10**6)), AUTHOR, f"{me} {k}")
            print("stored", n, made.n, me, k)
        elif what == "edit":
            head = store.head(f"vm{n}").n
            made = store.define(draft(n, rnd.randrange(1, 10**6)), AUTHOR, f"{me} {k}", expect_head=head, kind="edit")
            assert made.n == head + 1
            print("stored", n, made.n, me, k)
        elif what == "rollback":
            old = store.revision(f"vm{n}", 1)
            made = store.define(Draft(uuid, f"vm{n}", old.authored, old.completed), AUTHOR, f"{me} {k}", kind="rollback")
            print("stored", n, made.n, me, k)
        else:
            claim = store.claim(uuid, me)
            begun = time.time_ns()
            store.put_machine(MachineRecord(uuid, f"vm{n}", 1, 1, 1, "/run", "<domain/>", host=me))
            time.sleep(rnd.random() / 200)
            assert [m.host for m in store.get_machines() if m.uuid == uuid] == [me], "it runs twice"
            store.drop_machine(uuid)
            ended = time.time_ns()
            assert store.release(claim)
            print("ran", n, claim.generation, begun, ended)
    except Conflict:
        print("refused", n, what)
store.close()
print("done", flush=True)
"""


@pytest.mark.parametrize("seed", [1])
def test_daemons_in_conflict(url, make, author, seed):
    store = Store.open(url)
    for n in range(DOMAINS):
        store.define(make(n), author)
    here = str(Path(__file__).parent)
    daemons = []
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    for n in range(DAEMONS):
        words = [sys.executable, "-W", "ignore", "-c", DAEMON, url, f"host{n + seed}", str(COUNT // DAEMONS), here, str(DOMAINS)]
        daemons.append(
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        )
    for daemon in daemons:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "ready\n"
    for daemon in daemons:
        assert daemon.stdin is not None
        daemon.stdin.write("go\n")
        daemon.stdin.flush()
    said = []
    for daemon in daemons:
        output, _ = daemon.communicate(timeout=300)
        assert daemon.returncode == 0
        assert output.endswith("done\n")
        said += output.splitlines()
    outcomes = Counter(line.split()[0] for line in said)
    assert outcomes["stored"] + outcomes["ran"] + outcomes["refused"] == COUNT // DAEMONS * DAEMONS
    assert outcomes["stored"]
    assert outcomes["ran"]
    told: dict[int, dict[int, str]] = {n: {} for n in range(DOMAINS)}
    runs: dict[int, list[tuple[int, int, int]]] = {n: [] for n in range(DOMAINS)}
    for line in said:
        kind, *rest = line.split()
        if kind == "stored":
            n, number, who, k = int(rest[0]), int(rest[1]), rest[2], rest[3]
            assert number not in told[n], "two daemons were told the same revision"
            told[n][number] = f"{who} {k}"
        elif kind == "ran":
            runs[int(rest[0])].append((int(rest[1]), int(rest[2]), int(rest[3])))
    for n in range(DOMAINS):
        history = store.history(f"vm{n}")
        # A line without gaps, each revision after the one before, and every one that somebody was told of is there.
        assert [revision.n for revision in history] == list(range(1, len(history) + 1))
        assert [revision.parent for revision in history] == list(range(len(history)))
        assert {revision.n: revision.why for revision in history if revision.n > 1} == told[n]
        assert store.head(f"vm{n}").n == len(history)
        # Generations grow by one with each run, and no two runs overlap.
        ordered = sorted(runs[n])
        assert [generation for generation, _, _ in ordered] == list(range(1, len(ordered) + 1))
        for (_, _, ended), (_, begun, _) in pairwise(ordered):
            assert ended <= begun, "two machines of one domain at once"
    assert store.get_machines() == []
    store.close()


