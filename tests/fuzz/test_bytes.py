"""Any bytes give a document or one InvalidDocument, in bounded time and memory: nothing else, ever."""

from __future__ import annotations

import re
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domicile.base.errors import InvalidDocument, Unsupported
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.domain.plan import plan_domain
from domicile.qemu import render
from domicile.schema import tree
from domicile.schema.read import MAX_BYTES, MAX_PROBLEMS

PROJECT = Path(__file__).resolve().parents[2]
REAL = [
    PROJECT / "examples" / "MyVM.xml",
    *sorted((PROJECT / "tests" / "golden").glob("*/*/in.xml")),
]
MANY = settings(max_examples=150, deadline=None, database=None, derandomize=True)
#: Seconds that reading or refusing one hostile document may take, with room for a busy machine.
PATIENCE = 5.0


def attempt(core: Any, data: bytes | str) -> Domain | None:
    """Read and complete; None where it is refused in the one way there is."""
    began = time.monotonic()
    try:
        domain: Domain | None = core.complete(data).domain
    except InvalidDocument as refused:
        domain = None
        assert 0 < len(refused.problems) <= 4 * MAX_PROBLEMS
        assert all(problem.message and problem.severity in ("error", "ignored") for problem in refused.problems)
        assert len(refused.message) < 200_000
    assert time.monotonic() - began < PATIENCE
    return domain


@MANY
@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=b"\0")
@example(data=b"\xff\xfe<\0d\0/\0>\0")
@example(data=b"<domain/>")
@example(data=b"<domain type='kvm'>\0</domain>")
@example(data=b"<?xml version='1.0' encoding='utf-7'?><domain/>")
@example(data=b"<?xml version='1.1'?><domain type='qemu'/>")
@example(data=b"<domain type='qemu'><name>\xc3\x28</name></domain>")
def test_any_bytes(core: Any, data: bytes) -> None:
    assert attempt(core, data) is None


@MANY
@given(text=st.text(max_size=60))
@example(text="\ud800")
@example(text="<domain type='qemu'><name>\ud83d</name></domain>")
@example(text="<?xml version='1.0' encoding='latin-1'?><domain type='qemu'><name>é</name></domain>")
def test_any_text(core: Any, text: str) -> None:
    attempt(core, f"<domain type='qemu'><name>{text}</name><memory>65536</memory></domain>")
    attempt(core, text)


HOSTILE = {
    "billion laughs": "<!DOCTYPE d [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {chr(b + 1)} '{f'&{chr(b)};' * 10}'>" for b in range(ord("a"), ord("j")))
    + "]><domain><name>&j;</name></domain>",
    "quadratic entity": f"<!DOCTYPE d [<!ENTITY a '{'x' * 50_000}'>]><domain><name>{'&a;' * 50_000}</name></domain>",
    "external entity": "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>",
    "external DTD": "<!DOCTYPE domain SYSTEM 'http://192.0.2.1/d.dtd'><domain type='qemu'><name>a</name></domain>",
    "parameter entity": "<!DOCTYPE d [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><domain/>",
    "default attributes": "<!DOCTYPE domain [<!ATTLIST domain type CDATA 'kvm'>]><domain><name>a</name></domain>",
    "unknown entity": "<domain><name>&nothing;</name></domain>",
    "50 MB": "<domain>" + " " * 50_000_000 + "</domain>",
    "deep nesting": "<domain>" + "<devices>" * 100_000 + "</devices>" * 100_000 + "</domain>",
    "deep unknown": "<domain>" + "<a>" * 250 + "</a>" * 250 + "</domain>",
    "deep backing chain": "<domain type='qemu'><name>a</name><memory>65536</memory><devices><disk><target dev='vda'/>"
    + "<backingStore>" * 240 + "</backingStore>" * 240 + "</disk></devices></domain>",
    "many attributes": "<domain " + " ".join(f"a{n}='1'" for n in range(50_000)) + "/>",
    "many namespaces": "<domain " + " ".join(f"xmlns:a{n}='urn:{n}'" for n in range(20_000)) + " type='qemu'/>",
    "many namespaces in metadata": "<domain type='qemu'><name>a</name><memory>65536</memory><metadata>"
    + "".join(f"<a{n}:b xmlns:a{n}='urn:{n}'/>" for n in range(20_000)) + "<bad></metadata></domain>",
    "many attributes in metadata": "<domain type='qemu'><name>a</name><memory>65536</memory><metadata><a "
    + " ".join(f"a{n}='1'" for n in range(20_000)) + "/></metadata></domain>",
    "the same attribute": "<domain " + "type='qemu' " * 1000 + "/>",
    "a long attribute": f"<domain type='{'k' * 3_000_000}'><name>a</name></domain>",
    "many unknown elements": "<domain type='qemu'><name>a</name>" + "<x/>" * 200_000 + "</domain>",
    "many bad disks": "<domain type='qemu'><name>a</name><memory>65536</memory><devices>" + "<disk type='x'/>" * 20_000
    + "</devices></domain>",
    "many nameless disks": "<domain type='qemu'><name>a</name><memory>65536</memory><devices>" + "<disk/>" * 5_000
    + "</devices></domain>",
    "namespaces": "<domain xmlns='urn:x' type='qemu'><name>a</name></domain>",
    "prefixed root": "<x:domain xmlns:x='urn:x' type='qemu'/>",
    "processing instructions": "<?a b?><domain type='qemu'><?c d?><name>a<?e f?></name></domain>",
    "comments": "<!-- a --><domain type='qemu'><!-- b --><name><!-- c --></name></domain>",
    "two roots": "<domain/><domain/>",
    "UTF-16 said, UTF-8 meant": "<?xml version='1.0' encoding='utf-16'?><domain/>",
    "xinclude": "<domain xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='/etc/passwd'/></domain>",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents(core: Any, name: str) -> None:
    assert attempt(core, HOSTILE[name]) is None
    attempt(core, HOSTILE[name].encode())


