"""Simulate a fleet on the real schema in a PostgreSQL: 1,000 hosts, 100,000 VMs. Run: python benchmarks/fleet.py URL [SIZES].

URL names an empty PostgreSQL database; it is filled by COPY with realistic documents and all their leaves. Prints, for each
size, what questions, lists, claims and heartbeats take; the targets are in docs/performance.md.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent))
from store import AUTHOR, draft

from domicile.domain import question
from domicile.store import document
from domicile.store.leaf_index import _path_id, pair_number
from domicile.store.leaves import leaves_of, number
from domicile.store.store import Store

HOSTS, WORKERS, SECONDS = 1_000, 5, 5.0
QUESTIONS = (
    "mac = {mac}",
    "name = {name}",
    "devices.disk.source@file = {disk}",
    "devices.disk.source@file = {disk} and memory >= 1GiB",
    "memory = 8GiB and name = {name}",
    "uuid = {uuid} or mac = {mac}",
)
WIDE = ("memory >= 8GiB and bridge = br3", "vcpu = 4 and not memory >= 4GiB")


def fill(url: str, begin: int, end: int, rnd: random.Random) -> list[dict[str, str]]:
    """Put domains in, a tenth of them running, with all that belongs to them; returns what some are known by."""
    known = []
    paths: dict[int, str] = {}
    pairs: dict[int, tuple[int, str]] = {}
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE p (id bigint, path text)")
        cursor.execute("CREATE TEMP TABLE q (id bigint, path_id bigint, number float8, value text)")
        for start in range(begin, end, 5_000):
            drafts = [(n + 1, draft(n, rnd)) for n in range(start, min(end, start + 5_000))]
            leaves = []
            for number_, one in drafts:
                mine = set()
                for path, value in leaves_of(one.completed):
                    pair = pair_number(path, value)
                    mine.add(pair)
                    if pair not in pairs:
                        paths[_path_id(path)] = path
                        pairs[pair] = (_path_id(path), value)
                leaves += [(pair, number_) for pair in mine]
                if number_ % 997 == 0 or start == begin:
                    mac = next(fact.value for fact in one.facts if fact.kind == "mac")
                    disk = next(fact.value for fact in one.facts if fact.kind == "disk")
                    known.append({"mac": mac, "name": one.name, "disk": disk, "uuid": one.uuid})
            _copy(cursor, "domain (id, uuid, name, head, leaf_head, autostart, owner, summary)", ((i, d.uuid, d.name, 1, 1, False, "root", "{}") for i, d in drafts))  # fmt: skip
            at = time.time_ns() // 1000
            columns = "revision (id, domain, n, kind, name, at, author_user, author_client, author_command, why, parent, document)"
            _copy(cursor, columns, ((i, i, 1, "define", d.name, at, "root", "virsh", "", "", 0, document.pack(d.authored, d.completed, d.report)) for i, d in drafts))  # fmt: skip
            _copy(cursor, "fact (domain, kind, value, path)", sorted({(i, f.kind, f.value, f.path) for i, d in drafts for f in d.facts}))
            _copy(cursor, "leaf (pair, domain)", sorted(leaves))
            _copy(cursor, "host (name, registered_at)", ((f"host{i // 100}", at) for i, _ in drafts if i % 100 == 0))
            _copy(cursor, "machine (uuid, name, id, host, revision, pid, start_time, directory, live_xml, facts, state, reason, observed_at)", ((d.uuid, d.name, i, f"host{i // 1000 * 10}", 1, 1, 1, "/run", document.text_pack(d.completed), "{}", 1, 1, at) for i, d in drafts if i % 10 == 0))  # fmt: skip
            print(f"  {start + len(drafts)} domains", file=sys.stderr)
        _copy(cursor, "p", paths.items())
        _copy(cursor, "q", ((pair, path, number(value), value) for pair, (path, value) in pairs.items()))
        cursor.execute("INSERT INTO leaf_path SELECT * FROM p ON CONFLICT DO NOTHING")
        cursor.execute("INSERT INTO leaf_pair SELECT * FROM q ON CONFLICT DO NOTHING")
        for table in ("domain", "revision"):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {10_000_000 + end})")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return known


def _copy(cursor: Any, table: str, rows: Any) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN") as copying:
        for row in rows:
            copying.write_row(row)


def typical(work: Callable[[], object], times: int = 15) -> tuple[float, float]:
    """Give the median and the worst of several calls, in ms."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), max(took)


def measure(store: Store, url: str, known: list[dict[str, str]], count: int) -> None:
    """Print what things take."""
    rnd = random.Random(2)
    for asked in (*QUESTIONS, *WIDE):
        def one(asked: str = asked) -> int:
            return len(store.query(question.read(asked.format(**rnd.choice(known))), [], 100))

        middle, worst = typical(one)
        print(f"{count:>8} query {asked:<62}{middle:9.2f} ms median {worst:9.2f} ms worst ({one()} found)")
    hosts = max(1, count // 1000)
    middle, worst = typical(lambda: store.get_machines(f"host{rnd.randrange(hosts) * 10}"))
    print(f"{count:>8} list of one host's machines (100){'':<36}{middle:9.2f} ms median {worst:9.2f} ms worst")
    print(f"{count:>8} claims taken and given back a second, {WORKERS} daemons{'':<19}{_rate(url, _claims):9.0f} /s")
    print(f"{count:>8} heartbeats a second, {WORKERS} daemons{'':<36}{_rate(url, _beats):9.0f} /s")
    fresh = draft(10_000_000 + count, rnd)
    middle, _ = typical(lambda: store.define(fresh, AUTHOR), 30)
    print(f"{count:>8} define{'':<62}{middle:9.2f} ms median")


def _rate(url: str, work: Callable[[Store, int, int], None]) -> float:
    """Let several processes work at once."""
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(_work, [url] * WORKERS, [work] * WORKERS, range(WORKERS))) / SECONDS


def _work(url: str, work: Callable[[Store, int, int], None], worker: int) -> int:
    store = Store.open(url)
    done, stop = 0, time.monotonic() + SECONDS
    while time.monotonic() < stop:
        work(store, worker, done)
        done += 1
    store.close()
    return done


def _claims(store: Store, worker: int, count: int) -> None:
    held = store.claim(f"uuid-{worker}-{count % 1000}", f"host{worker + 1}")
    store.release(held)


def _beats(store: Store, worker: int, count: int) -> None:
    store.beat(f"host{1 + worker + count % 90 // WORKERS * WORKERS}")


def main() -> None:
    """Fill, measure, fill further."""
    url = sys.argv[1]
    sizes = [int(word) for word in sys.argv[2].split(",")] if len(sys.argv) > 2 else [10_000, 30_000, 100_000]
    rnd, known, begin = random.Random(1), [], 0
    store = Store.open(url)
    for size in sizes:
        began = time.monotonic()
        known += fill(url, begin, size, rnd)
        print(f"{size:>8} domains are in; filling took {time.monotonic() - began:.0f} s")
        measure(store, url, known, size)
        begin = size
    store.close()


if __name__ == "__main__":
    main()
