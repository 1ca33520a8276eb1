"""Finding running machines again after the daemon was away.

The daemon calls `reattach` for every record it kept; all at once, since none waits for another.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from domicile.base.errors import DomicileError
from domicile.host.fulfil import Host
from domicile.qemu.process import Process
from domicile.runtime.machine import Listener, Machine
from domicile.runtime.record import Record, forget

log = structlog.get_logger(__name__)
#: Seconds a QEMU may take to answer before its machine is shown as last known and asked again in the background.
PATIENCE = 2.0


async def reattach(record: Record, host: Host, listener: Listener, deadline: float = PATIENCE) -> Machine | None:
    """Take over a machine an earlier daemon started; None where its process is gone, and then nothing is left of it.

    A QEMU that does not answer is taken over all the same, with the state last known. What the guest did meanwhile
    (power off, panic) takes effect now, as its domain's policy says.
    """
    host.remember(record.uuid, record.ports, record.lent)
    process = Process.adopt(record.pid, record.start_time)
    if process is None:
        host.take_back(record.uuid)
        forget(Path(record.directory))
        return None
    machine = Machine(record, process, host, listener)
    machine.begin()
    try:
        await machine.contact(deadline)
    except DomicileError as error:
        log.warning("machine does not answer", domain=record.name, reason=error.message)
        machine.keep_trying()
    return machine
