"""From a device's plan to the QMP commands that add it to a running machine, and back. Used by hotplug and media."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from domicile.base.errors import DomicileError, HostFailure, QemuRefused
from domicile.devices.disk import Disk
from domicile.domain import document
from domicile.domain.complete import complete
from domicile.domain.domain import Domain
from domicile.domain.plan import plan_domain
from domicile.host import tap
from domicile.host.fulfil import Host, look, run_scripts
from domicile.plan.need import File, Need, Tap
from domicile.plan.qemu import Command, Item, Keyed, Option, Structured
from domicile.qemu import render
from domicile.runtime.machine import Machine
from domicile.schema import tree
from domicile.schema.shape import Element
from domicile.service import disk_sources, launching, sealing
from domicile.service.changes import Running
from domicile.service.ports import mark_of

log = structlog.get_logger(__name__)
# What QEMU says of a pseudo terminal that it made.
_REDIRECTED = "char device redirected to"
_TOKEN = re.compile(r"\{(fds?):([^{}]+)\}")


@dataclass(slots=True)
class Step:
    """One thing that was done to a running machine, and how it is taken back."""

    what: str
    back: Callable[[], Awaitable[Any]]


@dataclass(slots=True)
class Added:
    """What a plan brought into a running machine: steps to take back, taps by the devices' names."""

    machine: Machine
    steps: list[Step] = field(default_factory=list)
    taps: dict[str, str] = field(default_factory=dict)

    async def take_back(self) -> None:
        """Undo all steps, the last first; what cannot be undone is noted."""
        for step in reversed(self.steps):
            try:
                await step.back()
            except DomicileError as fault:
                log.warning("not taken back", domain=self.machine.name, what=step.what, reason=fault.message)
        self.steps.clear()


def completed(state: Running, change: Callable[[Domain], None]) -> Domain:
    """Complete a copy of the running document after a change, as a definition. Raises: InvalidDocument."""
    service = state.service
    probe = document.read_stored(document.write(state.domain))
    change(probe)
    return complete(probe, service.host, service.emulators.find).domain


def wishes(state: Running, devices: list[Element]) -> tuple[Domain, list[Item], list[Need]]:
    """Plan the running document and pick what comes of these devices, which are in it.

    The copy in which all devices have their names is returned, too.
    """
    paths = {id(element): path for path, element in tree.places(state.domain)}
    origins = {paths[id(device)] for device in devices}
    host = disk_sources.host_for(state.service, state.domain)
    plan = plan_domain(state.domain, state.caps, host, number=state.machine.id)
    items = [item for item in plan.items if item.origin in origins]
    needs = [need for need in plan.needs if need.origin in origins]
    return plan.domain, items, needs


async def check_needs(state: Running, needs: list[Need], device: Element) -> list[Need]:
    """Say before anything is done what the host lacks; the files below a disk's image count. Raises: HostFailure, Unsupported."""
    if isinstance(device, Disk):
        host = disk_sources.host_of(state.service, [device])
        needs = [*needs, *await asyncio.to_thread(launching.below, device, host)]
    found = launching.resolved(tuple(needs), mark_of(state.service.machines.host, state.machine.uuid), state.machine.name)
    for need in found:
        if isinstance(need, File) and not await asyncio.to_thread(Path(need.path).exists):
            raise HostFailure(f"Cannot access storage file '{need.path}': No such file or directory")
        if isinstance(need, Tap) and need.bridge and need.bridge not in tap.interfaces():
            raise HostFailure(f"Cannot get interface MTU on '{need.bridge}': No such device")
        look(need)
    return found


async def add(state: Running, items: list[Item], needs: list[Need], device: Element) -> Added:
    """Add what a plan asks for a device; all of it, or nothing stays. Raises: HostFailure, QemuRefused, ImageInUse."""
    machine, added = state.machine, Added(state.machine)
    directory = Path(machine.record().directory)
    items = await sealing.sealed(state.service, state.domain, items, directory, fresh=False)
    if isinstance(device, Disk):
        await _take_images(state, added, device, needs)
    resources = state.service.resources
    launching.hold_memory(machine.pid, state.domain, needs)
    try:
        given = await asyncio.to_thread(resources.add, machine.uuid, needs)
    except BaseException:
        await added.take_back()
        raise
    try:
        added.taps = dict(given.taps)
        if given.taps:
            filters, taps = state.service.filters.bindings, list(given.taps.values())
            added.steps.append(Step("filters", lambda: filters.forget(taps)))
        for token in given.taps:
            back = functools.partial(_clear_link, resources, machine.uuid, token)
            added.steps.append(Step(f"device of {token}", back))
        await asyncio.to_thread(run_scripts, needs, given)
        names = await _hand_over(machine, added, given.opened)
        for item in items:
            await _ask(machine, added, item, names)
    except BaseException:
        await added.take_back()
        raise
    finally:
        given.hand_over()
    machine.note(taps={**machine.taps, **given.taps}, lent=given.lent, links=resources.links.of(machine.uuid))
    return added


async def _clear_link(resources: Host, uuid: str, token: str) -> None:
    await asyncio.to_thread(resources.links.clear, uuid, token)


