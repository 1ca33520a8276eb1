"""Network filters on interfaces: bound before a machine's first packet, renewed, removed, found again. Part of the service.

The kernel's rules are `filters/driver`'s; here stands which interface has which filter, and what is known of its guest.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from domicile.base import tasks
from domicile.base.errors import OPERATION_FAILED, Conflict, DomicileError, HostFailure, NotFound
from domicile.devices.interface import Interface
from domicile.devices.interface.filterref import FilterParameter, FilterRef
from domicile.domain import document as domains
from domicile.filters import document, learning, ruleset
from domicile.filters.binding import Binding, BindingMac, Owner, PortDevice
from domicile.filters.driver import Placed, Rules, bridge_of
from domicile.filters.instance import LEARNT, Find, Unresolved, instantiate, refers
from domicile.filters.learning import Learnt
from domicile.plan.need import Tap
from domicile.store.values import ActiveObject

if TYPE_CHECKING:
    from domicile.service.service import Service

log = structlog.get_logger(__name__)
_KIND = "nwfilter-binding"
#: How many packets are looked at before others have their turn.
_AT_ONCE = 64


@dataclass(slots=True, eq=False)
class Bound:
    """One interface with its filter. `learnt` is its guest's address where nobody said it, `until` when that ends (0: never).

    `by_hand` says that a client made it, not a machine's start; `seen` is where its packets are looked at.
    """

    binding: Binding
    bridge: str
    by_hand: bool = False
    learnt: str = ""
    until: float = 0.0
    learns: str = ""
    seen: socket.socket | None = None
    timer: asyncio.TimerHandle | None = None
    ref: Any = field(default=None)

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """The values of the filter's variables."""
        ref = self.binding.filterref
        own = ref.values if ref is not None else {}
        learnt = {LEARNT: (self.learnt,)} if self.learnt and LEARNT not in own else {}
        return {"MAC": (self.binding.address,), **learnt, **own}


