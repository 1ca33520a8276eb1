"""The actor of a running domain: it owns the state, reads one mailbox, and carries out what the lifecycle table says.

`runtime/machine` puts the commands on top; nobody else sees an actor.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import structlog

from domicile.base import tasks
from domicile.base.errors import DeadlineExceeded, DomicileError, OutcomeUnknown, WrongState
from domicile.host.fulfil import Host
from domicile.qemu.launch import connect
from domicile.qemu.monitor import DEADLINE, Event, Monitor
from domicile.qemu.process import Process
from domicile.runtime import lifecycle, record
from domicile.runtime.event import Dumper, Listener, MachineEvent, no_dump
from domicile.runtime.lifecycle import Begins, Condition, CoreDump, Note, Quit, Restart, Say, SayRebooted
from domicile.runtime.record import Record
from domicile.runtime.states import Running, State

log = structlog.get_logger(__name__)
#: Seconds QEMU has to obey SIGTERM before it is killed, and to vanish after SIGKILL.
TERM_GRACE = 3.0
KILL_GRACE = 10.0
#: Seconds the last words of a monitor may take to arrive after its process ended.
_LAST_WORDS = 1.0
_RECONNECT = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class _Ended:
    """The process is gone."""


class Lost:
    """The monitor's connection is gone."""


@dataclass(frozen=True, slots=True)
class _Found:
    status: str


Message = Event | _Ended | Lost | _Found | Callable[[], None]


