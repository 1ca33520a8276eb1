"""Finding running machines again after the daemon was away.

The daemon calls `reattach` for every record it kept; all at once, since none waits for another.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import structlog

from domicile.base.errors import DomicileError
from domicile.host.fulfil import Host
from domicile.qemu.process import Process
from domicile.runtime.event import Dumper, no_dump
from domicile.runtime.machine import Listener, Machine
from domicile.runtime.record import Record, forget, recorded

log = structlog.get_logger(__name__)
#: Seconds a QEMU may take to answer before its machine is shown as last known and asked again in the background.
PATIENCE = 2.0


async def reattach(
    record: Record, host: Host, listener: Listener, deadline: float = PATIENCE, dumper: Dumper = no_dump
) -> Machine | None:
    """Take over a machine an earlier daemon started; None where its process is gone, and then nothing is left of it.

    A QEMU that does not answer is taken over all the same, with the state last known. What the guest did meanwhile
    (power off, panic) takes effect now, as its domain's policy says.
    """
    host.remember(record.uuid, record.ports, record.lent, record.helpers, record.links)
    process = Process.adopt(record.pid, record.start_time)
    if process is None:
        host.take_back(record.uuid)
        forget(Path(record.directory))
        return None
    machine = Machine(record, process, host, listener)
    machine.dumper = dumper
    machine.begin()
    try:
        await machine.contact(deadline)
    except DomicileError as error:
        log.warning("machine does not answer", domain=record.name, reason=error.message)
        machine.keep_trying()
    return machine


def end_unrecorded(directories: Path) -> list[int]:
    """End every QEMU that works in a machine's directory but has no record, and remove such directories.

    A daemon that was killed between launching QEMU and writing its record leaves one. It never ran an instruction of
    its guest, for that begins only after the record stands; left alone, it could hold what the next start needs.
    """
    ended = []
    unknown = {path for path in directories.iterdir() if path.is_dir() and not recorded(path)}
    for process in Path("/proc").iterdir() if unknown else ():
        if not process.name.isdigit():
            continue
        try:
            if (process / "cwd").readlink() in unknown:
                os.kill(int(process.name), signal.SIGKILL)
                ended.append(int(process.name))
        except OSError:
            continue
    for path in unknown:
        forget(path)
    return ended
