"""Where the store's work is done: on the spot while that is quick, in the thread when it is not."""

from __future__ import annotations

import asyncio
import threading
import time

from domicile.service.store_work import CAREFUL, FEW, StoreWork


def test_quick_work_is_done_on_the_spot_and_slow_work_is_not() -> None:
    async def body() -> None:
        work, here = StoreWork(), threading.get_ident()
        for _ in range(30):
            await work.brief(threading.get_ident)
        assert await work.brief(threading.get_ident) == here
        await work.brief(time.sleep, 0.02)
        assert await work.brief(threading.get_ident) != here
        assert [await work.brief(threading.get_ident) == here for _ in range(2 * FEW)].count(True) > 0
        await work.brief(time.sleep, 0.02)
        await work.brief(time.sleep, 0.02)
        again = [await work.brief(threading.get_ident) == here for _ in range(CAREFUL + 1)]
        assert not any(again[: CAREFUL // 2]) and again[-1]
        work.close()

    asyncio.run(body())


def test_it_waits_for_its_turn_behind_other_work() -> None:
    async def body() -> None:
        work, here = StoreWork(), threading.get_ident()
        for _ in range(30):
            await work.brief(threading.get_ident)
        other = asyncio.create_task(work.run(time.sleep, 0.05))
        await asyncio.sleep(0.01)
        assert await work.brief(threading.get_ident) != here
        assert other.done()
        work.close()

    asyncio.run(body())


def test_an_error_comes_to_the_caller() -> None:
    async def body() -> None:
        work = StoreWork()
        for way in (work.brief, work.run):
            try:
                await way(int, "x")
            except ValueError:
                continue
            raise AssertionError("no error")
        work.close()

    asyncio.run(body())
