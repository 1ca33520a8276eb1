"""What drivers make of what the host's programs and the kernel say of devices and servers."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domicile.base.errors import DomicileError, HostFailure, InvalidRequest
from domicile.storage import disk, iscsi, iscsi_direct, mpath, pool, rbd, scsi, volume, zfs
from domicile.storage.auth import Passwords
from domicile.storage.driver import Order, lacking
from domicile.storage.kinds import KINDS

MIB = 1 << 20


def said(label: str, *parts: tuple[int, int, int, str]) -> Any:
    shown = [
        {"number": number, "start": f"{start}B", "end": f"{end - 1}B", "type": kind}
        for number, start, end, kind in parts
    ]
    return {"disk": {"label": label, "logical-sector-size": 512, "max-partitions": 128, "partitions": shown}}


def test_a_partition_takes_the_smallest_room_that_fits() -> None:
    table = disk.read(
        said("gpt", (0, 17408, 8 * MIB, "free"), (2, 8 * MIB, 9 * MIB, "primary"), (0, 9 * MIB, 12 * MIB, "free"))
    )
    assert disk.place(table, 2 * MIB, "none") == ("primary", 1, 9 * MIB, 11 * MIB)
    assert disk.place(table, 5 * MIB, "none") == ("primary", 1, 1 * MIB, 6 * MIB)
    # What fits only where no good place is goes there all the same.
    assert disk.place(table, 8 * MIB - 17408, "none") == ("primary", 1, 17408, 8 * MIB)
    with pytest.raises(HostFailure, match="no large enough free extent"):
        disk.place(table, 8 * MIB, "none")


def test_logical_partitions_leave_a_sector_for_their_own_table() -> None:
    table = disk.read(
        said("msdos", (1, MIB, 2 * MIB, "primary"), (2, 2 * MIB, 9 * MIB, "extended"), (0, 2 * MIB, 9 * MIB, "free"))
    )
    assert disk.place(table, MIB, "none") == ("logical", 5, 3 * MIB, 4 * MIB)
    assert disk.place(table, 7 * MIB - 512, "none") == ("logical", 5, 2 * MIB + 512, 9 * MIB)
    full = disk.read(
        said("msdos", *((n, n * MIB, (n + 1) * MIB, "primary") for n in (1, 2, 3, 4)), (0, 5 * MIB, 9 * MIB, "free"))
    )
    with pytest.raises(HostFailure):
        disk.place(full, MIB, "none")


@pytest.mark.parametrize(
    "answer", [None, {}, {"disk": 1}, {"disk": {"label": "gpt"}}, {"disk": {**said("gpt")["disk"], "partitions": [{}]}}]
)
def test_an_answer_of_parted_that_is_none_is_said_so(answer: Any) -> None:
    with pytest.raises(HostFailure, match="parted's answer"):
        disk.read(answer)


@pytest.mark.parametrize(("device", "separator", "name"), [
    ("/dev/none/sda", None, "sda1"), ("/dev/none/nvme0n1", None, "nvme0n1p1"), ("/dev/none/sda", True, "sdap1"),
    ("/dev/none/loop0", False, "loop01"),
])  # fmt: skip
def test_partitions_are_named_as_the_kernel_does(device: str, separator: bool | None, name: str) -> None:
    assert disk.name_of(device, 1, separator) == name


def tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_disks_of_an_adapter(tmp_path: Path) -> None:
    unit = "bus/scsi/devices/2:0:1:0"
    sysfs = tree(tmp_path, {
        "class/scsi_host/host2/scan": "", "class/scsi_host/host2/unique_id": "1\n",
        f"{unit}/type": "0\n", f"{unit}/wwid": "naa.5000\n", f"{unit}/block/sdx/size": "2048\n",
        "bus/scsi/devices/2:0:0:0/type": "13\n", "bus/scsi/devices/host2/type": "0\n", "bus/scsi/devices/20:0:0:0/type": "0\n",
    })  # fmt: skip
    for name, number in (("host2", 2), ("scsi_host2", 2), ("host3", None)):
        assert scsi.host_of(sysfs, pool.Adapter(type="scsi_host", name=name)) == number
    with pytest.raises(HostFailure, match="Invalid adapter name 'eth0'"):
        scsi.host_of(sysfs, pool.Adapter(type="scsi_host", name="eth0"))
    found = scsi.disks(sysfs, 2, "/dev")
    assert [(v.name, v.path, v.key, v.amounts()[0]) for v in found.volumes.values()] == [
        ("unit:2:0:1:0", "/dev/sdx", "naa.5000", MIB)
    ]
    scsi.scan(sysfs, 2)
    assert (sysfs / "class/scsi_host/host2/scan").read_text() == "- - -"


def test_ports_of_fibre_channel_are_known_by_their_names(tmp_path: Path) -> None:
    sysfs = tree(tmp_path, {
        "class/fc_host/host5/node_name": "0x20000000C9831B4B\n", "class/fc_host/host5/port_name": "0x10000000c9831b4b\n",
    })  # fmt: skip
    adapter = pool.Adapter(type="fc_host", wwnn="20000000c9831b4b", wwpn="10000000c9831b4b")
    assert scsi.host_of(sysfs, adapter) == 5
    adapter.wwpn = "10000000c9831b4c"
    assert scsi.host_of(sysfs, adapter) is None


def test_multipath_devices_are_told_from_other_maps(tmp_path: Path) -> None:
    sysfs = tree(tmp_path, {
        "block/dm-0/dm/uuid": "LVM-abc", "block/dm-0/dm/name": "vg-lv", "block/dm-0/size": "1",
        "block/dm-1/dm/uuid": "mpath-3600", "block/dm-1/dm/name": "mpatha\n", "block/dm-1/size": "4096",
        "block/sda/size": "1",
    })  # fmt: skip
    found = mpath.view(sysfs)
    assert [(v.name, v.path) for v in found.volumes.values()] == [("dm-1", "/dev/mapper/mpatha")]
    assert (found.capacity, found.allocation, found.available) == (2 * MIB, 2 * MIB, 0)


def test_sessions_with_a_target(tmp_path: Path) -> None:
    real = tree(tmp_path, {"devices/platform/host7/session3/iscsi_session/session3/targetname": "iqn.a:b\n"})
    home = real / "devices/platform/host7/session3/iscsi_session/session3"
    (home / "initiatorname").write_text("iqn.a:me\n")
    (tmp_path / "class/iscsi_session").mkdir(parents=True)
    (tmp_path / "class/iscsi_session/session3").symlink_to(home)
    assert list(iscsi.sessions(tmp_path, "iqn.a:b", None)) == [(3, 7)]
    assert list(iscsi.sessions(tmp_path, "iqn.a:b", "iqn.a:me")) == [(3, 7)]
    assert not list(iscsi.sessions(tmp_path, "iqn.a:b", "iqn.a:other")) + list(
        iscsi.sessions(tmp_path, "iqn.a:c", None)
    )


def test_a_password_goes_into_the_record_alone(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "iqn.a:b/h,3260,1/default": "# BEGIN RECORD 2.1\nnode.name = iqn.a:b\nnode.session.auth.password = old\n# END RECORD\n"
        },
    )
    iscsi.note_password(tmp_path, "iqn.a:b", ("h", 3260), b"s3same")
    record = tmp_path / "iqn.a:b/h,3260,1/default"
    assert record.read_text().splitlines()[1:] == [
        "node.name = iqn.a:b",
        "node.session.auth.password = s3same",
        "# END RECORD",
    ]
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    with pytest.raises(InvalidRequest):
        iscsi.note_password(tmp_path, "iqn.a:b", ("h", 3260), b"a\nnode.x = y")
    with pytest.raises(HostFailure, match="no record"):
        iscsi.note_password(tmp_path, "iqn.a:c", ("h", 3260), b"x")


def test_units_of_a_target() -> None:
    text = (
        "Target:iqn.a:c Portal:1.2.3.4:3260,1\nLun:9    Type:DIRECT_ACCESS (Size:1M)\n"
        "Target:iqn.a:b Portal:1.2.3.4:3260,1\nLun:0    Type:STORAGE_ARRAY_CONTROLLER\nLun:1    Type:DIRECT_ACCESS (Size:63M)\n"
    )
    assert iscsi_direct.units(text, "iqn.a:b") == [1]
    assert iscsi_direct.units(text, "iqn.a:d") is None


CEPH = """<pool type='rbd'><name>c</name><source><name>vms</name><host name='mon1'/><host name='mon2' port='3300'/>
<auth type='ceph' username='libvirt'><secret usage='ceph'/></auth></source>
<rbd:config_opts xmlns:rbd='http://libvirt.org/schemas/storagepool/rbd/1.0'><rbd:option name='client_mount_timeout' value='30'/>
</rbd:config_opts></pool>"""

# A small cluster: its images are a file's JSON, what it is called with goes into another.
FAKE_CEPH = """#!{python}
import json, os, pathlib, sys
home = pathlib.Path({home!r})
words = [w for w in sys.argv[1:] if w != "--"]
keyfile = words[words.index("--keyfile") + 1]
with (home / "calls").open("a") as calls:
    calls.write(json.dumps([sys.argv[0].rsplit("/", 1)[1], *sys.argv[1:]]) + "\\n")
