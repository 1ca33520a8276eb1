"""Programs beside QEMU, with small programs in their place."""

from __future__ import annotations

import asyncio
import socket
import stat
import sys
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.host import helpers
from domicile.host.helpers import Helpers, find, is_listening
from domicile.plan.need import Helper

LISTENS = """import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
time.sleep(60)
"""
TAKES = """import socket, sys, time
s = socket.socket(fileno=int(sys.argv[1]))
time.sleep(60)
"""


def program(directory: Path, text: str) -> str:
    path = directory / "helper"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(HostFailure, match="'no-such-helper'"):
        find("no-such-helper")


def test_it_is_waited_for_until_it_listens_and_ends_with_its_machine(tmp_path: Path) -> None:
    path = str(tmp_path / "run" / "s")
    need = Helper("h", (program(tmp_path, LISTENS), path), path)

    async def life() -> None:
        book = Helpers(None)
        await book.start("m", need, tmp_path / "vm", tmp_path / "log")
        assert is_listening(path)
        pid, start_time, _ = book.known("m")["h"]
        again = Helpers(None)
        again.remember("m", book.known("m"))
        assert again.known("m")["h"][:2] == (pid, start_time)
        book.end("m")
        async with asyncio.timeout(10):
            while Path(path).exists():
                await asyncio.sleep(0.01)
        assert book.known("m") == {}
        assert not Path(f"/proc/{pid}").exists()

    asyncio.run(life())


def test_a_socket_is_handed_over_listening(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    need = Helper("h", (program(tmp_path, TAKES), "{fd:socket}"), path)

    async def life() -> None:
        book = Helpers(None)
        assert await book.start("m", need, tmp_path, tmp_path / "log") is None
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        book.end("m")
        await asyncio.sleep(0.1)

    asyncio.run(life())


def test_one_end_of_a_pair_is_qemus(tmp_path: Path) -> None:
    need = Helper("h", (program(tmp_path, TAKES), "{fd:socket}"), "", token="t")

    async def life() -> None:
        book = Helpers(None)
        end = await book.start("m", need, tmp_path, tmp_path / "log")
        assert end is not None
        end.close()
        book.end("m")
        await asyncio.sleep(0.1)

    asyncio.run(life())


@pytest.mark.parametrize("text", ["raise SystemExit('no such wish')", "raise SystemExit(3)"])
def test_one_that_ends_at_once_is_refused_with_its_words(tmp_path: Path, text: str) -> None:
    path = str(tmp_path / "s")
    need = Helper("h", (program(tmp_path, text),), path, origin="devices/tpm")
    with pytest.raises(HostFailure, match="ended: no such wish" if "wish" in text else "helper ended"):
        asyncio.run(Helpers(None).start("m", need, tmp_path, tmp_path / "log"))


def test_preparation_that_fails_is_told(tmp_path: Path) -> None:
    need = Helper("h", ("true",), "", prepare=((program(tmp_path, "raise SystemExit('cannot prepare')"),),))
    with pytest.raises(HostFailure, match="cannot prepare"):
        asyncio.run(Helpers(None).start("m", need, tmp_path, tmp_path / "log"))


def test_one_that_never_listens_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helpers, "DEADLINE", 0.2)
    need = Helper("h", (program(tmp_path, "import time; time.sleep(60)"),), str(tmp_path / "s"))

    async def life() -> None:
        book = Helpers(None)
        with pytest.raises(HostFailure, match="does not listen"):
            await book.start("m", need, tmp_path, tmp_path / "log")
        pid = book.known("m")["h"].pid
        book.end("m")
        async with asyncio.timeout(10):
            while Path(f"/proc/{pid}").exists():
                await asyncio.sleep(0.01)

    asyncio.run(life())
