"""Passwords stay where they belong: in no plain dump, log or command line, and given to those alone who may write."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.system

PASSWORD = "s3cr3tpw"
DOCUMENT = f"""<domain type='qemu'><name>pw</name><uuid>6d3c1b7e-58d1-4f9a-9f0a-3a3c8b1d2e4f</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os>
<devices><graphics type='vnc' autoport='yes' passwd='{PASSWORD}'/></devices></domain>"""


def test_a_password_is_shown_only_when_asked_for(daemon: Any, tmp_path: Any) -> None:
    path = tmp_path / "pw.xml"
    path.write_text(DOCUMENT)
    daemon.cli("define", str(path))
    for words in (
        ("xml", "pw"), ("xml", "pw", "--author"), ("show", "pw", "1"), ("show", "pw", "1", "--author"), ("explain", "pw"),
        ("info", "pw"), ("argv", "pw"), ("history", "pw"), ("--json", "show", "pw", "1"), ("--json", "info", "pw"),
    ):  # fmt: skip
        assert PASSWORD not in daemon.cli(*words).stdout, words
    assert PASSWORD in daemon.cli("show", "pw", "1", "--security-info").stdout
    assert PASSWORD not in daemon.virsh("dumpxml", "pw").stdout
    assert PASSWORD in daemon.virsh("dumpxml", "--security-info", "pw").stdout
    refused = daemon.virsh_readonly("dumpxml", "--security-info", "pw", check=False)
    assert refused.returncode != 0 and PASSWORD not in refused.stdout + refused.stderr


def test_nobody_finds_a_password_or_sees_it_change(daemon: Any, tmp_path: Any) -> None:
    path = tmp_path / "pw.xml"
    path.write_text(DOCUMENT)
    daemon.cli("define", str(path))
    path.write_text(DOCUMENT.replace(PASSWORD, "0ther"))
    daemon.cli("define", str(path))
    changed = daemon.cli("diff", "pw", "1", "2").stdout
    assert "passwd" in changed and PASSWORD not in changed and "0ther" not in changed
    for words in (
        ("find", "devices/graphics/@passwd=0ther"),
        ("find", "devices/graphics/@passwd~."),
        ("find", "**=0ther"),
    ):
        assert "0ther" not in daemon.cli(*words, check=False).stdout


def test_a_running_machine_has_its_password_nowhere_in_sight(daemon: Any, tmp_path: Any) -> None:
    path = tmp_path / "pw.xml"
    path.write_text(DOCUMENT)
    daemon.cli("define", str(path))
    daemon.cli("start", "pw")
    try:
        logs = "".join(log.read_text(errors="replace") for log in (daemon.root / "log").glob("*.log"))
        assert PASSWORD not in logs
        assert PASSWORD not in daemon.cli("argv", "pw").stdout
    finally:
        daemon.cli("destroy", "pw")
