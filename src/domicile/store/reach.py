"""Whether the database answers: once it is known to be gone, nobody waits for it until it was heard again.

Kept by `engine.Database`; the service shows it to people.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from domicile.base.errors import Unreachable


class Silence(NamedTuple):
    """Since when the database has not answered (seconds since the epoch), when it last did, and what was heard last."""

    since: float
    heard: float
    why: str

    def refusal(self) -> Unreachable:
        """Make the one error that everything gets which needs the database now."""
        seconds = max(0, round(time.time() - self.heard))
        return Unreachable(f"the database has not answered for {seconds} s; machines that run go on: {self.why}")


class Reach:
    """What is known of the way to the database. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = time.time()
        self._silence: Silence | None = None
        self.losses = 0
        """How often it was lost; who follows it compares."""

    @property
    def silence(self) -> Silence | None:
        """Since when it has not answered; None while it does."""
        return self._silence

    @property
    def heard(self) -> float:
        """When it last answered, in seconds since the epoch."""
        return self._heard

    def demand(self) -> None:
        """Refuse at once where the database is known not to answer. Raises: Unreachable."""
        silence = self._silence
        if silence is not None:
            raise silence.refusal()

    def answered(self) -> None:
        """Note that it answered."""
        self._heard = time.time()
        if self._silence is not None:
            with self._lock:
                self._silence = None

    def lost(self, why: str) -> Silence:
        """Note that it did not answer; what was noted first stays the beginning."""
        with self._lock:
            words = " ".join(why.split())
            since = self._silence.since if self._silence is not None else time.time()
            self.losses += self._silence is None
            self._silence = Silence(since, self._heard, words)
            return self._silence
