"""Virtual CPUs and I/O threads of a running machine: plugged, unplugged, held to host CPUs. Called by the front doors' handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from domicile.base.errors import InvalidRequest, Unsupported, WrongState
from domicile.domain.domain import Domain
from domicile.domain.edit import cpus as edit
from domicile.host import affinity
from domicile.runtime.machine import Machine
from domicile.service import removal
from domicile.service.changes import Running

OPERATION_UNSUPPORTED = 84
# How QEMU names a CPU's place, the widest first.
_PLACE = ("node-id", "drawer-id", "book-id", "socket-id", "die-id", "cluster-id", "module-id", "core-id", "thread-id")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one or more virtual CPUs, as QEMU has it: `first` is the number of its first CPU."""

    first: int
    count: int
    kind: str
    props: dict[str, Any]
    path: str | None

    @property
    def numbers(self) -> range:
        """The numbers of its virtual CPUs."""
        return range(self.first, self.first + self.count)

    @property
    def removable(self) -> bool:
        """Whether what is there, or may come there, can be unplugged."""
        return self.path is None or self.path.startswith("/machine/peripheral")


async def slots(state: Running) -> list[Slot]:
    """List the places for virtual CPUs in the order of their numbers. Raises: Unsupported."""
    try:
        found = await state.qmp("query-hotpluggable-cpus")
    except Exception as fault:
        raise Unsupported(f"this machine cannot change its number of CPUs while it runs: {fault}") from fault
    found.sort(key=lambda each: [each["props"].get(name, 0) for name in _PLACE])
    made, first = [], 0
    for each in found:
        made.append(Slot(first, each["vcpus-count"], each["type"], each["props"], each.get("qom-path")))
        first += each["vcpus-count"]
    return made


async def set_count(state: Running, count: int) -> None:
    """Plug in or out as many as it takes. Raises: InvalidRequest, Unsupported."""
    await _carry_out(state, *await reachable(state, count))


async def reachable(state: Running, count: int) -> tuple[list[Slot], list[Slot]]:
    """Choose the places to plug in or out for a number of CPUs; all places come before them. Raises: InvalidRequest, Unsupported."""
    most = edit.maximum(state.domain)
    if count > most:
        raise InvalidRequest(
            f"requested vcpus is greater than max allowable vcpus for the live domain: {count} > {most}"
        )
    places = await slots(state)
    now = sum(place.count for place in places if place.path)
    chosen: list[Slot] = []
    if count > now:
        free = (place for place in places if place.path is None)
        while now < count and (place := next(free, None)) is not None:
            chosen.append(place)
            now += place.count
    else:
        taken = (place for place in reversed(places) if place.path and place.removable and place.first)
        while now > count and (place := next(taken, None)) is not None:
            chosen.append(place)
            now -= place.count
    if now != count:
        raise Unsupported("failed to find appropriate hotpluggable vcpus to reach the desired target vcpu count")
    return places, chosen


async def set_state(state: Running, wanted: Collection[int], *, on: bool) -> None:
    """Plug single virtual CPUs in or out. Raises: InvalidRequest, Unsupported."""
    places = await slots(state)
    chosen: list[Slot] = []
    for number in sorted(wanted):
        place = next((each for each in places if number in each.numbers), None)
        if place is None or number >= edit.maximum(state.domain):
            raise InvalidRequest(f"vCPU '{number}' is not present in live domain")
        if not set(place.numbers) <= set(wanted):
            raise InvalidRequest(f"vCPU '{number}' belongs to a group of {place.count}; all of them would be accepted")
        if bool(place.path) == on:
            continue
        if not on and not place.removable:
            raise Unsupported(f"vcpu '{number}' can't be unplugged", code=OPERATION_UNSUPPORTED)
        if place not in chosen:
            chosen.append(place)
    await _carry_out(state, places, chosen)


async def _carry_out(state: Running, places: list[Slot], chosen: list[Slot]) -> None:
    """Plug or unplug places, and write down what is there after each."""
    known = (
        {each.id or 0: each.order or 0 for each in state.domain.vcpus.vcpu} if state.domain.vcpus is not None else {}
    )
    here = [number for place in places if place.path for number in place.numbers]
    order = {number: known.get(number) or turn for turn, number in enumerate(here, 1)}
    removable = {number for place in places if place.removable for number in place.numbers}
    new: set[int] = set()
    for place in chosen:
        if place.path is None:
            await state.qmp("device_add", {"driver": place.kind, "id": f"vcpu{place.first}", **place.props})
            for number in place.numbers:
                order[number] = max(order.values(), default=0) + 1
                new.add(number)
        else:
            await removal.remove(state, place.path.rpartition("/")[2])
            for number in place.numbers:
                order.pop(number, None)
        edit.show_live(state.domain, order, removable, new)
        await state.service.changes.keep(state)
    if not chosen:
        edit.show_live(state.domain, order, removable)
    changed = {n for place in chosen for n in place.numbers} & set(order)
    await hold_vcpus(state.machine, state.domain, changed)
    await schedule_threads(state.machine, state.domain, "vcpu", changed)