assert open(keyfile).read() == "key=="
state = home / "images"
images = json.loads(state.read_text()) if state.exists() else {{}}
if "df" in words:
    print(json.dumps({{"stats": {{"total_bytes": 100, "total_avail_bytes": 60}},
                      "pools": [{{"name": "vms", "stats": {{"bytes_used": 40}}}}]}}))
elif "ls" in words:
    print(json.dumps([{{"image": n, "size": s, "format": 2}} for n, s in images.items()]
                     + [{{"image": "x", "snapshot": "s", "size": 1, "format": 2}}]))
elif "info" in words:
    print(json.dumps({{"name": words[-1], "size": images[words[-1].split("/")[1]]}}))
elif "create" in words or "resize" in words:
    images[words[-1].split("/")[1]] = int(words[words.index("--size") + 1].rstrip("M")) << 20
elif "rm" in words:
    del images[words[-1].split("/")[1]]
elif "cp" in words:
    images[words[-1].split("/")[1]] = images[words[-2].split("/")[1]]
else:
    sys.exit(2)
state.write_text(json.dumps(images))
"""


def fake(home: Path, name: str, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / name).write_text(text.format(python=sys.executable, home=str(home)))
    (home / name).chmod(0o755)


async def _key(uuid: str | None, usage: str | None) -> bytes:
    assert usage == "ceph"
    return b"key=="


def vol(kind: str, name: str, size: int, more: str = "") -> Order:
    text = f"<volume><name>{name}</name><capacity>{size}</capacity>{more}</volume>"
    return Order(volume.read(text, KINDS[kind]))


def test_images_of_ceph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "bin"
    for name in ("rbd", "ceph"):
        fake(home, name, FAKE_CEPH)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    driver, made = rbd.Rbd(Passwords(_key)), pool.read(CEPH)

    async def go() -> None:
        first = (await driver.create(made, vol("rbd", "a", 10 * MIB + 1))).volume
        assert (first.type, first.path, first.key, first.format, first.amounts()[0]) == (
            "network",
            "vms/a",
            "vms/a",
            "raw",
            11 * MIB,
        )
        copied = vol("rbd", "b", 11 * MIB)
        await driver.create(made, Order(copied.volume, source=first))
        await driver.resize(made, first, 5 * MIB, taken=False, key=None)
        view = await driver.look(made, sweep=True)
        assert {name: v.amounts()[0] for name, v in view.volumes.items()} == {"a": 5 * MIB, "b": 11 * MIB}
        assert (view.capacity, view.allocation, view.available) == (100, 40, 60)
        await driver.remove(made, first)
        assert list((await driver.look(made, sweep=True)).volumes) == ["b"]
        for name in ("-x", "a/b", "a@b"):
            with pytest.raises(DomicileError):
                await driver.create(made, vol("rbd", name, MIB))

    asyncio.run(go())
    calls = [json.loads(line) for line in (home / "calls").read_text().splitlines()]
    assert calls[0][1:4] == ["--mon_host=mon1,mon2:3300", "--id", "libvirt"]
    assert "--client_mount_timeout=30" in calls[0]
    assert not any("key==" in word for call in calls for word in call)
    assert next(call for call in calls if "resize" in call)[-5:] == ["--allow-shrink", "--size", "5M", "--", "vms/a"]


def test_zvols_are_read_from_what_zfs_lists() -> None:
    assert zfs.volumes("tank/vm/a\t1048576\tnone\ntank/vm/b\t2097152\t2162688\n", "tank/vm") == [
        ("a", MIB, 0), ("b", 2 * MIB, 2162688),
    ]  # fmt: skip
    with pytest.raises(HostFailure):
        zfs.volumes("tank/a\n", "tank")


def test_what_a_type_needs_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("domicile.storage.programs._PLACES", str(tmp_path))
    for kind, program in (
        ("disk", "parted"),
        ("iscsi", "iscsiadm"),
        ("rbd", "rbd"),
        ("zfs", "zfs"),
        ("vstorage", "vstorage-mount"),
    ):
        assert f"need the program '{program}', which is not installed here" in (lacking(kind) or "")
    assert lacking("dir") is lacking("scsi") is None
    assert "libgfapi" in (lacking("gluster") or "")
