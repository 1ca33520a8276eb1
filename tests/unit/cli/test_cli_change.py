"""How coming and past changes look on the terminal, word for word, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from domicile.base.errors import InvalidRequest
from domicile.cli import definition, past, plan, words

DIFFERENCES: list[dict[str, Any]] = [
    {
        "kind": "added", "path": "devices/disk[2]", "subject": "disk vdb", "old": "", "new": "<disk type='file'>\n</disk>",
        "when": "live", "guest": True, "why": "",
        "blocks": [{"what": "snapshot", "en": "an image of format raw", "zh": "raw 格式的映像"}],
    },
    {
        "kind": "changed", "path": "memory", "subject": "", "old": "131072", "new": "262144", "when": "start", "guest": False,
        "why": "", "blocks": [],
    },
    {
        "kind": "changed", "path": "currentMemory", "subject": "", "old": "131072", "new": "262144", "when": "start",
        "guest": False, "why": "the running machine has\n131072 KiB", "blocks": [],
    },
]  # fmt: skip
ENGLISH = """\
WHEN        GUEST SEES  BLOCKS     CHANGE
now         yes         snapshots  + devices/disk[2] (disk vdb)
next start  no          -          ~ memory: 131072 → 262144
next start  no          -          ~ currentMemory: 131072 → 262144
  devices/disk[2]: blocks snapshots: an image of format raw
  currentMemory: not now: the running machine has 131072 KiB
"""
CHINESE = """\
何时生效  客户机可见  妨碍  变更
立即      是          快照  + devices/disk[2] (disk vdb)
下次启动  否          -     ~ memory: 131072 → 262144
下次启动  否          -     ~ currentMemory: 131072 → 262144
  devices/disk[2]：妨碍快照：raw 格式的映像
  currentMemory：无法立即生效：the running machine has 131072 KiB
"""


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    words.use(request.param)
    yield request.param
    words.use("en")


def test_a_plan(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    plan.table(DIFFERENCES)
    assert capsys.readouterr().out == {"en": ENGLISH, "zh": CHINESE}[language]


def test_a_report(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    def entry(kind: str, path: str, en: str, zh: str) -> dict[str, Any]:
        return {"kind": kind, "path": path, "value": "v", "en": en, "zh": zh}

    report = [
        entry("ignored", "devices/disk", "unknown element <x>", "未知元素 <x>"),
        entry("duplicate", "devices/interface/mac/@address", "also of 'b'", "也属于“b”"),
        entry("kept", "uuid", "kept from revision 3", "沿用版本 3"),
        entry("kept", "devices/disk/address", "kept from revision 3", "沿用版本 3"),
        entry("defaulted", "os/type/@arch", "the host's", "主机的"),
    ]
    definition.entries("web", report, whole=False)
    assert (
        capsys.readouterr().out
        == {
            "en": "  ignored: devices/disk: unknown element <x>\n"
            "  twice: devices/interface/mac/@address: also of 'b'\n"
            "  kept from revision 3: uuid, devices/disk/address\n"
            "  values filled in: 1 (domicile explain web)\n",
            "zh": "  已忽略：devices/disk：未知元素 <x>\n"
            "  重复：devices/interface/mac/@address：也属于“b”\n"
            "  沿用版本 3：uuid, devices/disk/address\n"
            "  已自动填写 1 处（domicile explain web）\n",
        }[language]
    )


def test_blame(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    by = {"revision": 2, "at": "2026-11-30T03:12:00+00:00", "user": "alice", "client": "virsh", "command": "define"}
    answer = {
        "lines": [{"depth": 0, "xml": "<domain>", "revision": 2}, {"depth": 0, "xml": "</domain>", "revision": 0}],
        "revisions": {"2": by},
    }
    past._lines(answer)
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("2  2026-11-30 ")
    assert first.endswith("alice  virsh define  <domain>")
    assert last.strip() == "</domain>"
    assert last.index("</domain>") == first.index("<domain>")


def test_moments() -> None:
    now = datetime.fromisoformat("2026-12-01T10:00:00+01:00")
    read = {
        "03:12": "2026-12-01T03:12:00+01:00",
        "23:59:30": "2026-11-30T23:59:30+01:00",
        "2026-11-30T03:12:00Z": "2026-11-30T03:12:00+00:00",
    }
    for text, meant in read.items():
        assert past.moment_of(text, now) == datetime.fromisoformat(meant)
    assert past.moment_of("2026-11-30 03:12", now).replace(tzinfo=None) == datetime(2026, 11, 30, 3, 12)
    assert past.moment_of("10:00", now) == now
    assert past.moment_of("10:01", now) == now - timedelta(hours=23, minutes=59)
    for text in ("teatime", "25:00", "", "2026-13-01"):
        with pytest.raises(InvalidRequest, match="03:12"):
            past.moment_of(text, now)
