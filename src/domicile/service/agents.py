"""The guest's agents: one for each running machine that has a channel for it. Part of the service.

`service/guest` asks through it; what becomes of channels is heard of by `happenings`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domicile.base.errors import DomicileError, InvalidRequest, QemuRefused
from domicile.devices.channel import Channel
from domicile.domain import document
from domicile.runtime.agent import DEADLINE, SYNC_DEADLINE, Agent, NoAnswer
from domicile.service import happenings
from domicile.service.entry import Entry

if TYPE_CHECKING:
    from domicile.service.service import Service
    from domicile.store.values import Author

_ARGUMENT_UNSUPPORTED = 74
# Source: virDomainAgentResponseTimeoutValues.
BLOCK, DEFAULT, NOWAIT = -2, -1, 0
#: What "at once" means: long enough for an answer that is there already.
_AT_ONCE = 0.2


class Agents:
    """The connections to guests' agents."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._agents: dict[int, Agent] = {}
        self._timeouts: dict[str, int] = {}

    def available(self, entry: Entry) -> bool:
        """Say whether the guest's agent is there."""
        try:
            self._find(entry)
        except DomicileError:
            return False
        return True

    def check(self, entry: Entry) -> None:
        """Make sure that the guest's agent is there.

        Raises: WrongState where the domain does not run; NoAnswer where no agent runs in it; or it has no channel for one.
        """
        self._find(entry)

    def _find(self, entry: Entry) -> Agent:
        machine = self._service.machines.running(entry)
        live = entry.live
        channel = happenings.agent_of(document.read_stored(live.xml)) if live is not None else None
        if channel is None or live is None:
            raise DomicileError("QEMU guest agent is not configured", code=_ARGUMENT_UNSUPPORTED)
        path = channel.source[0].path if channel.source and channel.type == "unix" else None
        if path is None:
            raise DomicileError(
                f"the guest agent's channel is of type '{channel.type}'; unix would be accepted",
                code=_ARGUMENT_UNSUPPORTED,
            )
        if not _open(channel, live.open_ports):
            raise NoAnswer("QEMU guest agent is not connected")
        found = self._agents.get(machine.id)
        if found is None or str(found.path) != path:
            found = self._agents[machine.id] = Agent(entry.name, Path(path))
        return found

    def forget(self, number: int) -> None:
        """End the connection to the agent of a machine that is over."""
        agent = self._agents.pop(number, None)
        if agent is not None:
            agent.close()

    async def look(self, entry: Entry) -> None:
        """Ask QEMU which channels are open, after the daemon was away."""
        if entry.machine is None or entry.live is None or not entry.machine.responsive:
            return
        domain = document.read_stored(entry.live.xml) if entry.live.xml else None
        if domain is None or domain.devices is None or not domain.devices.of(Channel):
            return
        listed = await entry.machine.qmp("query-chardev")
        opened = {c["label"].removeprefix("char") for c in listed if c.get("frontend-open")}
        for channel in domain.devices.of(Channel):
            alias = channel.alias.name if channel.alias is not None else None
            if alias and entry.live is not None:
                happenings.set_port(entry, alias, alias in opened)

    # Talking.

    def set_timeout(self, entry: Entry, seconds: int) -> None:
        """Say how long the agent of a domain may take to fall into step. Raises: InvalidRequest."""
        if seconds < BLOCK:
            raise InvalidRequest(f"guest agent timeout '{seconds}' is less than the minimum '{BLOCK}'")
        self._timeouts[entry.uuid] = seconds

    def _sync(self, entry: Entry) -> float:
        seconds = self._timeouts.get(entry.uuid, DEFAULT)
        return {BLOCK: DEADLINE, DEFAULT: SYNC_DEADLINE, NOWAIT: _AT_ONCE}.get(seconds, float(seconds))

    async def ask(
        self, entry: Entry, command: str, arguments: Mapping[str, Any] | None = None, deadline: float = DEADLINE
    ) -> Any:
        """Run one of the agent's commands. Raises: WrongState, NoAnswer, AgentRefused."""
        return await self._find(entry).ask(command, arguments, sync=self._sync(entry), deadline=deadline)

    async def tell(self, entry: Entry, command: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Run a command whose success has no answer. Raises: WrongState, NoAnswer, AgentRefused."""
        message: dict[str, Any] = {"execute": command} | ({"arguments": dict(arguments)} if arguments else {})
        await self._find(entry).say_only(message, sync=self._sync(entry))

    async def raw(self, entry: Entry, text: str, patience: int, author: Author) -> str:
        """Pass somebody's own words to the agent, and its answer back. Raises: InvalidRequest, WrongState, NoAnswer."""
        if patience < BLOCK:
            raise InvalidRequest(f"guest agent timeout '{patience}' is less than the minimum '{BLOCK}'")
        agent = self._find(entry)
        try:
            message: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise QemuRefused(f"the command is no JSON: {error}") from error
        if not isinstance(message, dict):
            raise QemuRefused("the command is no JSON object")
        seconds = {BLOCK: DEADLINE, DEFAULT: SYNC_DEADLINE, NOWAIT: _AT_ONCE}.get(patience, float(patience))
        self._service.machines.done("agent-command", entry, author, command=str(message.get("execute"))[:200])
        answer = await agent.say(message, sync=min(seconds, self._sync(entry)), deadline=seconds)
        return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _open(channel: Channel, opened: set[str]) -> bool:
    return (channel.alias.name if channel.alias is not None else None) in opened
