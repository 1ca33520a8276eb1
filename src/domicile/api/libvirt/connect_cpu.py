"""Handlers that name CPU models, compare CPUs with the host's and find what several have in common.

`doors` merges them with the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domicile.api.libvirt.flags import known
from domicile.api.libvirt.registry import Registry
from domicile.base.errors import InvalidRequest, Unsupported
from domicile.host import inspect
from domicile.plan.capabilities import Capabilities
from domicile.rpc.calls import connect
from domicile.service import capabilities_xml, cpu_answers

if TYPE_CHECKING:
    from domicile.api.libvirt.session import Session
    from domicile.service.service import Service

handlers: Registry[Service] = Registry()
# Source: virConnectCompareCPUFlags and virConnectBaselineCPUFlags.
_FAIL, _VALIDATE = 1, 2
_EXPAND, _MIGRATABLE = 1, 2


@handlers.handle(connect.connect_get_cpu_model_names)
def get_cpu_model_names(conn: Session[Service], arch: str, need_results: int, flags: int) -> tuple[list[str], int]:
    """Name the CPU models of an architecture."""
    known(flags, 0, "connect_get_cpu_model_names")
    if arch not in capabilities_xml.ARCHITECTURES:
        raise InvalidRequest(f"cannot find architecture {arch}")
    names = cpu_answers.names(arch, conn.context.host.libvirt)
    return (names if need_results else []), len(names)


@handlers.handle(connect.connect_compare_cpu)
def compare_cpu(conn: Session[Service], xml: str, flags: int) -> int:
    """Compare a CPU with the host's processor."""
    known(flags, _FAIL | _VALIDATE, "connect_compare_cpu")
    wanted = cpu_answers.known(xml)
    has, vendor = cpu_answers.processor(inspect.cpu())
    return int(cpu_answers.compare(wanted, has, vendor, fail=bool(flags & _FAIL)))


@handlers.handle(connect.connect_compare_hypervisor_cpu)
async def compare_hypervisor_cpu(
    conn: Session[Service],
    emulator: str | None,
    arch: str | None,
    machine: str | None,
    virttype: str | None,
    xml_cpu: str,
    flags: int,
) -> int:
    """Compare a CPU with what a hypervisor gives."""
    known(flags, _FAIL | _VALIDATE, "connect_compare_hypervisor_cpu")
    caps = await _caps(conn, emulator, arch)
    _, has, vendor = cpu_answers.hypervisor(caps, virttype, arch)
    return int(cpu_answers.compare(cpu_answers.known(xml_cpu), has, vendor, fail=bool(flags & _FAIL)))


@handlers.handle(connect.connect_baseline_cpu)
def baseline_cpu(conn: Session[Service], xml_cpus: list[str], flags: int) -> str:
    """Find the best CPU that all of these hosts can give."""
    known(flags, _EXPAND | _MIGRATABLE, "connect_baseline_cpu")
    cpus = _all(xml_cpus)
    if any(each.cpu.mode is not None for each in cpus):
        raise Unsupported("Attribute mode is only allowed for guest CPU")
    return cpu_answers.baseline(cpus, None, expand=bool(flags & _EXPAND), migratable=bool(flags & _MIGRATABLE))


@handlers.handle(connect.connect_baseline_hypervisor_cpu)
async def baseline_hypervisor_cpu(
    conn: Session[Service],
    emulator: str | None,
    arch: str | None,
    machine: str | None,
    virttype: str | None,
    xml_cpus: list[str],
    flags: int,
) -> str:
    """Find the best CPU that all of these can be and a hypervisor gives."""
    known(flags, _EXPAND | _MIGRATABLE, "connect_baseline_hypervisor_cpu")
    caps = await _caps(conn, emulator, arch)
    accelerator, _, _ = cpu_answers.hypervisor(caps, virttype, arch)
    expand, migratable = bool(flags & _EXPAND), bool(flags & _MIGRATABLE)
    return cpu_answers.baseline(_all(xml_cpus), caps.cpus[accelerator], expand=expand, migratable=migratable)


def _all(xml_cpus: list[str]) -> list[cpu_answers.Known]:
    if not xml_cpus:
        raise InvalidRequest("no CPUs are given")
    return [cpu_answers.known(xml) for xml in xml_cpus]


async def _caps(conn: Session[Service], emulator: str | None, arch: str | None) -> Capabilities:
    emulators, arch = conn.context.emulators, arch or conn.context.host.arch
    if arch not in capabilities_xml.ARCHITECTURES:
        raise InvalidRequest(f"unknown architecture '{arch}'")
    await emulators.ensure(emulator, arch)
    caps = emulators.find(emulator, arch)
    if caps is None:
        raise Unsupported(f"unable to find any emulator to serve '{arch}' architecture")
    return caps
