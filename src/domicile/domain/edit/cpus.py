"""Changes of virtual CPUs, of I/O threads, and of the host CPUs they may run on. Called by service."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from domicile.base.errors import FROM_DOMAIN, InvalidRequest, Unsupported, WrongState
from domicile.devices.controller import Controller
from domicile.devices.disk import Disk
from domicile.domain.domain import Domain, IoThread, IoThreadIds
from domicile.domain.memory import Vcpu, Vcpus, VcpuState
from domicile.domain.tuning import CpuTune, EmulatorPin, IoThreadPin, VcpuPin
from domicile.schema.scalar import numbers, spans


def maximum(domain: Domain) -> int:
    """Say how many virtual CPUs there can be."""
    return domain.vcpu.value if domain.vcpu is not None and domain.vcpu.value else 1


def online(domain: Domain) -> set[int]:
    """Say which virtual CPUs are plugged in."""
    if domain.vcpus is not None and domain.vcpus.vcpu:
        return {each.id or 0 for each in domain.vcpus.vcpu if each.enabled}
    now = domain.vcpu.current if domain.vcpu is not None and domain.vcpu.current else maximum(domain)
    return set(range(now))


def set_maximum(domain: Domain, count: int) -> None:
    """Say how many virtual CPUs there can be. Raises: InvalidRequest where the CPU's topology says otherwise."""
    topology = domain.cpu.topology if domain.cpu is not None else None
    if topology is not None and topology.sockets:
        factors = [getattr(topology, slot) or 1 for slot in ("sockets", "dies", "clusters", "cores", "threads")]
        product = 1
        for factor in factors:
            product *= factor
        if product != count:
            raise InvalidRequest(f"the CPU's <topology> has {product} CPUs, not the desired vcpu count {count}")
    vcpu = domain.vcpu = domain.vcpu or Vcpu(placement="static")
    now = len(online(domain))
    vcpu.value, vcpu.current = count, now if now < count else None
    if domain.vcpus is not None:
        kept = [each for each in domain.vcpus.vcpu if (each.id or 0) < count]
        known = {each.id for each in kept}
        kept += [VcpuState(id=number, enabled=False) for number in range(count) if number not in known]
        domain.vcpus.vcpu = kept
        _count(domain)


def set_count(domain: Domain, count: int, whose: str, *, hotpluggable: bool = False) -> None:
    """Say how many virtual CPUs are plugged in. Raises: InvalidRequest where there cannot be so many."""
    most = maximum(domain)
    if count > most:
        raise InvalidRequest(
            f"requested vcpus is greater than max allowable vcpus for the {whose} domain: {count} > {most}"
        )
    vcpu = domain.vcpu = domain.vcpu or Vcpu(placement="static", value=most)
    if domain.vcpus is None and not hotpluggable:
        vcpu.current = count if count < most else None
        return
    states = _states(domain)
    here = [each for each in states if each.enabled]
    for each in [each for each in states if not each.enabled][: max(0, count - len(here))]:
        each.enabled, each.hotpluggable = True, hotpluggable
    surplus = sorted(here[1:], key=lambda each: (bool(each.hotpluggable), each.id or 0), reverse=True)
    for each in surplus[: max(0, len(here) - count)]:
        each.enabled, each.hotpluggable, each.order = False, None, None
    _count(domain)


def set_state(domain: Domain, wanted: Collection[int], *, on: bool) -> None:
    """Plug single virtual CPUs in or out of a definition. Raises: InvalidRequest."""
    states = {each.id or 0: each for each in _states(domain)}
    for number in sorted(wanted):
        state = states.get(number)
        if state is None:
            raise InvalidRequest(f"vcpu {number} is not present in persistent config")
        if state.enabled and not state.hotpluggable:
            raise InvalidRequest(f"vCPU '{number}' can't be modified; one that is offline or hot-pluggable can")
    for number in wanted:
        states[number].enabled = on
        states[number].hotpluggable = True if on else None
        states[number].order = None
    _count(domain)


