"""What tests of the pure core share: the capabilities of one QEMU, as recorded, and a domain's whole way without any I/O.

core        reads, completes, plans and renders documents for QEMU 7.2 on x86_64 without KVM; identities are counted up;
            core.of(arch) does it for another architecture
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from domicile.base.errors import InvalidDocument
from domicile.base.problem import Problem
from domicile.domain import document
from domicile.domain.complete import Completed, complete_text
from domicile.domain.plan import Plan, plan_domain
from domicile.plan import boards, firmware
from domicile.plan.capabilities import Capabilities
from domicile.plan.host import Host
from domicile.qemu import render
from postgres_server import own_postgres, password_file, postgres  # noqa: F401   fixtures for all

TESTS = Path(__file__).resolve().parent
#: Descriptions of firmware as a host has them, most of them as Debian's.
FIRMWARES = firmware.choose([{path.name: path.read_bytes() for path in (TESTS / "golden" / "firmware").glob("*.json")}])
#: QEMU 7.2 of each architecture, as it answered.
RECORDED = {path.name.split(".")[1].partition("-")[2]: path for path in (TESTS / "golden").glob("qemu-7.2-*.json.gz")}


def counted(form: str) -> Callable[[], str]:
    """Make identities one after another, the same in every run."""
    numbers = count(1)
    return lambda: form.format(next(numbers))


class Core:
    """The pure core beside one QEMU."""

    def __init__(self, caps: Capabilities) -> None:
        self.caps = caps

    def __repr__(self) -> str:
        return f"Core({self.caps.package}, {self.caps.arch})"

    def of(self, arch: str) -> Core:
        """The same for another architecture."""
        return self if arch == self.caps.arch else recorded(arch)

    def meant(self, xml: str | bytes) -> Core:
        """The same for the architecture and the accelerator that a document names."""
        text = xml.decode() if isinstance(xml, bytes) else xml
        named = re.search(r"<type [^>]*arch=['\"](\w+)", text)
        of = self.of(next((arch for arch in RECORDED if named and named.group(1) in boards.runs(arch)), self.caps.arch))
        return of.with_kvm if re.search(r"<domain [^>]*type=['\"]kvm", text) else of

    @cached_property
    def with_kvm(self) -> Core:
        """The same QEMU on a host whose KVM works: TCG's answers stand in for KVM's."""
        caps = self.caps
        machines, cpus, best = caps.machine_types["tcg"], caps.cpus["tcg"], caps.host_cpu.get("tcg")
        return Core(
            replace(
                caps,
                kvm=True,
                machine_types={"kvm": machines, "tcg": machines},
                cpus={"kvm": cpus, "tcg": cpus},
                host_cpu={"kvm": best, "tcg": best} if best is not None else {},
            )
        )

    def host(self, **changes: Any) -> Host:
        host = Host(
            arch=self.caps.arch,
            kvm=self.caps.kvm,
            hugepages={2048: "/dev/hugepages/domicile"},
            firmwares=FIRMWARES,
            now=lambda: 1700000000.0,
            zone_offset=lambda _moment: 3600,
            new_uuid=counted("00000000-0000-4000-8000-{:012x}"),
            new_mac=counted("52:54:00:00:00:{:02x}"),
        )
        return replace(host, **changes)

    def find(self, emulator: str | None, arch: str) -> Capabilities | None:
        usual = emulator is None and arch in boards.runs(self.caps.arch)
        return self.caps if usual else self.caps.at(emulator or "")

    def complete(self, xml: str | bytes, *, strict: bool = False, **host: Any) -> Completed:
        return complete_text(xml, self.host(**host), self.find, strict=strict)

    def completed(self, xml: str | bytes, *, secrets: bool = True, **host: Any) -> str:
        """Give the completed document's text."""
        return document.write(self.complete(xml, **host).domain, secrets=secrets)

    def problems(self, xml: str | bytes, *, strict: bool = False) -> list[Problem]:
        """Give what is wrong with a document that must be refused."""
        with pytest.raises(InvalidDocument) as refused:
            self.complete(xml, strict=strict)
        assert refused.value.problems
        return refused.value.problems

    def plan(self, xml: str | bytes, *, number: int = -1, **host: Any) -> Plan:
        return plan_domain(self.complete(xml, **host).domain, self.caps, self.host(**host), number=number)

    def arguments(self, xml: str | bytes, **host: Any) -> list[render.Argument]:
        return list(render.command_line(self.plan(xml, **host).items, self.caps.version))


@cache
def recorded(arch: str) -> Core:
    """Make the core beside QEMU 7.2 of an architecture."""
    return Core(Capabilities.from_json(gzip.decompress(RECORDED[arch].read_bytes())))


@pytest.fixture(scope="session")
def core() -> Core:
    return recorded("x86_64")


def sketch(
    devices: str = "",
    *,
    machine: str = "q35",
    arch: str = "x86_64",
    kind: str = "qemu",
    body: str = "",
    name: str = "vm",
    memory: str = "<memory>65536</memory>",
) -> str:
    """Write the smallest document around these devices."""
    return (
        f"<domain type='{kind}'><name>{name}</name>{memory}"
        f"<os><type arch='{arch}' machine='{machine}'>hvm</type></os>{body}<devices>{devices}</devices></domain>"
    )


@pytest.fixture(scope="session", name="sketch")
def sketch_fixture() -> Callable[..., str]:
    return sketch
