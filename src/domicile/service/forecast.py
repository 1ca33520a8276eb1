"""What a new definition would do: for each difference whether it takes effect live, at the next start, or needs the machine made anew.

Called by `applying`. It follows from what the elements declare (`effect`, `guest`) and from what can be done to the running
machine: for that, `live_steps` has the steps, and each is rehearsed here as far as that goes without doing it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from domicile.base.errors import DomicileError
from domicile.domain import blockers as blocking
from domicile.domain import compare
from domicile.domain.blockers import Blocker
from domicile.domain.compare import Change
from domicile.domain.domain import Domain
from domicile.domain.running_form import definition
from domicile.schema import tree
from domicile.service import live_steps, rehearsal
from domicile.service.live_steps import Step

if TYPE_CHECKING:
    from domicile.service.changes import Running

When = Literal["live", "start", "anew"]
_DEVICE = re.compile(r"devices/([a-z]+)(?:\[(\d+)\])?(?:/(.+))?\Z")
#: What another of makes it another machine: the guest's system would not know itself again.
_ANEW = ("uuid", "name", "os/type", "os/type/@arch")


@dataclass(slots=True)
class Item:
    """One difference: when it counts, whether the guest sees it, what it newly stands against, why it is not live."""

    change: Change
    when: When
    guest: bool
    blocks: list[Blocker] = field(default_factory=list)
    why: str = ""


@dataclass(slots=True)
class Forecast:
    """All differences, and the steps that bring about the live ones, in their order."""

    items: list[Item] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def waiting(self) -> bool:
        """Whether something is left for the next start."""
        return any(item.when != "live" for item in self.items)


async def forecast(state: Running | None, old: Domain, new: Domain) -> Forecast:
    """Compare what runs (or, where nothing does, what is stored: `old`) with a new, completed definition."""
    base = definition(state.domain, new) if state is not None else old
    found = Forecast([_item(change) for change in compare.compare(base, new)])
    _blocks(found, base, new)
    if state is not None:
        await _Sorting(state, base, new, found).run()
    found.steps.sort(key=lambda step: step.turn)
    return found


def _item(change: Change) -> Item:
    anew = change.effect == "never" and change.path in _ANEW
    return Item(change, "anew" if anew else "start", change.guest)


def _blocks(found: Forecast, base: Domain, new: Domain) -> None:
    """Say of each difference what it newly stands against."""
    before = {(_subject(base, each), each.what, each.en) for each in blocking.blockers(base)}
    news = [each for each in blocking.blockers(new) if (_subject(new, each), each.what, each.en) not in before]
    for blocker in news:
        for item in found.items:
            if item.change.kind != "removed" and _concerns(item.change.path, blocker.path):
                item.blocks.append(blocker)
                break


def _concerns(path: str, blocked: str) -> bool:
    return path == blocked or path.startswith(f"{blocked}/") or blocked.startswith(f"{path}/")


def _subject(domain: Domain, blocker: Blocker) -> str:
    element = _at(domain, blocker.path)
    return compare.name_of(element) if element is not None else blocker.path


def _at(domain: Domain, path: str) -> Any:
    """Find the device that a path names."""
    named = _DEVICE.match(path)
    if named is None or domain.devices is None:
        return None
    found: list[Any] = getattr(domain.devices, named[1], [])
    number = int(named[2] or 1) - 1
    return found[number] if number < len(found) else None


@dataclass(slots=True)
class _Sorting:
    """Sorts the differences from what runs into live ones, with their steps, and others."""

    state: Running
    base: Domain
    new: Domain
    found: Forecast

    async def run(self) -> None:
        scratch = replace(self.state, domain=tree.copy(self.state.domain))
        groups: dict[tuple[str, int, str], list[Item]] = {}
        for item in self.found.items:
            change = item.change
            named = _DEVICE.match(change.path)
            if named is None or change.kind == "moved" or named[1] == "emulator":
                await self._whole(item)
            elif change.kind == "removed" and named[3] is None:
                await self._removed(item, named[1], int(named[2] or 1) - 1)
            else:
                groups.setdefault((named[1], int(named[2] or 1) - 1, "" if named[3] else "added"), []).append(item)
        # Controllers come first: what hangs on them is looked at with them there.
        for tag, number, kind in sorted(groups, key=lambda key: key[0] != "controller"):
            items = groups[tag, number, kind]
            if kind == "added":
                await self._added(scratch, items[0], getattr(self.new.devices, tag)[number])
            else:
                self._changed(items, tag, number)

    async def _whole(self, item: Item) -> None:
        """What is no device: some of it has a step of its own."""
        try:
            step = await live_steps.whole(self.state, item.change, self.new)
        except DomicileError as fault:
            item.why = fault.message
            return
        if step is not None:
            item.when = "live"
            if all(step.key != known.key for known in self.found.steps):
                self.found.steps.append(step)

    async def _added(self, scratch: Running, item: Item, device: Any) -> None:
        before = tree.copy(scratch.domain)
        try:
            await rehearsal.attach(scratch, device)
        except DomicileError as fault:
            scratch.domain = before
            item.why = fault.message
            return
        item.when = "live"
        self.found.steps.append(live_steps.attach(device))

    async def _removed(self, item: Item, tag: str, number: int) -> None:
        device = self._running(tag, number)
        if device is None:
            return
        try:
            rehearsal.check_detach(self.state.domain, device)
        except DomicileError as fault:
            item.why = fault.message
            return
        if device.alias is not None:
            item.when = "live"
            self.found.steps.append(live_steps.detach(device))

    def _changed(self, items: list[Item], tag: str, number: int) -> None:
        new = getattr(self.new.devices, tag)[number]
        pairs = {j: i for i, j in compare.pair(getattr(self.base.devices, tag), getattr(self.new.devices, tag))}
        old = self._running(tag, pairs[number]) if number in pairs else None
        if old is None:
            return
        fields = {item.change.path: _within(item.change.path) for item in items}
        live = {path for path, slot in fields.items() if live_steps.changes(old, new, slot)}
        for item in items:
            if item.change.path in live:
                item.when = "live"
        if live:
            self.found.steps += live_steps.update(old, new, {fields[path] for path in live})

    def _running(self, tag: str, number: int) -> Any:
        """Find in the running machine's own document the device that its definition form has there."""
        mine: list[Any] = getattr(self.state.domain.devices, tag)
        theirs: list[Any] = getattr(self.base.devices, tag)
        return mine[number] if len(mine) == len(theirs) else None


def _within(path: str) -> str:
    """Give the part of a path that is within its device."""
    named = _DEVICE.match(path)
    return (named[3] if named is not None else "") or ""


def shown(items: list[Item]) -> Iterator[dict[str, Any]]:
    """Give differences for JSON."""
    for item in items:
        change = item.change
        yield {
            "kind": change.kind, "path": change.path, "subject": change.subject, "old": change.old, "new": change.new,
            "en": change.en, "zh": change.zh, "when": item.when, "guest": item.guest, "why": item.why,
            "blocks": [{"what": each.what, "en": each.en, "zh": each.zh} for each in item.blocks],
        }  # fmt: skip
