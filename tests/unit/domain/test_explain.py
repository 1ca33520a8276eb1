"""The explanation of a definition, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domicile.domain import document
from domicile.domain.explain import Line, explain, select
from domicile.domain.provenance import Version, owners

GOLDEN = sorted(p for p in (Path(__file__).parents[2] / "golden/libvirt-9.0").iterdir() if p.is_dir())
DEVICES = (
    "<disk type='file'><source file='/a.img'/><target dev='vda'/></disk>"
    "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
    "<interface type='user'><mac address='52:54:00:00:00:01'/></interface><graphics type='vnc' passwd='geheim'/>"
)


@pytest.fixture(scope="module")
def lines(core: Any, sketch: Any) -> list[Line]:
    text = sketch(DEVICES)
    done = core.complete(text)
    report = [{"path": e.path, "kind": e.kind, "en": e.en, "zh": e.zh} for e in done.report]
    known = owners([Version(text, document.write(done.domain), report)])
    return explain(done.domain, known, [(a.words, a.origin) for a in core.arguments(text)])


def test_the_lines_are_the_document(core: Any, sketch: Any, lines: list[Line]) -> None:
    expected = document.write(core.complete(sketch(DEVICES)).domain, secrets=False)
    assert "\n".join("  " * line.depth + line.xml for line in lines) + "\n" == expected


def test_every_line_that_opens_says_something_in_both_languages(lines: list[Line]) -> None:
    for line in lines:
        if line.xml.startswith("</"):
            assert not line.notes
            continue
        assert line.notes, line.xml
        for note in line.notes:
            assert note.en, note
            assert note.zh, note
            assert note.owner is not None, note


def test_no_password_is_told(lines: list[Line]) -> None:
    assert "geheim" not in repr(lines)


def test_arguments_stand_with_their_element(lines: list[Line]) -> None:
    (disk,) = [line for line in lines if line.path == "devices/disk[1]"]
    assert [words[0] for words in disk.arguments] == ["-blockdev", "-blockdev", "-device"]
    (memory,) = [line for line in lines if line.path == "memory"]
    assert "-m" in [words[0] for words in memory.arguments]


def test_changes_are_judged(lines: list[Line]) -> None:
    notes = {note.path: note for line in lines for note in line.notes}
    assert (notes["uuid"].safe, notes["uuid"].effect) == ("no", "never")
    assert (notes["memory/text()"].safe, notes["memory/text()"].guest) == ("care", True)
    assert (notes["title"].safe if "title" in notes else "yes") == "yes"
    assert notes["currentMemory/text()"].effect == "live"
    assert notes["devices/disk[1]"].safe == ""


@pytest.mark.parametrize(
    ("wanted", "first", "count"),
    [
        ("/devices/disk", "<disk type='file' device='disk'>", 2),
        ("devices/disk[2]", "<disk type='file' device='cdrom'>", 1),
        ("disk[sda]", "<disk type='file' device='cdrom'>", 1),
        ("vda", "<disk type='file' device='disk'>", 1),
        ("52:54:00:00:00:01", "<interface type='user'>", 1),
        ("/domain/memory", "<memory unit='KiB'>65536</memory>", 1),
        ("os/type", "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type>", 1),
    ],
)
def test_a_path_selects(lines: list[Line], wanted: str, first: str, count: int) -> None:
    found = select(lines, wanted)
    assert found[0].xml == first
    assert sum(line.depth == found[0].depth and bool(line.path) for line in found) == count
    opened = sum(not (line.xml.endswith("/>") or "</" in line.xml) for line in found)
    assert opened == sum(line.xml.startswith("</") for line in found)


def test_an_attribute_is_alone(lines: list[Line]) -> None:
    (line,) = select(lines, "os/type/@machine")
    assert [note.name for note in line.notes] == ["@machine"]


def test_all_or_nothing(lines: list[Line]) -> None:
    assert select(lines, None) == lines
    assert select(lines, "/") == lines
    assert select(lines, "/domain") == lines
    assert select(lines, "devices/toaster") == []
    assert select(lines, "disk[9]") == []


@pytest.mark.parametrize("case", GOLDEN, ids=lambda path: path.name)
def test_every_recorded_document_is_explained_whole(core: Any, case: Path) -> None:
    text = (case / "in.xml").read_text()
    done = core.complete(text)
    report = [{"path": e.path, "kind": e.kind, "en": e.en, "zh": e.zh} for e in done.report]
    completed = document.write(done.domain, secrets=False)
    known = owners([Version(text, completed, report)])
    arguments = core.arguments(text)
    found = explain(document.read_stored(completed), known, [(a.words, a.origin) for a in arguments])
    for line in found:
        assert all(note.en and note.zh and note.owner for note in line.notes), line
    placed = sum(len(line.arguments) for line in found)
    assert placed == len(arguments), {a.origin for a in arguments} - {line.path for line in found}
