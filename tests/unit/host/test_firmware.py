from __future__ import annotations

from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.host import firmware
from domicile.host.files import copy_template
from domicile.plan.need import Copied


def test_directories_are_read_and_may_be_missing(tmp_path: Path) -> None:
    assert firmware.read(tmp_path) == ()
    usual, own = tmp_path / "usr/share/qemu/firmware", tmp_path / "etc/qemu/firmware"
    usual.mkdir(parents=True)
    own.mkdir(parents=True)
    text = '{"interface-types":["bios"],"mapping":{"device":"memory","filename":"%s"},"targets":[],"features":[]}'
    (usual / "1.json").write_text(text % "/one")
    (usual / "2.json").write_text(text % "/two")
    (usual / "3.json").write_text("{")
    (own / "1.json").write_text("")
    assert [each.path for each in firmware.read(tmp_path)] == ["/two"]


def test_a_file_is_made_from_its_template_once(tmp_path: Path) -> None:
    template, path = tmp_path / "template", tmp_path / "nvram" / "vm_VARS.fd"
    template.write_bytes(b"fresh")
    copy_template(Copied(str(path), str(template)), None)
    assert path.read_bytes() == b"fresh" and path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"used")
    copy_template(Copied(str(path), str(template)), None)
    assert path.read_bytes() == b"used" and list(path.parent.iterdir()) == [path]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match="no template"):
        copy_template(Copied(str(tmp_path / "a"), ""), None)
    with pytest.raises(HostFailure, match="gone"):
        copy_template(Copied(str(tmp_path / "a"), str(tmp_path / "gone")), None)
    assert not list(tmp_path.iterdir())
