"""Questions as people ask them."""

from __future__ import annotations

import pytest

from domicile.base.errors import InvalidRequest
from domicile.cli.find import Question, questions


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("52:54:0:0:0:A",), Question("mac", "", "52:54:00:00:00:0a")),
        (("bridge", "br0"), Question("bridge", "", "br0")),
        (("bridge=br0",), Question("bridge", "", "br0")),
        (("machine~rhel",), Question("os/type/@machine", "~", "rhel")),
        (("memory>1000",), Question("memory", ">", "1000")),
        (("memory", ">", "1000"), Question("memory", ">", "1000")),
        (("devices/disk/source/@file=/a b.img",), Question("devices/disk/source/@file", "=", "/a b.img")),
        (("devices/disk[2]/target/@dev!=sda",), Question("devices/disk[2]/target/@dev", "!=", "sda")),
        (("disk", "contains", "x"), Question("devices/disk/source/@*", "contains", "x")),
        (("c47e19d5-b25c-4581-8a95-fcb1cb02fd04",), Question("uuid", "", "c47e19d5-b25c-4581-8a95-fcb1cb02fd04")),
    ],
)
def test_questions(words: tuple[str, ...], asked: Question) -> None:
    assert questions(words) == [asked]


def test_a_lone_value_may_be_several_things() -> None:
    assert Question("disk", "", "/a.img") in questions(("/a.img",))
    assert {q.what for q in questions(("br0",))} >= {"name", "bridge", "network", "machine"}


@pytest.mark.parametrize("words", [("a", "b", "c", "d"), ("a", "is", "b")])
def test_what_is_no_question(words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        questions(words)


def test_the_indexed_kinds_are_those_the_service_projects() -> None:
    import inspect

    from domicile.domain.leaves import INDEXED, PLACES
    from domicile.service import drafts

    source = inspect.getsource(drafts.facts)
    assert set(PLACES) >= INDEXED
    for kind in INDEXED:
        assert f'"{kind}"' in source, kind
