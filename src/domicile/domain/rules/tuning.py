"""The host's scheduling of CPUs, one by one, and which virtual CPUs there are at start. Called by domain/complete.

Source: libvirt's documentation of CPU tuning; observed with libvirt 9.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from domicile.base.errors import INTERNAL_ERROR, XML_ERROR
from domicile.domain.domain import Domain
from domicile.domain.memory import Vcpu, VcpuState
from domicile.domain.tuning import CpuTune, Sched
from domicile.plan.facts import Completion
from domicile.schema.scalar import numbers

_OWNERS = ("", "global_", "emulator_", "iothread_")
_PERIOD = 1000, 1000000
_QUOTA = 1000, (2**64 - 1) // 2**20
_SHARES = 2, 262144
_REAL_TIME = ("fifo", "rr")


def settle(domain: Domain, c: Completion) -> None:
    """Count the virtual CPUs that are listed, and say of each CPU and thread alone how it is scheduled, in their order."""
    _listed(domain, c)
    tune = domain.cputune
    if tune is None:
        return
    for owner in _OWNERS:
        for slot in (f"{owner}period", f"{owner}quota"):
            if getattr(tune, slot) == 0:
                setattr(tune, slot, None)
    most = domain.vcpu.value if domain.vcpu is not None and domain.vcpu.value else 1
    tune.vcpupin = sorted((p for p in tune.vcpupin if (p.vcpu or 0) < most), key=lambda p: p.vcpu or 0)
    tune.iothreadpin.sort(key=lambda p: p.iothread or 0)
    for kind, slot in (("vcpusched", "vcpus"), ("iothreadsched", "iothreads")):
        each = [one for sched in getattr(tune, kind) for one in _one_by_one(sched, slot)]
        setattr(tune, kind, sorted(each, key=lambda s: numbers(getattr(s, slot) or "")))
    for sched in (*tune.vcpusched, *tune.iothreadsched, *([tune.emulatorsched] if tune.emulatorsched else [])):
        if sched.scheduler not in _REAL_TIME:
            sched.priority = None


def _one_by_one(sched: Sched, slot: str) -> Iterator[Sched]:
    named = numbers(getattr(sched, slot) or "")
    if len(named) < 2:
        yield sched
        return
    for number in named:
        made = Sched(scheduler=sched.scheduler, priority=sched.priority, **{slot: str(number)})
        made.source_line = sched.source_line
        yield made


def _listed(domain: Domain, c: Completion) -> None:
    listed = domain.vcpus.vcpu if domain.vcpus is not None else []
    vcpu = domain.vcpu
    if not listed:
        domain.vcpus = None
    if not listed or vcpu is None or not vcpu.value:
        return
    known = {state.id: state for state in listed if state.id is not None}
    if max(known, default=0) >= vcpu.value or len(known) != len([s for s in listed if s.id is not None]):
        return
    for number in range(vcpu.value):
        if number not in known:
            # A CPU that nobody speaks of may be added later.
            known[number] = VcpuState(id=number, enabled=False, hotpluggable=True)
            c.add(known[number], "the others are listed", "其余均已列出")
    listed[:] = [known[number] for number in sorted(known)]
    there = sum(1 for state in listed if state.enabled)
    if there != (vcpu.current or vcpu.value):
        c.default(vcpu, "current", there, "as many as are listed as enabled", "与列为启用的数量相同")
    if vcpu.current == vcpu.value:
        vcpu.current = None


def check(domain: Domain, c: Completion) -> None:
    """Find what is out of range, and CPUs and threads that are not there."""
    if domain.vcpu is not None:
        _states(domain, domain.vcpu, c)
    tune = domain.cputune
    if tune is None:
        return
    _ranges(tune, c)
    vcpus = set(range(domain.vcpu.value if domain.vcpu is not None and domain.vcpu.value else 1))
    count = domain.iothreads or 0
    listed = [thread.id or 0 for thread in domain.iothreadids.iothread] if domain.iothreadids is not None else []
    threads = set(listed) or set(range(1, count + 1))
    _pins(tune, threads, c)
    _schedulers(tune, vcpus, threads, c)
    for kind in ("cachetune", "memorytune"):
        if getattr(tune, kind) and domain.type != "kvm":
            c.problem(tune, f"<{kind}> needs a domain of type 'kvm'", f"no <{kind}>", kind)


def _ranges(tune: CpuTune, c: Completion) -> None:
    limits = {"shares": _SHARES}
    for owner in _OWNERS:
        limits |= {f"{owner}period": _PERIOD, f"{owner}quota": _QUOTA}
    for slot, (least, most) in limits.items():
        value = getattr(tune, slot)
        if value and value > 0 and not least <= value <= most:
            c.problem(tune, f"element '{slot}' has the value '{value}'", f"{least} to {most}", slot)


def _pins(tune: CpuTune, threads: set[int], c: Completion) -> None:
    for pins, slot in ((tune.vcpupin, "vcpu"), (tune.iothreadpin, "iothread")):
        seen: set[int] = set()
        for pin in pins:
            tag, number = pin.shape.tag, getattr(pin, slot)
            if number is None:
                c.problem(pin, f"element '{tag}' has no attribute '{slot}'", "a number", f"@{slot}", XML_ERROR)
                continue
            if pin.cpuset is None:
                c.problem(pin, f"element '{tag}' has no attribute 'cpuset'", "host CPUs", "@cpuset", INTERNAL_ERROR)
            if number in seen:
                what = f"there are two elements '{tag}' for '{slot}' '{number}'"
                c.problem(pin, what, "one for each", f"@{slot}", INTERNAL_ERROR)
            if slot == "iothread" and number not in threads:
                c.problem(pin, f"there is no 'iothread' '{number}'", "one of <iothreadids>", "@iothread")
            seen.add(number)
    if tune.emulatorpin is not None and tune.emulatorpin.cpuset is None:
        what = "element 'emulatorpin' has no attribute 'cpuset'"
        c.problem(tune.emulatorpin, what, "host CPUs", "@cpuset", INTERNAL_ERROR)


def _schedulers(tune: CpuTune, vcpus: set[int], threads: set[int], c: Completion) -> None:
    for scheds, tag, slot, there in (
        (tune.vcpusched, "vcpusched", "vcpus", vcpus),
        (tune.iothreadsched, "iothreadsched", "iothreads", threads),
        ([tune.emulatorsched] if tune.emulatorsched is not None else [], "emulatorsched", "", set()),
    ):
        seen: set[int] = set()
        for sched in scheds:
            named = numbers(getattr(sched, slot) or "") if slot else []
            if sched.scheduler is None:
                c.problem(
                    sched,
                    f"element '{tag}' has no attribute 'scheduler'",
                    "batch, idle, fifo, rr",
                    "@scheduler",
                    XML_ERROR,
                )
            elif sched.scheduler in _REAL_TIME and sched.priority is None:
                c.problem(sched, f"element '{tag}' has no attribute 'priority'", "a number", "@priority", XML_ERROR)
            if slot and not named:
                c.problem(sched, f"element '{tag}' has no attribute '{slot}'", "numbers", f"@{slot}", XML_ERROR)
            for number in named:
                if number in seen:
                    what = f"'{tag}' says '{slot}' '{number}' twice"
                    c.problem(sched, what, "each once", f"@{slot}", XML_ERROR)
                elif number not in there:
                    what = f"'{tag}' names '{number}' in '{slot}', which is not there"
                    c.problem(sched, what, "one that is there", f"@{slot}")
                seen.add(number)


def _states(domain: Domain, vcpu: Vcpu, c: Completion) -> None:
    listed = domain.vcpus.vcpu if domain.vcpus is not None else []
    for state in listed:
        if state.id is None or state.enabled is None:
            slot = "id" if state.id is None else "enabled"
            c.problem(state, f"element 'vcpu' of 'vcpus' has no attribute '{slot}'", "", f"@{slot}", XML_ERROR)
        elif vcpu.value is not None and state.id >= vcpu.value:
            what = f"virtual CPU '{state.id}' is listed, but there are {vcpu.value}"
            c.problem(state, what, f"0 to {vcpu.value - 1}", "@id", XML_ERROR)
        elif state.id == 0 and (not state.enabled or state.hotpluggable):
            c.problem(state, "virtual CPU '0' must always be there", "enabled='yes' hotpluggable='no'", "@enabled")
