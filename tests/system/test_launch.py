from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import QEMU, argv, boot_disk, say

from domicile.base.errors import Conflict, DeadlineExceeded, HostFailure, OutcomeUnknown, QemuRefused
from domicile.host.fulfil import Host
from domicile.host.user import qemu_user
from domicile.plan.need import File
from domicile.qemu.launch import Given, User, greet, spawn
from domicile.qemu.monitor import Monitor, Refusal
from domicile.runtime.console import Consoles
from domicile.runtime.start import MachineSpec, start

pytestmark = [pytest.mark.system, pytest.mark.skipif(QEMU is None, reason="no QEMU here")]


def test_qemu_has_nothing_of_the_daemon(tmp_path: Path) -> None:
    async def script() -> None:
        with (tmp_path / "secret").open("w") as ours:
            os.set_inheritable(ours.fileno(), True)
            launched = spawn(argv(None), Given(), directory=tmp_path / "vm", log=tmp_path / "vm.log")
        monitor = Monitor("test")
        await greet(launched, monitor)
        pid = launched.process.pid
        links = [os.fspath(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
        assert not any("secret" in link for link in links)
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
        assert Path(f"/proc/{pid}/fd/1").readlink() == tmp_path / "vm.log"
        assert os.getsid(pid) == pid
        assert stat.S_IMODE((tmp_path / "vm.log").stat().st_mode) == 0o600
        with pytest.raises(Refusal) as refusal:
            await monitor.execute("device_del", {"id": "none"})
        assert refusal.value.kind == "DeviceNotFound"
        with pytest.raises(OutcomeUnknown):
            await monitor.execute("quit")
            await launched.process.ended()
            await monitor.execute("query-status")
        await launched.process.ended()
        assert launched.process.exit_status == 0
        await monitor.close()

    asyncio.run(script())


def test_secrets_stay_out_of_the_log(tmp_path: Path) -> None:
    async def script() -> None:
        secret = ["-object", '{"qom-type":"secret","id":"s","data":"aHVzaA==","format":"base64"}']
        launched = spawn([*argv(None), *secret], Given(), directory=tmp_path / "vm", log=tmp_path / "vm.log")
        monitor = Monitor("test")
        await greet(launched, monitor)
        assert "aHVzaA" not in (tmp_path / "vm.log").read_text()
        assert "secret" in (tmp_path / "vm.log").read_text()
        launched.process.signal(signal.SIGTERM)
        await launched.process.ended()
        await monitor.close()

    asyncio.run(script())


def test_early_death_and_silence(tmp_path: Path) -> None:
    async def script() -> None:
        broken = spawn([*argv(None), "-m", "lots"], Given(), directory=tmp_path / "a", log=tmp_path / "a.log")
        with pytest.raises(QemuRefused, match="lots"):
            await greet(broken, Monitor("test"))
        with pytest.raises(HostFailure, match="No such file"):
            spawn([str(tmp_path / "none")], Given(), directory=tmp_path / "b", log=tmp_path / "b.log")
        silent = spawn(["/bin/sleep", "60"], Given(), directory=tmp_path / "c", log=tmp_path / "c.log")
        with pytest.raises(DeadlineExceeded):
            await greet(silent, Monitor("test"), deadline=0.2)
        silent.process.signal(signal.SIGKILL)
        await silent.process.ended()
        assert silent.process.exit_status == -9

    asyncio.run(script())


@pytest.fixture
def open_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="domicile-user-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="changing users takes root")
def test_an_unprivileged_user_boots_a_private_disk(open_directory: Path) -> None:
    user = qemu_user()
    assert isinstance(user, User)

    async def script() -> None:
        disk = boot_disk(open_directory / "disk.img", say("up"))
        disk.chmod(0o600)
        words = argv(disk, "-chardev", "pty,id=charserial0", "-device", "isa-serial,chardev=charserial0")
        words += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
        host = Host(user)
        directory = open_directory / "vm"
        spec = MachineSpec(
            "u", "guest", 1, words, directory, open_directory / "log", [File(str(disk), True)], paused=True
        )
        machine = await start(spec, host, lambda _event: None)
        status = Path(f"/proc/{machine.pid}/status").read_text()
        assert f"Uid:\t{user.uid}\t{user.uid}\t{user.uid}" in status
        assert disk.stat().st_uid == user.uid
        consoles = Consoles()
        console = consoles.open(machine.ptys["charserial0"])
        with pytest.raises(Conflict):
            consoles.open(machine.ptys["charserial0"])
        await machine.resume()
        async with asyncio.timeout(20):
            assert await console.read() in (b"u", b"up")
            taken = consoles.open(machine.ptys["charserial0"], force=True)
            assert await console.read() in (b"", b"p")
            assert console.closed
            await taken.write(b"typed")
            reading = asyncio.ensure_future(taken.read())
            await asyncio.sleep(0)
            await machine.destroy()
            while await reading:
                reading = asyncio.ensure_future(taken.read())
        assert disk.stat().st_uid == 0

    asyncio.run(script())
