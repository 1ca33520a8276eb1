"""docs/how-to/add-a-device.patch still is all that a new device takes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PATCH = PROJECT / "docs/how-to/add-a-device.patch"


def test_a_device_is_one_file_one_line_and_one_folder() -> None:
    changed = re.findall(r"^diff --git a/(\S+)", PATCH.read_text(), re.MULTILINE)
    folders = {Path(name).parent for name in changed if name.startswith("tests/")}
    assert sorted(name for name in changed if name.startswith("src/")) == [
        "src/domicile/devices/__init__.py", "src/domicile/devices/edu.py",
    ]  # fmt: skip
    assert folders == {Path("tests/golden/edu/plain")}
    line = re.search(r"devices/__init__.py\n(.*?)(?=^diff)", PATCH.read_text(), re.MULTILINE | re.DOTALL)
    assert line is not None and len(re.findall(r"^\+ ", line[1], re.MULTILINE)) == 1


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_patch_works(tmp_path: Path) -> None:
    for name in ("src", "tests"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    applied = subprocess.run(["git", "apply", str(PATCH)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert applied.returncode == 0, applied.stderr
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "edu or every_field",
        "tests/golden",
        "tests/unit/test_coverage_of_fields.py",
    ]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    asked = [sys.executable, "-c", "from domicile.devices import BY_TAG; print(BY_TAG['edu'].element.shape.zh)"]
    assert subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
