"""Objects beside domains: found by name and uuid, stored with history, remembered while they are active."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from domicile.base.errors import Conflict, NotFound, WrongState
from domicile.service.objects import Kind, Objects
from domicile.service.store_work import StoreWork
from domicile.store.store import Store
from domicile.store.values import Author

KIND = Kind("network", "network", 43, 19, str, str)
ME = Author("me", "test", "")
ONE, OTHER = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path}/x.db")
    yield store
    store.close()


def run(store: Store, work: object) -> None:
    async def whole() -> None:
        thread = StoreWork()
        try:
            await work(Objects(KIND, store, thread.run), lambda: Objects(KIND, store, thread.run))  # type: ignore[operator]
        finally:
            thread.close()

    asyncio.run(whole())


def test_defined_found_activated_and_remembered(store: Store) -> None:
    async def work(networks: Objects[str], anew: object) -> None:
        found = await networks.define("<n/>", ONE, "default", "<author/>", ME)
        assert networks.by_name("default") is networks.by_uuid(ONE) is networks.find(ONE) is found
        assert found.persistent and not found.active and found.document == "<n/>"
        await networks.set_autostart(found, True)
        await networks.keep_active(found, "<live/>", {"pid": 5})
        assert found.document == "<live/>" and found.definition == "<n/>"
        later: Objects[str] = anew()  # type: ignore[operator]
        await later.begin()
        again = later.by_name("default")
        assert (again.head, again.autostart, again.stored, again.live, again.facts) == (
            1,
            True,
            "<n/>",
            "<live/>",
            {"pid": 5},
        )
        await later.undefine(again, ME)
        assert later.by_name("default") is again and not again.persistent
        with pytest.raises(WrongState):
            await later.set_autostart(again, True)
        await later.drop_active(again)
        with pytest.raises(NotFound) as missing:
            later.by_name("default")
        assert (missing.value.wire_code, missing.value.wire_domain) == (43, 19)
        assert [r.kind for r in await later.history("default")] == ["define", "undefine"]

    run(store, work)


def test_names_and_uuids_belong_to_one(store: Store) -> None:
    async def work(networks: Objects[str], anew: object) -> None:
        found = await networks.define("<n/>", ONE, "default", "", ME)
        with pytest.raises(Conflict, match="already exists with uuid"):
            await networks.define("<n/>", OTHER, "default", "", ME)
        with pytest.raises(Conflict, match="already defined with uuid"):
            await networks.define("<n/>", ONE, "another", "", ME)
        await networks.keep_active(found, "<n/>", {})
        with pytest.raises(WrongState, match="already active"):
            networks.unclaimed(ONE, "default", active=True)
        told: list[tuple[str, int, int]] = []
        networks.subscribe(lambda o, event, detail: told.append((o.name, event, detail)))
        networks.tell(found, 2)
        assert told == [("default", 2, 0)]

    run(store, work)
