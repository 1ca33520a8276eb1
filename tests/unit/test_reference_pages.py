"""The pages under docs/reference say what the declarations say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_no_page_is_stale() -> None:
    checked = subprocess.run(
        [sys.executable, str(PROJECT / "scripts/reference"), "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(list((PROJECT / "docs/reference").rglob("*.md"))) > 60
