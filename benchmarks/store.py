"""Measure the store: definitions, lists, look-ups, leaves, opening. Run: python benchmarks/store.py [COUNT] [URL].

Prints one figure a line; the targets are in docs/performance.md.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from domicile.store.store import Store
from domicile.store.values import Author, Draft, Fact

T = TypeVar("T")
AUTHOR = Author("root", "virsh", "define vm.xml")
DISK = """
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'/>
      <source file='/var/lib/libvirt/images/{name}-{n}.qcow2'/>
      <target dev='vd{letter}' bus='virtio'/>
      <boot order='{n}'/>
      <alias name='virtio-disk{n}'/>
      <address type='pci' domain='0x0000' bus='0x0{n}' slot='0x00' function='0x0'/>
    </disk>"""
PORT = """
    <controller type='pci' index='{n}' model='pcie-root-port'>
      <model name='pcie-root-port'/>
      <target chassis='{n}' port='0x1{n:x}'/>
      <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x{n:x}'/>
    </controller>"""
NIC = """
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br{bridge}'/>
      <target dev='vnet{n}'/>
      <model type='virtio'/>
      <address type='pci' domain='0x0000' bus='0x0{n}' slot='0x00' function='0x0'/>
    </interface>"""
DOCUMENT = """<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='KiB'>{memory}</memory>
  <currentMemory unit='KiB'>{memory}</currentMemory>
  <vcpu placement='static'>{vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='pit' tickpolicy='delay'/>
    <timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


def draft(n: int, rnd: random.Random) -> Draft:
    """Make a realistic definition: 7 KB of XML, 20 facts, 250 leaves."""
    name, uuid = f"vm-{n:05}", f"{rnd.getrandbits(32):08x}-0000-4000-8000-{n:012x}"
    macs = [f"52:54:00:{rnd.randrange(256):02x}:{rnd.randrange(256):02x}:{rnd.randrange(256):02x}" for _ in range(3)]
    disks = [DISK.format(name=name, n=i, letter="abcd"[i - 1]) for i in range(1, 5)]
    nics = [NIC.format(mac=mac, bridge=n % 7, n=i + 1) for i, mac in enumerate(macs)]
    devices = "".join(disks + [PORT.format(n=i) for i in range(1, 13)] + nics)
    memory, vcpus = rnd.choice((1, 2, 4, 8)) << 20, rnd.choice((1, 2, 4))
    text = DOCUMENT.format(name=name, uuid=uuid, memory=memory, vcpus=vcpus, devices=devices)
    facts = [Fact("mac", mac, f"devices/interface[{i}]/mac/@address") for i, mac in enumerate(macs, 1)]
    facts += [Fact("bridge", f"br{n % 7}", f"devices/interface[{i}]/source/@bridge") for i in (1, 2, 3)]
    for i in (1, 2, 3, 4):
        facts.append(Fact("disk", f"/var/lib/libvirt/images/{name}-{i}.qcow2", f"devices/disk[{i}]/source/@file"))
        facts.append(Fact("target", f"vd{'abcd'[i - 1]}", f"devices/disk[{i}]/target/@dev"))
    facts += [Fact("machine", "pc-q35-7.2", "os/type/@machine"), Fact("arch", "x86_64", "os/type/@arch")]
    facts += [Fact("emulator", "/usr/bin/qemu-system-x86_64", "devices/emulator"), Fact("cpu", "host", "cpu/@mode")]
    facts += [Fact("port", str(5900 + n), "devices/graphics/@port"), Fact("os", "hvm", "os/type")]
    summary = {"arch": "x86_64", "machine": "pc-q35-7.2", "memory_kib": memory, "current_kib": memory}
    summary |= {"vcpus": vcpus, "vcpus_max": vcpus, "os_type": "hvm", "title": "", "emulator": "qemu", "type": "kvm"}
    return Draft(uuid, name, text.replace("    <alias", "<alias"), text, '{"allocated": []}', summary, facts)


def timed(label: str, work: Callable[[], T], times: int = 1) -> T:
    """Print how long one call takes."""
    started = time.perf_counter()
    for _ in range(times):
        outcome = work()
    print(f"{label:<58}{(time.perf_counter() - started) / times * 1000:10.2f} ms")
    return outcome


def main() -> None:
    """Fill a database and ask it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rnd = random.Random(1)
    drafts = [draft(n, rnd) for n in range(count)]
    with tempfile.TemporaryDirectory(dir=Path.home()) as folder:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder}/domicile.db"
        first = drafts[0]
        print(f"{len(first.completed)} bytes of XML, {len(first.facts)} facts, {count} domains, {url.split(':')[0]}")
        store = timed("create the database", lambda: Store.open(url))
        rate("define, sequential", drafts, lambda one: store.define(one, AUTHOR))
        bare(f"{folder}/bare.db", drafts[:2000])
        rate("define again, nothing new", drafts[:2000], lambda one: store.define(one, AUTHOR))
        questions(store, drafts)
        size = sum(file.stat().st_size for file in Path(folder).glob("domicile.db*"))
        store.close()
        print(f"{'size of the database, of one domain':<58}{size / 1e6:10.1f} MB {size / count / 1e3:.1f} KB")
        opening = "from domicile.store.store import Store; import sys; Store.open(sys.argv[1]).heads()"
        timed("a new process: import, open, list", lambda: run(opening, url), 3)
        timed("  of it Python itself", lambda: run("pass"), 3)
        timed("  of it importing SQLAlchemy", lambda: run("import sqlalchemy"), 3)


def questions(store: Store, drafts: list[Draft]) -> None:
    """Ask everything once all is defined."""
    rnd = random.Random(2)
    timed("heads of all", store.heads, 5)
    timed("find by MAC", lambda: store.find("mac", rnd.choice(drafts).facts[0].value), 500)
    timed("find by disk source", lambda: store.find("disk", f"/var/lib/libvirt/images/{drafts[5].name}-1.qcow2"), 500)
    timed("completed text", lambda: store.completed_text(rnd.choice(drafts).uuid), 500)
    timed("history of one", lambda: store.history(rnd.choice(drafts).name), 200)
    timed("catch up with every leaf of all", store.catch_up)
    mac = drafts[7].facts[0].value
    timed(
        "find_leaf devices/interface/mac/@address = …",
        lambda: store.find_leaf("devices/interface/mac/@address", "=", mac),
        20,
    )
    timed(
        "find_leaf devices/*/source/@* contains …",
        lambda: store.find_leaf("devices/*/source/@*", "contains", "vm-00007-2"),
        5,
    )
    timed("find_leaf memory > 5000000 (a quarter of all)", lambda: store.find_leaf("memory", ">", "5000000"), 5)
    rate("claim and release", drafts[:1000], claiming(store))


def bare(path: str, drafts: list[Draft]) -> None:
    """Do the least that a definition can cost: one document and its facts with an index, by sqlite3 alone."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4000;"
        "CREATE TABLE document (id INTEGER PRIMARY KEY, uuid TEXT UNIQUE, name TEXT UNIQUE, body TEXT);"
        "CREATE TABLE fact (id INTEGER, kind TEXT, value TEXT); CREATE INDEX found ON fact (kind, value);"
    )

    def store(one: Draft) -> None:
        connection.execute("BEGIN IMMEDIATE")
        made = connection.execute("INSERT INTO document VALUES (NULL, ?, ?, ?)", (one.uuid, one.name, one.completed))
        connection.executemany("INSERT INTO fact VALUES (?, ?, ?)", [(made.lastrowid, *fact[:2]) for fact in one.facts])
        connection.execute("COMMIT")

    rate("  bare sqlite3, document and facts, for comparison", drafts, store)
    connection.close()


def claiming(store: Store) -> Callable[[Draft], object]:
    store.register_host("here")
    return lambda one: store.release(store.claim(one.uuid, "here"))


def rate(label: str, drafts: list[Draft], work: Callable[[Draft], object]) -> None:
    """Print how many there are in a second."""
    started = time.perf_counter()
    for one in drafts:
        work(one)
    print(f"{label:<58}{len(drafts) / (time.perf_counter() - started):10.0f} /s")


def run(*words: str) -> None:
    subprocess.run([sys.executable, "-c", *words], check=True)


if __name__ == "__main__":
    main()