def show_live(domain: Domain, order: dict[int, int], hotpluggable: Collection[int], new: Collection[int] = ()) -> None:
    """Write down which virtual CPUs of a running machine are plugged in, by the order in which they came.

    Of `new` ones it is not known yet whether they can be unplugged again.
    """
    most = maximum(domain)
    domain.vcpus = Vcpus(
        vcpu=[
            VcpuState(
                id=number,
                enabled=number in order,
                hotpluggable=None if number in new else number in hotpluggable,
                order=order.get(number),
            )
            for number in range(most)
        ]
    )
    _count(domain)


def _states(domain: Domain) -> list[VcpuState]:
    """Give the virtual CPUs one by one, written down from now on."""
    if domain.vcpus is None or not domain.vcpus.vcpu:
        here = online(domain)
        domain.vcpus = Vcpus(
            vcpu=[
                VcpuState(id=n, enabled=n in here, hotpluggable=False if n in here else None)
                for n in range(maximum(domain))
            ]
        )
    return domain.vcpus.vcpu


def _count(domain: Domain) -> None:
    most, now = maximum(domain), len(online(domain))
    assert domain.vcpu is not None
    domain.vcpu.current = now if now < most else None


# Host CPUs.


def _tune(domain: Domain) -> CpuTune:
    domain.cputune = domain.cputune or CpuTune()
    return domain.cputune


def pin_vcpu(domain: Domain, number: int, cpus: Iterable[int], whose: str) -> None:
    """Say which host CPUs a virtual CPU may run on. Raises: InvalidRequest where there is no such CPU."""
    if number >= maximum(domain):
        raise InvalidRequest(f"vcpu {number} is out of range of {whose} cpu count {maximum(domain)}")
    if whose == "live" and number not in online(domain):
        raise InvalidRequest(f"vcpu {number} is not plugged in")
    tune = _tune(domain)
    found = next((pin for pin in tune.vcpupin if pin.vcpu == number), None)
    if found is None:
        found = VcpuPin(vcpu=number)
        tune.vcpupin = sorted([*tune.vcpupin, found], key=lambda pin: pin.vcpu or 0)
    found.cpuset = spans(cpus)


def pin_emulator(domain: Domain, cpus: Iterable[int]) -> None:
    """Say which host CPUs QEMU's own threads may run on."""
    _tune(domain).emulatorpin = EmulatorPin(cpuset=spans(cpus))


def pin_thread(domain: Domain, number: int, cpus: Iterable[int]) -> None:
    """Say which host CPUs an I/O thread may run on. Raises: InvalidRequest where there is no such thread."""
    if number not in threads(domain):
        raise InvalidRequest(f"iothreadid {number} not found")
    tune = _tune(domain)
    found = next((pin for pin in tune.iothreadpin if pin.iothread == number), None)
    if found is None:
        found = IoThreadPin(iothread=number)
        tune.iothreadpin = sorted([*tune.iothreadpin, found], key=lambda pin: pin.iothread or 0)
    found.cpuset = spans(cpus)


def _anywhere(domain: Domain) -> list[int] | None:
    cpuset = domain.vcpu.cpuset if domain.vcpu is not None else None
    return numbers(cpuset) if cpuset else None


def vcpu_pin(domain: Domain, number: int) -> list[int] | None:
    """Say which host CPUs a virtual CPU is held to; None for all."""
    pins = domain.cputune.vcpupin if domain.cputune is not None else []
    found = next((pin.cpuset for pin in pins if pin.vcpu == number), None)
    return numbers(found) if found else _anywhere(domain)


def policies(domain: Domain, kind: str) -> dict[int, tuple[str, int]]:
    """Say how threads of one kind ("vcpu", "iothread") are scheduled: by number, the policy and its priority."""
    tune = domain.cputune
    if tune is None:
        return {}
    given = tune.vcpusched if kind == "vcpu" else tune.iothreadsched
    return {
        number: (sched.scheduler, sched.priority or 0)
        for sched in given
        if sched.scheduler is not None
        for number in numbers((sched.vcpus if kind == "vcpu" else sched.iothreads) or "")
    }