async def _take_images(state: Running, added: Added, disk: Disk, needs: list[Need]) -> None:
    """Take a disk's images before QEMU opens them; a change that is taken back leaves those that were stored last."""
    host = disk_sources.host_of(state.service, [disk])
    below = [need.path for need in needs if isinstance(need, File)]
    await state.service.images.take(state.machine.uuid, state.entry.name, disk_sources.uses_of([disk], host, below))
    added.steps.append(Step("claim of images", lambda: state.service.machines.claim_images(state.entry)))


async def _hand_over(machine: Machine, added: Added, opened: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """Give QEMU the descriptors under names."""
    names: dict[str, list[str]] = {}
    for token, fds in opened.items():
        for number, fd in enumerate(fds):
            name = f"{token}-{number}"
            await machine.pass_descriptor(name, fd)
            names.setdefault(token, []).append(name)
    return names


def _named(value: Any, names: Mapping[str, list[str]]) -> Any:
    """Put names where the plan left tokens."""
    if isinstance(value, dict):
        return {key: _named(sub, names) for key, sub in value.items()}
    if isinstance(value, str) and "{" in value:
        return _TOKEN.sub(lambda found: ":".join(names.get(found[2], [found[0]])), value)
    return value


_BACK = {
    "device": ("device_del", "id"), "netdev": ("netdev_del", "id"), "object": ("object-del", "id"),
    "blockdev": ("blockdev-del", "node-name"),
}  # fmt: skip


async def _ask(machine: Machine, added: Added, item: Item, names: Mapping[str, list[str]]) -> None:
    match item:
        case Structured():
            command, arguments = render.qmp(item)
            arguments = _named(arguments, names)
            await machine.qmp(command, arguments)
            undo, key = _BACK[item.flag]
            name = arguments[key]
            added.steps.append(
                Step(f"{command} {name}", lambda: machine.qmp(undo, {key if key != "id" else "id": name}))
            )
        case Command():
            await machine.qmp(item.execute, dict(item.arguments))
        case Keyed(flag="-chardev"):
            pairs = tuple((key, _named(value, names)) for key, value in item.pairs)
            await _chardev(machine, added, pairs)
        case Option(flag="-watchdog-action", value=str(action)):
            await machine.qmp("watchdog-set-action", {"action": action})
        case Keyed(flag="-add-fd"):
            raise QemuRefused(f"{item.origin}: a character device with a file cannot be added to a running machine yet")
        case Keyed(flag=flag) | Option(flag=flag):
            raise QemuRefused(f"{item.origin}: QEMU takes {flag} only when it starts")
        case _:
            raise QemuRefused(f"{item.origin}: this cannot be added to a running machine")


async def _chardev(machine: Machine, added: Added, pairs: tuple[tuple[str, Any], ...]) -> None:
    """Add a host end; QEMU's own monitor for people takes it as the command line does."""
    name = dict(pairs)["id"]
    answer = await machine.qmp("human-monitor-command", {"command-line": f"chardev-add {render.keyed(pairs)}"})
    refused = [line for line in answer.splitlines() if line.strip() and not line.startswith(_REDIRECTED)]
    if refused:
        raise QemuRefused(f"QEMU refused chardev-add: {' '.join(refused).strip()}")
    added.steps.append(Step(f"chardev-add {name}", lambda: machine.qmp("chardev-remove", {"id": name})))


async def drop_nodes(machine: Machine, dev: str, keep: set[str] | None = None) -> None:
    """Remove the block nodes of a disk, the uppermost first, but for those to be kept."""
    mine = re.compile(rf"(m\d+-)?{re.escape(dev)}-")
    listed = await machine.qmp("query-named-block-nodes", {"flat": True})
    names = [each["node-name"] for each in listed if mine.match(each["node-name"])]
    left = [name for name in names if name not in (keep or set())]
    while left:
        busy = []
        for name in left:
            try:
                await machine.qmp("blockdev-del", {"node-name": name})
            except QemuRefused:
                busy.append(name)
        if len(busy) == len(left):
            log.warning("block nodes stay", domain=machine.name, nodes=busy)
            return
        left = busy


async def drop_rest(machine: Machine, alias: str, dev: str = "") -> None:
    """Remove what stood behind a device that is gone: its network end, host end, objects and block nodes."""
    for command, name in (
        ("netdev_del", f"host{alias}"), ("chardev-remove", f"char{alias}"), ("object-del", f"obj{alias}"),
        ("object-del", f"mem{alias}"), ("object-del", f"obj{alias}_tls0"),
    ):  # fmt: skip
        try:
            await machine.qmp(command, {"id": name})
        except QemuRefused:
            continue  # it had none
    if dev:
        await drop_nodes(machine, dev)


async def drop_link(state: Running, alias: str) -> None:
    """Clear away what a network device that is gone leaves on the host."""
    resources, machine = state.service.resources, state.machine
    if any(link.token == alias for link in resources.links.of(machine.uuid)):
        await _clear_link(resources, machine.uuid, alias)
        machine.note(links=resources.links.of(machine.uuid))
