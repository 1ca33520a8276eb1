"""What is printed, to the column."""

from __future__ import annotations

import pytest

from domicile.cli import screen


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("虚拟机", 6), ("\033[1mabc\033[0m", 3), ("e\u0301", 1), ("", 0)]
)
def test_columns(text: str, columns: int) -> None:
    assert screen.wide(text) == columns


def test_a_table_stands_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(["NAME", "内存"], [["a", "1"], ["虚拟机", "12345"], ["", "2"]], right=(1,))
    assert capsys.readouterr().out == "NAME     内存\na           1\n虚拟机  12345\n-           2\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (10 * 2**30, "10 GiB"),
        (2**40 * 3000, "3000 TiB"),
        (468 * 2**20, "468 MiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert screen.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3700, "1 h 1 min"), (90000, "1 d 1 h"), (86400, "1 d")],
)
def test_spans(seconds: float, text: str) -> None:
    assert screen.span(seconds) == text


def test_text_that_is_no_unicode_is_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    screen.out("a\udcff")
    assert capsys.readouterr().out == "a\ufffd\n"


def test_no_colours_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    assert screen.paint("a", "red") == "a"
    screen.complain("this")
    assert capsys.readouterr().err == "domicile: error: this\n"
