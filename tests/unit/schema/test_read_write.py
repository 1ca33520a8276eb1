from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from domicile.base.errors import InvalidDocument
from domicile.schema import field as f
from domicile.schema import read, tree
from domicile.schema.scalar import UINT, YES_NO, enum
from domicile.schema.shape import Element, Variant, element
from domicile.schema.verbatim import VERBATIM
from domicile.schema.write import compact, escape, write


@element("leaf", "叶")
class Wood(Element):
    """A kind of wood."""

    kind: str | None = f.attr("The kind.", "种类。", enum("wood"))
    rings: int | None = f.attr("Its rings.", "年轮。", UINT)


@element("leaf", "叶")
class Stone(Element):
    """A kind of stone."""

    kind: str | None = f.attr("The kind.", "种类。", enum("stone"))


@element("thing", "物")
class Thing(Element):
    """A thing of tests."""

    late: str | None = f.attr("Written last.", "最后写出。", order=9)
    first: str | None = f.attr("Written first.", "最先写出。")
    count: int | None = f.attr("A count.", "数目。", UINT)
    secret: str | None = f.attr("Not for all.", "保密。", secret=True)
    note: str | None = f.leaf("A note.", "说明。")
    on: bool = f.flag("Whether it is on.", "是否开启。")
    kept: Any = f.raw("Kept as it is.", "原样保留。")
    foreign: Any = f.raw("Somebody else's.", "他人的内容。", foreign=True)
    matter: Element | None = f.child("Of what.", "材料。", Variant("kind", {"wood": Wood, "stone": Stone}))
    inner: Any = f.child("One inside.", "内层。", f.SELF, keep_empty=False)
    words: list[str] = f.leaves("Words.", "词。")
    odd: list[Any] = f.children("Odd ones.", "杂项。", VERBATIM)
    text: str | None = f.text("Its text.", "文本。")


def load(xml: str) -> tuple[Any, read.Reader]:
    reader = read.Reader()
    return reader.element(Thing.shape, etree.fromstring(xml)), reader


def test_the_order_and_form_of_writing() -> None:
    thing = Thing(first="a", late="z", count=3, note="n & <m>", on=True, words=["x", "y"], text="'q\"")
    assert write(thing) == (
        "<thing first='a' count='3' late='z'>&apos;q&quot;\n  <note>n &amp; &lt;m&gt;</note>\n  <on/>\n"
        "  <words>x</words>\n  <words>y</words>\n</thing>\n"
    )
    assert write(Thing()) == "<thing/>\n"
    assert write(Thing(text="t")) == "<thing>t</thing>\n"


def test_secrets_and_empty_children() -> None:
    thing = Thing(secret="hush", inner=Thing(inner=Thing()))
    assert "hush" in write(thing)
    assert "hush" not in write(thing, secrets=False)
    assert write(Thing(inner=Thing(inner=Thing()))) == "<thing/>\n"


def test_kept_elements_lose_nothing_but_their_indentation() -> None:
    xml = "<thing><kept a=\"1\">\n\n <b>text</b><c/></kept><foreign xmlns:x='urn:x'><x:y z='1'/></foreign><odd n='1'/><odd/></thing>"
    thing, reader = load(xml)
    assert reader.problems == []
    assert write(thing) == (
        "<thing>\n  <kept a='1'>\n    <b>text</b>\n    <c/>\n  </kept>\n"
        '  <foreign xmlns:x="urn:x">\n    <x:y z="1"/>\n  </foreign>\n  <odd n=\'1\'/>\n  <odd/>\n</thing>\n'
    )
    again, _ = load(write(thing))
    assert dict(tree.leaves(again)) == dict(tree.leaves(thing))
    assert compact(thing.kept) == '<kept a="1"><b>text</b><c/></kept>'


def test_text_beside_elements_is_read_without_its_blanks() -> None:
    assert load("<thing>\n  <note>n</note>\n</thing>")[0].text in (None, "")
    assert load("<thing>word\n  <note>n</note>\n</thing>")[0].text == "word"
    assert load("<thing> a </thing>")[0].text == " a "