def test_the_limit_is_said(core: Any) -> None:
    (problem,) = core.problems(b"<domain>" + b" " * MAX_BYTES + b"</domain>")
    assert str(MAX_BYTES) in problem.sentence()


HUGE = (
    "9" * 19,
    "9" * 25,
    "9" * 5000,
    "-1",
    "-9223372036854775808",
    "1e9",
    "0x7fffffffffffffff",
    "4294967296",
    "٣",
    "１",
    "1_000",
)


@pytest.mark.parametrize("number", HUGE, ids=lambda text: text[:24])
def test_huge_numbers_wherever_a_number_stands(core: Any, number: str) -> None:
    text = (PROJECT / "examples" / "MyVM.xml").read_text().replace("type='kvm'", "type='qemu'")
    for found in re.finditer(r"(?<=[>'])(0x)?\d+(?=[<'])", text):
        attempt(core, text[: found.start()] + number + text[found.end() :])


def mutated(random: Random, text: str) -> str:
    """Break a real document in one of the ways that people, editors and attackers do."""
    places = [m.span() for m in re.finditer(r"<[^>]*>|[^<>\s]+|'[^']*'", text)]
    for _ in range(random.randint(1, 4)):
        low, high = random.choice(places)
        part = text[low:high]
        text = random.choice(
            (
                lambda t, a, b, p: t[:a] + t[b:],
                lambda t, a, b, p: t[:a] + p + t[a:],
                lambda t, a, b, p: t[:a] + p[::-1] + t[b:],
                lambda t, a, b, p: t[:a] + "" .join(random.sample(p, len(p))) + t[b:],
                lambda t, a, b, p: t[:a] + random.choice(WORDS) + t[b:],
                lambda t, a, b, p: t[:a] + p.upper() + t[b:],
            )
        )(text, low, high, part)  # fmt: skip
    return text


def twisted(random: Random, text: str) -> str:
    """Change values only, so that the document stays well-formed and reaches the rules behind the reader."""
    for _ in range(random.randint(1, 5)):
        spots = [m.span() for m in re.finditer(r"(?<==')[^']*(?=')|(?<=>)[^<>\s]+(?=<)", text)]
        elements = [m.span() for m in re.finditer(r"<(\w+)\b[^<>]*/>|<(\w+)\b[^<>]*>[^<>]*</\2>", text)]
        what = random.randrange(4)
        low, high = random.choice(elements if what else spots) if elements else random.choice(spots)
        if what == 0:
            text = text[:low] + random.choice(WORDS) + text[high:]
        elif what == 1:
            text = text[:low] + text[high:]
        elif what == 2:
            text = text[:low] + text[low:high] + text[low:]
        else:
            other = random.choice(elements)
            text = text[:low] + text[slice(*other)] + text[high:]
    return text


WORDS = (
    "", "0", "-1", "1", "31", "32", "255", "256", "65536", "4294967295", "18446744073709551615", "yes", "no", "on", "off", "none",
    "pc", "q35", "virtio", "usb", "pci", "drive", "ide", "scsi", "vda", "hda", "sdzz", "x" * 300, "/", "../x", "a b", "é",
    "0x1f", "0xff", "kvm", "qemu", "network", "block", "file", "spicevmc", "vnc", "&amp;", "&lt;", "pcie-root-port", "virtio-scsi",
    "pci-bridge", "isa", "1.2.3", "unix", "tcp", "host-model", "52:54:00:00:00:01", "c47e19d5-b25c-4581-8a95-fcb1cb02fd04",
)  # fmt: skip


def examine(core: Any, text: str) -> bool:
    """Go the whole way of a document; what is accepted can be stored, read again, planned and rendered."""
    domain = attempt(core, text)
    if domain is None:
        return False
    stored = document.write(domain)
    again = document.read_stored(stored)
    assert document.write(again) == stored
    list(tree.leaves(domain))
    try:
        plan = plan_domain(again, core.caps, core.host())
    except Unsupported:  # this host has not what the document asks for
        return True
    assert list(render.command_line(plan.items, core.caps.version))
    return True


@pytest.mark.parametrize("path", REAL, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_mutated_documents(core: Any, path: Path) -> None:
    text = path.read_text().replace("type='kvm'", "type='qemu'", 1)
    for seed in range(12):
        examine(core, mutated(Random(f"{path.parts[-3:]} {seed}"), text))


@pytest.mark.parametrize("path", REAL, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_twisted_documents(core: Any, path: Path) -> None:
    text = path.read_text().replace("type='kvm'", "type='qemu'", 1)
    for seed in range(20):
        examine(core, twisted(Random(f"{path.parts[-3:]} {seed}"), text))
