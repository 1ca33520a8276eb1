"""Fill a database by the code of whatever version is on the path: FILL URL VERSION. Run by scripts/sample-database alone."""

from __future__ import annotations

import inspect
import sys

from domicile.store import schema
from domicile.store.store import Store
from domicile.store.values import Action, Author, Draft, Fact, MachineRecord

AUTHOR = Author("alice", "virsh 9.0", "define vm.xml")
XML = """<domain type='kvm'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <title>示例 {n}</title>
  <memory unit='KiB'>{memory}</memory>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <disk type='file'><source file='/images/{name}.img'/><target dev='vda' bus='virtio'/></disk>
    <interface type='bridge'><mac address='52:54:00:00:00:{n:02x}'/><source bridge='br0'/></interface>
  </devices>
</domain>
"""


def draft(n: int, memory: int = 524288, name: str = "") -> Draft:
    name, uuid = name or f"vm{n}", f"00000000-0000-4000-8000-{n:012x}"
    text = XML.format(name=name, uuid=uuid, memory=memory, n=n)
    facts = [
        Fact("mac", f"52:54:00:00:00:{n:02x}", "devices/interface[1]/mac/@address"),
        Fact("disk", f"/images/{name}.img", "devices/disk[1]/source/@file"),
        Fact("bridge", "br0", "devices/interface[1]/source/@bridge"),
    ]
    return Draft(uuid, name, f"<!-- mine -->{text}", text, '{"defaulted": []}', {"memory_kib": memory}, facts)


def main(url: str, version: str) -> None:
    if version != schema.VERSION:
        raise SystemExit(f"this code makes schema {schema.VERSION}, not {version}")
    store = Store.open(url)
    for n in (1, 2, 3, 4):
        store.define(draft(n), AUTHOR, "因为")
    store.catch_up()
    store.define(draft(1, memory=1048576), AUTHOR)
    store.rename(draft(2, name="renamed"), AUTHOR)
    store.undefine("vm3", AUTHOR)
    store.undefine("vm4", AUTHOR)
    store.undelete("vm4", AUTHOR)
    store.set_autostart("vm1", True)
    store.register_host("11111111-2222-4333-8444-555555555555")
    store.claim(draft(1).uuid, "11111111-2222-4333-8444-555555555555")
    store.put_machine(
        MachineRecord(
            draft(1).uuid, "vm1", 7, 1234, 5678, "/run/m/7", draft(1).completed, 2, 1, 1, {"record": "{}"},
            "11111111-2222-4333-8444-555555555555",
        )
    )  # fmt: skip
    store.log(Action("start", AUTHOR, draft(1).uuid, "vm1", detail={"revision": 2}))
    if hasattr(store, "define_object"):
        from domicile.store.values import ActiveObject

        text = "<network><name>default</name></network>"
        store.define_object("network", draft(9).uuid, "default", text, text, AUTHOR)
        host = () if "host" not in inspect.signature(ActiveObject).parameters else ({"bridge": "virbr0"},)
        store.put_active(ActiveObject("network", draft(9).uuid, "default", text, *host))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
