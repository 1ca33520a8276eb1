from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domicile.store import document

XML_TEXT = st.text().filter(lambda text: "\0" not in text)


@given(authored=st.text(), completed=XML_TEXT, report=XML_TEXT)
def test_three_texts_come_back(authored, completed, report):
    packed = document.pack(authored, completed, report)
    first, rest = document.packed_apart(authored, completed, report)
    assert first + rest == packed
    assert document.first_text(first) == completed
    assert document.unpack(packed) == (completed, report, authored)
    assert document.completed(packed) == completed


def test_the_empty_document():
    assert document.unpack(document.EMPTY) == ("", "", "")


def test_a_nul_would_be_taken_for_a_border():
    with pytest.raises(ValueError, match="NUL"):
        document.pack("", "a\0b", "")
