"""Completion: a document as its owner wrote it becomes the whole machine, with a report of what was filled in and why.

Called by service and by offline commands. The way: identity and machine → defaults of each slice → devices that are implied →
addresses → checks. It is pure: what it needs of the host and of QEMU comes in as values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from domicile.base.errors import NO_NAME, XML_INVALID_SCHEMA, InvalidDocument
from domicile.base.problem import Problem
from domicile.devices import FAMILIES, memory
from domicile.devices import video as videos
from domicile.domain import document, keep, namespace
from domicile.domain.address import ccw, drive, mmio, pci, serial, spapr, usb, zpci
from domicile.domain.domain import Devices, Domain
from domicile.domain.report import Entry
from domicile.domain.rules import (
    boards,
    checks,
    clocks,
    consoles,
    controllers,
    defaults,
    devices,
    disks,
    features,
    firmware,
    inactive,
    labels,
    machine,
    numa,
    protection,
    startup,
    sysinfo,
    together,
    tuning,
    unplanned,
)
from domicile.domain.rules.machine import FindCapabilities
from domicile.plan.facts import Completion
from domicile.plan.host import Host
from domicile.schema import tree
from domicile.schema.read import MAX_PROBLEMS
from domicile.schema.shape import Element


@dataclass(slots=True)
class Completed:
    """A completed domain, the facts it was completed with, and what of its document had no effect."""

    domain: Domain
    facts: Completion
    ignored: list[Problem] = field(default_factory=list)
    twice: list[Entry] = field(default_factory=list)
    """What other domains have, too; known once it is stored."""

    @property
    def report(self) -> list[Entry]:
        """What was ignored, defaulted, allocated, added, with the paths and values as the domain is now."""
        entries = [Entry(p.path, "ignored", "", p.message, p.message) for p in self.ignored]
        return entries + self.twice + _report(self.domain, self.facts)


def complete_text(
    text: document.Source, host: Host, find: FindCapabilities, *, strict: bool = False, former: keep.Former | None = None,
    uuid: str | None = None,
) -> Completed:  # fmt: skip
    """Read and complete a document; what it leaves open of a `former` definition is kept, and so is the `uuid`, if one is given.

    Raises:
        InvalidDocument: with every problem that was found.
    """
    domain, problems = document.read(text)
    completion, found = _complete(domain, host, find, former=former, uuid=uuid)
    wrong = [p for p in problems if p.severity == "error"]
    # What could not be read is not missing as well.
    told, paths = {_spot(known) for known in wrong}, {known.path for known in wrong}
    wrong += [p for p in found if _spot(p) not in told and p.path not in paths]
    if strict and not wrong:
        wrong = [replace(p, severity="error", code=XML_INVALID_SCHEMA) for p in problems]
    if wrong:
        raise InvalidDocument(_few(sorted(wrong, key=lambda p: p.line or 10**9)))
    assert completion is not None
    return Completed(domain, completion, problems)


def complete(
    domain: Domain, host: Host, find: FindCapabilities, *, borne: Callable[[Problem], bool] | None = None
) -> Completed:
    """Complete a domain in place; problems that are `borne` are passed over.

    Raises:
        InvalidDocument: with every problem that was found.
    """
    completion, found = _complete(domain, host, find, anyway=borne is not None)
    if borne is not None and completion is not None:
        found = [problem for problem in found if not borne(problem)]
    if found:
        raise InvalidDocument(_few(found))
    assert completion is not None
    return Completed(domain, completion)


def _spot(problem: Problem) -> tuple[int, str]:
    """Say where a problem is, whatever elements were added beside it since."""
    return problem.line, problem.path.rpartition("/")[2]


def _few(found: list[Problem]) -> list[Problem]:
    """Say as much as somebody reads."""
    more = len(found) - MAX_PROBLEMS
    return found if more <= 0 else [*found[:MAX_PROBLEMS], Problem("", f"there are {more} more problems")]


def _complete(
    domain: Domain, host: Host, find: FindCapabilities, *, anyway: bool = False, former: keep.Former | None = None,
    uuid: str | None = None,
) -> tuple[Completion | None, list[Problem]]:  # fmt: skip
    problems: list[Problem] = []
    if domain.name is None:
        problems.append(
            Problem("name", "element 'domain' has no <name>", domain.source_line, "<name>…</name>", code=NO_NAME)
        )
    completion = machine.settle(domain, host, find, problems)
    if completion is None:
        return None, problems
    c = completion
    if domain.uuid is None and former is not None and uuid is not None:
        domain.uuid = uuid
        keep.note(former, c, domain, "uuid")
    if domain.uuid is None:
        c.allocate(domain, "uuid", host.new_uuid(), "a random identity", "随机生成的标识")
    if domain.devices is None:
        domain.devices = Devices()
    if domain.devices.emulator is None:
        c.default(
            domain.devices, "emulator", c.caps.binary, "the QEMU found for this architecture", "为该架构找到的 QEMU"
        )
    _fill(domain, c, former, anyway=anyway)
    return c, problems + _located(domain, c)


def _fill(domain: Domain, c: Completion, former: keep.Former | None, *, anyway: bool) -> None:
    """Run the rules in their order; addresses are given out only where nothing is wrong so far, or `anyway`."""
    assert domain.devices is not None
    lists = domain.devices
    if former is not None:
        keep.macs(lists, former, c)
    together.as_given(domain, c)
    labels.as_given(domain, c)
    defaults.memory(domain, c)
    defaults.tuning(domain, c)
    defaults.labels(domain)
    sysinfo.settle(domain)
    inactive.forget_run(domain)
    defaults.processors(domain, c)
    controllers.number(lists, c)
    controllers.arrange(lists)
    controllers.for_lent(lists, c)
    controllers.built_in(lists, c)
    devices.video(domain, c)
    consoles.pair(domain, c)
    for family, found in zip(FAMILIES, lists.families(), strict=True):
        for device in found:
            family.defaults(device, c)
    defaults.totals(domain, c)
    numa.settle(domain, c)
    disks.arrange(lists)
    videos.arrange(lists.of(videos.Video), c)
    devices.inputs(domain, c)
    devices.balloon(domain, c)
    devices.panic(domain, c)
    devices.watchdog(domain, c)
    devices.audio(domain, c)
    consoles.finish(domain, c)
    drive.assign(lists, c)
    controllers.for_devices(lists, c)
    for controller in lists.controller:  # type: ignore[attr-defined]
        FAMILIES[1].defaults(controller, c)
    defaults.cpu(domain, c)
    defaults.boot(domain, c)
    defaults.lifecycle(domain, c)
    clocks.settle(domain, c)
    startup.settle(domain, c)
    tuning.settle(domain, c)
    firmware.settle(domain, c)
    defaults.enlightenments(domain)
    features.settle(domain, c)
    boards.settle(domain, c)
    protection.settle(domain)
    for family, found in zip(FAMILIES, lists.families(), strict=True):
        for device in found:
            family.check(device, c)
    memory.assign_slots(lists.of(memory.MemoryDevice), c)
    checks.whole(domain, c)
    numa.check(domain, c)
    sysinfo.check(domain, c)
    features.check(domain, c)
    clocks.check(domain, c)
    startup.check(domain, c)
    tuning.check(domain, c)
    boards.check(domain, c)
    protection.check(domain, c)
    together.check(domain, c)
    ccw.check(lists, c)
    zpci.check(lists, c)
    labels.check(domain, c)
    namespace.check(domain, c)
    usb.check(lists, c)
    unplanned.tell(domain, c)
    if anyway or not c.found:
        if former is not None:
            keep.places(lists, former, c)
        serial.assign(lists, c)
        ccw.assign(lists, c)
        spapr.assign(lists, c)
        mmio.assign(lists, c)
        pci.assign(lists, c)
        zpci.assign(lists, c)
        usb.assign(lists, c)
        consoles.settle(domain)


def _paths(domain: Domain) -> dict[int, str]:
    return {id(element): path for path, element in tree.places(domain)}


def _located(domain: Domain, c: Completion) -> list[Problem]:
    """Say of each problem where it is."""
    if not c.found:
        return []
    paths = _paths(domain)
    problems = []
    for element, step, problem in c.found:
        base = paths.get(id(element), element.shape.tag if element is not None else "")
        path = "/".join(part for part in (base, step) if part)
        problems.append(Problem(path, problem.message, problem.line, problem.accepted, code=problem.code))
    return problems


def _report(domain: Domain, c: Completion) -> list[Entry]:
    """Say of each note where it is and what the value became."""
    if not c.notes:
        return []
    paths = _paths(domain)
    entries = []
    for element, slot, kind, en, zh in c.notes:
        base = paths.get(id(element))
        if base is None:
            continue
        path, value = _slot(element, slot, base)
        entries.append(Entry(path, kind, value, en, zh))
    return entries


def _slot(element: Element, slot: str, base: str) -> tuple[str, str]:
    if not slot:
        return base, ""
    declared = element.shape.by_slot.get(slot)
    if declared is None:
        return base, ""
    value = getattr(element, slot)
    text = (
        ""
        if value is None or isinstance(value, Element | list) or declared.kind in ("raw", "flag")
        else declared.scalar.show(value)
    )
    return (f"{base}/{declared.path}" if base else declared.path), text
