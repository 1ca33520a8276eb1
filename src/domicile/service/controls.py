"""What is done to a running machine beside its life: keys, pictures, interrupts, sleep, and words to QEMU itself.

Part of the service.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domicile.base.errors import HostFailure, InvalidRequest, QemuRefused, Unsupported, WrongState
from domicile.devices.video import Video
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.runtime.states import State
from domicile.service import launching
from domicile.service.entry import Entry
from domicile.service.keymap import qnums

if TYPE_CHECKING:
    from domicile.service.service import Service
    from domicile.store.values import Author

#: Seconds that somebody's own words to QEMU may take.
_OWN_WORDS = 120.0
_SEV = ("sev", "sev-snp")
_UINT, _STRING = 2, 7
_PICTURE_MAX = 256 * 1024 * 1024
# Source: virDomainLifecycle and virDomainLifecycleAction; the position is the number.
EVENTS = ("poweroff", "reboot", "crash")
ACTIONS = ("destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart")


@dataclass(frozen=True, slots=True)
class Picture:
    """What a screen shows: the file's bytes and their kind."""

    data: bytes
    mime: str


class Controls:
    """The use-cases about a running machine's keys, screens and monitor."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._numbers = itertools.count(1)

    async def send_keys(self, entry: Entry, codeset: int, codes: list[int], hold_ms: int, author: Author) -> None:
        """Press keys at once and let them go. Raises: InvalidRequest, WrongState, QemuRefused."""
        machine = self._service.machines.running(entry)
        wish: dict[str, Any] = {"keys": [{"type": "number", "data": number} for number in qnums(codeset, codes)]}
        if hold_ms:
            wish["hold-time"] = hold_ms
        await machine.qmp("send-key", wish)
        self._service.machines.done("send-key", entry, author)

    async def inject_nmi(self, entry: Entry, author: Author) -> None:
        """Send the guest's CPUs a non-maskable interrupt. Raises: WrongState, QemuRefused."""
        await self._service.machines.running(entry).qmp("inject-nmi")
        self._service.machines.done("inject-nmi", entry, author)

    async def wake_up(self, entry: Entry, author: Author) -> None:
        """Wake a guest that sleeps. Raises: WrongState, QemuRefused."""
        await self._service.machines.running(entry).qmp("system_wakeup")
        self._service.machines.done("wakeup", entry, author)

    async def screenshot(self, entry: Entry, screen: int) -> Picture:
        """Take a picture of a screen; screens count on over all video devices' heads.

        Raises: WrongState where there is no such screen; HostFailure, QemuRefused
        """
        machine = self._service.machines.running(entry)
        device, head = _screen(document.read_stored(entry.live.xml) if entry.live is not None else Domain(), screen)
        png = (
            entry.live is not None
            and entry.live.caps is not None
            and entry.live.caps.has_schema("screendump/arg-type/format")
        )
        path = machine.directory / f"screen-{next(self._numbers)}"
        wish: dict[str, Any] = {"filename": str(path)} | ({"format": "png"} if png else {})
        if screen:
            wish |= {"device": device, "head": head}
        try:
            await machine.qmp("screendump", wish)
            data = await asyncio.to_thread(_take, path)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return Picture(data, "image/png" if png else "image/x-portable-pixmap")

    async def monitor(self, entry: Entry, command: str, author: Author, *, human: bool) -> str:
        """Say something to QEMU's monitor and give its answer as it comes, an error included.

        Raises: WrongState; InvalidRequest where it is no command; QemuRefused
        """
        machine = self._service.machines.running(entry)
        self._service.machines.done("monitor-command", entry, author, command=command[:200])
        if human:
            said = await machine.qmp("human-monitor-command", {"command-line": command}, _OWN_WORDS)
            return str(said)
        try:
            message: Any = json.loads(command)
        except (ValueError, RecursionError) as error:
            raise QemuRefused(f"the command is no JSON: {error}") from error
        if not isinstance(message, dict):
            raise QemuRefused("the command is no JSON object")
        if "id" in message:
            raise QemuRefused("the command has an 'id'; it is given one here")
        answer = await machine.qmp_raw(message | {"id": f"libvirt-{next(self._numbers)}"}, _OWN_WORDS)
        return json.dumps(dict(answer), ensure_ascii=False, separators=(",", ":"))

    async def dirty_rate(self, entry: Entry, seconds: int, mode: str) -> None:
        """Begin to measure how fast the guest writes to its memory. Raises: WrongState, Unsupported, QemuRefused."""
        machine = self._service.machines.running(entry)
        if not 1 <= seconds <= 60:
            raise Unsupported(f"seconds={seconds} is invalid, it must be 1 to 60")
        wish: dict[str, Any] = {"calc-time": seconds}
        if mode != "page-sampling":
            wish["mode"] = mode
        await machine.qmp("calc-dirty-rate", wish)

    async def launch_security(self, entry: Entry) -> list[tuple[str, int, int | str]]:
        """Give what proves how a protected guest was launched: names, libvirt's types and values. Raises: WrongState."""
        machine = self._service.machines.running(entry)
        if _protection(entry) not in _SEV:
            return []
        seen = await machine.qmp("query-sev")
        found: list[tuple[str, int, int | str]] = []
        if machine.state is State.PAUSED and "policy" in seen:
            measured = await machine.qmp("query-sev-launch-measure")
            found.append(("sev-measurement", _STRING, str(measured["data"])))
        found += [
            (f"sev-{key}", _UINT, int(seen[key])) for key in ("api-major", "api-minor", "build-id") if key in seen
        ]
        return [*found, ("sev-policy", _UINT, int(seen["policy"]))] if "policy" in seen else found

    async def set_launch_security(self, entry: Entry, given: Mapping[str, object], author: Author) -> None:
        """Give a protected guest a secret before it runs. Raises: WrongState, InvalidRequest, Unsupported, QemuRefused."""
        machine = self._service.machines.running(entry)
        if _protection(entry) not in _SEV:
            raise Unsupported(
                "setting a launch secret is only supported for guests with <launchSecurity type='sev'>", code=84
            )
        names = {"sev-secret-header": "packet-header", "sev-secret": "secret", "sev-secret-set-address": "gpa"}
        for name in given:
            if name not in names:
                raise InvalidRequest(f"parameter '{name}' is not known; {', '.join(names)} are")
        if "sev-secret-header" not in given or "sev-secret" not in given:
            raise InvalidRequest("both sev-secret-header and sev-secret are needed")
        if machine.state is not State.PAUSED:
            raise WrongState("a launch secret can only be set while the domain is paused, before its guest runs")
        await machine.qmp("sev-inject-launch-secret", {names[name]: value for name, value in given.items()})
        self._service.machines.done("domsetlaunchsecstate", entry, author)

    async def set_lifecycle_action(
        self, entry: Entry, event: int, action: int, author: Author, *, live: bool, config: bool
    ) -> None:
        """Say what becomes of a machine whose guest powers off, reboots or crashes. Raises: InvalidRequest, Unsupported."""
        if not 0 <= event < len(EVENTS):
            raise InvalidRequest(f"lifecycle event {event} is not known; 0 to 2 are: {', '.join(EVENTS)}")
        if not 0 <= action < len(ACTIONS):
            raise InvalidRequest(f"lifecycle action {action} is not known; 0 to 5 are: {', '.join(ACTIONS)}")
        service, slot, word = self._service, f"on_{EVENTS[event]}", ACTIONS[action]
        if slot != "on_crash" and word.startswith("coredump-"):
            raise Unsupported(f"<{slot}> cannot be '{word}'; destroy and restart would be accepted")
        if word == "rename-restart" or (word == "preserve" and slot != "on_crash"):
            raise Unsupported(f"<{slot}> cannot be '{word}' with QEMU; destroy and restart would be accepted")

        def change(domain: Domain) -> None:
            setattr(domain, slot, word)
            if (domain.on_reboot, domain.on_poweroff) == ("destroy", "restart"):
                raise Unsupported("<on_reboot> destroy and <on_poweroff> restart exclude each other")

        await service.definitions.edit(entry, change, author, live=live, config=config)
        if live and entry.machine is not None and entry.live is not None:
            running = document.read_stored(entry.live.xml)
            entry.machine.note(policy=launching.policy(running))
            await service.machines.keep(entry)


def _protection(entry: Entry) -> str | None:
    """Name the kind of protection from its host that a running guest has."""
    node = document.read_stored(entry.live.xml).launchSecurity if entry.live is not None else None
    return node.get("type") if node is not None else None


def _screen(domain: Domain, screen: int) -> tuple[str, int]:
    """Say which device's which head a screen is."""
    left = screen
    videos = domain.devices.of(Video) if domain.devices is not None else []
    videos = [video for video in videos if video.kind != "none"]
    if not videos:
        raise WrongState("no screens to take screenshot from")
    for video in videos:
        heads = (video.model.heads if video.model is not None else None) or 1
        if left < heads:
            return (video.alias.name if video.alias is not None else None) or "", left
        left -= heads
    raise WrongState(f"no such screen ID: {screen}; the machine has screens 0 to {screen - left - 1}")


def _take(path: Path) -> bytes:
    """Read what QEMU wrote into its own directory, and nothing that it might point to instead."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _PICTURE_MAX:
                raise HostFailure(f"{path} is no picture of at most {_PICTURE_MAX} bytes")
            return stream.read(_PICTURE_MAX)
    except OSError as error:
        raise HostFailure(f"the picture cannot be read: {error.strerror}") from error
