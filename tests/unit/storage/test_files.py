"""Files as volumes: measured, made whole or not at all, resized, wiped, swept up after."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure, WrongState
from domicile.storage import files
from domicile.storage.parts import Permissions


def test_a_file_appears_whole_with_its_rights(tmp_path: Path) -> None:
    draft = files.Draft(str(tmp_path), "v")
    files.make_raw(draft.path, draft.final, 1 << 20, 1 << 16)
    assert not (tmp_path / "v").exists()
    draft.place(Permissions(mode=0o640))
    draft.end()
    assert [p.name for p in tmp_path.iterdir()] == ["v"]
    facts = (tmp_path / "v").stat()
    assert (facts.st_size, facts.st_mode & 0o777) == (1 << 20, 0o640) and facts.st_blocks * 512 >= 1 << 16


def test_nothing_stays_of_what_was_given_up_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "v").write_text("mine")
    draft = files.Draft(str(tmp_path), "v")
    files.make_raw(draft.path, draft.final, 512, 0)
    with pytest.raises(WrongState, match="already exists"):
        draft.place(None)
    draft.end()
    assert (tmp_path / "v").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_sweeping_leaves_what_is_being_made(tmp_path: Path) -> None:
    left = tmp_path / f"{files.PART}dead.part"
    left.mkdir()
    (left / "v").write_text("half")
    draft = files.Draft(str(tmp_path), "w")
    files.sweep(str(tmp_path), os.listdir(tmp_path))  # noqa: PTH208
    assert not left.exists() and Path(draft.path).parent.exists()
    draft.end()


def test_what_is_no_volume(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("dangling", "pipe", "absent"):
        assert files.measure(str(tmp_path / name), name) is None
    folder = files.measure(str(tmp_path / "folder"), "folder")
    assert folder is not None and (folder.type, folder.format) == ("dir", "dir")


def test_wiping_leaves_the_length_and_nothing_else(tmp_path: Path) -> None:
    full, holes = tmp_path / "full", tmp_path / "holes"
    full.write_bytes(b"x" * 10_000)
    with holes.open("wb") as file:
        file.write(b"secret")
        file.truncate(1 << 20)
    for path in (full, holes):
        size = path.stat().st_size
        files.wipe(str(path))
        assert path.read_bytes() == bytes(size)


def test_resizing(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes(b"x" * 512)
    files.resize_raw(str(path), 1 << 20, taken=True)
    assert path.stat().st_blocks * 512 >= 1 << 20
    files.resize_raw(str(path), 100, taken=False)
    assert path.read_bytes() == b"x" * 100
    with pytest.raises(HostFailure):
        files.resize_raw(str(tmp_path / "none"), 1, taken=False)


def test_removing(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").touch()
    with pytest.raises(HostFailure, match="cannot remove directory"):
        files.remove(str(tmp_path / "d"))
    (tmp_path / "d" / "x").unlink()
    files.remove(str(tmp_path / "d"))
    files.remove(str(tmp_path / "never-was"))


def test_a_file_that_changed_is_looked_into_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v"
    path.write_bytes(bytes(4096))
    fresh = files.measure(str(path), "v")
    assert fresh is not None and fresh.format == "raw"
    # Too young to be remembered: the clock of files may not tell the next change from this one.
    assert (path.stat().st_dev, path.stat().st_ino) not in files._seen
    monkeypatch.setattr(files, "_SETTLED", 0)
    assert files.measure(str(path), "v") is not None
    assert (path.stat().st_dev, path.stat().st_ino) in files._seen
    opened: list[str] = []
    monkeypatch.setattr(files.probe, "examine", lambda fd, real=files.probe.examine: (opened.append("x"), real(fd))[1])
    assert files.measure(str(path), "v") is not None and opened == []
    with path.open("r+b") as file:
        file.write(b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop")
        file.truncate(8192)
    again = files.measure(str(path), "v")
    assert again is not None and again.format == "cloop" and opened == ["x"]
