"""Reading and writing network documents, or a part of one."""

from __future__ import annotations

from typing import Any, TypeVar

from domicile.base.errors import XML_DETAIL, InvalidDocument
from domicile.base.problem import Problem
from domicile.networks.model import DNSMASQ, Network
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.shape import Element

T = TypeVar("T", bound=Element)
#: libvirt's number of the part that speaks of networks.
FROM_NETWORK = 19


class Refusal(InvalidDocument):
    """The refusal of a network document; a detail is told as libvirt tells it, without words of its own in front."""

    domain = FROM_NETWORK

    def __init__(self, problems: list[Problem], code: int | None = None) -> None:
        super().__init__(problems, code=code)
        detail = next((p for p in problems if p.code), None)
        if code is None and detail is not None and detail.code == XML_DETAIL:
            self.opening = "invalid char in name: " if detail.path == "name" else detail.message
            if len(problems) == 1 and detail.path != "name":
                self.message = detail.message  # it names the network, the element and what is missing


def refused(problems: list[Problem], code: int | None = None) -> InvalidDocument:
    """Make the refusal of a network document."""
    return Refusal(problems, code)


def read(text: str | bytes) -> tuple[Network, list[Problem]]:
    """Read a document; the problems include what is ignored. Raises: InvalidDocument where it cannot be read at all."""
    return _read(Network, text)


def part(cls: type[T], text: str | bytes) -> T:
    """Read one element of a network document.

    Raises:
        InvalidDocument: it is another element, or something in it is wrong.
    """
    made, problems = _read(cls, text)
    wrong = [p for p in problems if p.severity == "error"]
    if wrong:
        raise refused(wrong)
    return made


def _read(cls: type[T], text: str | bytes) -> tuple[T, list[Problem]]:
    root: Any = reading.parse(text)
    tag = cls.shape.tag
    if root.tag != tag:
        raise refused([Problem("", f"the root element is '{root.tag}'", root.sourceline or 0, f"<{tag}>")])
    reader = reading.Reader()
    made: T = reader.element(cls.shape, root)
    return made, reader.problems


def read_stored(text: str) -> Network:
    """Read a document that this program wrote itself."""
    made: Network = reading.Reader().element(Network.shape, reading.parse(text))
    return made


def write(network: Network) -> str:
    """Write a document in libvirt's text form."""
    text = writing.write(network)
    if network.options is not None:
        head, _, rest = text.partition("<network")
        text = f"{head}<network xmlns:dnsmasq='{DNSMASQ}'{rest}"
    return text


def write_part(element: Element) -> str:
    """Write one element as a document of its own."""
    return writing.write(element)
