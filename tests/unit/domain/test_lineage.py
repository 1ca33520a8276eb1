"""Which snapshot came from which."""

from __future__ import annotations

import pytest

from domicile.base.errors import Conflict, NotFound
from domicile.domain.lineage import Lineage, Moment


def made(*pairs: tuple[str, str]) -> Lineage:
    lineage = Lineage("snapshot", 72)
    for name, parent in pairs:
        lineage.add(Moment(name, parent))
    lineage.settle()
    return lineage


def names(moments: list[Moment]) -> list[str]:
    return [moment.name for moment in moments]


def test_parents_stand_before_their_children() -> None:
    lineage = made(("a", ""), ("b", "a"), ("c", "b"), ("d", "a"), ("e", ""))
    assert names(lineage.descendants("")) == ["a", "b", "c", "d", "e"]
    assert names(lineage.descendants("a")) == ["b", "c", "d"] and names(lineage.children("a")) == ["b", "d"]
    assert names(lineage.children("")) == ["a", "e"]
    assert [moment.name for moment in lineage if lineage.is_leaf(moment)] == ["c", "d", "e"]


def test_they_may_be_taken_in_in_any_order_and_orphans_are_roots() -> None:
    lineage = made(("c", "b"), ("b", "a"), ("x", "gone"))
    assert names(lineage.children("")) == ["b", "x"] and lineage.find("b").parent == ""
    assert names(lineage.descendants("b")) == ["c"]


def test_children_of_what_goes_are_their_grandparents() -> None:
    lineage = made(("a", ""), ("b", "a"), ("c", "b"))
    lineage.current = "b"
    assert names(lineage.remove("b")) == ["c"]
    assert lineage.find("c").parent == "a" and lineage.current == "" and len(lineage) == 2
    with pytest.raises(NotFound, match="no domain snapshot with matching name 'b'") as caught:
        lineage.find("b")
    assert caught.value.wire_code == 72


def test_none_comes_from_its_own_child() -> None:
    lineage = made(("a", ""), ("b", "a"))
    with pytest.raises(Conflict, match="cycle"):
        lineage.may_descend("a", "b")
    with pytest.raises(NotFound):
        lineage.may_descend("a", "z")
    lineage.may_descend("b", "")
    lineage.may_descend("new", "b")
