"""What a guest's agent is asked for and told: names, times, file systems, users, CPUs, sleep. Part of the service."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domicile.base.errors import DomicileError, InvalidRequest, NotFound, QemuRefused, Unsupported
from domicile.devices.disk import Disk
from domicile.devices.parts.device import DriveAddress, PciAddress
from domicile.domain import document
from domicile.domain.domain import Domain
from domicile.qemu.monitor import Refusal
from domicile.runtime.agent import NoAnswer
from domicile.service import glance
from domicile.service.entry import Entry

if TYPE_CHECKING:
    from domicile.service.service import Service
    from domicile.store.values import Author

_ARGUMENT_UNSUPPORTED, _NO_HOSTNAME, _OPERATION_UNSUPPORTED = 74, 108, 84
_NANO = 1_000_000_000
# Source: virNodeSuspendTarget; (the agent's command, the slot of <pm> that must not forbid it).
_SLEEP = (
    ("guest-suspend-ram", "suspend_to_mem"),
    ("guest-suspend-disk", "suspend_to_disk"),
    ("guest-suspend-hybrid", "suspend_to_mem"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a guest's interface; `kind` is 0 for IPv4 and 1 for IPv6."""

    kind: int
    text: str
    prefix: int


@dataclass(frozen=True, slots=True)
class GuestInterface:
    """An interface as the guest names it."""

    name: str
    mac: str | None
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A mounted file system and the targets of the disks it is on."""

    mountpoint: str
    name: str
    kind: str
    disks: tuple[str, ...]
    known: Mapping[str, Any]


def malformed(command: str) -> QemuRefused:
    """Make the refusal of an answer that is not what the protocol says."""
    return QemuRefused(f"the guest agent's answer to '{command}' is not of the form that its protocol has")


def records(found: Any, command: str) -> list[dict[str, Any]]:
    """Take an answer that must be a list of objects. Raises: QemuRefused."""
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise malformed(command)
    return found


class Guest:
    """The use-cases that go through the guest's agent."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def _ask(self) -> Any:
        return self._service.agents.ask

    async def hostname(self, entry: Entry, *, lease: bool) -> str:
        """Give the guest's own name. Raises: NotFound, NoAnswer, AgentRefused."""
        if lease:
            self._service.machines.running(entry)
            raise NotFound(f"no hostname found for domain {entry.name}", code=_NO_HOSTNAME)
        found = await self._ask(entry, "guest-get-host-name")
        name = found.get("host-name") if isinstance(found, dict) else None
        if not isinstance(name, str):
            raise malformed("guest-get-host-name")
        return name

    async def trim(self, entry: Entry, mountpoint: str | None, minimum: int) -> None:
        """Give unused blocks of all file systems back."""
        if mountpoint:
            raise DomicileError("Specifying mount point is not supported for now", code=_ARGUMENT_UNSUPPORTED)
        await self._ask(entry, "guest-fstrim", {"minimum": minimum} if minimum else None)

    async def freeze(self, entry: Entry, mountpoints: Sequence[str]) -> int:
        """Hold file systems still; say how many."""
        if mountpoints:
            found = await self._ask(entry, "guest-fsfreeze-freeze-list", {"mountpoints": list(mountpoints)})
        else:
            found = await self._ask(entry, "guest-fsfreeze-freeze")
        return _number(found, "guest-fsfreeze-freeze")

    async def thaw(self, entry: Entry) -> int:
        """Let all file systems go on; say how many."""
        return _number(await self._ask(entry, "guest-fsfreeze-thaw"), "guest-fsfreeze-thaw")

    async def time(self, entry: Entry) -> tuple[int, int]:
        """Give the guest's time: seconds since the epoch, nanoseconds."""
        return divmod(_number(await self._ask(entry, "guest-get-time"), "guest-get-time"), _NANO)

    async def set_time(self, entry: Entry, seconds: int, nseconds: int, *, from_rtc: bool) -> None:
        """Set the guest's time, or let it take that of its hardware clock."""
        if not 0 <= nseconds < _NANO:
            raise InvalidRequest(f"{nseconds} nanoseconds are no part of a second; 0 to {_NANO - 1} would be accepted")
        await self._ask(entry, "guest-set-time", None if from_rtc else {"time": seconds * _NANO + nseconds})
        machine, live = entry.machine, entry.live
        if (
            machine is not None
            and live is not None
            and live.caps is not None
            and live.caps.has_command("rtc-reset-reinjection")
        ):
            # Ticks that were missed meanwhile must not be made up for: the time is right now. Other boards have none.
            with suppress(Refusal):
                await machine.qmp("rtc-reset-reinjection")

    async def file_systems(self, entry: Entry) -> list[FileSystem]:
        """List the guest's mounted file systems."""
        found = records(await self._ask(entry, "guest-get-fsinfo"), "guest-get-fsinfo")
        domain = document.read_stored(entry.live.xml) if entry.live is not None else Domain()
        return [_file_system(each, domain) for each in found]

    async def interfaces(self, entry: Entry) -> list[GuestInterface]:
        """List the guest's interfaces with their addresses."""
        command = "guest-network-get-interfaces"
        return [_interface(each) for each in records(await self._ask(entry, command), command)]

    async def leased(self, entry: Entry) -> list[GuestInterface]:
        """List the interfaces to which the host's virtual networks gave addresses."""
        self._service.machines.running(entry)
        nics = glance.of(self._service, entry).nics
        known: dict[str, list[Address]] = {}
        networks = self._service.networks
        for network in networks.all:
            for lease in await networks.leases(network) if network.active else ():
                kind, prefix = networks.reach(network, lease)
                known.setdefault(lease.mac.lower(), []).append(Address(kind, lease.ip, prefix))
        return [
            GuestInterface(nic.tap, nic.mac, tuple(known[nic.mac.lower()]))
            for nic in nics
            if nic.tap and nic.mac.lower() in known
        ]

    def neighbours(self, entry: Entry) -> list[GuestInterface]:
        """List the interfaces whose IPv4 address the host's kernel knows."""
        self._service.machines.running(entry)
        known: dict[str, list[str]] = {}
        with suppress(OSError):
            for line in Path("/proc/net/arp").read_text().splitlines()[1:]:
                words = line.split()
                if len(words) >= 4:
                    known.setdefault(words[3].lower(), []).append(words[0])
        nics = glance.of(self._service, entry).nics
        return [
            GuestInterface(nic.tap, nic.mac, tuple(Address(0, ip, 0) for ip in known[nic.mac.lower()]))
            for nic in nics
            if nic.tap and nic.mac.lower() in known
        ]

    async def set_password(self, entry: Entry, user: str, password: str, author: Author, *, encrypted: bool) -> None:
        """Set the password of one of the guest's users."""
        secret = base64.b64encode(password.encode()).decode()
        wish = {"username": user, "password": secret, "crypted": encrypted}
        await self._ask(entry, "guest-set-user-password", wish)
        self._service.machines.done("set-user-password", entry, author, guest_user=user)

    async def ssh_keys(self, entry: Entry, user: str) -> list[str]:
        """List the keys that let somebody in as one of the guest's users."""
        command = "guest-ssh-get-authorized-keys"
        found = await self._ask(entry, command, {"username": user})
        keys = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise malformed(command)
        return keys

    async def set_ssh_keys(
        self, entry: Entry, user: str, keys: Sequence[str], author: Author, *, append: bool, remove: bool
    ) -> None:
        """Change the keys that let somebody in as one of the guest's users."""
        if remove:
            await self._ask(entry, "guest-ssh-remove-authorized-keys", {"username": user, "keys": list(keys)})
        else:
            wish = {"username": user, "keys": list(keys), "reset": not append}
            await self._ask(entry, "guest-ssh-add-authorized-keys", wish)
        self._service.machines.done("set-user-sshkeys", entry, author, guest_user=user)

    async def vcpus(self, entry: Entry) -> dict[str, list[int]]:
        """Say which CPUs the guest has, uses, and could stop using."""
        found = records(await self._ask(entry, "guest-get-vcpus"), "guest-get-vcpus")
        cpus = [(_number(each.get("logical-id"), "guest-get-vcpus"), each) for each in found]
        return {
            "vcpus": sorted(number for number, _ in cpus),
            "online": sorted(number for number, each in cpus if each.get("online")),
            "offlinable": sorted(number for number, each in cpus if each.get("can-offline")),
        }

    async def set_vcpus(self, entry: Entry, numbers: Sequence[int], author: Author, *, online: bool) -> None:
        """Let the guest use CPUs or stop using them."""
        known = await self.vcpus(entry)
        for number in numbers:
            if number not in known["vcpus"]:
                raise InvalidRequest(f"vCPU {number} does not exist in the guest; {known['vcpus']} do")
            if not online and number not in known["offlinable"]:
                raise InvalidRequest(f"vCPU {number} cannot be taken from the guest; {known['offlinable']} can")
        wish = [{"logical-id": number, "online": online} for number in numbers]
        done = _number(await self._ask(entry, "guest-set-vcpus", {"vcpus": wish}), "guest-set-vcpus")
        if done < len(wish):
            raise QemuRefused(f"the guest changed only {done} of {len(wish)} vCPUs")
        self._service.machines.done("setguestvcpus", entry, author)

    # Its life.

    async def power(self, entry: Entry, author: Author, *, reboot: bool) -> None:
        """Ask the agent to power the guest off or to restart it. Raises: WrongState, NoAnswer, AgentRefused."""
        machine = self._service.machines.running(entry)
        self._service.agents.check(entry)
        machine.expect(reboot=reboot)
        try:
            await self._service.agents.tell(entry, "guest-shutdown", {"mode": "reboot" if reboot else "powerdown"})
        except DomicileError:
            machine.expect(reboot=False)
            raise
        self._service.machines.done("reboot" if reboot else "shutdown", entry, author, mode="agent")

    async def sleep(self, entry: Entry, target: int, duration: int, author: Author) -> None:
        """Ask the agent to put the guest to sleep. Raises: InvalidRequest, Unsupported, NoAnswer, AgentRefused."""
        if duration:
            raise DomicileError("Duration not supported. Use 0 for now", code=_ARGUMENT_UNSUPPORTED)
        if not 0 <= target < len(_SLEEP):
            raise DomicileError(
                f"sleep target {target} is not known; mem, disk and hybrid are", code=_ARGUMENT_UNSUPPORTED
            )
        command, slot = _SLEEP[target]
        machine = self._service.machines.running(entry)
        self._service.agents.check(entry)
        pm = document.read_stored(entry.live.xml).pm if entry.live is not None else None
        ways = getattr(pm, slot, None) if pm is not None else None
        if ways is not None and ways.enabled is False:
            raise Unsupported(f"<{slot.replace('_', '-')} enabled='no'> forbids it", code=_OPERATION_UNSUPPORTED)
        able = await machine.qmp("query-current-machine")
        if not able.get("wakeup-suspend-support", True):
            raise Unsupported("Domain does not have suspend support", code=_OPERATION_UNSUPPORTED)
        await self._service.agents.tell(entry, command)
        self._service.machines.done("pmsuspend", entry, author, way=command)

    def prefers_agent(self, entry: Entry) -> bool:
        """Say whether a shutdown whose way nobody named goes through the agent."""
        return self._service.agents.available(entry)


