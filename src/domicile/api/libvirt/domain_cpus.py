"""Handlers that change a domain's virtual CPUs and I/O threads, and the host CPUs they may run on.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.author import author
from domicile.api.libvirt.flags import Affect, affected, known, of_config, only_one
from domicile.api.libvirt.params import Kind, values
from domicile.api.libvirt.reference import entry_of, machine_of
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import FROM_DOMAIN, FROM_NONE, DomicileError, InvalidRequest, WrongState
from domicile.domain.edit import cpus as edit
from domicile.host import affinity
from domicile.rpc.calls import domain_tune as calls
from domicile.rpc.records import IoThreadInfo
from domicile.rpc.types import Domain, TypedParam
from domicile.schema.scalar import NUMBERS, numbers, spans
from domicile.service import live_cpus

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.changes import Running
    from domicile.service.entry import Entry
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
ARGUMENT_UNSUPPORTED = 74
_MAXIMUM, _GUEST, _HOTPLUGGABLE = 4, 8, 16


@handlers.handle(calls.domain_set_vcpus_flags)
async def set_vcpus_flags(conn: Session[Service], dom: Domain, nvcpus: int, flags: int) -> None:
    """Say how many virtual CPUs a domain has, or how many it may have."""
    known(flags, 31, "domain_set_vcpus_flags")
    await _set_vcpus(conn, dom, nvcpus, flags)


@handlers.handle(calls.domain_set_vcpus)
async def set_vcpus(conn: Session[Service], dom: Domain, nvcpus: int) -> None:
    """Say how many virtual CPUs a running domain has."""
    await _set_vcpus(conn, dom, nvcpus, Affect.LIVE)


async def _set_vcpus(conn: Session[Service], dom: Domain, count: int, flags: int) -> None:
    entry = entry_of(conn, dom)
    if not count:
        raise InvalidRequest("there must be at least one virtual CPU", domain=FROM_DOMAIN)
    only_one(flags, GUEST=_GUEST, CONFIG=Affect.CONFIG)
    only_one(flags, GUEST=_GUEST, MAXIMUM=_MAXIMUM)
    live, config = affected(entry, flags)
    if flags & _GUEST:
        machine_of(conn, dom)
        raise DomicileError("QEMU guest agent is not configured", code=ARGUMENT_UNSUPPORTED)
    who = author(conn, "setvcpus")
    if flags & _MAXIMUM:
        if live:
            raise WrongState("the most virtual CPUs there can be are fixed while a domain runs; --config is accepted")
        await conn.context.changes.apply(
            entry, who, live=False, config=True, stored=lambda domain: edit.set_maximum(domain, count), bears=("vcpu",)
        )
        return
    plug = bool(flags & _HOTPLUGGABLE)
    await conn.context.changes.apply(
        entry, who, live=live, config=config,
        stored=lambda domain: edit.set_count(domain, count, "persistent", hotpluggable=plug),
        running=_nothing, act=lambda state: live_cpus.set_count(state, count),
    )  # fmt: skip


def _nothing(domain: object) -> None:
    """Change no document: the machine's is written by what is done to the machine."""


@handlers.handle(calls.domain_set_vcpu)
async def set_vcpu(conn: Session[Service], dom: Domain, cpumap: str, state: int, flags: int) -> None:
    """Plug single virtual CPUs in or out."""
    known(flags, 3, "domain_set_vcpu")
    entry = entry_of(conn, dom)
    if state not in (0, 1):
        raise InvalidRequest(f"unsupported state value {state}; 0 (out) and 1 (in) are accepted")
    live, config = affected(entry, flags)
    wanted = _set_of(cpumap)
    await conn.context.changes.apply(
        entry, author(conn, "setvcpu"), live=live, config=config,
        stored=lambda domain: edit.set_state(domain, wanted, on=bool(state)),
        running=_nothing, act=lambda running: live_cpus.set_state(running, wanted, on=bool(state)),
    )  # fmt: skip


