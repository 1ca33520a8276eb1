"""The guest agent's protocol against a peer that may say anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from domicile.runtime.agent import Agent, AgentRefused, NoAnswer

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def behaving(answers: dict[str, Any], before_sync: bytes = b"") -> Peer:
    """Make a peer that keeps to the protocol; an answer in bytes is sent as it is, None is no answer."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            said = json.loads(line.lstrip(b"\xff"))
            if said["execute"] == "guest-sync-delimited":
                number = said["arguments"]["id"]
                writer.write(before_sync + b"\xff" + json.dumps({"return": number}).encode() + b"\n")
            else:
                answer = answers[said["execute"]]
                if isinstance(answer, bytes):
                    writer.write(answer)
                elif answer is not None:
                    writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    return peer


def talk(tmp_path: Path, peer: Peer, conversation: Callable[[Agent], Awaitable[Any]]) -> Any:
    path = tmp_path / "agent.sock"

    ends: list[asyncio.Task[None]] = []

    async def run() -> Any:
        async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends.append(asyncio.current_task())  # type: ignore[arg-type]
            try:
                await peer(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_unix_server(kept, path)
        agent = Agent("vm", path)
        try:
            return await conversation(agent)
        finally:
            agent.close()
            server.close()
            await asyncio.wait(ends, timeout=10)
            await server.wait_closed()

    return asyncio.run(run())


def test_an_answer(tmp_path: Path) -> None:
    peer = behaving({"guest-get-time": {"return": 17}, "guest-ping": {"return": {}}})

    async def conversation(agent: Agent) -> Any:
        return [await agent.ask("guest-get-time"), await agent.ask("guest-ping"), await agent.ask("guest-get-time")]

    assert talk(tmp_path, peer, conversation) == [17, {}, 17]


def test_what_was_left_over_is_taken_for_no_answer(tmp_path: Path) -> None:
    old = b'{"return": "of somebody else"}\n\xff{"return": 1}\nnonsense'
    peer = behaving({"guest-get-time": {"return": 17}}, before_sync=old)
    assert talk(tmp_path, peer, lambda agent: agent.ask("guest-get-time")) == 17


def test_a_refusal(tmp_path: Path) -> None:
    peer = behaving({"guest-x": {"error": {"class": "CommandNotFound", "desc": "no such thing"}}})
    with pytest.raises(AgentRefused, match="no such thing") as caught:
        talk(tmp_path, peer, lambda agent: agent.ask("guest-x"))
    assert caught.value.kind == "CommandNotFound"


@pytest.mark.parametrize("answer", [None, b"[1]\n", b"{broken\n", b'{"event": "x"}\n', b"\xff\xff\n", b'"text"\n'])
def test_no_answer_is_not_waited_for_for_ever(tmp_path: Path, answer: bytes | None) -> None:
    peer = behaving({"guest-x": answer, "guest-ping": {"return": {}}})

    async def conversation(agent: Agent) -> Any:
        with pytest.raises(NoAnswer):
            await agent.ask("guest-x", deadline=0.2)
        return await agent.ask("guest-ping")

    assert talk(tmp_path, peer, conversation) == {}


def test_a_late_answer_is_not_taken_for_another(tmp_path: Path) -> None:
    late: list[asyncio.StreamWriter] = []

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late.append(writer)
        while line := await reader.readline():
            said = json.loads(line.lstrip(b"\xff"))
            if said["execute"] == "guest-sync-delimited":
                if len(late) > 1:
                    writer.write(b'{"return": "late"}\n')
                writer.write(b"\xff" + json.dumps({"return": said["arguments"]["id"]}).encode() + b"\n")
            elif len(late) > 1:
                writer.write(b'{"return": "in time"}\n')
        writer.close()

    async def conversation(agent: Agent) -> Any:
        with pytest.raises(NoAnswer):
            await agent.ask("guest-slow", deadline=0.2)
        return await agent.ask("guest-quick")

    assert talk(tmp_path, peer, conversation) == "in time"


def test_an_agent_that_hangs_up(tmp_path: Path) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with pytest.raises(NoAnswer):
        talk(tmp_path, peer, lambda agent: agent.ask("guest-ping"))


def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(NoAnswer):
        asyncio.run(Agent("vm", tmp_path / "none").ask("guest-ping"))


def test_what_needs_no_answer(tmp_path: Path) -> None:
    peer = behaving({"guest-shutdown": None, "guest-x": {"error": {"class": "X", "desc": "not now"}}})
    talk(tmp_path, peer, lambda agent: agent.say_only({"execute": "guest-shutdown"}, linger=0.2))
    with pytest.raises(AgentRefused, match="not now"):
        talk(tmp_path, peer, lambda agent: agent.say_only({"execute": "guest-x"}))
