from __future__ import annotations

import pytest

from domicile.base.errors import InvalidRequest
from domicile.store.leaves import leaves_of, number, pattern
from domicile.store.leaves import test as question


def test_leaves():
    text = """<domain type='kvm' xmlns:q='urn:q'>
      <name>a &amp; b</name>
      <features><acpi/><apic eoi='on'/></features>
      <devices>
        <disk n='1'><source file='x'/></disk>
        <disk n='2'/>
        <video> </video>
      </devices>
      <q:commandline><q:arg value='-x'/></q:commandline>
    </domain>"""
    assert leaves_of(text) == [
        ("@type", "kvm"),
        ("@xmlns:q", "urn:q"),
        ("name", "a & b"),
        ("features/acpi", ""),
        ("features/apic/@eoi", "on"),
        ("devices/disk[1]/@n", "1"),
        ("devices/disk[1]/source/@file", "x"),
        ("devices/disk[2]/@n", "2"),
        ("devices/video", ""),
        ("q:commandline/q:arg/@value", "-x"),
    ]


@pytest.mark.parametrize("text", ["", "<a>", "no xml", "<a/><b/>"])
def test_what_cannot_be_parsed_has_no_leaves(text):
    assert leaves_of(text) == []


@pytest.mark.parametrize(
    ("path", "matching", "other"),
    [
        ("devices/disk/@n", ["devices/disk/@n", "devices/disk[3]/@n"], ["devices/disk/x/@n", "devices/diskette/@n"]),
        ("devices/disk[1]/@n", ["devices/disk/@n", "devices/disk[1]/@n"], ["devices/disk[11]/@n"]),
        ("devices/disk[2]/@n", ["devices/disk[2]/@n"], ["devices/disk/@n"]),
        ("/domain/memory", ["memory"], ["memory/@unit"]),
        ("devices/*/@n", ["devices/disk[2]/@n", "devices/video/@n"], ["devices/disk/source/@n"]),
        ("**/mac/@address", ["devices/interface[2]/mac/@address", "mac/@address"], ["devices/mac/x/@address"]),
        ("devices/**", ["devices/a", "devices/a/b/@c"], ["memory"]),
        ("os/type/@*", ["os/type/@arch"], ["os/type"]),
        ("cpu.x", ["cpu.x"], ["cpuax"]),
    ],
)
def test_patterns(path, matching, other):
    compiled = pattern(path)
    assert [text for text in matching + other if compiled.match(text)] == matching


def test_numbers_compare_as_numbers_and_words_as_words():
    assert question("<", "10")("9")
    assert not question("<", "10")("x9")
    assert question("=", "1")("1.0")
    assert question("!=", "a")("b")
    assert question(">", "a")("b")
    assert (number("0x10"), number("1e5"), number("-2.5"), number("1_0"), number("9" * 400)) == (
        None,
        None,
        -2.5,
        None,
        None,
    )


def test_unknown_operator():
    with pytest.raises(InvalidRequest, match="accepted"):
        question("like", "x")
