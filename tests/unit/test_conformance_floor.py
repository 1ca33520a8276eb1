"""The measured faithfulness to libvirt never falls: runs the measuring program where it is, and compares with a floor."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "check.py"
#: Cases that must come out, a little below what did when this was last raised.
FLOOR = {
    "x86_64": {"xml": 387, "hardware": 378, "argv": 377, "refused": 82, "culprit": 80},
    "aarch64": {"xml": 22, "hardware": 22, "argv": 22, "refused": 3, "culprit": 3},
    "armv7l": {"xml": 1, "hardware": 1, "argv": 1},
    "loongarch64": {"xml": 3, "hardware": 3, "argv": 3},
    "ppc": {"xml": 3, "hardware": 3, "argv": 3},
    "ppc64": {"xml": 28, "hardware": 28, "argv": 28, "refused": 6, "culprit": 6},
    "riscv64": {"xml": 2, "hardware": 2, "argv": 2, "refused": 1, "culprit": 1},
    "s390x": {"xml": 43, "hardware": 43, "argv": 43, "refused": 8, "culprit": 8},
}


@pytest.mark.skipif(
    not CHECK.exists(), reason=f"the measuring program is not beside the project ({CHECK.parent.name}/)"
)
def test_faithfulness_does_not_fall() -> None:
    command = [sys.executable, str(CHECK), "--command", f"{sys.executable} -m domicile.conformance"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=CHECK.parents[2], check=False)
    print(done.stdout)
    for arch, floor in FLOOR.items():
        line = next((line for line in done.stdout.splitlines() if line.split()[:1] == [arch]), None)
        assert line is not None, done.stdout + done.stderr
        figures = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)/", line)}
        fallen = {name: (figures.get(name), least) for name, least in floor.items() if figures.get(name, 0) < least}
        assert not fallen, f"{arch}: fewer cases come out than before (now, floor): {fallen}"
