"""Which machine it is: domain type, architecture, emulator and machine type settled, before anything else is completed."""

from __future__ import annotations

from collections.abc import Callable

from domicile.base.errors import CONFIG_UNSUPPORTED, INTERNAL_ERROR, SYSTEM_ERROR, XML_ERROR
from domicile.base.problem import Problem
from domicile.domain.domain import Domain
from domicile.domain.os import OsType
from domicile.plan import boards
from domicile.plan.capabilities import Capabilities, MachineType
from domicile.plan.facts import Completion
from domicile.plan.host import Host

#: Finds the capabilities of an emulator (a path, or None for the usual one of an architecture).
FindCapabilities = Callable[[str | None, str], Capabilities | None]


class _Refused(Exception):
    """Why the machine cannot be settled."""

    def __init__(
        self, path: str, message: str, line: int, accepted: str, code: int = CONFIG_UNSUPPORTED, lead: str = ""
    ) -> None:
        super().__init__(message)
        self.problem = Problem(path, message, line, accepted, code=code, lead=lead)

    def join(self, problems: list[Problem]) -> None:
        """Add it to the others, unless this place was found wrong before."""
        if not any(known.path == self.problem.path for known in problems):
            problems.append(self.problem)


def settle(domain: Domain, host: Host, find: FindCapabilities, problems: list[Problem]) -> Completion | None:
    """Make the facts of this machine; what is wrong is added to `problems`.

    Where it can, it goes on with the nearest thing there is, so that all other problems are found as well; None where
    nothing more can be said.
    """
    try:
        kind = _kinds(domain)
        arch = kind.arch or host.arch
        caps = _emulator(domain, arch, kind, host, find, problems)
        return _type(domain, kind, arch, caps, host, problems)
    except _Refused as refused:
        refused.join(problems)
        return None


def _kinds(domain: Domain) -> OsType:
    line = domain.source_line
    if domain.type is None:
        raise _Refused("@type", "element 'domain' has no attribute 'type'", line, "kvm, qemu", INTERNAL_ERROR)
    if domain.os is None or domain.os.type is None:
        raise _Refused("os/type", "element 'os' with a <type> is missing", line, "<os><type>hvm</type></os>", XML_ERROR)
    kind = domain.os.type
    if kind.value is None:
        raise _Refused("os/type", "element 'type' of 'os' has no value", kind.source_line, "hvm", XML_ERROR)
    if kind.value != "hvm":
        raise _Refused("os/type", f"element 'type' of 'os' has the value '{kind.value}'", kind.source_line, "hvm")
    return kind


def _emulator(
    domain: Domain, arch: str, kind: OsType, host: Host, find: FindCapabilities, problems: list[Problem]
) -> Capabilities:
    emulator = domain.devices.emulator if domain.devices is not None else None
    line = domain.devices.source_line if domain.devices is not None else 0
    caps = find(emulator, arch)
    if caps is None:
        what = f"emulator '{emulator}'" if emulator else f"an emulator for architecture '{arch}'"
        accepted = "the path of an installed QEMU, see `domicile doctor`"
        message = f"{what} was not found or is no QEMU for '{arch}'"
        # Clients of libvirt 9.0 hear this alone where the program cannot be run.
        reason = host.cannot_run(emulator) if emulator else ""
        lead, code = (f"Cannot check QEMU binary {emulator}: {reason}", SYSTEM_ERROR) if reason else ("", CONFIG_UNSUPPORTED)
        refused = _Refused("devices/emulator", message, line, accepted, code, lead)
        caps = find(None, arch) if emulator else None
        if caps is None:
            raise refused
        refused.join(problems)
    if domain.type not in ("kvm", "qemu"):
        message = f"emulator '{caps.binary}' does not run what attribute 'type' of <domain> says: '{domain.type}'"
        raise _Refused("@type", message, domain.source_line, "kvm, qemu")
    if arch not in boards.runs(caps.arch):
        message = f"emulator '{caps.binary}' runs '{caps.arch}' guests, not '{arch}'"
        raise _Refused("os/type/@arch", message, kind.source_line, ", ".join(boards.runs(caps.arch)))
    if domain.type == "kvm" and not (caps.kvm and host.kvm):
        message = f"domain type 'kvm' is not possible with '{caps.binary}' on this host"
        _Refused("@type", message, domain.source_line, "type='qemu', see `domicile doctor`").join(problems)
    return caps


def _type(
    domain: Domain, kind: OsType, arch: str, caps: Capabilities, host: Host, problems: list[Problem]
) -> Completion:
    machine = caps.machine(kind.machine, domain.type == "kvm") if kind.machine else caps.default_machine()
    if machine is None:
        named = f"machine type '{kind.machine}'" if kind.machine else "a default machine type"
        message = f"'{caps.binary}' does not have {named} for domain type '{domain.type}' and arch '{arch}'"
        accepted = "see `domicile adapt` or `virsh capabilities`"
        refused = _Refused("os/type/@machine", message, kind.source_line, accepted, XML_ERROR)
        machine = _nearest(caps, kind.machine or "")
        if machine is None:
            raise refused
        refused.join(problems)
        kind.machine = machine.name
    meant = machine.name if host.aliases or kind.machine is None else kind.machine
    if not host.aliases and kind.machine is None and machine.alias:
        meant = machine.alias
    c = Completion(
        arch=arch, machine=meant, accel=domain.type or "", os_type=kind.value or "", caps=caps, host=host
    )  # fmt: skip
    if kind.arch is None:
        c.default(kind, "arch", arch, "the host's architecture", "主机架构")
    if kind.machine is None:
        c.default(kind, "machine", meant, "QEMU's default machine type", "QEMU 的默认机型")
    elif kind.machine != meant:
        why = f"{kind.machine} means this version now, and it should stay"
        c.default(kind, "machine", meant, why, f"{kind.machine} 目前指此版本，应保持不变")
    return c


def _nearest(caps: Capabilities, name: str) -> MachineType | None:
    """Find a machine type of the same family, so that the rest of a document can be judged."""
    return caps.machine("q35") if "q35" in name else caps.machine("pc") or caps.default_machine()
