"""Where a machine's record stands: beside the directory that QEMU's user owns, never in it."""

from __future__ import annotations

from pathlib import Path

from domicile.runtime.record import Record, forget, left_behind


def _record(tmp_path: Path) -> Record:
    directory = tmp_path / "1-vm"
    directory.mkdir()
    return Record("u", "vm", 1, 2, 3, str(directory), str(tmp_path / "log"))


def test_a_record_is_not_in_the_directory_of_qemus_user(tmp_path: Path) -> None:
    _record(tmp_path).write()
    assert list((tmp_path / "1-vm").iterdir()) == []
    assert [found.name for found in left_behind(tmp_path)] == ["vm"]
    assert (tmp_path / "1-vm.json").stat().st_mode & 0o777 == 0o600


def test_what_qemus_user_plants_is_not_read(tmp_path: Path) -> None:
    record = _record(tmp_path)
    (tmp_path / "1-vm" / "machine.json").write_bytes(record.to_json())
    assert left_behind(tmp_path) == []


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    record = _record(tmp_path)
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / ".1-vm.json.new").symlink_to(precious)
    record.write()
    assert precious.read_text() == "kept"


def test_nothing_stays_when_it_is_forgotten(tmp_path: Path) -> None:
    record = _record(tmp_path)
    record.write()
    forget(Path(record.directory))
    assert list(tmp_path.iterdir()) == []
