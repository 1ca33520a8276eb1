from __future__ import annotations

import asyncio
import os
import pty
import socket
from pathlib import Path

import pytest

from domicile.base.errors import Conflict, HostFailure
from domicile.runtime.console import Consoles


def test_a_terminal_carries_bytes_as_they_are() -> None:
    async def script() -> None:
        ours, theirs = pty.openpty()
        path = os.ttyname(theirs)
        console = Consoles().open(path)
        os.write(ours, b"hello\r\n\x00")
        assert await console.read() == b"hello\r\n\x00"
        await console.write(b"\x03\r")
        assert os.read(ours, 10) == b"\x03\r"
        reading = asyncio.ensure_future(console.read())
        await asyncio.sleep(0.01)
        os.close(theirs)
        os.close(ours)
        assert await reading == b""
        with pytest.raises(HostFailure):
            await console.write(b"late")

    asyncio.run(script())


def test_one_at_a_time_unless_by_force(tmp_path: Path) -> None:
    async def script() -> None:
        consoles = Consoles()
        with socket.socket(socket.AF_UNIX) as server:
            path = str(tmp_path / "console.sock")
            server.bind(path)
            server.listen(2)
            first = consoles.open(path)
            with pytest.raises(Conflict):
                consoles.open(path)
            reading = asyncio.ensure_future(first.read())
            await asyncio.sleep(0.01)
            second = consoles.open(path, force=True)
            assert await reading == b""
            assert first.closed
            assert not second.closed
            consoles.close(path)
            third = consoles.open(path)
            third.close()

    asyncio.run(script())


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    async def script() -> None:
        with pytest.raises(HostFailure, match="nowhere"):
            Consoles().open(str(tmp_path / "nowhere"))

    asyncio.run(script())
