"""Every declared field has its words in both languages, and a golden in which it stands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.schema import tree
from domicile.schema.field import Field
from domicile.schema.shape import Element, Variant

TESTS = Path(__file__).resolve().parents[1]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def classes() -> list[type[Element]]:
    seen: dict[type[Element], None] = {}
    waiting: list[type[Element]] = [Domain]
    while waiting:
        cls = waiting.pop()
        if cls in seen:
            continue
        seen[cls] = None
        for field in cls.shape.fields:
            of = field.of
            if isinstance(of, Variant):
                waiting += [*of.cases.values(), *([of.otherwise] if of.otherwise is not None else [])]
            elif isinstance(of, type) and issubclass(of, Element):
                waiting.append(of)
    return list(seen)


def key(cls: type[Element], field: Field) -> str:
    """Name a field by the class that declares it: what all devices have counts once."""
    cls = next(base for base in reversed(cls.__mro__) if field.slot in inspect.get_annotations(base))
    return f"{cls.__module__.removeprefix('domicile.')}.{cls.__name__}.{field.slot}"


def fields() -> Iterator[tuple[str, Field]]:
    """List every field of every class."""
    for cls in classes():
        for field in cls.shape.fields:
            yield key(cls, field), field


def exercised() -> set[str]:
    """Collect the fields that stand in any golden, before or after completion; also in those that are refused."""
    found: set[str] = set()
    for path in (TESTS / "golden").glob("*/*/*.xml"):
        domain, _ = document.read(re.sub(r"<!-- ignored.*", "", path.read_text()))
        for _, element in tree.places(domain):
            for field in element.shape.fields:
                value = getattr(element, field.slot)
                if value is not None and value != [] and (value is not False or field.kind == "attr"):
                    found.add(key(type(element), field))
    return found


@pytest.mark.parametrize("cls", classes(), ids=lambda cls: f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}")
def test_words_in_both_languages(cls: type[Element]) -> None:
    assert cls.shape.en.strip().endswith("."), cls
    assert CHINESE.search(cls.shape.zh), cls
    for field in cls.shape.fields:
        name = key(cls, field)
        assert len(field.en.strip()) > 3 and not CHINESE.search(field.en), name
        assert field.en.rstrip().endswith((".", "!", "?")), f"{name}: {field.en!r} is no sentence"
        # A proper name alone (SHA-1, POSIX) is the same in Chinese.
        assert CHINESE.search(field.zh) or field.zh.rstrip("。") == field.en.rstrip("."), name
        assert field.effect in ("live", "start", "never"), name


def test_names_are_what_xml_allows() -> None:
    for name, field in fields():
        etree.QName(field.name)
        assert field.slot.isidentifier(), name


def test_no_element_declares_a_name_twice() -> None:
    for cls in classes():
        attributes = [f.name for f in cls.shape.fields if f.kind == "attr"]
        elements = [f.name for f in cls.shape.fields if f.kind not in ("attr", "text")]
        assert len(set(attributes)) == len(attributes), cls
        assert len(set(elements)) == len(elements), cls


def test_every_field_stands_in_a_golden() -> None:
    declared = {name for name, _ in fields()}
    shown = exercised()
    missing = sorted(declared - shown)
    assert not missing, f"{len(missing)} fields stand in no golden (add them to one): {' '.join(missing)}"