def _set_of(text: str) -> set[int]:
    try:
        found = set(numbers(NUMBERS.parse(text)))
    except ValueError:
        found = set()
    if not found:
        raise InvalidRequest(f"Failed to parse bitmap '{text}'; {NUMBERS.accepted} is accepted", domain=FROM_NONE)
    return found


# Where they may run.


@handlers.handle(calls.domain_pin_vcpu_flags)
async def pin_vcpu_flags(conn: Session[Service], dom: Domain, vcpu: int, cpumap: bytes, flags: int) -> None:
    """Hold a virtual CPU to host CPUs."""
    known(flags, 3, "domain_pin_vcpu_flags")
    await _pin_vcpu(conn, dom, vcpu, cpumap, flags)


@handlers.handle(calls.domain_pin_vcpu)
async def pin_vcpu(conn: Session[Service], dom: Domain, vcpu: int, cpumap: bytes) -> None:
    """Hold a running domain's virtual CPU to host CPUs."""
    await _pin_vcpu(conn, dom, vcpu, cpumap, Affect.LIVE)


async def _pin_vcpu(conn: Session[Service], dom: Domain, vcpu: int, cpumap: bytes, flags: int) -> None:
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    cpus = affinity.of_map(cpumap)
    await conn.context.changes.apply(
        entry, author(conn, "vcpupin"), live=live, config=config,
        stored=lambda domain: edit.pin_vcpu(domain, vcpu, cpus, "persistent"),
        running=lambda domain: edit.pin_vcpu(domain, vcpu, cpus, "live"),
        act=lambda state: live_cpus.hold_vcpus(state.machine, state.domain, [vcpu]),
    )  # fmt: skip
    _tell(conn, entry, live, f"vcpupin{vcpu}", cpus)


def _tell(conn: Session[Service], entry: Entry, live: bool, what: str, cpus: list[int]) -> None:
    if live:
        conn.context.happened(entry, "tunable", [TypedParam(f"cputune.{what}", Kind.STRING, spans(cpus))])


@handlers.handle(calls.domain_pin_emulator)
async def pin_emulator(conn: Session[Service], dom: Domain, cpumap: bytes, flags: int) -> None:
    """Hold QEMU's own threads to host CPUs."""
    known(flags, 3, "domain_pin_emulator")
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    cpus = affinity.of_map(cpumap)
    await conn.context.changes.apply(
        entry, author(conn, "emulatorpin"), live=live, config=config,
        stored=lambda domain: edit.pin_emulator(domain, cpus),
        act=lambda state: live_cpus.hold_emulator(state.machine, state.domain),
    )  # fmt: skip
    _tell(conn, entry, live, "emulatorpin", cpus)


@handlers.handle(calls.domain_get_vcpu_pin_info)
def get_vcpu_pin_info(conn: Session[Service], dom: Domain, ncpumaps: int, maplen: int, flags: int) -> tuple[bytes, int]:
    """Say which host CPUs the virtual CPUs may run on, a bit map each."""
    known(flags, 3, "domain_get_vcpu_pin_info")
    entry = entry_of(conn, dom)
    config = of_config(entry, flags)
    domain = conn.context.domain(entry, inactive=config)
    count = min(max(0, ncpumaps), edit.maximum(domain))
    return b"".join(affinity.to_map(edit.vcpu_pin(domain, number), maplen) for number in range(count)), count


@handlers.handle(calls.domain_get_emulator_pin_info)
def get_emulator_pin_info(conn: Session[Service], dom: Domain, maplen: int, flags: int) -> tuple[bytes, int]:
    """Say which host CPUs QEMU's own threads may run on."""
    known(flags, 3, "domain_get_emulator_pin_info")
    entry = entry_of(conn, dom)
    domain = conn.context.domain(entry, inactive=of_config(entry, flags))
    return affinity.to_map(edit.emulator_pin(domain), maplen), 1


# I/O threads.


