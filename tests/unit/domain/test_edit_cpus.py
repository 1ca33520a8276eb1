"""Changes of virtual CPUs, I/O threads and their places."""

import pytest

from domicile.base.errors import InvalidRequest, Unsupported, WrongState
from domicile.devices.disk import Disk
from domicile.devices.disk.model import DiskDriver, DiskTarget
from domicile.domain.cpu import Cpu, Topology
from domicile.domain.domain import Devices, Domain
from domicile.domain.edit import cpus
from domicile.domain.memory import Vcpu


def domain(most: int = 4, now: int | None = 2) -> Domain:
    return Domain(vcpu=Vcpu(placement="static", current=now, value=most), devices=Devices())


def test_as_many_as_there_can_be_leaves_nothing_to_say_of_the_current_number() -> None:
    changed = domain()
    cpus.set_count(changed, 4, "persistent")
    assert changed.vcpu is not None and changed.vcpu.current is None
    cpus.set_count(changed, 1, "persistent")
    assert changed.vcpu.current == 1
    with pytest.raises(InvalidRequest, match="5 > 4"):
        cpus.set_count(changed, 5, "persistent")


def test_a_smaller_maximum_takes_the_current_number_along() -> None:
    changed = domain(4, 3)
    cpus.set_maximum(changed, 2)
    assert changed.vcpu is not None and (changed.vcpu.value, changed.vcpu.current) == (2, None)
    changed.cpu = Cpu(topology=Topology(sockets=1, cores=2, threads=1))
    with pytest.raises(InvalidRequest, match="topology"):
        cpus.set_maximum(changed, 3)


def test_single_cpus_are_written_down_one_by_one() -> None:
    changed = domain(4, 1)
    cpus.set_state(changed, {2}, on=True)
    assert changed.vcpus is not None and changed.vcpu is not None
    states = [(each.id, each.enabled, each.hotpluggable) for each in changed.vcpus.vcpu]
    assert states == [(0, True, False), (1, False, None), (2, True, True), (3, False, None)]
    assert changed.vcpu.current == 2 and cpus.online(changed) == {0, 2}
    cpus.set_state(changed, {2}, on=False)
    assert cpus.online(changed) == {0}
    for wrong in (0, 9):
        with pytest.raises(InvalidRequest):
            cpus.set_state(changed, {wrong}, on=False)


def test_the_hotpluggable_go_first() -> None:
    changed = domain(4, 2)
    cpus.set_count(changed, 3, "persistent", hotpluggable=True)
    cpus.set_count(changed, 2, "persistent")
    assert cpus.online(changed) == {0, 1}


def test_of_new_ones_it_is_not_known_whether_they_can_go() -> None:
    changed = domain(3, 1)
    cpus.show_live(changed, {0: 1, 1: 2}, {1, 2}, {1})
    assert changed.vcpus is not None
    assert [each.hotpluggable for each in changed.vcpus.vcpu] == [False, None, True]


def test_pins_are_kept_in_order_and_fall_back_on_the_whole() -> None:
    changed = domain()
    cpus.pin_vcpu(changed, 1, [0, 1, 3], "persistent")
    cpus.pin_vcpu(changed, 0, [2], "persistent")
    assert changed.cputune is not None
    assert [(pin.vcpu, pin.cpuset) for pin in changed.cputune.vcpupin] == [(0, "2"), (1, "0-1,3")]
    assert cpus.vcpu_pin(changed, 1) == [0, 1, 3] and cpus.vcpu_pin(changed, 2) is None
    assert changed.vcpu is not None
    changed.vcpu.cpuset = "0-1"
    assert cpus.vcpu_pin(changed, 2) == [0, 1] == cpus.emulator_pin(changed)
    cpus.pin_emulator(changed, [1])
    assert cpus.emulator_pin(changed) == [1]
    with pytest.raises(InvalidRequest, match="out of range"):
        cpus.pin_vcpu(changed, 4, [0], "persistent")
    with pytest.raises(InvalidRequest, match="plugged"):
        cpus.pin_vcpu(changed, 3, [0], "live")


def test_counted_threads_get_names_when_one_comes_or_goes() -> None:
    changed = domain()
    changed.iothreads = 2
    assert cpus.threads(changed) == [1, 2]
    cpus.add_thread(changed, 7)
    assert cpus.threads(changed) == [1, 2, 7] and changed.iothreads == 3
    cpus.pin_thread(changed, 7, [1])
    assert cpus.thread_pin(changed, 7) == [1]
    cpus.remove_thread(changed, 7)
    assert changed.cputune is not None and not changed.cputune.iothreadpin
    cpus.remove_thread(changed, 1)
    cpus.remove_thread(changed, 2)
    assert changed.iothreads is None and changed.iothreadids is None
    with pytest.raises(InvalidRequest, match="already"):
        cpus.add_thread(changed, 3)
        cpus.add_thread(changed, 3)


def test_a_thread_that_a_disk_uses_stays() -> None:
    changed = domain()
    cpus.add_thread(changed, 1)
    assert changed.devices is not None
    changed.devices.of(Disk).append(Disk(driver=DiskDriver(iothread=1), target=DiskTarget(dev="vda")))
    with pytest.raises(InvalidRequest, match="used by disk 'vda'"):
        cpus.remove_thread(changed, 1)


def test_polling_is_for_running_threads_and_pools_for_both() -> None:
    changed = domain()
    cpus.add_thread(changed, 1)
    with pytest.raises(Unsupported):
        cpus.tune_thread(changed, 1, {"poll_max_ns": 5}, live=False)
    with pytest.raises(WrongState, match="thread_pool_min"):
        cpus.tune_thread(changed, 1, {"thread_pool_min": 9}, live=False)
    cpus.tune_thread(changed, 1, {"thread_pool_min": 1, "thread_pool_max": 4}, live=False)
    assert changed.iothreadids is not None
    thread = changed.iothreadids.iothread[0]
    assert (thread.thread_pool_min, thread.thread_pool_max) == (1, 4)
