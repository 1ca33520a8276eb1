"""Fulfils what a machine needs of the host, all of it or nothing, and takes it back.

`runtime/machine` calls it before QEMU starts and when QEMU has ended.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domicile.base.errors import HostFailure, InvalidRequest
from domicile.host import devices, links, macvtap, tap
from domicile.host.files import Labels, OpenFile, Owner, copy_template, open_file
from domicile.host.groups import Groups
from domicile.host.helpers import Helpers, Known
from domicile.host.lending import Lending
from domicile.host.ports import PortBook
from domicile.plan.need import (
    Copied,
    Directory,
    FdGroup,
    File,
    Helper,
    HostTpm,
    LentDevice,
    Macvtap,
    Need,
    OpenDevice,
    Opened,
    Port,
    ScsiGeneric,
    Tap,
    VirtualFunction,
)
from domicile.qemu.launch import Given, User


@dataclass(slots=True)
class Fulfilled:
    """What a machine was given: by the needs' tokens, and the owners of the files it was lent."""

    ports: dict[str, int] = field(default_factory=dict)
    taps: dict[str, str] = field(default_factory=dict)
    lent: dict[str, Owner] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    _open: dict[str, tap.OpenTap | OpenFile] = field(default_factory=dict)

    @property
    def opened(self) -> dict[str, tuple[int, ...]]:
        """The descriptors that were opened, by their tokens."""
        return {token: opened.fds for token, opened in self._open.items()}

    @property
    def given(self) -> Given:
        """What the tokens of the command line stand for."""
        return Given({token: opened.fds for token, opened in self._open.items()}, self.ports, self.names)

    def hand_over(self) -> None:
        """Close the daemon's copies of what QEMU now holds."""
        while self._open:
            self._open.popitem()[1].close()


def look(need: Need) -> None:
    """Say before anything is done what stands in the way of a network device. Raises: HostFailure, Unsupported."""
    if isinstance(need, Tap):
        tap.check(need)
    elif isinstance(need, Macvtap):
        macvtap.check(need)


def _open_link(need: Tap | Macvtap, guard: Callable[[Tap, str], None]) -> tap.OpenTap:
    if isinstance(need, Macvtap):
        return macvtap.open_macvtap(need)
    there = not need.managed and Path(f"/sys/class/net/{need.name}/macvtap").exists()
    if there and need.filter:
        raise HostFailure(f"{need.origin}: the filter '{need.filter}' needs an interface on a bridge, not a macvtap device")
    return macvtap.open_given(need) if there else tap.open_tap(need, functools.partial(guard, need))


def waits(needs: Sequence[Need]) -> bool:
    """Say whether something among the needs makes the caller wait for the kernel, so that a thread should do it."""
    return any(
        isinstance(need, Macvtap | LentDevice) or (isinstance(need, Tap) and (need.addresses or need.vlans or need.switch or need.filter))
        for need in needs
    )


def run_scripts(needs: Sequence[Need], given: Fulfilled) -> None:
    """Run the interfaces' scripts, now that their devices are there. Raises: HostFailure."""
    for program, name in links.scripts(needs, given.taps):
        links.run_script(program, name)


#: Is told of each tap before its first packet can pass: the machine, what was asked for, the tap's name.
Guard = Callable[[str, Tap, str], None]


def unguarded(_machine: str, need: Tap, _device: str) -> None:
    """Let no tap come up that should have a filter. Raises: HostFailure."""
    if need.filter:
        raise HostFailure(f"{need.origin}: nobody is there to apply the filter '{need.filter}'")