@handlers.handle(calls.domain_get_iothread_info)
def get_iothread_info(conn: Session[Service], dom: Domain, flags: int) -> tuple[list[IoThreadInfo], int]:
    """List the I/O threads and the host CPUs they may run on."""
    known(flags, 3, "domain_get_iothread_info")
    entry = entry_of(conn, dom)
    domain = conn.context.domain(entry, inactive=of_config(entry, flags))
    length = (affinity.host_cpus() + 7) // 8
    found = [
        IoThreadInfo(number, affinity.to_map(edit.thread_pin(domain, number), length))
        for number in edit.threads(domain)
    ]
    return found, len(found)


@handlers.handle(calls.domain_add_iothread)
async def add_iothread(conn: Session[Service], dom: Domain, iothread: int, flags: int) -> None:
    """Add an I/O thread."""
    known(flags, 3, "domain_add_iothread")
    entry = entry_of(conn, dom)
    _numbered(iothread)
    live, config = affected(entry, flags)
    await conn.context.changes.apply(
        entry, author(conn, "iothreadadd"), live=live, config=config,
        stored=lambda domain: edit.add_thread(domain, iothread),
        act=lambda state: live_cpus.add_thread(state, iothread),
    )  # fmt: skip


@handlers.handle(calls.domain_del_iothread)
async def del_iothread(conn: Session[Service], dom: Domain, iothread: int, flags: int) -> None:
    """Remove an I/O thread that nothing uses."""
    known(flags, 3, "domain_del_iothread")
    entry = entry_of(conn, dom)
    _numbered(iothread)
    live, config = affected(entry, flags)
    await conn.context.changes.apply(
        entry, author(conn, "iothreaddel"), live=live, config=config,
        stored=lambda domain: edit.remove_thread(domain, iothread),
        act=lambda state: live_cpus.remove_thread(state, iothread),
    )  # fmt: skip


def _numbered(iothread: int) -> None:
    if not iothread:
        raise InvalidRequest("I/O threads are numbered from 1", domain=FROM_DOMAIN)


@handlers.handle(calls.domain_pin_iothread)
async def pin_iothread(conn: Session[Service], dom: Domain, iothread: int, cpumap: bytes, flags: int) -> None:
    """Hold an I/O thread to host CPUs."""
    known(flags, 3, "domain_pin_iothread")
    entry = entry_of(conn, dom)
    live, config = affected(entry, flags)
    cpus = affinity.of_map(cpumap)
    await conn.context.changes.apply(
        entry, author(conn, "iothreadpin"), live=live, config=config,
        stored=lambda domain: edit.pin_thread(domain, iothread, cpus),
        act=lambda state: live_cpus.hold_thread(state.machine, state.domain, iothread),
    )  # fmt: skip
    _tell(conn, entry, live, f"iothreadpin{iothread}", cpus)


_THREAD = {
    "poll_max_ns": Kind.ULLONG, "poll_grow": Kind.UINT, "poll_shrink": Kind.UINT,
    "thread_pool_min": Kind.INT, "thread_pool_max": Kind.INT,
}  # fmt: skip


@handlers.handle(calls.domain_set_iothread_params)
async def set_iothread_params(
    conn: Session[Service], dom: Domain, iothread: int, params: list[TypedParam], flags: int
) -> None:
    """Change how an I/O thread works."""
    known(flags, 3, "domain_set_iothread_params")
    entry = entry_of(conn, dom)
    _numbered(iothread)
    wanted = values(params, _THREAD)
    live, config = affected(entry, flags)

    async def act(state: Running) -> None:
        await live_cpus.tune_thread(state, iothread, wanted)

    await conn.context.changes.apply(
        entry, author(conn, "iothreadset"), live=live, config=config,
        stored=lambda domain: edit.tune_thread(domain, iothread, wanted, live=False),
        running=lambda domain: edit.tune_thread(domain, iothread, wanted, live=True), act=act,
    )  # fmt: skip
