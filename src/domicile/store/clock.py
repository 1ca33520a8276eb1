"""Time as the tables hold it: microseconds since 1970 in UTC.

Used by every module of the store that writes or reads a time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the present."""
    return time.time_ns() // 1000


def to_datetime(micros: int) -> datetime:
    """Turn a stored time into a datetime with its zone."""
    return _EPOCH + timedelta(microseconds=micros)


def from_datetime(moment: datetime) -> int:
    """Turn a datetime that knows its zone into a stored time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