def test_variants() -> None:
    thing, reader = load("<thing><matter kind='stone'/></thing>")
    assert isinstance(thing.matter, Stone)
    assert not reader.problems
    thing, reader = load("<thing>\n<matter kind='air'/></thing>")
    (problem,) = reader.problems
    assert (problem.path, problem.line, problem.accepted) == ("matter/@kind", 2, "wood, stone")
    thing, reader = load("<thing><matter/></thing>")
    assert "'kind'" in reader.problems[0].message


def test_problems_say_where() -> None:
    _, reader = load(
        "<thing count='many'>\n<inner>\n<inner count='-1'/></inner>\n<words>a</words>\n<words>b<!-- c --></words></thing>"
    )
    assert [(p.path, p.line) for p in reader.problems] == [("@count", 1), ("inner/inner/@count", 3)]
    assert all(p.accepted == "a whole number from 0 to 4294967295" for p in reader.problems)


def test_long_and_strange_values_are_cut_and_spelt_out() -> None:
    _, reader = load(f"<thing count='{'9' * 1000}'/>")
    assert len(reader.problems[0].message) < 300
    _, reader = load("<thing count='a&#10;b&#x202e;'/>")
    assert "a\\nb\\u202e" in reader.problems[0].message


def test_what_is_not_known_and_what_stands_twice() -> None:
    thing, reader = load(
        "<thing colour='red'><matter kind='wood'/><matter kind='stone'/><other/><note a='1'>n</note></thing>"
    )
    assert [(p.path, p.severity) for p in reader.problems] == [
        ("@colour", "ignored"), ("matter[2]", "ignored"), ("other", "ignored"), ("note/@a", "ignored"),
    ]  # fmt: skip
    assert isinstance(thing.matter, Wood)


def test_problems_are_counted_and_cut() -> None:
    _, reader = load("<thing>" + "<other/>" * 1000 + "</thing>")
    assert len(reader.problems) == read.MAX_PROBLEMS


def test_walks() -> None:
    thing = Thing(count=2, on=True, words=["a", "b"], matter=Wood(kind="wood"), inner=Thing(text="t"))
    assert list(tree.leaves(thing)) == [
        ("@count", "2"), ("on", "yes"), ("matter/@kind", "wood"), ("inner/text()", "t"), ("words[1]", "a"), ("words[2]", "b"),
    ]  # fmt: skip
    assert [path for path, _ in tree.places(thing)] == ["", "matter", "inner"]
    twin = tree.copy(thing)
    twin.inner.text = "u"
    twin.words.append("c")
    assert (thing.inner.text, thing.words) == ("t", ["a", "b"])


def test_escaping() -> None:
    assert escape("plain") == "plain"
    assert escape("a\0b\x07") == "ab"
    assert escape("<'\">&") == "&lt;&apos;&quot;&gt;&amp;"


@pytest.mark.parametrize(
    ("data", "word"),
    [(b"", "empty"), (b"   ", "empty"), (b"<a", "not well-formed"), (b"<!DOCTYPE a><a/>", "type declaration"),
     (b"<a>" + b" " * read.MAX_BYTES + b"</a>", "bytes"), ("\ud800", "half a character"),
     ("<a " + " ".join(f"b{n}=''" for n in range(300)) + "/>", "300 attributes")],
    ids=lambda v: repr(v)[:20],
)  # fmt: skip
def test_what_is_no_document(data: bytes | str, word: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        read.parse(data)
    assert word in refused.value.message


def test_booleans_and_defaults() -> None:
    @element("x", "试")
    class Defaulted(Element):
        """An element with defaults."""

        a: bool | None = f.attr("A switch.", "开关。", YES_NO, default=True)
        b: list[str] = f.leaves("Many.", "多个。")

    one, two = Defaulted(), Defaulted()
    one.b.append("x")
    assert (two.b, two.a) == ([], True)
    assert write(one) == "<x a='yes'>\n  <b>x</b>\n</x>\n"
    assert (Defaulted.shape.en, Defaulted.shape.zh) == ("An element with defaults.", "试")
