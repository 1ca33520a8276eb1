"""A document defined at Domicile and at libvirt 9.0 dumps to the same text, line for line."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

RECORDED = Path(__file__).resolve().parents[1] / "golden/libvirt-9.0"
CASES = sorted(path.parent.name for path in RECORDED.glob("*/in.xml"))


def _define_and_dump(subject: Any, document: Path) -> list[str]:
    name = ET.parse(document).findtext("name") or ""
    subject.virsh("define", str(document))
    try:
        dump: str = subject.virsh("dumpxml", "--inactive", name).stdout
    finally:
        subject.virsh("undefine", name)
    return dump.strip().splitlines()


def test_there_are_enough_documents() -> None:
    assert "myvm-adapted" in CASES
    assert sum((RECORDED / case / "virt-install").exists() for case in CASES) >= 10


@pytest.mark.parametrize("case", CASES)
def test_same_as_a_real_libvirtd(case: str, shared_daemon: Any, libvirtd: Any) -> None:
    if not libvirtd.version.startswith("9.0."):
        pytest.skip(f"the libvirtd here is {libvirtd.version}; the comparison is with 9.0")
    document = RECORDED / case / "in.xml"
    theirs = _define_and_dump(libvirtd, document)
    assert theirs == (RECORDED / case / "out.xml").read_text().splitlines(), "the recording is out of date"
    assert _define_and_dump(shared_daemon, document) == theirs


@pytest.mark.parametrize("case", CASES)
def test_same_as_recorded(case: str, shared_daemon: Any) -> None:
    theirs = (RECORDED / case / "out.xml").read_text().splitlines()
    assert _define_and_dump(shared_daemon, RECORDED / case / "in.xml") == theirs


@pytest.mark.parametrize("case", CASES)
def test_same_when_a_dump_is_defined(case: str, shared_daemon: Any) -> None:
    again = RECORDED / case / "again.xml"
    theirs = again if again.exists() else RECORDED / case / "out.xml"
    assert _define_and_dump(shared_daemon, RECORDED / case / "out.xml") == theirs.read_text().splitlines()