def _number(found: Any, command: str) -> int:
    if isinstance(found, bool) or not isinstance(found, int):
        raise malformed(command)
    return found


def _file_system(found: Mapping[str, Any], domain: Domain) -> FileSystem:
    disks = records(found.get("disk", []), "guest-get-fsinfo")
    targets = [target for each in disks if (target := target_of(each, domain)) is not None]
    texts = [found.get(key) for key in ("mountpoint", "name", "type")]
    if not all(isinstance(each, str) for each in texts):
        raise malformed("guest-get-fsinfo")
    mountpoint, name, kind = (str(each) for each in texts)
    return FileSystem(mountpoint, name, kind, tuple(targets), found)


def target_of(place: Mapping[str, Any], domain: Domain) -> str | None:
    """Say which disk of the machine is at a place as the guest's agent tells it."""
    pci = place.get("pci-controller")
    pci = pci if isinstance(pci, Mapping) else {}
    for disk in domain.devices.of(Disk) if domain.devices is not None else []:
        where = disk.address
        name = disk.target.dev if disk.target is not None else None
        bus = disk.target.bus if disk.target is not None else None
        if isinstance(where, PciAddress):
            mine = (where.domain or 0, where.bus, where.slot, where.function or 0)
            if mine == tuple(pci.get(key) for key in ("domain", "bus", "slot", "function")):
                return name
        elif isinstance(where, DriveAddress) and bus == place.get("bus-type"):
            mine_too = (where.bus or 0, where.target or 0, where.unit or 0)
            if mine_too == tuple(place.get(key) for key in ("bus", "target", "unit")):
                return name
    return None


def _interface(found: Mapping[str, Any]) -> GuestInterface:
    name, mac = found.get("name"), found.get("hardware-address")
    if not isinstance(name, str) or not (mac is None or isinstance(mac, str)):
        raise malformed("guest-network-get-interfaces")
    addresses = []
    for each in records(found.get("ip-addresses", []), "guest-network-get-interfaces"):
        kind, text, prefix = each.get("ip-address-type"), each.get("ip-address"), each.get("prefix", 0)
        if kind not in ("ipv4", "ipv6") or not isinstance(text, str) or not isinstance(prefix, int):
            raise malformed("guest-network-get-interfaces")
        addresses.append(Address(int(kind == "ipv6"), text, prefix))
    return GuestInterface(name, mac, tuple(addresses))


__all__ = ["Address", "FileSystem", "Guest", "GuestInterface", "NoAnswer"]
