"""An undo stack: what was done so far, taken back in reverse when a later step fails.

Used by every operation that touches the host in more than one step.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger(__name__)
Step = Callable[[], Awaitable[object] | object]


class Undo:
    """Collects how to take back each step; `commit` keeps them all.

    async with Undo() as undo:
        tap = make_tap()
        undo.push("remove the tap", lambda: remove_tap(tap))
        …
        undo.commit()
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, Step]] = []

    def push(self, name: str, step: Step) -> None:
        """Remember how to take back what was just done."""
        self._steps.append((name, step))

    def commit(self) -> None:
        """Keep everything; forget how to take it back."""
        self._steps.clear()

    async def rollback(self) -> None:
        """Take back all steps, the last first; a step that fails is logged and does not stop the others."""
        while self._steps:
            name, step = self._steps.pop()
            try:
                outcome = step()
                if isinstance(outcome, Awaitable):
                    await outcome
            except Exception:
                log.exception("undo step failed", step=name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.rollback()
