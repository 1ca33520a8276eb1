"""Starting a machine: needs fulfilled, QEMU launched, its monitor greeted, its CPUs let go; or nothing of it.

The service calls `start`, once for each domain at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domicile.base import tasks
from domicile.base.errors import OutcomeUnknown, QemuRefused
from domicile.base.undo import Undo
from domicile.domain.cpus.verify import Expected
from domicile.host.fulfil import Fulfilled, Host, waits
from domicile.plan.need import Need, Port
from domicile.plan.qemu import Command
from domicile.qemu.launch import DEADLINE, Launched, greet, last_words, spawn
from domicile.qemu.monitor import Monitor
from domicile.runtime import guest_cpu, record, snapshot
from domicile.runtime.event import Dumper, no_dump
from domicile.runtime.lifecycle import Begins, Policy
from domicile.runtime.machine import Listener, Machine
from domicile.runtime.record import Arriving, Record
from domicile.runtime.save import Speaker, read_state
from domicile.runtime.states import Paused, State

_PORT_RACES = 3
#: Seconds a QEMU that failed may take to end by itself.
_LAST_WORDS = 1.0
Keep = Callable[[Record], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """The state a machine goes on from: a descriptor that begins with it, and the managed image that it uses up."""

    fd: int
    image: str = ""


@dataclass(frozen=True, slots=True)
class FromSnapshot:
    """The internal snapshot a machine goes on from, and the names of the disks that were kept in it.

    Without a name, only the images were brought back, and the guest boots.
    """

    name: str
    disks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Awaited:
    """A machine that comes from another host: how it is to be noted, and what makes its QEMU listen."""

    note: Arriving
    listen: Callable[[Speaker], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """What is to be started. `argv` is complete, with tokens for what the needs and the launch provide.

    `commands` are sent before the guest's first instruction.
    """

    uuid: str
    name: str
    id: int
    argv: Sequence[str]
    directory: Path
    log: Path
    needs: Sequence[Need] = ()
    policy: Policy = field(default_factory=Policy)
    paused: bool = False
    env: Mapping[str, str] | None = None
    commands: Sequence[Command] = ()
    incoming: Incoming | FromSnapshot | Awaited | None = None
    dumper: Dumper = no_dump
    autodestroy: bool = False
    #: Bytes that QEMU may hold in memory, -1 for any number, 0 for what everybody may.
    memlock: int = 0
    cpu: Expected | None = None
    #: Whether QEMU can say what its virtual CPU has.
    x86: bool = False
    partition: str = "/machine"


async def start(
    spec: MachineSpec, host: Host, listener: Listener, keep: Keep | None = None, deadline: float = DEADLINE
) -> Machine:
    """Start a machine and return it running (or paused, where the specification says so).

    `keep` stores the record while QEMU starts; it is called again when the machine is up. A caller that is cancelled
    does not cut a start in half: it goes on to its end.

    Raises:
        HostFailure: a need cannot be fulfilled; nothing was started.
        QemuRefused: QEMU ended; the message carries its words.
        Unsupported: the virtual CPU is not the one that was asked for; QEMU was killed.
        DeadlineExceeded: QEMU did not come up; it was killed.
    """
    return await asyncio.shield(tasks.spawn(f"start of {spec.name}", _start(spec, host, listener, keep, deadline)))


async def _start(spec: MachineSpec, host: Host, listener: Listener, keep: Keep | None, deadline: float) -> Machine:
    any_port = any(isinstance(need, Port) and need.fixed is None for need in spec.needs)
    for attempt in range(_PORT_RACES):
        try:
            return await _attempt(spec, host, listener, keep, deadline)
        except QemuRefused as error:
            # Another program took the port between our look and QEMU's; it is visibly taken now.
            if not (any_port and "Address already in use" in error.message) or attempt == _PORT_RACES - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _attempt(spec: MachineSpec, host: Host, listener: Listener, keep: Keep | None, deadline: float) -> Machine:
    async with Undo() as undo:
        if waits(spec.needs):
            given = await asyncio.to_thread(host.fulfil, spec.uuid, spec.needs)
        else:
            given = host.fulfil(spec.uuid, spec.needs)
        undo.push("take back what the host gave", lambda: host.take_back(spec.uuid))
        undo.push("close taps", given.hand_over)
        await host.start_helpers(spec.uuid, spec.needs, given, spec.directory, spec.log)
        argv = [*spec.argv, "-incoming", "defer"] if isinstance(spec.incoming, Incoming | Awaited) else spec.argv
        launched = await asyncio.to_thread(
            spawn, argv, given.given, directory=spec.directory, log=spec.log, user=host.user, env=spec.env,
            memlock=spec.memlock,
        )
        undo.push("forget the directory", lambda: record.forget(spec.directory))
        undo.push("end QEMU", lambda: _kill(launched))
        known = _record(spec, given, launched, host)
        given.hand_over()
        known.write()
        machine = Machine(known, launched.process, host, listener)
        machine.dumper = spec.dumper
        monitor = machine.new_monitor()
        undo.push("close the monitor", monitor.close)
        stored = tasks.spawn(f"record of {spec.name}", keep(known)) if keep is not None else None
        await greet(launched, monitor, deadline)
        for command in spec.commands:
            await monitor.execute(command.execute, command.arguments, deadline)
        if spec.x86 or spec.cpu is not None:
            machine.note(cpu=await guest_cpu.look(argv, spec.cpu, monitor, deadline))
        if isinstance(spec.incoming, Incoming):
            await _restore(spec.incoming, monitor, launched)
        elif isinstance(spec.incoming, FromSnapshot):
            if spec.incoming.name:
                nodes = await snapshot.tops(monitor.execute, spec.incoming.disks)
                await snapshot.load(monitor.execute, spec.incoming.name, nodes)
        elif spec.incoming is not None:
            await spec.incoming.listen(monitor.execute)
        machine.adopt(monitor)
        try:
            await _come_up(machine, spec, deadline)
        except OutcomeUnknown as error:
            await launched.process.ended()
            raise QemuRefused(f"QEMU ended while it started: {last_words(launched)}") from error
        if stored is not None and keep is not None:
            await stored
        undo.commit()
    complete = machine.record()
    complete.write()
    if keep is not None:
        await keep(complete)
    return machine


async def _come_up(machine: Machine, spec: MachineSpec, deadline: float) -> None:
    if isinstance(spec.incoming, Awaited):
        await machine.await_arrival(deadline)
        return
    if isinstance(spec.incoming, Incoming) and spec.incoming.image:
        machine.note(restored=spec.incoming.image)
    begins = Begins.RESTORED if isinstance(spec.incoming, Incoming) else Begins.BOOTED
    if isinstance(spec.incoming, FromSnapshot):
        begins = Begins.REVERTED if spec.incoming.name else Begins.BOOTED_REVERTED
    await machine.come_up(paused=spec.paused, deadline=deadline, begins=begins)


async def _restore(incoming: Incoming, monitor: Monitor, launched: Launched) -> None:
    """Read the state the machine goes on from; a QEMU that cannot ends, and says why in its log."""
    await monitor.pass_descriptor("restored-state", incoming.fd)
    try:
        await read_state(monitor.execute, "restored-state", launched.process.pid)
    except (OutcomeUnknown, QemuRefused) as error:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await launched.process.ended()
        raise QemuRefused(f"QEMU cannot take up the saved state: {last_words(launched)}") from error


def _record(spec: MachineSpec, given: Fulfilled, launched: Launched, host: Host) -> Record:
    return Record(
        uuid=spec.uuid,
        name=spec.name,
        id=spec.id,
        pid=launched.process.pid,
        start_time=launched.process.start_time,
        directory=str(spec.directory),
        log=str(spec.log),
        policy=spec.policy,
        state=int(State.PAUSED),
        reason=int(Paused.STARTING_UP),
        since=time.time(),
        paused=spec.paused,
        partition=spec.partition,
        ports=given.ports,
        taps=given.taps,
        links=host.links.of(spec.uuid),
        lent=given.lent,
        helpers=host.helpers.known(spec.uuid),
        argv=launched.argv,
        autodestroy=spec.autodestroy,
        arriving=spec.incoming.note if isinstance(spec.incoming, Awaited) else None,
    )


async def _kill(launched: Launched) -> None:
    launched.process.signal(signal.SIGKILL)
    async with asyncio.timeout(DEADLINE):
        await launched.process.ended()
