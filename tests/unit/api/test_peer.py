"""What a client's program is called, for the history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from domicile.api.libvirt.peer import program_of


def test_a_gone_process_has_no_name(tmp_path: Path) -> None:
    assert program_of(tmp_path / "gone") == ""


@pytest.mark.parametrize(
    ("comm", "words", "name"),
    [
        ("virsh", ["virsh", "define", "x"], "virsh"),
        ("terraform-provi", ["/usr/bin/terraform-provider-libvirt"], "terraform-provider-libvirt"),
        ("virt-install", ["/usr/bin/python3", "/usr/bin/virt-install", "--name"], "virt-install"),
        ("python3", ["python3", "/usr/share/virt-manager/virt-install", "--password"], "virt-install"),
        ("python3.11", ["python3.11", "-u", "/opt/make-vms.py"], "make-vms.py"),
        ("python3", ["python3", "-c", "import libvirt"], "python3"),
        ("python3", ["python3"], "python3"),
        ("bash", ["-bash"], "bash"),
    ],
)
def test_programs_are_known_by_their_own_names(tmp_path: Path, comm: str, words: list[str], name: str) -> None:
    (tmp_path / "comm").write_text(f"{comm}\n")
    (tmp_path / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
    assert program_of(tmp_path) == name


def test_a_real_script(tmp_path: Path) -> None:
    script = tmp_path / "a-script-of-mine-with-a-long-name"
    script.write_text(f"#!{sys.executable}\nprint('up', flush=True)\ninput()\n")
    script.chmod(0o755)
    with subprocess.Popen([script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        assert program_of(Path(f"/proc/{running.pid}")) == script.name
        running.communicate(b"\n")