def emulator_pin(domain: Domain) -> list[int] | None:
    """Say which host CPUs QEMU's own threads are held to; None for all."""
    pin = domain.cputune.emulatorpin if domain.cputune is not None else None
    return numbers(pin.cpuset) if pin is not None and pin.cpuset else _anywhere(domain)


def thread_pin(domain: Domain, number: int) -> list[int] | None:
    """Say which host CPUs an I/O thread is held to; None for all."""
    pins = domain.cputune.iothreadpin if domain.cputune is not None else []
    found = next((pin.cpuset for pin in pins if pin.iothread == number), None)
    return numbers(found) if found else _anywhere(domain)


# I/O threads.


def threads(domain: Domain) -> list[int]:
    """Number the I/O threads: those that are named, and as many more as are counted."""
    named = [thread.id or 0 for thread in domain.iothreadids.iothread] if domain.iothreadids is not None else []
    count = domain.iothreads or len(named)
    free = (number for number in range(1, count + len(named) + 1) if number not in named)
    return sorted([*named, *[next(free) for _ in range(max(0, count - len(named)))]])


def _named(domain: Domain) -> list[IoThread]:
    """Give the I/O threads one by one, written down from now on."""
    known = {thread.id: thread for thread in domain.iothreadids.iothread} if domain.iothreadids is not None else {}
    named = [known.get(number) or IoThread(id=number) for number in threads(domain)]
    domain.iothreadids = IoThreadIds(iothread=named)
    return named


def add_thread(domain: Domain, number: int) -> None:
    """Add an I/O thread. Raises: InvalidRequest where there is one of that number."""
    if number in threads(domain):
        raise InvalidRequest(f"an IOThread is already using iothread_id '{number}'", domain=FROM_DOMAIN)
    named = _named(domain)
    named.append(IoThread(id=number))
    domain.iothreads = len(named)


def remove_thread(domain: Domain, number: int) -> None:
    """Remove an I/O thread. Raises: InvalidRequest where there is none of that number, or something uses it."""
    if number not in threads(domain):
        raise InvalidRequest(f"cannot find IOThread '{number}' in iothreadids list", domain=FROM_DOMAIN)
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        driver = disk.driver
        mapped = driver.iothreads.iothread if driver is not None and driver.iothreads is not None else []
        if driver is not None and number in (driver.iothread, *[each.id for each in mapped]):
            dev = disk.target.dev if disk.target is not None else ""
            raise InvalidRequest(f"cannot remove IOThread {number} since it is being used by disk '{dev}'")
    for controller in domain.devices.of(Controller) if domain.devices is not None else []:
        if controller.driver is not None and getattr(controller.driver, "iothread", None) == number:
            raise InvalidRequest(
                f"cannot remove IOThread {number} since it is being used by controller '{controller.index}'"
            )
    named = [thread for thread in _named(domain) if thread.id != number]
    domain.iothreads = len(named) or None
    domain.iothreadids = IoThreadIds(iothread=named) if named else None
    if domain.cputune is not None:
        domain.cputune.iothreadpin = [pin for pin in domain.cputune.iothreadpin if pin.iothread != number]


def tune_thread(domain: Domain, number: int, wanted: dict[str, int], *, live: bool) -> None:
    """Change how an I/O thread works. Raises: InvalidRequest, Unsupported, WrongState."""
    if number not in threads(domain):
        raise InvalidRequest(f"cannot find IOThread '{number}' in iothreadids list", domain=FROM_DOMAIN)
    if not live and any(name.startswith("poll_") for name in wanted):
        raise Unsupported("configuring persistent polling values is not supported", code=84)
    thread = next(each for each in _named(domain) if each.id == number)
    least, most = wanted.get("thread_pool_min", thread.thread_pool_min), wanted.get("thread_pool_max")
    most = most if most is not None else thread.thread_pool_max
    if least is not None and least > (-1 if most is None else most):
        told = -1 if most is None else most
        raise WrongState(f"thread_pool_min ({least}) can't be greater than thread_pool_max ({told})")
    thread.thread_pool_min, thread.thread_pool_max = least, most
