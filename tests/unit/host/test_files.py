from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.host.files import Labels
from domicile.plan.need import Directory, File
from domicile.qemu.launch import User

NOBODY = User(65534, 65534)
root = pytest.mark.skipif(os.geteuid() != 0, reason="changing owners takes root")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="domicile-files-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match="gone"):
        Labels(None).lend("m", File(path=str(tmp_path / "gone"), writable=True))
    with pytest.raises(HostFailure, match="is a directory"):
        Labels(None).lend("m", File(path=str(tmp_path), writable=False))


@root
def test_an_owner_is_changed_and_given_back_by_the_last_user(open_directory: Path) -> None:
    disk = open_directory / "disk"
    disk.write_bytes(b"")
    disk.chmod(0o600)
    labels = Labels(NOBODY)
    labels.lend("a", File(path=str(disk), writable=False))
    labels.lend("b", File(path=str(disk), writable=False))
    assert disk.stat().st_uid == NOBODY.uid
    lent = labels.lent_to("b")
    labels.give_back("a")
    assert disk.stat().st_uid == NOBODY.uid
    later = Labels(NOBODY)
    later.remember("b", lent)
    later.give_back("b")
    assert disk.stat().st_uid == 0


@root
def test_what_is_accessible_already_keeps_its_owner(open_directory: Path) -> None:
    disk = open_directory / "disk"
    disk.write_bytes(b"")
    disk.chmod(0o644)
    labels = Labels(NOBODY)
    labels.lend("a", File(path=str(disk), writable=False))
    assert disk.stat().st_uid == 0
    assert labels.lent_to("a") == {}


@root
def test_a_closed_way_is_named(open_directory: Path) -> None:
    closed = open_directory / "closed"
    closed.mkdir(mode=0o700)
    (closed / "disk").write_bytes(b"")
    with pytest.raises(HostFailure, match=f"may not enter {closed}"):
        Labels(NOBODY).lend("a", File(path=str(closed / "disk"), writable=True))
    labels = Labels(NOBODY)
    labels.make_directory(Directory(path=str(open_directory / "made")))
    assert (open_directory / "made").stat().st_uid == NOBODY.uid
