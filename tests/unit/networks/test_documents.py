"""Network documents against what libvirtd 9.0 made of them (golden/README.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from domicile.networks import document
from domicile.networks.complete import Surroundings, complete_text

CASES = sorted(path for path in (Path(__file__).parent / "golden").iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_the_completed_document_is_libvirts_line_for_line(case: Path) -> None:
    made, ignored = complete_text((case / "in.xml").read_bytes(), Surroundings())
    assert document.write(made).strip() == (case / "out.xml").read_text().strip()
    assert ignored == []


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_a_completed_document_is_complete(case: Path) -> None:
    text = (case / "out.xml").read_text()
    made, _ = complete_text(text, Surroundings())
    assert document.write(made).strip() == text.strip()
    assert document.write(document.read_stored(document.write(made))) == document.write(made)