class Host:
    """The host's resources as one daemon gives them out."""

    def __init__(self, user: User | None = None, lending: Lending | None = None) -> None:
        self.user = user
        self.ports = PortBook()
        self.labels = Labels(user)
        self.helpers = Helpers(user)
        self.groups = Groups()
        self.links = links.Links()
        self.guard: Guard = unguarded
        self.lending = lending or Lending()

    def fulfil(self, machine: str, needs: Sequence[Need]) -> Fulfilled:
        """Give a machine, known by its uuid, all it needs. Never waits, but for what `waits` says.

        Raises:
            HostFailure: something is missing or refused; everything given so far is taken back.
            Conflict: another machine has it.
        """
        for need in needs:
            look(need)
            if isinstance(need, LentDevice):
                self.lending.check(machine, need)
        given = Fulfilled()
        try:
            for need in needs:
                self._give(machine, need, given)
        except BaseException:
            given.hand_over()
            self.take_back(machine)
            raise
        given.lent = self.labels.lent_to(machine)
        return given

    def add(self, machine: str, needs: Sequence[Need]) -> Fulfilled:
        """Give a machine that runs what else it needs; what it had stays its own, whatever fails.

        Raises:
            HostFailure: something is missing or refused.
            Conflict: another machine has it.
        """
        for need in needs:
            look(need)
            if isinstance(need, LentDevice):
                self.lending.check(machine, need)
        given, had = Fulfilled(), set(self.lending.devices_of(machine))
        try:
            for need in needs:
                self._give(machine, need, given)
        except BaseException:
            given.hand_over()
            for token in given.taps:
                self.links.clear(machine, token)
            for device in set(self.lending.devices_of(machine)) - had:
                self.lending.give_back(machine, device)
            raise
        given.lent = self.labels.lent_to(machine)
        return given

    def _give(self, machine: str, need: Need, given: Fulfilled) -> None:
        match need:
            case File():
                self.labels.lend(machine, need)
            case Copied():
                copy_template(need, self.user)
            case Directory():
                self.labels.make_directory(need)
            case Port(fixed=None):
                given.ports[need.token] = self.ports.reserve(machine, need.low, need.high)
            case Port(fixed=int(number)):
                given.ports[need.token] = self.ports.reserve_fixed(machine, number, need.address)
            case Opened():
                given._open[need.token] = open_file(need)
            case Tap() | Macvtap():
                opened = _open_link(need, functools.partial(self.guard, machine))
                given._open[need.token] = opened
                given.taps[need.token] = opened.name
                link = links.link_of(need, opened.name)
                self.links.remember(machine, [link] if link is not None else [])
                if need.vhost:
                    given._open[f"{need.token}-vhost"] = devices.open_vhost_net(need)
            case LentDevice():
                self.labels.lend(machine, self.lending.lend(machine, need))
            case VirtualFunction():
                self.lending.set_up(need)
            case OpenDevice():
                given._open[need.token] = devices.open_device(need)
            case FdGroup():
                given._open.update(self.groups.open(machine, need))
            case HostTpm():
                given._open[need.token], given._open[f"{need.token}-cancel"] = devices.open_tpm(need)
            case ScsiGeneric():
                name = devices.scsi_generic(need)
                self.labels.lend(machine, File(f"/dev/{name}", need.writable, origin=need.origin))
                given.names[f"sg:{need.token}"] = name
            case Helper():
                return  # `start_helpers` starts it, for that takes time
            case _:
                raise InvalidRequest(f"nobody knows how to fulfil the need {type(need).__name__} of {need.origin}")

    async def start_helpers(
        self, machine: str, needs: Sequence[Need], given: Fulfilled, directory: Path, log: Path
    ) -> None:
        """Start the programs that run beside QEMU; each has a log of its own beside the machine's.

        Raises:
            HostFailure: one does not come up.
        """
        await asyncio.to_thread(run_scripts, needs, given)
        for need in needs:
            if isinstance(need, Helper):
                end = await self.helpers.start(machine, need, directory, log.with_name(f"{log.stem}-{need.name}.log"))
                if end is not None:
                    given._open[need.token] = end

    def remember(
        self, machine: str, ports: dict[str, int], lent: dict[str, Owner], helpers: dict[str, Known] | None = None,
        left: Sequence[links.Link] = (),
    ) -> None:  # fmt: skip
        """Note what a machine that runs already was given."""
        self.links.remember(machine, left)
        self.helpers.remember(machine, helpers or {})
        for port in ports.values():
            self.ports.remember(machine, port)
        self.labels.remember(machine, lent)

    def take_back(self, machine: str) -> None:
        """Take back all a machine was given; taps went with its QEMU."""
        self.helpers.end(machine)
        self.links.clear(machine)
        self.lending.give_back(machine)
        self.ports.release(machine)
        self.labels.give_back(machine)
