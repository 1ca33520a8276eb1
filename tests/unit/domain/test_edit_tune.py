"""Changes of memory, and of what the host grants."""

import pytest

from domicile.base.errors import InvalidRequest
from domicile.devices.disk import Disk
from domicile.devices.disk.model import DiskTarget
from domicile.devices.disk.source import DiskSource
from domicile.devices.interface import Interface, InterfaceTarget
from domicile.devices.interface.model import Mac
from domicile.devices.memballoon import MemBalloon
from domicile.domain.domain import Devices, Domain
from domicile.domain.edit import memory, tune
from domicile.domain.memory import Memory


def domain() -> Domain:
    made = Domain(memory=Memory(unit="KiB", value=65536), devices=Devices())
    assert made.devices is not None
    made.devices.of(Disk).append(Disk(target=DiskTarget(dev="vda"), source=DiskSource(file="/a.qcow2")))
    made.devices.of(Interface).append(
        Interface(mac=Mac(address="52:54:00:00:00:01"), target=InterfaceTarget(dev="vnet3"))
    )
    return made


def test_memory_shrinks_and_takes_the_balloon_along() -> None:
    changed = domain()
    memory.set_current(changed, 32768)
    memory.set_maximum(changed, 16384)
    assert (memory.size(changed), memory.current(changed)) == (16384, 16384)
    with pytest.raises(InvalidRequest, match="higher"):
        memory.set_current(changed, 16385)


def test_limits_of_memory_hold_together() -> None:
    changed = domain()
    memory.set_limits(changed, {"hard_limit": 1000, "swap_hard_limit": 2000})
    with pytest.raises(InvalidRequest, match="lower"):
        memory.set_limits(changed, {"hard_limit": 3000})
    memory.set_limits(changed, {"hard_limit": memory.UNLIMITED, "swap_hard_limit": 2**60})
    assert changed.memtune is None and set(memory.limits(changed).values()) == {memory.UNLIMITED}


def test_memory_is_placed_by_number_and_name() -> None:
    changed = domain()
    memory.set_placement(changed, 2, "0-1")
    assert memory.placement(changed) == (2, "0-1")
    with pytest.raises(InvalidRequest, match="mode"):
        memory.set_placement(changed, 7, None)
    with pytest.raises(InvalidRequest, match="bitmap"):
        memory.set_placement(changed, None, "x")


def test_reports_need_a_balloon() -> None:
    changed = domain()
    with pytest.raises(InvalidRequest):
        memory.set_period(changed, 5)
    assert changed.devices is not None
    balloon = MemBalloon(model="virtio")
    changed.devices.of(MemBalloon).append(balloon)
    memory.set_period(changed, 5)
    assert balloon.stats is not None and balloon.stats.period == 5
    memory.set_period(changed, 0)
    assert balloon.stats is None


def test_cpu_time_is_told_and_forgotten() -> None:
    changed = domain()
    tune.set_scheduler(changed, {"cpu_shares": 100, "vcpu_quota": -1})
    assert tune.scheduler(changed)["cpu_shares"] == 100 and tune.scheduler(changed)["vcpu_quota"] == -1
    tune.set_scheduler(changed, {"cpu_shares": 0, "vcpu_quota": 0})
    assert changed.cputune is None
    tune.check_scheduler({"vcpu_period": 1000, "vcpu_quota": 0, "emulator_quota": -1})
    for wrong in ({"vcpu_period": 999}, {"global_quota": 5}, {"iothread_period": 1_000_001}):
        with pytest.raises(InvalidRequest, match="range"):
            tune.check_scheduler(wrong)


def test_block_devices_come_and_go_by_their_numbers() -> None:
    changed = domain()
    tune.set_block(changed, {"weight": 500, "device_weight": "/dev/a,200,/dev/b,300"})
    tune.set_block(changed, {"device_weight": "/dev/a,0", "device_read_iops_sec": "/dev/b,7"})
    assert tune.block(changed) == {
        "weight": 500, "device_weight": "/dev/b,300", "device_read_iops_sec": "/dev/b,7", "device_write_iops_sec": "",
        "device_read_bytes_sec": "", "device_write_bytes_sec": "",
    }  # fmt: skip
    for wrong in ("/dev/a", "/dev/a,x", ",5"):
        with pytest.raises(InvalidRequest, match="unable to parse"):
            tune.set_block(changed, {"device_weight": wrong})


def test_limits_of_one_kind_change_together() -> None:
    disk = tune.disk_of(domain(), "/a.qcow2")
    tune.set_io_tune(disk, {"total_bytes_sec": 5, "read_iops_sec": 2, "write_iops_sec": 3})
    tune.set_io_tune(disk, {"total_iops_sec": 7})
    found = tune.io_tune(disk)
    assert (found["total_bytes_sec"], found["total_iops_sec"], found["read_iops_sec"]) == (5, 7, 0)
    tune.set_io_tune(disk, {"total_bytes_sec": 0, "total_iops_sec": 0})
    assert disk.iotune is None
    with pytest.raises(InvalidRequest, match="same time"):
        tune.set_io_tune(disk, {"total_bytes_sec": 5, "write_bytes_sec": 2})
    with pytest.raises(InvalidRequest, match="greater"):
        tune.set_io_tune(disk, {"total_bytes_sec": 5, "total_bytes_sec_max": 2}, live=True)
    with pytest.raises(InvalidRequest, match="not found"):
        tune.disk_of(domain(), "vdb")


def test_sides_of_an_interface_change_by_themselves() -> None:
    interface = tune.interface_of(domain(), "vnet3")
    tune.set_bandwidth(interface, {"inbound.average": 100, "inbound.peak": 200, "outbound.average": 5})
    tune.set_bandwidth(interface, {"inbound.peak": 7})
    assert tune.bandwidth(interface)["inbound.peak"] == 200
    tune.set_bandwidth(interface, {"inbound.average": 0})
    found = tune.bandwidth(interface)
    assert (found["inbound.average"], found["inbound.peak"], found["outbound.average"]) == (0, 0, 5)
    with pytest.raises(InvalidRequest, match="known"):
        tune.interface_of(domain(), "52:54:00:00:00:02")


def test_events_are_written_in_one_order() -> None:
    changed = domain()
    tune.set_events(changed, {"cpu_cycles": True})
    tune.set_events(changed, {"cmt": True, "cpu_cycles": False})
    assert [(node.get("name"), node.get("enabled")) for node in changed.perf] == [("cmt", "yes"), ("cpu_cycles", "no")]
    assert tune.events(changed)["cmt"] and not tune.events(changed)["cpu_cycles"]


def test_modules_count_while_they_are_there() -> None:
    changed = domain()
    memory.grow(changed, 1024)
    assert (memory.size(changed), memory.current(changed)) == (66560, 66560)
    memory.grow(changed, -1024)
    assert memory.size(changed) == 65536
