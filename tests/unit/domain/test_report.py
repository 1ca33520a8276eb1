"""The report of a completion comes back from its compact form as it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domicile.domain import document, report

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "libvirt-9.0"
CASES = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
DESCRIBED = """<domain type='qemu'><name>a</name><memory>262144</memory>
<description>first line
second &lt;line&gt;

last</description>
<unheard/>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
<devices><disk type='file'><source file='/a'/><target dev='sda'/></disk><interface type='user'/><interface type='user'/></devices>
</domain>"""


def stored(done: Any) -> list[report.Entry]:
    text, marks = document.write_marked(done.domain)
    assert text == document.write(done.domain)
    return report.unpack(report.pack(done.facts.notes, done.ignored, marks), text)


def named(entries: list[report.Entry]) -> list[tuple[str, str, str, str]]:
    return [(e.path, e.kind, e.en, e.zh) for e in entries]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_place_comes_back(core: Any, case: Path) -> None:
    done = core.complete((case / "in.xml").read_bytes())
    found = stored(done)
    assert named(found) == named(done.report)
    assert found
    for given, kept in zip(done.report, found, strict=True):
        assert kept.value == given.value or not given.value, given.path


def test_lines_count_where_a_text_has_several(core: Any) -> None:
    done = core.complete(DESCRIBED)
    found = stored(done)
    assert named(found) == named(done.report)
    values = {entry.path: entry.value for entry in found}
    assert values["devices/interface[2]/address"] == "" and values["devices/disk/target/@bus"] == "scsi"
    assert [entry.path for entry in found if entry.kind == "ignored"] == ["unheard"]


def test_a_report_nobody_wrote_is_empty() -> None:
    assert report.unpack("", "") == report.unpack("{}", "<domain/>") == []
