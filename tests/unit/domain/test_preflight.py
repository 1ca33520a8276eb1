"""Why a machine cannot move: found before anything happens, all at once."""

from collections.abc import Callable

import pytest

from domicile.domain import preflight
from domicile.domain.domain import Domain
from domicile.domain.preflight import Storage, Target

DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'{cache}/><source file='/srv/a.img'/><target dev='vda' bus='virtio'/></disk>"


@pytest.fixture
def complete(core, sketch) -> Callable[..., Domain]:
    return lambda devices="", **how: core.complete(sketch(devices, **how)).domain


def words(problems: list) -> str:
    return "\n".join(problem.sentence() for problem in problems)


def test_a_disk_that_others_do_not_see(complete) -> None:
    domain = complete(DISK.format(cache=""))
    found = preflight.leaving(domain, Storage({"/srv/a.img": False}))
    assert [p.code for p in found] == [preflight.UNSAFE] and "without shared storage" in words(found)
    assert not preflight.leaving(domain, Storage({"/srv/a.img": False}), unsafe=True)
    assert not preflight.leaving(domain, Storage({"/srv/a.img": True}))
    assert not preflight.leaving(domain, Storage({"/srv/a.img": False}, copied=frozenset({"vda"})))


def test_caches_that_may_lie(complete) -> None:
    old = Storage({"/srv/a.img": True}, safe_cache=False)
    assert "cache 'default'" in words(preflight.leaving(complete(DISK.format(cache="")), old))
    assert not preflight.leaving(complete(DISK.format(cache=" cache='none'")), old)
    coherent = Storage({"/srv/a.img": True}, {"/srv/a.img": True}, safe_cache=False)
    assert not preflight.leaving(complete(DISK.format(cache="")), coherent)


def test_devices_that_hang_on_the_host(complete) -> None:
    devices = (
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>"
        "<filesystem type='mount'><source dir='/srv'/><target dir='share'/></filesystem>"
        "<shmem name='other'><model type='ivshmem-plain'/></shmem>"
    )
    found = words(preflight.leaving(complete(devices), Storage(), unsafe=True))
    assert "devices/hostdev" in found and "devices/filesystem" in found and "devices/shmem" in found


def test_all_that_the_target_lacks(core, complete) -> None:
    devices = DISK.format(cache="") + "<interface type='bridge'><source bridge='br7'/></interface>"
    devices += "<interface type='network'><source network='lab'/></interface>"
    domain = complete(devices, memory="<memory unit='GiB'>64</memory>")
    caps = core.caps if hasattr(core, "caps") else None
    target = Target(
        caps, bridges=frozenset({"br0"}), networks=frozenset({"default"}), missing=frozenset({"/srv/a.img"}), memory_kib=1024,
        room={"/srv/a.img": 10},
    )  # fmt: skip
    found = words(preflight.arriving(domain, target))
    for part in ("br7", "lab", "/srv/a.img' is not there", "67108864 KiB", "10 bytes too few"):
        assert part in found
    assert "is not there" not in words(preflight.arriving(domain, target, copied=frozenset({"vda"})))


def test_a_target_without_the_machine(complete) -> None:
    domain = complete()
    assert "no QEMU" in words(preflight.arriving(domain, Target(None)))
