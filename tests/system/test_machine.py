from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import AWAIT_BUTTON, PANIC, POWER_OFF, QEMU, RESET, argv, boot_disk, say

from domicile.base.errors import DeadlineExceeded, HostFailure, QemuRefused, WrongState
from domicile.host.fulfil import Host
from domicile.plan.need import File, Port, Tap
from domicile.qemu.launch import connect
from domicile.qemu.monitor import Monitor
from domicile.qemu.process import Process
from domicile.runtime.lifecycle import Policy
from domicile.runtime.machine import Machine, MachineEvent
from domicile.runtime.reattach import reattach
from domicile.runtime.record import Record, left_behind
from domicile.runtime.start import MachineSpec, start
from domicile.runtime.states import Crashed, Kind, Paused, Running, ShutdownBy, Shutoff, Started, State, Stopped

pytestmark = [pytest.mark.system, pytest.mark.skipif(QEMU is None, reason="no QEMU here")]


class Stage:
    """One test's machines: their host, what they said, and their end whatever happens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = Host()
        self.heard: list[MachineEvent] = []
        self.machines: list[Machine] = []

    def spec(self, *code: bytes, name: str = "guest", **more: Any) -> MachineSpec:
        disk = boot_disk(self.directory / f"{name}.img", *code)
        words = argv(disk, *more.pop("words", ()), machine=more.pop("machine", "pc"))
        if "serial" not in more:
            words += ["-chardev", f"file,id=s,path={self.serial(name)}", "-device", "isa-serial,chardev=s"]
        more.pop("serial", None)
        directory = self.directory / "run" / name
        return MachineSpec(f"uuid-{name}", name, 1, words, directory, self.directory / f"{name}.log", **more)

    def serial(self, name: str = "guest") -> Path:
        return self.directory / f"{name}.serial"

    async def start(self, spec: MachineSpec) -> Machine:
        machine = await start(spec, self.host, self.heard.append)
        self.machines.append(machine)
        return machine

    def lifecycle(self) -> list[tuple[int, int]]:
        return [(event.event, event.detail) for event in self.heard if event.kind == "lifecycle"]

    async def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    async def said(self, text: str, name: str = "guest") -> None:
        path = self.serial(name)
        await self.until(lambda: path.exists() and text in path.read_text(errors="replace"))


def play(directory: Path, script: Callable[[Stage], Coroutine[Any, Any, None]]) -> Stage:
    stage = Stage(directory)

    async def whole() -> None:
        try:
            async with asyncio.timeout(60):
                await script(stage)
        finally:
            for machine in stage.machines:
                if not machine.over:
                    await machine.destroy()

    asyncio.run(whole())
    return stage


def test_the_whole_life_of_a_machine(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        machine = await stage.start(stage.spec(say("up")))
        assert (machine.state, machine.reason) == (State.RUNNING, Running.BOOTED)
        assert os.getsid(machine.pid) == machine.pid
        assert machine.directory.with_name(machine.directory.name + ".json").exists()
        await stage.said("up")
        await machine.suspend()
        assert (machine.state, machine.reason) == (State.PAUSED, Paused.USER)
        assert (await machine.qmp("query-status"))["status"] == "paused"
        await machine.suspend()
        await machine.resume()
        assert (machine.state, machine.reason) == (State.RUNNING, Running.UNPAUSED)
        with pytest.raises(WrongState, match="already running"):
            await machine.resume()
        with pytest.raises(QemuRefused, match="no-such"):
            await machine.qmp("no-such-command")
        before = time.perf_counter()
        await machine.destroy()
        assert time.perf_counter() - before < 5
        assert (machine.state, machine.reason) == (State.SHUTOFF, Shutoff.DESTROYED)
        assert not machine.directory.exists()
        with pytest.raises(WrongState):
            await machine.suspend()

    stage = play(tmp_path, script)
    assert stage.lifecycle() == [
        (Kind.RESUMED, 0),
        (Kind.STARTED, Started.BOOTED),
        (Kind.SUSPENDED, 0),
        (Kind.RESUMED, 0),
        (Kind.SHUTDOWN, ShutdownBy.HOST),
        (Kind.STOPPED, Stopped.DESTROYED),
    ]
    log = (tmp_path / "guest.log").read_text()
    assert "starting up: " in log
    assert "terminating on signal 15" in log


def test_started_paused(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        machine = await stage.start(stage.spec(say("up"), paused=True))
        assert (machine.state, machine.reason) == (State.PAUSED, Paused.USER)
        assert not stage.serial().read_bytes()
        await machine.resume()
        await stage.said("up")

    stage = play(tmp_path, script)
    assert stage.lifecycle()[:3] == [(Kind.STARTED, 0), (Kind.SUSPENDED, 0), (Kind.RESUMED, 0)]


def test_the_guest_powers_off(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        machine = await stage.start(stage.spec(POWER_OFF))
        await machine.wait()
        assert (machine.state, machine.reason) == (State.SHUTOFF, Shutoff.SHUTDOWN)

    stage = play(tmp_path, script)
    assert stage.lifecycle()[-2:] == [(Kind.SHUTDOWN, ShutdownBy.GUEST), (Kind.STOPPED, Stopped.SHUTDOWN)]


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_the_power_button_shuts_down_and_reboots(tmp_path: Path, machine: str) -> None:
    async def script(stage: Stage) -> None:
        spec = stage.spec(say("up"), AWAIT_BUTTON, POWER_OFF, machine=machine)
        subject = await stage.start(spec)
        await stage.said("up")
        await asyncio.sleep(0.2)
        await subject.reboot()
        await stage.said("upup")
        pid = subject.pid
        await stage.until(lambda: subject.state is State.RUNNING)
        assert not subject.over
        await asyncio.sleep(0.2)
        await subject.shutdown()
        await subject.wait()
        assert subject.pid == pid
        assert (subject.state, subject.reason) == (State.SHUTOFF, Shutoff.SHUTDOWN)

    stage = play(tmp_path, script)
    assert any(event.kind == "reboot" for event in stage.heard)


def test_power_off_may_mean_restart_or_preserve(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        spec = stage.spec(say("up"), AWAIT_BUTTON, POWER_OFF, policy=Policy(on_poweroff="restart"))
        machine = await stage.start(spec)
        await stage.said("up")
        await asyncio.sleep(0.2)
        await machine.shutdown()
        await stage.said("upup")
        await machine.destroy()
        kept = await stage.start(stage.spec(POWER_OFF, name="kept", policy=Policy(on_poweroff="preserve")))
        await stage.until(lambda: kept.state is State.PAUSED)
        assert kept.reason == Paused.SHUTTING_DOWN
        assert (await kept.qmp("query-status"))["status"] == "shutdown"

    play(tmp_path, script)


def test_a_reboot_may_mean_the_end(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        for name, words in (("plain", ()), ("no-reboot", ("-no-reboot",))):
            spec = stage.spec(say("up"), RESET, name=name, words=words, policy=Policy(on_reboot="destroy"))
            machine = await stage.start(spec)
            await machine.wait()
            assert (machine.state, machine.reason) == (State.SHUTOFF, Shutoff.SHUTDOWN)

    play(tmp_path, script)


def test_a_reset_goes_on_in_the_same_process(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        machine = await stage.start(stage.spec(say("up")))
        await stage.said("up")
        await machine.reset()
        await stage.said("upup")
        assert machine.state is State.RUNNING

    play(tmp_path, script)


@pytest.mark.parametrize(
    ("action", "state", "reason"),
    [("destroy", State.SHUTOFF, Shutoff.CRASHED), ("preserve", State.CRASHED, Crashed.PANICKED)],
)
def test_a_panic_obeys_the_policy(tmp_path: Path, action: str, state: State, reason: int) -> None:
    async def script(stage: Stage) -> None:
        spec = stage.spec(PANIC, words=("-device", "pvpanic"), policy=Policy(on_crash=action))
        machine = await stage.start(spec)
        await stage.until(lambda: machine.state is state)
        assert machine.reason == reason

    stage = play(tmp_path, script)
    assert (Kind.CRASHED, 0) in stage.lifecycle()


def test_a_crashing_qemu_counts_as_crashed(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        machine = await stage.start(stage.spec())
        os.kill(machine.pid, signal.SIGKILL)
        await machine.wait()
        assert (machine.state, machine.reason) == (State.SHUTOFF, Shutoff.CRASHED)

    assert play(tmp_path, script).lifecycle()[-1] == (Kind.STOPPED, Stopped.FAILED)


def test_a_stuck_qemu_delays_only_itself(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        stuck = await stage.start(stage.spec(name="stuck"))
        other = await stage.start(stage.spec(name="other"))
        os.kill(stuck.pid, signal.SIGSTOP)
        waiting = asyncio.ensure_future(stuck.suspend(deadline=3))
        await other.suspend()
        assert not waiting.done()
        assert stuck.state is State.RUNNING
        with pytest.raises(DeadlineExceeded):
            await waiting
        before = time.perf_counter()
        await stuck.destroy()
        assert time.perf_counter() - before < 5
        assert (stuck.state, stuck.reason) == (State.SHUTOFF, Shutoff.DESTROYED)

    play(tmp_path, script)


def test_a_refused_command_line_leaves_nothing(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        spec = stage.spec(words=("-device", "no-such-device"), needs=[Port("vnc")])
        with pytest.raises(QemuRefused, match="'no-such-device' is not a valid device model name"):
            await stage.start(spec)
        assert not spec.directory.exists()
        assert stage.host.ports.owner(5900) is None
        missing = stage.spec(name="bridge", needs=[Tap(token="net0", bridge="br-none", mac="52:54:00:00:00:01")])
        with pytest.raises(HostFailure, match="br-none"):
            await stage.start(missing)
        gone = stage.spec(name="gone", needs=[File(path=str(tmp_path / "gone.img0"), writable=True)])
        with pytest.raises(HostFailure, match=r"gone\.img0"):
            await stage.start(gone)

    assert play(tmp_path, script).lifecycle() == []


def test_parallel_starts_get_ports_of_their_own(tmp_path: Path) -> None:
    words = ("-vnc", "127.0.0.1:{display:vnc}")

    async def script(stage: Stage) -> None:
        specs = [stage.spec(name=f"vm{n}", words=words, needs=[Port("vnc")]) for n in range(6)]
        machines = await asyncio.gather(*(stage.start(spec) for spec in specs))
        ports = {machine.ports["vnc"] for machine in machines}
        assert len(ports) == 6
        for port in ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await reader.read(3)) == b"RFB"
            writer.close()
            await writer.wait_closed()
        await asyncio.gather(*(machine.destroy() for machine in machines))
        assert all(stage.host.ports.owner(port) is None for port in ports)

    play(tmp_path, script)


def test_a_later_daemon_finds_the_machine_again(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        words = ("-chardev", "pty,id=charserial0", "-device", "isa-serial,chardev=charserial0")
        words += ("-vnc", "127.0.0.1:{display:vnc}")
        first = await stage.start(stage.spec(say("up"), words=words, serial=None, needs=[Port("vnc")]))
        assert first.ptys["charserial0"].startswith("/dev/pts/")
        await first.suspend()
        record = Record.from_json(first.record().to_json())
        [left] = left_behind(tmp_path / "run")
        assert (left.pid, left.start_time) == (first.pid, first.start_time)
        await first.detach()
        stage.machines.clear()
        stage.host = Host()
        second = await reattach(record, stage.host, stage.heard.append)
        assert second is not None
        stage.machines.append(second)
        assert (second.pid, second.id, second.state, second.reason) == (first.pid, 1, State.PAUSED, Paused.USER)
        assert second.ptys == first.ptys
        assert stage.host.ports.owner(second.ports["vnc"]) == "uuid-guest"
        await second.resume()
        assert second.state is State.RUNNING
        await second.destroy()
        # The first object detached, so this test is still QEMU's parent; nobody else would reap it.
        os.waitpid(first.pid, 0)
        assert await reattach(record, stage.host, stage.heard.append) is None
        assert stage.host.ports.owner(record.ports["vnc"]) is None

    play(tmp_path, script)


def test_what_the_guest_did_while_nobody_looked(tmp_path: Path) -> None:
    async def script(stage: Stage) -> None:
        first = await stage.start(stage.spec(AWAIT_BUTTON, POWER_OFF, paused=True))
        record = first.record()
        await first.qmp("cont")
        await asyncio.sleep(1)
        await first.detach()
        stage.machines.clear()
        other = Monitor("an earlier daemon's last word")
        await connect(other, first.directory / "monitor.sock")
        await other.execute("system_powerdown")
        await other.close()
        await asyncio.sleep(0.5)
        second = await reattach(record, stage.host, stage.heard.append)
        assert second is not None
        stage.machines.append(second)
        await second.wait()
        assert (second.state, second.reason) == (State.SHUTOFF, Shutoff.SHUTDOWN)
        os.waitpid(first.pid, 0)

    play(tmp_path, script)


def test_a_reused_pid_is_not_taken_for_the_machine() -> None:
    own = Process.child(os.getpid())
    assert Process.adopt(os.getpid(), own.start_time + 1) is None
    adopted = Process.adopt(os.getpid(), own.start_time)
    assert adopted is not None
    own.close()
    adopted.close()


def test_a_very_long_directory(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    async def script(stage: Stage) -> None:
        machine = await stage.start(stage.spec())
        record = machine.record()
        await machine.detach()
        stage.machines.clear()
        again = await reattach(record, stage.host, stage.heard.append)
        assert again is not None
        assert again.responsive
        await again.destroy()
        os.waitpid(machine.pid, 0)

    play(deep, script)
