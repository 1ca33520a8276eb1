"""What happens in a run: its beginning and its end in the action log, so that what ran at any moment is known. Called by machines.

Who asked for it is logged with what was asked (`destroy`, `shutdown`); an end is logged whoever caused it, the guest as well.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domicile.runtime.states import Shutoff, State
from domicile.service import block_ending, happenings, hotplug
from domicile.store.values import Action, Author

if TYPE_CHECKING:
    from domicile.runtime.machine import MachineEvent
    from domicile.service.entry import Entry
    from domicile.service.service import Service

#: By whom a machine ended, where it was not the daemon at somebody's word.
_CAUSES = {Shutoff.SHUTDOWN: "guest", Shutoff.CRASHED: "guest", Shutoff.FAILED: "qemu"}


async def begun(service: Service, verb: str, author: Author, entry: Entry, revision: int, pid: int) -> None:
    """Write down that a machine runs: since when, by whose word, of which revision, on which host."""
    await service.log(verb, author, entry, revision=revision, pid=pid, host=service.machines.host)


def end_of(service: Service, entry: Entry) -> Action:
    """Describe the end of a run that is shown in the entry already."""
    why = Shutoff(entry.reason) if entry.state == State.SHUTOFF else Shutoff.CRASHED
    detail = {
        "reason": why.name.lower(),
        "revision": entry.live.revision if entry.live is not None else 0,
        "host": service.machines.host,
    }
    author, now = Author(client=_CAUSES.get(why, "")), datetime.now(UTC)
    return Action("end", author, entry.uuid, entry.name, detail=detail, at=now)


async def over(service: Service, ended: Action) -> None:
    """Forget a machine in the store and write down its end; one that another host has the claim of runs on there."""
    await service.standing.owe(f"the end of {ended.name}", _write_down, service, ended)


def _write_down(service: Service, ended: Action) -> None:
    if ended.detail["reason"] == Shutoff.MIGRATED.name.lower():
        claim = service.store.claim_of(ended.uuid)
        if claim is not None and claim.host != service.machines.host:
            ended = replace(ended, verb="leave")
    service.store.drop_machine(ended.uuid, service.machines.host, ended)


def pass_on(service: Service, entry: Entry, event: MachineEvent) -> None:
    """Tell of what happens to a machine and is no change of state."""
    if event.kind == "reboot":
        service.happened(entry, "reboot")
    elif event.kind == "job":
        service.happened(entry, "job_completed", event.event, event.detail, event.data)
    else:
        service.happened(entry, "qemu", event.name, event.at, event.data)
        for kind, args in happenings.heard(entry, event.name, event.data):
            service.happened(entry, kind, *args)
        hotplug.happened(service, entry, event)
        block_ending.heard(service, entry, event.name, event.data)
