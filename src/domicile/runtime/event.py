"""What a machine tells and asks of those who keep it. `runtime/actor` calls; the service listens."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from domicile.runtime.actor import Actor

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MachineEvent:
    """Something that happened to a machine, told after its state changed.

    ``lifecycle`` has libvirt's `event` and `detail`; ``reboot`` has neither; ``qemu`` is one of QEMU's own, as it came;
    ``job`` is a long operation's end: its number as `event`, the milliseconds it took as `detail`, its amounts as `data`.
    """

    machine: Actor
    kind: Literal["lifecycle", "reboot", "qemu", "job"]
    event: int = 0
    detail: int = 0
    name: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0


Listener = Callable[[MachineEvent], None]
Dumper = Callable[[Any], Coroutine[Any, Any, None]]


async def no_dump(machine: Actor) -> None:
    """Say that nobody writes core dumps here."""
    log.warning("a core dump was asked for, which nobody makes here", domain=machine.name)
