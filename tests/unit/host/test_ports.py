from __future__ import annotations

import socket

import pytest

from domicile.base.errors import Conflict, HostFailure
from domicile.host.ports import PortBook


def test_no_port_is_given_twice() -> None:
    book = PortBook()
    first, second = (book.reserve(owner, 5900, 65535) for owner in ("a", "b"))
    assert first != second
    book.release("a")
    assert book.owner(first) is None
    assert book.reserve("c", 5900, 65535) == first


def test_a_port_another_program_has_is_passed_over() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        taken = other.getsockname()[1]
        book = PortBook()
        assert book.reserve("a", taken, taken + 20) > taken
        with pytest.raises(HostFailure, match=f"port {taken} is in use"):
            book.reserve_fixed("a", taken, "127.0.0.1")
        with pytest.raises(HostFailure, match="no TCP port"):
            book.reserve("a", taken, taken)


def test_a_fixed_port_belongs_to_one_machine() -> None:
    book = PortBook()
    port = book.reserve("a", 20000, 40000)
    assert book.reserve_fixed("a", port) == port
    with pytest.raises(Conflict, match="taken by a"):
        book.reserve_fixed("b", port)
    book.remember("b", port)
    assert book.owner(port) == "b"
