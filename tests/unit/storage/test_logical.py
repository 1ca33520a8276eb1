"""What lvs says becomes volumes."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure, Unsupported
from domicile.storage import logical
from domicile.storage.driver import View
from domicile.storage.pool import Pool, read

SAID = """
  root||AAAA|/dev/vda2(0)|2560|4194304|10737418240|-wi-------
  data||BBBB|/dev/vda2(2560)|256|4194304|2147483648|-wi-------
  data||BBBB|/dev/vdb1(0)|256|4194304|2147483648|-wi-------
  snap|root|CCCC|/dev/vda2(2816)|256|4194304|10737418240|swi-------
  pool0||DDDD|pool0_tdata(0)|256|4194304|1073741824|twi-------
"""


def pool(name: str = "vg") -> Pool:
    return read(f"<pool type='logical'><name>{name}</name></pool>")


def rows(said: str) -> list[dict[str, str]]:
    """Give lines of values as the rows of LVM's report."""
    columns = logical._COLUMNS.split(",")
    return [
        dict(zip(columns, (part.strip() for part in line.split("|")), strict=True))
        for line in said.strip().splitlines()
    ]


def test_segments_of_one_volume_come_together() -> None:
    view = View()
    logical._collect(pool(), rows(SAID), view)
    assert list(view.volumes) == ["root", "data", "snap"]
    data = view.volumes["data"]
    assert (data.path, data.key, data.amounts()[:2]) == ("/dev/vg/data", "BBBB", (2 << 30, 2 << 30))
    assert data.source is not None
    assert [(d.path, d.extent[0].start, d.extent[0].end) for d in data.source.device] == [
        ("/dev/vda2", 2560 * 4194304, 2816 * 4194304),
        ("/dev/vdb1", 0, 256 * 4194304),
    ]
    below = view.volumes["snap"].backingStore
    assert below is not None and below.path == "/dev/vg/root"


@pytest.mark.parametrize("name", ["-rf", "a b", "a;b", "a\nb"])
def test_names_that_could_be_options_are_refused(name: str) -> None:
    made = pool()
    assert made.source is not None
    made.source.name = name
    with pytest.raises(HostFailure, match="volume group"):
        logical.group(made)


FAKE = """#!{python}
import json, pathlib, sys
home = pathlib.Path({home!r})
name = sys.argv[0].rsplit("/", 1)[1]
with (home / "calls").open("a") as calls:
    calls.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
row = {{"origin": "", "lv_uuid": "U", "devices": "/dev/x(0)", "seg_size_pe": "1", "vg_extent_size": "4096", "lv_size": "4096",
       "lv_attr": "-wi-------"}}
volumes = [dict(row, lv_name=n) for n in ("data", "domicile-part-dead", "domicile-part-live")]
print(json.dumps({{"report": [{{"lv": volumes, "vg": [{{"vg_size": "100", "vg_free": "60"}}],
                                "pv": [{{"pv_name": "/dev/x", "vg_name": "vg"}}]}}]}}))
"""


def test_what_a_crash_left_half_filled_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lvs", "vgs", "pvs", "lvremove", "vgchange"):
        (tmp_path / name).write_text(FAKE.format(python=sys.executable, home=str(tmp_path)))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    driver = logical.Logical()
    driver._filling.add("domicile-part-live")
    view = asyncio.run(driver.look(pool(), sweep=True))
    assert list(view.volumes) == ["data"] and (view.capacity, view.available) == (100, 60)
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [call for call in calls if call[0] == "lvremove"] == [["lvremove", "-f", "vg/domicile-part-dead"]]
    asyncio.run(driver.start(pool()))
    with pytest.raises(Unsupported, match="cannot find logical volume group name 'other'"):
        asyncio.run(driver.start(pool("other")))
