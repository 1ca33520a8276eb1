from __future__ import annotations

import asyncio
import time

from domicile.host import kvm


def test_the_answer_comes_in_time_and_says_why() -> None:
    before = time.perf_counter()
    answer = asyncio.run(kvm.check())
    assert time.perf_counter() - before < kvm.DEADLINE + 2
    assert answer.reason
    assert answer.works or answer.verified


def test_a_hanging_trial_is_ended() -> None:
    before = time.perf_counter()
    answer = asyncio.run(kvm.check(deadline=0.0001))
    assert time.perf_counter() - before < kvm.DEADLINE
    assert not answer.works