class Actor:
    """The inside of a machine: process, monitor, mailbox and state. `dumper` writes the guest's memory down after a crash."""

    dumper: Dumper = staticmethod(no_dump)

    def __init__(self, known: Record, process: Process, host: Host, listener: Listener) -> None:
        self._record = known
        self._process = process
        self._host = host
        self._listener = listener
        self._condition = Condition(State(known.state), known.reason)
        self._since = known.since or time.time()
        self._mailbox: asyncio.Queue[Message] = asyncio.Queue()
        self._changing = asyncio.Lock()
        self._working = asyncio.Lock()
        self._reset = asyncio.Event()
        self._gone = asyncio.Event()
        self._monitor: Monitor | None = None
        self._monitor_over = asyncio.Event()
        self._monitor_over.set()
        self._children: asyncio.TaskGroup | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._actor: asyncio.Task[None] | None = None
        self._hearers: list[asyncio.Queue[Event | None]] = []

    # What is known, without asking anyone.

    @property
    def uuid(self) -> str:
        """The domain's UUID."""
        return self._record.uuid

    @property
    def name(self) -> str:
        """The domain's name at its start."""
        return self._record.name

    @property
    def id(self) -> int:
        """The number that only running domains have."""
        return self._record.id

    @property
    def state(self) -> State:
        """The state as last heard."""
        return self._condition.state

    @property
    def reason(self) -> int:
        """Why it is in that state, in that state's numbers."""
        return int(self._condition.reason)

    @property
    def since(self) -> float:
        """When it came into that state, in seconds since the epoch."""
        return self._since

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._process.pid

    @property
    def start_time(self) -> int:
        """When the process started, as /proc tells it."""
        return self._process.start_time

    @property
    def ptys(self) -> Mapping[str, str]:
        """Pseudo terminals by the ids of their character devices."""
        return self._record.ptys

    @property
    def ports(self) -> Mapping[str, int]:
        """TCP ports by the tokens of their needs."""
        return self._record.ports

    @property
    def taps(self) -> Mapping[str, str]:
        """Names of tap devices by the tokens of their needs."""
        return self._record.taps

    @property
    def argv(self) -> list[str]:
        """The command line QEMU was started with."""
        return self._record.argv

    @property
    def directory(self) -> Path:
        """The machine's own directory."""
        return Path(self._record.directory)

    @property
    def responsive(self) -> bool:
        """Whether QEMU's monitor is connected."""
        return self._monitor is not None and self._monitor.connected

    @property
    def over(self) -> bool:
        """Whether the machine has ended and given everything back."""
        return self._gone.is_set()

    def record(self) -> Record:
        """Say all that a later daemon must know."""
        return replace(self._record, state=int(self.state), reason=self.reason, since=self._since)

    async def _settled(self) -> None:
        """Wait until everything that arrived so far has been worked into the state."""
        if self._gone.is_set():
            return
        done = asyncio.Event()
        self._mailbox.put_nowait(done.set)
        waiting = [asyncio.ensure_future(event.wait()) for event in (done, self._gone)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def alive(self) -> Self:
        """Give the machine back, unless it is over: then WrongState is raised."""
        if self._gone.is_set() or self._actor is None:
            raise WrongState(f"domain {self.name} is not running")
        return self

    async def _ask(self, command: str, arguments: Mapping[str, Any] | None, deadline: float) -> Any:
        if self._monitor is None:
            raise OutcomeUnknown(f"domain {self.name}: QEMU's monitor is out of reach")
        return await self._monitor.execute(command, arguments, deadline)

    async def _end(self, *, kill: bool) -> None:
        """Make the process end. A halted process cannot obey SIGTERM, so it is killed at once."""
        at_once = kill and self._process.stopped
        self._process.signal(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            async with asyncio.timeout(TERM_GRACE if kill else KILL_GRACE):
                await self._gone.wait()
        except TimeoutError:
            if not kill:
                raise DeadlineExceeded(f"domain {self.name}: QEMU does not end when asked to") from None
            self._process.signal(signal.SIGKILL)
        try:
            async with asyncio.timeout(KILL_GRACE):
                await self._gone.wait()
        except TimeoutError:
            raise DeadlineExceeded(f"domain {self.name}: process {self.pid} does not vanish when killed") from None

    def begin(self) -> None:
        """Start the actor."""
        self._actor = tasks.spawn(f"machine {self.name}", self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as children:
            self._children = children
            self._child("watch", self._watch_process())
            while not isinstance(message := await self._mailbox.get(), _Ended):
                self._handle(message)
            await self._finish()
            for each in list(self._busy):
                each.cancel()

    async def _watch_process(self) -> None:
        await self._process.ended()
        # What QEMU said at last is still on its way through the monitor's reader.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                await self._monitor_over.wait()
        self._mailbox.put_nowait(_Ended())

    def _handle(self, message: Message) -> None:
        match message:
            case Event(name, data, at):
                if name == "RESET":
                    self._reset.set()
                self._apply(lifecycle.heard(self._condition, self._record.policy, name, data))
                self._tell(MachineEvent(self, "qemu", name=name, data=data, at=at))
                for hearer in self._hearers:
                    hearer.put_nowait(message)
            case _Found(status):
                self._apply(lifecycle.found(self._condition, self._record.policy, status))
            case Lost():
                self._child("reconnect", self._reconnect())
            case _Ended():
                pass
            case _:
                message()

    async def _finish(self) -> None:
        """Give everything back, then tell that the machine is over."""
        if self._monitor is not None:
            await self._monitor.close()
        self._host.take_back(self.uuid)
        record.forget(self.directory)
        self._gone.set()
        for hearer in self._hearers:
            hearer.put_nowait(None)
        self._apply(lifecycle.ended(self._condition))
        log.info("machine ended", domain=self.name, state=self.state.name, status=self._process.exit_status)

    def _apply(self, outcome: lifecycle.Outcome) -> None:
        before, (self._condition, effects) = self._condition, outcome
        if (before.state, before.reason) != (self._condition.state, self._condition.reason):
            self._since = time.time()
        for effect in effects:
            match effect:
                case Say(kind, detail):
                    self._tell(MachineEvent(self, "lifecycle", int(kind), int(detail), at=time.time()))
                case SayRebooted():
                    self._tell(MachineEvent(self, "reboot", at=time.time()))
                case Quit():
                    self._child("quit", self._end(kill=True))
                case Restart():
                    self._child("restart", self._restart())
                case CoreDump(then):
                    self._child("core dump", self._dump(then))
                case Note(text):
                    log.warning(text, domain=self.name)

    def _tell(self, event: MachineEvent) -> None:
        try:
            self._listener(event)
        except Exception:
            log.exception("listener failed", domain=self.name, kind=event.kind)

    def _child(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        if self._children is None:
            work.close()
            return
        child = self._children.create_task(self._guarded(what, work), name=f"{what} of {self.name}")
        self._busy.add(child)
        child.add_done_callback(self._busy.discard)

    async def _guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Let nothing that fails beside the actor end the actor."""
        try:
            await work
        except DomicileError as error:
            if not self._gone.is_set():
                log.warning("machine task failed", domain=self.name, task=what, reason=error.message)
        except Exception:
            log.exception("machine task failed", domain=self.name, task=what)

    async def _dump(self, then: Quit | Restart) -> None:
        """Have the guest's memory written down by whoever does that here, and go on whatever comes of it."""
        await self._guarded("core dump", self.dumper(self))
        await (self._end(kill=True) if isinstance(then, Quit) else self._restart())

    async def _restart(self) -> None:
        """Reset the hardware and, once that happened, let it run."""
        async with self._changing:
            self._reset.clear()
            await self._ask("system_reset", None, DEADLINE)
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._reset.wait()
            except TimeoutError:
                raise DeadlineExceeded(f"domain {self.name}: QEMU did not reset within {DEADLINE:g} s") from None
            await self._ask("cont", None, DEADLINE)

    # The monitor.

    def new_monitor(self) -> Monitor:
        """Make the monitor whose events this machine hears; `adopt` follows once it is connected."""
        self._monitor_over.clear()
        return Monitor(f"domain {self.name}", self._mailbox.put_nowait, self._on_lost)

    def _on_lost(self) -> None:
        self._monitor_over.set()
        self._mailbox.put_nowait(Lost())

    def adopt(self, monitor: Monitor | None) -> None:
        """Take a connected monitor into use; None says that connecting failed."""
        self._monitor = monitor
        if monitor is None:
            self._monitor_over.set()

    async def contact(self, deadline: float) -> None:
        """Connect to QEMU's monitor and learn how it is.

        Raises:
            OutcomeUnknown: nobody listens there.
            DeadlineExceeded: QEMU does not answer.
        """
        monitor = self.new_monitor()
        try:
            await connect(monitor, self.directory / "monitor.sock", deadline)
            status = await monitor.execute("query-status", None, deadline)
            await self.learn(monitor, deadline)
        except DomicileError:
            await monitor.close()
            self.adopt(None)
            raise
        self.adopt(monitor)
        self._mailbox.put_nowait(_Found(status["status"]))
        await self._settled()

    async def learn(self, monitor: Monitor, deadline: float = DEADLINE) -> None:
        """Ask for what QEMU chose by itself: its pseudo terminals."""
        listed = await monitor.execute("query-chardev", None, deadline)
        ptys = {c["label"]: c["filename"].removeprefix("pty:") for c in listed if c["filename"].startswith("pty:")}
        self._record = replace(self._record, ptys=ptys)

    async def come_up(self, *, paused: bool, deadline: float, begins: Begins = Begins.BOOTED) -> None:
        """Start the actor of a QEMU that has greeted and, unless it shall stay paused, let its CPUs go (on)."""
        if self._monitor is None:
            raise OutcomeUnknown(f"domain {self.name}: QEMU's monitor is out of reach")
        self._condition = replace(self._condition, run=Running.BOOTED)
        self.begin()
        commands = [self.learn(self._monitor, deadline)]
        by_start = bool(self._record.restored)

        def begun() -> None:
            self._apply(lifecycle.begun(self._condition, begins, paused=paused, started=by_start))

        if begins in (Begins.RESTORED, Begins.REVERTED):
            self._mailbox.put_nowait(begun)
            await self._settled()
        if not paused:
            commands.append(self._monitor.execute("cont", None, deadline))
        await asyncio.gather(*commands)
        if begins not in (Begins.RESTORED, Begins.REVERTED):
            self._mailbox.put_nowait(begun)
        await self._settled()

    def note(self, **facts: Any) -> None:
        """Change what a later daemon must know, and leave it beside the machine's directory at once, unless it is over."""
        self._record = replace(self._record, **facts)
        if not self._gone.is_set():
            self.record().write()

    async def _reconnect(self) -> None:
        """Connect again and again, ever more patiently; a monitor is mostly lost because its process is ending."""
        for pause in itertools.chain(_RECONNECT, itertools.repeat(_RECONNECT[-1])):
            await asyncio.sleep(pause)
            try:
                await self.contact(DEADLINE)
            except DomicileError as error:
                log.info("monitor out of reach", domain=self.name, reason=error.message)
            else:
                return
