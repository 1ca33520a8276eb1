"""Images in use: a writer is alone with an image, on all hosts of a database."""

from __future__ import annotations

import threading

import pytest

from domicile.base.errors import Conflict
from domicile.store.images import ImageInUse
from domicile.store.store import Store
from domicile.store.values import ImageUse, MachineRecord


def use(holder: str, image: str = "i", host: str = "a", **more) -> ImageUse:
    values = {"name": f"vm-{holder}", "work": "", "path": f"/{image}", "written": True, "shared": False} | more
    return ImageUse(image=image, holder=holder, host=host, host_name=f"host-{host}", **values)


def test_a_writer_is_alone(store):
    store.take_images([use("1")])
    for written in (True, False):
        with pytest.raises(ImageInUse, match=r"'/i' is in use by the running domain 'vm-1'; <shareable/>"):
            store.take_images([use("2", written=written)])
    with pytest.raises(ImageInUse, match="'vm-1' on host 'host-a'"):
        store.take_images([use("2", host="b")])
    store.take_images([use("2", "other")])
    store.drop_images("1", "a")
    store.take_images([use("2", host="b")])
    assert [(u.holder, u.host) for u in store.images_in_use(["i"])] == [("2", "b")]


def test_readers_and_those_who_share_are_not(store):
    for holder in "123":
        store.take_images([use(holder, "r", written=False), use(holder, "s", shared=True)])
    for image in "rs":
        with pytest.raises(ImageInUse):
            store.take_images([use("4", image)])
    assert [u.holder for u in store.images_in_use(["r"])] == ["1", "2", "3"]
    assert store.images_in_use(["nothing"]) == store.images_in_use([]) == []


def test_all_of_it_is_taken_or_nothing(store):
    store.take_images([use("1", "b")])
    with pytest.raises(ImageInUse):
        store.take_images([use("2", "a"), use("2", "b"), use("2", "c")])
    assert [u.holder for u in store.images_in_use(["a", "b", "c"])] == ["1"]


def test_a_start_takes_its_images_with_the_claim(store):
    for host in "ab":
        store.register_host(host)
    held = store.claim("1", "a", [use("1")])
    with pytest.raises(ImageInUse):
        store.claim("2", "b", [use("2", host="b")])
    assert store.claim_of("2") is None
    store.release(held)
    store.claim("2", "b", [use("2", host="b")])
    with pytest.raises(Conflict):
        store.claim("2", "b", [use("2", "z", host="b")])
    assert store.images_in_use(["z"]) == []


def test_what_runs_is_noted_as_it_is(store):
    store.take_images([use("1"), use("1", "old", written=False)])
    store.take_images([use("1", "more", written=False), use("1", written=False)])
    assert {(u.image, u.written) for u in store.images_in_use(["i", "old", "more"])} == {
        ("i", True), ("old", False), ("more", False),
    }  # fmt: skip
    record = MachineRecord("2", "vm-2", 1, 2, 3, "/d", "<domain/>", host="b")
    store.put_machine(record, [use("2", host="b"), use("2", "new", host="b")])
    assert [u.holder for u in store.images_in_use(["i"])] == ["1", "2"]
    store.put_images("2", "b", [use("2", "new", host="b")])
    assert [u.holder for u in store.images_in_use(["i", "new"])] == ["1", "2"]


def test_a_daemon_gives_back_what_no_longer_runs(store):
    store.take_images([use("1"), use("1", "2nd")])
    store.take_images([use("2", "3rd"), use("2", "4th", written=False)])
    store.take_images([use("3", "5th", host="b")])
    assert store.sweep_images("a", ["2"]) == 2
    assert store.sweep_images("a", ["2"]) == 0
    assert len(store.images_in_use(["i", "2nd", "3rd", "4th", "5th"])) == 3


def test_of_two_daemons_at_once_one_gets_it(url):
    stores = [Store.open(url), Store.open(url)]
    try:
        for round_ in range(20):
            won: list[int] = []
            ready = threading.Barrier(2)

            def race(n, won=won, ready=ready, image=f"i{round_}"):
                ready.wait(10)
                try:
                    stores[n].take_images([use(str(n), image, host=str(n)), use(str(n), f"{image}-more", host=str(n))])
                    won.append(n)
                except ImageInUse:
                    pass

            threads = [threading.Thread(target=race, args=(n,)) for n in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert len(won) == 1, (round_, won)
    finally:
        for each in stores:
            each.close()
