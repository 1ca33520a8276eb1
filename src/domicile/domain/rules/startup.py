"""How the machine starts and what beside devices it has: menus, BIOS settings, I/O threads, counters. Called by domain/complete.

Source: libvirt's documentation of the domain XML; observed with libvirt 9.0.
"""

from __future__ import annotations

from itertools import count

from domicile.base.errors import XML_ERROR
from domicile.domain.domain import Domain, IoThread
from domicile.plan.facts import Completion

_MOST_MS = 65535
# What Linux and the processor can count. Source: libvirt's documentation of performance monitoring events.
_EVENTS = (
    "cmt", "mbmt", "mbml", "cpu_cycles", "instructions", "cache_references", "cache_misses", "branch_instructions",
    "branch_misses", "bus_cycles", "stalled_cycles_frontend", "stalled_cycles_backend", "ref_cpu_cycles", "cpu_clock",
    "task_clock", "page_faults", "context_switches", "cpu_migrations", "page_faults_min", "page_faults_maj",
    "alignment_faults", "emulation_faults",
)  # fmt: skip


def settle(domain: Domain, c: Completion) -> None:
    """Leave out what says nothing, make an identity that is asked for, and count the I/O threads."""
    menu = domain.os.bootmenu if domain.os is not None else None
    if menu is not None and domain.os is not None and menu.enable is None:
        domain.os.bootmenu = None
    elif menu is not None and not menu.enable:
        menu.timeout = None  # nobody waits for a menu that is not shown
    smm = domain.features.smm if domain.features is not None else None
    if smm is not None and smm.state is False:
        smm.tseg = None
    if domain.genid == "":
        c.allocate(domain, "genid", c.host.new_uuid(), "a random identity", "随机生成的标识")
    _threads(domain, c)


def _threads(domain: Domain, c: Completion) -> None:
    """Name all I/O threads where some are named, and count them."""
    named = domain.iothreadids.iothread if domain.iothreadids is not None else []
    if not named:
        return
    if (domain.iothreads or 0) < len(named):
        c.default(domain, "iothreads", len(named), "as many as are named", "与所列数量相同")
    taken = {thread.id for thread in named}
    free = (number for number in count(1) if number not in taken)
    while len(named) < min(domain.iothreads or 0, 1024):
        thread = IoThread(id=next(free))
        named.append(thread)
        c.add(thread, "there are more than are named", "总数多于所列")


def check(domain: Domain, c: Completion) -> None:
    """Find settings that are out of range, and what QEMU does not have."""
    if domain.bootloader is not None:
        c.problem(domain, "QEMU has no 'bootloader'", "<os> with a <kernel> or firmware", "bootloader")
    os = domain.os
    if os is not None:
        _limit(os.bootmenu, "timeout", 0, c)
        _limit(os.bios, "rebootTimeout", -1, c)
        ports = getattr(domain.devices, "serial", [])
        if os.bios is not None and os.bios.useserial and not ports:
            what = "'useserial' of <bios> needs a serial port"
            c.problem(os.bios, what, "<serial type='pty'/>", "@useserial", XML_ERROR)
    _events(domain, c)


def _limit(element: object, slot: str, least: int, c: Completion) -> None:
    value = getattr(element, slot, None)
    if value is not None and not least <= value <= _MOST_MS:
        what = f"attribute '{slot}' has the value '{value}'"
        c.problem(element, what, f"{least} to {_MOST_MS}", f"@{slot}")  # type: ignore[arg-type]


def _events(domain: Domain, c: Completion) -> None:
    seen: set[str] = set()
    for node in domain.perf if domain.perf is not None else ():
        if node.tag != "event":
            continue
        name, enabled = node.get("name"), node.get("enabled")
        if name not in _EVENTS:
            what = f"attribute 'name' of element 'event' has the value '{name}'"
            c.problem(domain, what, ", ".join(_EVENTS), "perf/event/@name", XML_ERROR)
        elif name in seen:
            c.problem(domain, f"performance event '{name}' stands twice", "once", "perf/event", XML_ERROR)
        if enabled not in ("yes", "no"):
            what = f"attribute 'enabled' of element 'event' has the value '{enabled}'"
            c.problem(domain, what, "yes, no", "perf/event/@enabled", XML_ERROR)
        seen.add(name or "")
