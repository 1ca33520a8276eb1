"""Whatever a declared element may say is written and read back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.schema import tree
from domicile.schema.field import Field
from domicile.schema.read import Reader
from domicile.schema.scalar import Scalar
from domicile.schema.shape import Element, Variant
from domicile.schema.write import PREFIXES
from domicile.schema.write import write as write_element

FEW = settings(max_examples=8, deadline=None, database=None, derandomize=True)
SEED = st.integers(0, 2**64)
NUMBERS = (0, 1, 2, 7, 15, 63, 255, 256, 4096, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, -1, -(2**31))
# Texts that XML can hold and no parser changes: no control characters, no blanks at the ends.
WORDS = (
    "a", "vda", "0", "/dev/null", "/a b", "<&>", "it's", '"quoted"', "a=b,c=d", "二", "\N{GRINNING FACE}", "x" * 300, "a\xa0b", "]]>",
    "naa.5123456789abcde0", "0-3,^2", "{fd:net0}", "%s", "..", "-1", "1e3", "0x", "c47e19d5-b25c-4581-8a95-fcb1cb02fd04",
    "52:54:00:8c:ed:f9", "0644",
)  # fmt: skip
CANDIDATES = (*WORDS, *map(str, NUMBERS), *(hex(number) for number in NUMBERS if number >= 0))


def classes() -> Iterator[type[Element]]:
    """Walk every element class a domain can hold, each once."""
    seen: set[type[Element]] = set()
    waiting: list[type[Element]] = [Domain]
    while waiting:
        cls = waiting.pop()
        if cls in seen:
            continue
        seen.add(cls)
        yield cls
        for declared in cls.shape.fields:
            waiting += inner(declared)


def inner(declared: Field) -> list[type[Element]]:
    of = declared.of
    if isinstance(of, Variant):
        return [*dict.fromkeys(of.cases.values()), *([of.otherwise] if of.otherwise is not None else [])]
    return [of] if isinstance(of, type) and issubclass(of, Element) else []


def write(made: Element) -> str:
    return document.write(made) if isinstance(made, Domain) else write_element(made)


@cache
def accepted(scalar: Scalar) -> tuple[Any, ...]:
    """List values that the scalar itself says it accepts."""
    found = []
    for text in scalar.values or CANDIDATES:
        with suppress(ValueError):
            found.append(scalar.parse(text))
    kept = tuple(value for value in found if value is not None)
    assert kept, f"no candidate is a {scalar.name} ({scalar.accepted})"
    return kept


def fill(random: Random, cls: type[Element], depth: int) -> Element:
    """Make an element with some of its fields set; what nests is filled a few levels deep."""
    made = cls()
    for declared in cls.shape.fields:
        # The attribute by which a variant was chosen is no choice any more.
        fixed = (
            declared.kind == "attr" and len(declared.scalar.values) == 1 and getattr(made, declared.slot) is not None
        )
        if fixed or (random.random() < 0.5 and not declared.required):
            continue
        if declared.kind == "children":
            several = [one(random, declared, depth) for _ in range(random.randint(0, 3))]
            setattr(made, declared.slot, [value for value in several if value is not None])
        else:
            value = one(random, declared, depth)
            setattr(made, declared.slot, getattr(made, declared.slot) if value is None else value)
    return made


def one(random: Random, declared: Field, depth: int) -> Any:
    if declared.kind == "flag":
        return True
    if declared.kind == "raw" or (declared.of is not None and not inner(declared)):
        made = etree.Element(
            declared.name, nsmap={prefix: uri for uri, prefix in PREFIXES.items() if uri in declared.name}
        )
        if random.random() < 0.5:
            made.set("a", "1 < 2")
        for text in random.choice(((), ("",), ("text", "", "'"))):
            etree.SubElement(made, declared.name.replace(declared.name.rpartition("}")[2], "b")).text = text or None
        return made
    if declared.of is None:
        return random.choice(accepted(declared.scalar))
    if not depth:
        return None
    if not isinstance(declared.of, Variant):
        return fill(random, random.choice(inner(declared)), depth - 1)
    # What a variant's element is, its own attribute says.
    word = random.choice(list(declared.of.cases))
    made = fill(random, declared.of.cases[word], depth - 1)
    chosen = made.shape.attrs[declared.of.attribute]
    setattr(made, chosen.slot, chosen.scalar.parse(word))
    return made


def back(made: Element) -> Element:
    reader = Reader()
    text = write(made)
    read: Element = reader.element(made.shape, etree.fromstring(text))
    assert reader.problems == [], text
    return read


@pytest.mark.parametrize("cls", list(classes()), ids=lambda cls: f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}")
def test_what_is_written_is_read_back(cls: type[Element]) -> None:
    @FEW
    @given(SEED)
    def roundtrip(seed: int) -> None:
        made = fill(Random(seed), cls, 2)
        text = write(made)
        read = back(made)
        assert write(read) == text
        assert list(tree.leaves(read)) == list(tree.leaves(made)), text

    roundtrip()


@FEW
@given(SEED)
def test_copies_are_whole_and_apart(seed: int) -> None:
    made = fill(Random(seed), Domain, 4)
    text = write(made)
    twin = tree.copy(made)
    assert write(twin) == text
    for _, element in tree.places(twin):
        for declared in element.shape.fields:
            if declared.kind in ("attr", "leaf", "text", "child"):
                setattr(element, declared.slot, None)
    assert write(made) == text


@FEW
@given(SEED)
def test_every_leaf_has_a_path_of_its_own(seed: int) -> None:
    made = fill(Random(seed), Domain, 4)
    paths = [path for path, _ in tree.leaves(made)]
    assert len(set(paths)) == len(paths)
    places = [path for path, _ in tree.places(made)]
    assert len(set(places)) == len(places)
