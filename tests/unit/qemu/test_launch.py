from __future__ import annotations

import pytest

from domicile.base.errors import InvalidRequest
from domicile.qemu.launch import Given, replace_tokens

GIVEN = Given({"net0": (7, 8), "monitor": (5,)}, {"vnc": 5901})


def test_tokens_become_numbers() -> None:
    words = ["{fd:monitor}", '{"type":"tap","fd":"{fd:net0}"}', "fds={fds:net0}", "0.0.0.0:{display:vnc}", "{port:vnc}"]
    assert replace_tokens(words, GIVEN) == ["5", '{"type":"tap","fd":"7"}', "fds=7:8", "0.0.0.0:1", "5901"]


def test_what_is_no_token_stays() -> None:
    words = ['{"driver":"VGA"}', "a{b}c", "{other:x}", "plain"]
    assert replace_tokens(words, GIVEN) == words


def test_a_token_that_stands_for_nothing_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="fd:net1"):
        replace_tokens(["{fd:net1}"], GIVEN)