class FilterBindings:
    """All interfaces that have a filter."""

    def __init__(self, service: Service, find: Find) -> None:
        self._service, self._find = service, find
        table = f"domicile_filters_{hashlib.sha256(str(service.paths.state).encode()).hexdigest()[:8]}"
        self._rules = Rules(table, service.paths.run / "filters")
        self._bound: dict[str, Bound] = {}
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __iter__(self) -> Iterator[Bound]:
        return iter(list(self._bound.values()))

    def __len__(self) -> int:
        return len(self._bound)

    def get(self, device: str) -> Bound | None:
        """Find by the interface's name on the host."""
        return self._bound.get(device)

    def by_device(self, device: str) -> Bound:
        """Find by the interface's name on the host. Raises: NotFound."""
        found = self._bound.get(device)
        if found is None:
            words = f"no nwfilter binding for port dev '{device}'"
            raise NotFound(words, code=document.NO_BINDING, domain=document.FROM_NWFILTER)
        return found

    def users(self, name: str) -> list[Bound]:
        """List the interfaces whose rules depend on a filter."""
        known: dict[str, bool] = {}
        found = []
        for bound in list(self._bound.values()):
            top = bound.binding.filter
            if top not in known:
                known[top] = name in refers(self._find, top)
            if known[top]:
                found.append(bound)
        return found

    # Rules.

    def _placed(self, bound: Bound, find: Find) -> Placed:
        """Make an interface's rules; those for learning where its guest's address must be known and is not."""
        values, device = bound.values, bound.binding.device
        how = learning.way(values)
        try:
            made = instantiate(bound.binding.filter, values, find)
            bound.learns = learning.DHCP if how == learning.DHCP and bound.learnt else ""
        except Unresolved as error:
            if error.names != (LEARNT,) or how == learning.NONE:
                raise
            instantiate(
                bound.binding.filter, {**values, LEARNT: ("192.0.2.1",)}, find
            )  # whatever else is wrong, is so now
            made = learning.meanwhile(how, values)
            bound.learns = how
        return Placed(ruleset.build(made, self._rules.prefix(device)), bound.bridge)

    def renew(self, users: Iterable[Bound], find: Find) -> None:
        """Put the rules of interfaces in place anew, by filters that changed; all, or none. Blocks. Raises: DomicileError."""
        with self._lock:
            found = {bound.binding.device: self._placed(bound, find) for bound in users}
            if found:
                self._rules.change(found)

    def install(self, bound: Bound) -> None:
        """Bind an interface, in place of what it had. Blocks. Raises: DomicileError; nothing changed then."""
        device = bound.binding.device
        with self._lock:
            before = self._bound.get(device)
            self._rules.change({device: self._placed(bound, self._find)})
            self._bound[device] = bound
        self._later(self._attend, bound, before)

    def remove(self, gone: Iterable[Bound]) -> None:
        """Unbind interfaces, where they were not bound anew meanwhile. Blocks. Raises: HostFailure."""
        with self._lock:
            left = [bound for bound in gone if self._bound.get(bound.binding.device) is bound]
            if left:
                self._rules.change({bound.binding.device: None for bound in left})
            for bound in left:
                del self._bound[bound.binding.device]
                self._later(self._attend, None, bound)

    def _later(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(function, *arguments)

    # Machines.

    def guard(self, machine: str, need: Tap, device: str) -> None:
        """Bind the tap of a machine that starts, before its first packet; one without a filter gets none. Blocks.

        Raises: DomicileError
        """
        before = self._bound.get(device)
        if not need.filter:
            if before is not None and not before.by_hand:
                self.remove([before])
            return
        entry = self._service.registry.get(machine)
        parameters = [FilterParameter(name=name, value=value) for name, value in need.parameters]
        ref = FilterRef(filter=need.filter, parameter=parameters)
        bridge = need.bridge or bridge_of(device)
        if not bridge and not need.script:
            raise HostFailure(f"{need.origin}: the filter '{need.filter}' needs an interface on a bridge")
        self.install(Bound(made(entry.name if entry is not None else "", machine, device, need.mac, ref), bridge))

    def release(self, machine: str) -> None:
        """Unbind what a machine had that is over."""
        gone = [bound for bound in self._bound.values() if bound.binding.uuid == machine and not bound.by_hand]
        if gone:
            tasks.spawn(f"filters of {machine}", self.drop(gone))

    async def drop(self, gone: list[Bound]) -> None:
        """Unbind interfaces, and forget what was kept of them; what the host refuses is noted."""
        try:
            await asyncio.to_thread(self.remove, gone)
        except DomicileError as error:
            log.warning("a filter was not removed", devices=[one.binding.device for one in gone], reason=error.message)
            return
        for one in gone:
            if one.by_hand or one.learnt:
                await self._service.in_store(self._service.store.drop_active, _KIND, one.binding.device)

    async def forget(self, devices: Iterable[str]) -> None:
        """Unbind interfaces that are gone."""
        gone = [bound for device in devices if (bound := self._bound.get(device)) is not None and not bound.by_hand]
        if gone:
            await self.drop(gone)

    async def update(self, owner: tuple[str, str], interface: Interface) -> None:
        """Give an interface of a running machine the filter its document names now, or none. Raises: DomicileError."""
        device = interface.target.dev if interface.target is not None else None
        if not device:
            raise HostFailure("this interface has no device on the host that a filter could be put on")
        before = self._bound.get(device)
        if interface.filterref is None:
            if before is not None:
                await asyncio.to_thread(self.remove, [before])
            return
        bridge = await asyncio.to_thread(bridge_of, device)
        address = interface.mac.address if interface.mac is not None else None
        bound = Bound(made(*owner, device, address or "", interface.filterref), bridge)
        if before is not None and before.binding.address == bound.binding.address:
            bound.learnt, bound.until = before.learnt, before.until
        await asyncio.to_thread(self.install, bound)

    # By hand.

    async def create(self, xml: str, *, strict: bool = False) -> Bound:
        """Bind an interface as a document says. Raises: InvalidDocument, Conflict, NotFound, HostFailure."""
        binding = document.read_binding(xml, strict=strict)
        if binding.device in self._bound:
            words = f"binding '{binding.device}' already exists"
            raise Conflict(words, code=OPERATION_FAILED, domain=document.FROM_NWFILTER)
        bound = Bound(binding, await asyncio.to_thread(bridge_of, binding.device), by_hand=True)
        assert binding.filterref is not None
        if "MAC" not in binding.filterref.values:
            binding.filterref.parameter.append(FilterParameter(name="MAC", value=binding.address))
            binding.filterref.settle()
        await asyncio.to_thread(self.install, bound)
        try:
            await self._keep(bound)
        except BaseException:
            await asyncio.to_thread(self.remove, [bound])
            raise
        return bound

    async def _keep(self, bound: Bound) -> None:
        facts = {"learnt": bound.learnt, "until": bound.until, "by_hand": bound.by_hand}
        text = document.write_binding(bound.binding)
        name = bound.binding.filter
        active = ActiveObject(_KIND, bound.binding.device, name, text, facts)
        await self._service.in_store(self._service.store.put_active, active)

    # Addresses.

    def _attend(self, bound: Bound | None, before: Bound | None) -> None:
        """Begin to look at an interface's packets, and end it where it was bound before."""
        if before is not None and before is not bound:
            self._look_away(before)
        if bound is None or self._bound.get(bound.binding.device) is not bound or self._loop is None:
            return
        if not bound.learns:
            self._look_away(bound)
            return
        if bound.seen is None:
            try:
                bound.seen = learning.listen(bound.binding.device, bound.learns)
            except HostFailure as error:
                log.warning("an address cannot be learnt", device=bound.binding.device, reason=error.message)
                return
            self._loop.add_reader(bound.seen.fileno(), self._hear, bound)
        if bound.timer is not None:
            bound.timer.cancel()
            bound.timer = None
        if bound.learnt and bound.until:
            bound.timer = self._loop.call_later(max(0.0, bound.until - time.time()), self._expire, bound)

    def _look_away(self, bound: Bound) -> None:
        if bound.seen is not None and self._loop is not None:
            self._loop.remove_reader(bound.seen.fileno())
            bound.seen.close()
            bound.seen = None
        if bound.timer is not None:
            bound.timer.cancel()
            bound.timer = None

    def _hear(self, bound: Bound) -> None:
        assert bound.seen is not None
        mac = bytes.fromhex(bound.binding.address.replace(":", ""))
        for _ in range(_AT_ONCE):
            try:
                frame, address = bound.seen.recvfrom(learning.SEEN)
            except (
                OSError
            ):  # nothing there now, or the interface is not up yet; where it is gone, that is heard elsewhere
                return
            found = learning.told(frame, learning.outgoing(address), mac, bound.learns, bound.values)
            if found is not None:
                self._learn(bound, found)
                return

    def _learn(self, bound: Bound, found: Learnt) -> None:
        until = time.time() + found.seconds if found.seconds and bound.learns == learning.DHCP else 0.0
        same = bound.learnt == found.address
        bound.learnt, bound.until = found.address, until
        if same:
            self._attend(bound, None)
            tasks.spawn("lease", self._keep(bound))
        else:
            if bound.learns == learning.ANY:
                self._look_away(bound)
            tasks.spawn(f"filter of {bound.binding.device}", self._learnt(bound))

    def _expire(self, bound: Bound) -> None:
        bound.learnt, bound.until, bound.timer = "", 0.0, None
        tasks.spawn(f"filter of {bound.binding.device}", self._learnt(bound))

    async def _learnt(self, bound: Bound) -> None:
        """Put an interface's rules in place with the address that is known now, or is no more."""
        try:
            if self._bound.get(bound.binding.device) is bound:
                await asyncio.to_thread(self.renew, [bound], self._find)
                await self._keep(bound)
                self._attend(bound, None)
        except DomicileError as error:
            log.warning("an address was learnt in vain", device=bound.binding.device, reason=error.message)

    # The daemon's life.

    async def begin(self) -> None:
        """Put the rules of all interfaces that still are there in place of what an earlier daemon left."""
        self._loop = asyncio.get_running_loop()
        service = self._service
        service.resources.guard = self.guard
        kept = {one.uuid: one for one in await service.in_store(service.store.active_objects, _KIND)}
        found: list[Bound] = []
        for device, owner, interface in self._of_machines():
            mac = interface.mac.address if interface.mac is not None else None
            assert interface.filterref is not None
            bound = Bound(made(*owner, device, mac or "", interface.filterref), "")
            known = kept.pop(device, None)
            if known is not None and document.read_binding(known.document).uuid == bound.binding.uuid:
                _recall(bound, known.facts)
            found.append(bound)
        for device, known in kept.items():
            if known.facts.get("by_hand"):
                bound = Bound(document.read_binding(known.document), "", by_hand=True)
                _recall(bound, known.facts)
                found.append(bound)
            else:
                await service.in_store(service.store.drop_active, _KIND, device)
        try:
            await asyncio.to_thread(self._adopt, found)
        except DomicileError as error:
            log.error("filters could not be taken over; what stands goes on", reason=error.message)
        for bound in found:
            self._attend(self._bound.get(bound.binding.device), None)

    def _of_machines(self) -> Iterable[tuple[str, tuple[str, str], Interface]]:
        for entry in self._service.registry:
            if entry.live is None or entry.machine is None or "<filterref" not in entry.live.xml:
                continue
            devices = domains.read_stored(entry.live.xml).devices
            for interface in devices.of(Interface) if devices is not None else ():
                if interface.filterref is not None and interface.target is not None and interface.target.dev:
                    yield interface.target.dev, (entry.name, entry.uuid), interface

    def _adopt(self, found: list[Bound]) -> None:
        wanted: dict[str, Placed] = {}
        with self._lock:
            for bound in found:
                device = bound.binding.device
                bound.bridge = bridge_of(device)
                try:
                    wanted[device] = self._placed(bound, self._find)
                except DomicileError as error:
                    # Nothing passes rather than everything.
                    log.error("a filter cannot be applied again", device=device, reason=error.message)
                    wanted[device] = Placed(ruleset.build(_nothing(), self._rules.prefix(device)), bound.bridge)
                self._bound[device] = bound
            self._rules.reset(wanted)


def made(name: str, uuid: str, device: str, mac: str, ref: FilterRef) -> Binding:
    """Make a machine's binding."""
    copied = FilterRef(filter=ref.filter, parameter=list(ref.parameter))
    if "MAC" not in copied.values:
        copied.parameter.append(FilterParameter(name="MAC", value=mac))
    copied.settle()
    return Binding(
        owner=Owner(name=name, uuid=uuid),
        portdev=PortDevice(name=device),
        mac=BindingMac(address=mac),
        filterref=copied,
    )


def _recall(bound: Bound, facts: Mapping[str, Any]) -> None:
    until = float(facts.get("until") or 0)
    if not until or until > time.time():
        bound.learnt, bound.until = str(facts.get("learnt") or ""), until


def _nothing() -> Any:
    text = "<filter name='nothing'><rule action='drop' direction='inout'/></filter>"
    return instantiate("nothing", {}, {"nothing": document.complete_text(text)}.get)
