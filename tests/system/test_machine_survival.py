"""A machine outlives the program that started it, however that ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import QEMU, argv, boot_disk, say

from domicile.base.errors import DeadlineExceeded
from domicile.host.fulfil import Host
from domicile.runtime.reattach import reattach
from domicile.runtime.record import left_behind
from domicile.runtime.states import Running, State

pytestmark = [pytest.mark.system, pytest.mark.skipif(QEMU is None, reason="no QEMU here")]

DAEMON = """
import asyncio, json, sys
from pathlib import Path
from domicile.host.fulfil import Host
from domicile.runtime.start import MachineSpec, start

async def main():
    directory, argv = Path(sys.argv[1]), json.loads(sys.argv[2])
    spec = MachineSpec("u", "guest", 7, argv, directory / "run" / "guest", directory / "guest.log")
    await start(spec, Host(), lambda event: None)
    print("started", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_daemon_is_killed(tmp_path: Path) -> None:
    words = argv(boot_disk(tmp_path / "disk", say("up")))
    daemon = subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(tmp_path), json.dumps(words)], stdout=subprocess.PIPE, start_new_session=True
    )
    with daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"started\n"
        os.killpg(daemon.pid, signal.SIGKILL)
    [record] = left_behind(tmp_path / "run")

    async def script() -> None:
        machine = await reattach(record, Host(), lambda _event: None)
        assert machine is not None
        assert (machine.id, machine.state, machine.reason) == (7, State.RUNNING, Running.BOOTED)
        os.kill(machine.pid, signal.SIGSTOP)
        await machine.detach()
        stuck = await reattach(machine.record(), Host(), lambda _event: None, deadline=0.3)
        assert stuck is not None
        assert (stuck.state, stuck.responsive) == (State.RUNNING, False)
        os.kill(stuck.pid, signal.SIGCONT)
        async with asyncio.timeout(20):
            while not stuck.responsive:
                await asyncio.sleep(0.05)
        await stuck.suspend()
        assert stuck.state is State.PAUSED
        os.kill(stuck.pid, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded):
            await stuck.resume(deadline=0.2)
        await stuck.destroy()
        assert (
            not Path(f"/proc/{record.pid}").exists() or Path(f"/proc/{record.pid}/stat").read_text().split()[2] == "Z"
        )

    asyncio.run(script())
