from __future__ import annotations

import os
from pathlib import Path

from domicile.host import inspect
from domicile.host.user import qemu_user


def test_the_sum_of_the_host_adds_up() -> None:
    node = inspect.node()
    assert node.cpus == len(os.sched_getaffinity(0)) or node.cpus >= 1
    assert node.nodes * node.sockets * node.cores * node.threads == node.cpus
    assert node.memory_kib > 0
    assert sum(len(cell.cpus) for cell in inspect.cells()) == node.cpus


def test_space_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    space = inspect.space(tmp_path / "a" / "b")
    assert space.writable
    assert 0 < space.free <= space.total


def test_the_processor_and_the_devices() -> None:
    assert inspect.cpu().arch
    assert {device.path for device in inspect.devices()} >= {"/dev/kvm", "/dev/net/tun"}
    assert inspect.hostname()


def test_root_gives_qemu_to_an_unprivileged_user() -> None:
    user = qemu_user()
    assert (user is None) == (os.geteuid() != 0)
    assert user is None or user.uid != 0
    assert qemu_user("root") is None
