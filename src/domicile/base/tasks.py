"""The only maker of background tasks: named, referenced, and never silent when they fail.

Everything above base that needs a task asks here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from domicile.base.errors import DomicileError

log = structlog.get_logger(__name__)
_running: set[asyncio.Task[Any]] = set()


def spawn(name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start `work` as a task of that name; an exception nobody awaits is logged."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    error = None if task.cancelled() else task.exception()
    if isinstance(error, DomicileError):
        log.warning("task failed", task=task.get_name(), reason=error.message)
    elif error is not None:
        log.error("task failed", task=task.get_name(), exc_info=error)


def running() -> list[str]:
    """Name the tasks under way."""
    return sorted(task.get_name() for task in _running)
