"""Units of work of the store: each one hop to its thread, unless that would cost more than the work.

The service runs everything of the store through this.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds that a commit may take on average to be done on the spot; a hop to the thread and back takes some 0.2 ms.
BRIEF = 0.0015
#: After one that took this long, some go through the thread, whatever they take: few at first, up to `CAREFUL` where
#: that happens again before as many went well.
LONG, FEW, CAREFUL = 0.01, 12, 200


#: Threads for a database that every call travels to: while one waits, the others go on.
THREADS = 4


class StoreWork:
    """The threads for the store, with what it is known to take: one for a database on this host, several for a server."""

    def __init__(self, *, remote: bool = False) -> None:
        self._thread = ThreadPoolExecutor(THREADS if remote else 1, "store")
        self._aside = ThreadPoolExecutor(1, "store-watch")
        self._remote = remote
        self._pending = 0
        self._last = 0.0
        self._takes = BRIEF
        self._careful, self._dose, self._well = 0, FEW, 0

    @property
    def quiet(self) -> float:
        """For how many seconds there was nothing to do."""
        return time.monotonic() - self._last

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a unit of work in a thread."""
        self._last = time.monotonic()
        return await self.when_idle(function, *args, **kwargs)

    async def when_idle(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a unit of work that nobody waits for; it does not count as work."""
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, functools.partial(function, *args, **kwargs))
        finally:
            self._pending -= 1

    async def aside(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run something that waits for nobody and that nobody waits for, in a thread of its own."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._aside, functools.partial(function, *args, **kwargs))

    async def brief(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a short unit of work: on the spot while the disk answers at once and the thread is free, else in the thread.

        So nobody waits longer for another's change than a hop would have taken; a disk that becomes slow is noticed at once.
        """
        self._last = began = time.monotonic()
        here = not self._remote and not self._pending and not self._careful and self._takes <= BRIEF
        try:
            return function(*args, **kwargs) if here else await self.when_idle(function, *args, **kwargs)
        finally:
            took = time.monotonic() - began
            self._takes += (took - self._takes) / 8
            self._learn(took)

    def _learn(self, took: float) -> None:
        """Be careful for a while after one that took long, for longer where that is no exception."""
        if took > LONG:
            self._careful, self._well = self._dose, 0
            self._dose = min(self._dose * 4, CAREFUL)
        elif self._careful:
            self._careful -= 1
        else:
            self._well += 1
            if self._well == CAREFUL:
                self._dose = FEW

    def close(self) -> None:
        """End the threads."""
        self._aside.shutdown()
        self._thread.shutdown()