# Host CPUs.


async def vcpu_threads(machine: Machine) -> dict[int, int]:
    """Give the threads of virtual CPUs by their numbers."""
    return {each["cpu-index"]: each["thread-id"] for each in await machine.qmp("query-cpus-fast")}


async def io_threads(machine: Machine) -> dict[int, int]:
    """Give the I/O threads by the numbers of the document."""
    found = {}
    for each in await machine.qmp("query-iothreads"):
        number = each["id"].removeprefix("iothread")
        if number.isdigit():
            found[int(number)] = each["thread-id"]
    return found


async def hold_vcpus(machine: Machine, domain: Domain, numbers: Iterable[int]) -> None:
    """Hold virtual CPUs to the host CPUs the document names. Raises: HostFailure."""
    wanted = {number: edit.vcpu_pin(domain, number) for number in numbers}
    if any(pin is not None for pin in wanted.values()):
        known = await vcpu_threads(machine)
        for number, pin in wanted.items():
            if pin is not None and number in known:
                await asyncio.to_thread(affinity.hold, [known[number]], pin)


async def hold_thread(machine: Machine, domain: Domain, number: int) -> None:
    """Hold an I/O thread to the host CPUs the document names. Raises: HostFailure."""
    pin = edit.thread_pin(domain, number)
    known = await io_threads(machine) if pin is not None else {}
    if number in known:
        await asyncio.to_thread(affinity.hold, [known[number]], pin)


async def hold_emulator(machine: Machine, domain: Domain) -> None:
    """Hold QEMU's own threads to the host CPUs the document names. Raises: HostFailure."""
    pin = edit.emulator_pin(domain)
    if pin is None:
        return
    others = set((await vcpu_threads(machine)).values()) | set((await io_threads(machine)).values())
    await asyncio.to_thread(affinity.hold, affinity.tasks_of(machine.pid) - others, pin)


async def schedule_threads(machine: Machine, domain: Domain, kind: str, numbers: Iterable[int] | None = None) -> None:
    """Give threads of a kind ("vcpu", "iothread"; all or some) the policy the document names. Raises: HostFailure."""
    wanted = edit.policies(domain, kind)
    if numbers is not None:
        wanted = {number: wanted[number] for number in numbers if number in wanted}
    if not wanted:
        return
    known = await (vcpu_threads(machine) if kind == "vcpu" else io_threads(machine))
    for number, (policy, priority) in wanted.items():
        if number in known:
            await asyncio.to_thread(affinity.schedule, [known[number]], policy, priority)


async def _schedule(machine: Machine, domain: Domain) -> None:
    """Give all threads of a machine that starts the policies its document names."""
    tune = domain.cputune
    if tune is None:
        return
    own = tune.emulatorsched
    if own is not None and own.scheduler is not None:
        others = set((await vcpu_threads(machine)).values()) | set((await io_threads(machine)).values())
        threads = affinity.tasks_of(machine.pid) - others
        await asyncio.to_thread(affinity.schedule, threads, own.scheduler, own.priority or 0)
    for kind in ("vcpu", "iothread"):
        await schedule_threads(machine, domain, kind)


async def hold_all(machine: Machine, domain: Domain) -> None:
    """Hold all threads of a machine that starts. Raises: HostFailure."""
    await _schedule(machine, domain)
    tune = domain.cputune
    anywhere = domain.vcpu is None or domain.vcpu.cpuset is None
    if anywhere and (tune is None or not (tune.vcpupin or tune.emulatorpin or tune.iothreadpin)):
        return
    await hold_emulator(machine, domain)
    await hold_vcpus(machine, domain, edit.online(domain))
    for number in edit.threads(domain):
        await hold_thread(machine, domain, number)


# I/O threads.


async def add_thread(state: Running, number: int) -> None:
    """Start an I/O thread."""
    await state.qmp("object-add", {"qom-type": "iothread", "id": f"iothread{number}"})
    await hold_thread(state.machine, state.domain, number)
    await schedule_threads(state.machine, state.domain, "iothread", [number])


async def remove_thread(state: Running, number: int) -> None:
    """End an I/O thread."""
    await state.qmp("object-del", {"id": f"iothread{number}"})


async def tune_thread(state: Running, number: int, wanted: dict[str, int]) -> None:
    """Change how an I/O thread works. Raises: WrongState."""
    if number not in await io_threads(state.machine):
        raise WrongState(f"I/O thread {number} is not running")
    # The greater limit first, so that the lesser never stands above it.
    for name in sorted(wanted, key=lambda each: each == "thread_pool_min"):
        arguments = {"path": f"/objects/iothread{number}", "property": name.replace("_", "-"), "value": wanted[name]}
        await state.qmp("qom-set", arguments)
