"""Control groups, as they are found where they are mounted."""

import os
from pathlib import Path

import pytest

from domicile.base.errors import InvalidRequest, WrongState
from domicile.host import affinity, cgroup


def mountinfo(tmp_path: Path, *mounts: tuple[str, str, str]) -> Path:
    lines = []
    for name, kind, options in mounts:
        (tmp_path / name).mkdir(exist_ok=True)
        lines.append(f"1 2 0:1 / {tmp_path / name} rw - {kind} {kind} {options}\n")
    file = tmp_path / "mountinfo"
    file.write_text("".join(lines))
    return file


def test_controllers_are_found_in_either_version(tmp_path: Path) -> None:
    file = mountinfo(tmp_path, ("a", "cgroup", "rw,cpu,cpuacct"), ("b", "cgroup", "rw,blkio"), ("u", "cgroup2", "rw"))
    (tmp_path / "u" / "cgroup.controllers").write_text("memory pids\n")
    found = {name: cgroup.find(name, file) for name in ("cpu", "io", "memory", "cpuset")}
    assert found["cpu"] == cgroup.Hierarchy(tmp_path / "a", 1) and found["io"] == cgroup.Hierarchy(tmp_path / "b", 1)
    assert found["memory"] == cgroup.Hierarchy(tmp_path / "u", 2) and found["cpuset"] is None


def test_without_a_hierarchy_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "find", lambda controller: None)
    with pytest.raises(WrongState, match="cgroup CPU controller"):
        cgroup.needed("cpu")


def test_maps_of_cpus_name_those_of_this_host() -> None:
    count = affinity.host_cpus()
    assert affinity.of_map(b"\xff" * 64) == list(range(count))
    assert affinity.to_map(None, 1)[0] & 1 and affinity.to_map([0], 2) == b"\x01\x00"
    with pytest.raises(InvalidRequest):
        affinity.of_map(bytes(64))
    with pytest.raises(InvalidRequest):
        affinity.of_map(b"")


def test_threads_are_held_and_let_go() -> None:
    before = os.sched_getaffinity(0)
    thread = os.getpid()
    try:
        affinity.hold([thread, 2**22 - 1], [min(before)])
        assert os.sched_getaffinity(0) == {min(before)}
        assert thread in affinity.tasks_of(thread) and affinity.tasks_of(2**22 - 1) == set()
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("partition", "path"),
    [
        ("/machine", "machine"),
        ("/machine/prod", "machine/prod.partition"),
        ("/machine/prod/../web", "machine/prod.partition/web.partition"),
        ("/mine", "mine.partition"),
        ("/machine.slice/web.slice", "machine.slice/web.slice"),
    ],
)
def test_partitions_have_their_directories(partition: str, path: str) -> None:
    assert cgroup.directory(partition) == path
