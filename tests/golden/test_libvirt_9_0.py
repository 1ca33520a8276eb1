"""The pure core against what libvirtd 9.0 on QEMU 7.2 made of the same documents (tests/golden/libvirt-9.0/README.md)."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from domicile.domain import document

FILLED = ("defaulted", "allocated", "added")
CASES = sorted(path for path in (Path(__file__).parent / "libvirt-9.0").iterdir() if path.is_dir())
# Recorded after the document came back as libvirt shows it, that is without its password.
STARTED = {"q35-boot-devices": "out.xml"}
DISPLAY = re.compile(r"(?<=:)(\d+|\{display:\w+\})|(?<=port=)(\d+|\{port:\w+\})")
SHAPE = ("-machine", "-accel", "-cpu", "-uuid", "-rtc", "-boot", "-global", "-kernel", "-initrd", "-append")


def text_of(path: Path) -> str:
    return path.read_text().strip() + "\n"


def difference(ours: str, theirs: str) -> str:
    return "".join(difflib.unified_diff(theirs.splitlines(True), ours.splitlines(True), "libvirt", "domicile"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_the_completed_document_is_libvirts_line_for_line(core: Any, case: Path) -> None:
    ours = core.completed((case / "in.xml").read_bytes(), secrets=False)
    unlike = difference(ours, text_of(case / "out.xml"))
    assert not unlike, unlike


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_completed_document_is_complete(core: Any, case: Path) -> None:
    given = text_of(case / "out.xml")
    done = core.complete(given)
    assert not done.ignored
    # libvirt moves controllers once more when its own document comes back, and counts consoles anew; so do we.
    again = case / "again.xml"
    expected = text_of(again) if again.exists() else given
    unlike = difference(document.write(done.domain), expected)
    assert not unlike, unlike
    assert not any(entry.kind in FILLED for entry in done.report)


@pytest.mark.parametrize("case", [c for c in CASES if (c / "start.args").exists()], ids=lambda path: path.name)
def test_the_guest_gets_the_same_machine(core: Any, case: Path) -> None:
    ours = [
        word
        for argument in core.arguments((case / STARTED.get(case.name, "in.xml")).read_bytes())
        for word in argument.words
    ]
    theirs = (case / "start.args").read_text().splitlines()[1:]
    unlike = difference("\n".join(hardware(ours)), "\n".join(hardware(theirs)))
    assert not unlike, unlike


def hardware(words: list[str]) -> list[str]:
    """Say what the guest can see of a command line; names of block nodes and ports are the host's business."""
    seen = []
    for flag, value in zip(words, [*words[1:], ""], strict=True):
        if flag == "-device":
            device = json.loads(value)
            device.pop("drive", None)
            seen.append(f"-device {json.dumps(device, sort_keys=True)}")
        elif flag == "-m":
            seen.append(f"-m {mebibytes(value)}")
        elif flag == "-smp":
            # Release 9.0 did not name the level that QEMU assumes anyway.
            seen.append(f"-smp {value.replace(',clusters=1', '')}")
        elif flag in SHAPE:
            seen.append(f"{flag} {value}")
        elif flag in ("-vnc", "-spice"):
            seen.append(f"{flag} {re.sub(DISPLAY, 'N', value)}")
    return seen


def mebibytes(value: str) -> str:
    """Say an amount of memory in the one form QEMU's option has had all along."""
    amount = value.removeprefix("size=")
    return str(int(amount[:-1]) // 1024) if amount.endswith("k") else amount
