"""Reading and writing whole domain documents. Called by completion, service and the offline commands."""

from __future__ import annotations

from typing import Any

from lxml import etree

from domicile.base.errors import InvalidDocument
from domicile.base.problem import Problem
from domicile.domain.domain import QEMU, Domain
from domicile.schema import read as reading
from domicile.schema import write as writing

#: A document as text, or parsed already.
Source = str | bytes | etree._Element


def read(text: Source) -> tuple[Domain, list[Problem]]:
    """Read a document, as text or parsed already; the problems include what is ignored.

    Raises:
        InvalidDocument: when it cannot be read at all: not XML, too large, or not a domain.
    """
    root: Any = reading.parse(text) if isinstance(text, str | bytes) else text
    if root.tag != "domain":
        problem = Problem("", f"the root element is '{root.tag}'", root.sourceline or 0, "<domain>")
        raise InvalidDocument([problem])
    reader = reading.Reader()
    domain: Domain = reader.element(Domain.shape, root)
    return domain, reader.problems


def read_stored(text: str) -> Domain:
    """Read a document that this program wrote itself."""
    reader = reading.Reader()
    domain: Domain = reader.element(Domain.shape, reading.parse(text))
    return domain


def write(domain: Domain, *, secrets: bool = True) -> str:
    """Write a document in libvirt's text form; without `secrets` passwords are left out."""
    return _named(domain, writing.write(domain, secrets=secrets))


def write_marked(domain: Domain) -> tuple[str, dict[int, int]]:
    """Write a document, and say on which line (from 1) each of its elements begins, by the element's id()."""
    text, marks = writing.write_marked(domain)
    return _named(domain, text), marks


def _named(domain: Domain, text: str) -> str:
    """Declare QEMU's namespace where the document has something of it."""
    if domain.qemu_commandline is not None or any(
        value is not None for value in (domain.qemu_capabilities, domain.qemu_override, domain.qemu_deprecation)
    ):
        head, _, rest = text.partition(">")
        text = f"{head} xmlns:qemu='{QEMU}'>{rest}"
    return text
