from __future__ import annotations

import asyncio
import re

import pytest

from domicile.base import errors, ids, tasks
from domicile.base.problem import Problem
from domicile.base.undo import Undo


def test_identities() -> None:
    assert ids.parse_uuid(ids.new_uuid()) is not None
    assert re.fullmatch(r"52:54:00(:[0-9a-f]{2}){3}", ids.new_mac())
    assert len({ids.new_mac() for _ in range(100)}) > 90
    assert ids.parse_uuid(" c47e19d5-b25c-4581-8a95-fcb1cb02fd04 ") == "c47e19d5-b25c-4581-8a95-fcb1cb02fd04"
    assert ids.parse_uuid("c47e19d5") is None
    assert ids.parse_mac("1:2:3:4:5:g") is None


def test_problems_in_one_sentence() -> None:
    assert Problem("a/@b", "is wrong", 3, "right").sentence() == "line 3: a/@b: is wrong (accepted: right)"
    assert Problem("", "is wrong").sentence() == "is wrong"


def test_every_error_has_its_numbers() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.DomicileError)]
    assert len(classes) > 8
    for cls in classes:
        error = cls([Problem("", "m")]) if cls is errors.InvalidDocument else cls("m")
        assert "m" in error.message
        assert error.wire_code > 0 and error.wire_domain >= 0 and 400 <= error.status < 600
    assert errors.InvalidDocument([Problem("", "a"), Problem("", "b")]).message == "a\nb"
    assert errors.NotFound("x", code=7).wire_code == 7


def test_undo_goes_backwards_and_on_past_failures() -> None:
    done: list[str] = []

    async def later() -> None:
        done.append("later")

    def breaks() -> None:
        raise OSError("no")

    async def work() -> None:
        async with Undo() as undo:
            undo.push("first", lambda: done.append("first"))
            undo.push("breaks", breaks)
            undo.push("later", later)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        asyncio.run(work())
    assert done == ["later", "first"]


def test_what_is_committed_stays() -> None:
    done: list[str] = []

    async def work() -> None:
        async with Undo() as undo:
            undo.push("first", lambda: done.append("first"))
            undo.commit()

    asyncio.run(work())
    assert done == []


def test_tasks_have_names_and_are_forgotten_when_done() -> None:
    async def work() -> None:
        gate = asyncio.Event()
        task = tasks.spawn("waits", gate.wait())
        failed = tasks.spawn("fails", _fail())
        await asyncio.sleep(0)
        assert "waits" in tasks.running()
        gate.set()
        await asyncio.gather(task, failed, return_exceptions=True)
        await asyncio.sleep(0)
        assert not {"waits", "fails"} & set(tasks.running())

    asyncio.run(work())


async def _fail() -> None:
    raise errors.HostFailure("no")
