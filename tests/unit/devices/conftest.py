"""A bench for one device family: read, complete, check and plan a single element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from lxml import etree

from domicile.devices.family import Family
from domicile.devices.parts.device import Alias
from domicile.plan.capabilities import Capabilities
from domicile.plan.facts import Completion, Planning
from domicile.plan.host import Host
from domicile.plan.qemu import Item, Keyed, Structured
from domicile.plan.qmp_schema import Entry
from domicile.schema.read import Reader
from domicile.schema.write import write


@dataclass
class Bench:
    """A machine around one family's elements; `types` and `commands` are what the emulator has."""

    family: Family
    arch: str = "x86_64"
    machine: str = "pc"
    types: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    properties: dict[str, frozenset[str]] = field(default_factory=dict)
    host: Host = field(default_factory=Host)

    @property
    def caps(self) -> Capabilities:
        schema = {name: Entry("command") for name in self.commands}
        types = dict.fromkeys(self.types, "")
        return Capabilities("", 0.0, (7, 2, 0), "", self.arch, False, {}, {}, {}, types, self.properties, schema, {})

    def settings(self, **changes: Any) -> Bench:
        return replace(self, host=replace(self.host, settings=replace(self.host.settings, **changes)))

    def completion(self) -> Completion:
        return Completion(self.arch, self.machine, "tcg", "hvm", self.caps, self.host)

    def planning(self) -> Planning:
        return Planning(
            self.arch,
            self.machine,
            "tcg",
            "hvm",
            self.caps,
            self.host,
            name="vm",
            short_name="1-vm",
            audio=lambda number: f"audio{number or 1}",
            pci_bus=lambda bus: f"pci.{bus}",
        )

    def read(self, xml: str) -> Any:
        reader = Reader()
        made = reader.element(self.family.element.shape, etree.fromstring(xml))
        assert not reader.problems
        return made

    def completed(self, xml: str) -> Any:
        """Complete twice: the second time must neither change nor note anything."""
        device, c = self.read(xml), self.completion()
        self.family.defaults(device, c)
        once, notes = write(device), len(c.notes)
        self.family.defaults(device, c)
        assert (write(device), len(c.notes)) == (once, notes)
        again = self.read(once)
        self.family.defaults(again, c)
        assert write(again) == once
        return device

    def kept(self, xml: str) -> str:
        return write(self.completed(xml)).strip()

    def problems(self, xml: str) -> list[str]:
        c = self.completion()
        reader = Reader()
        device = reader.element(self.family.element.shape, etree.fromstring(xml))
        self.family.defaults(device, c)
        self.family.check(device, c)
        return [problem.message for problem in reader.problems] + [problem.message for _, _, problem in c.found]

    def planned(self, xml: str) -> list[Any]:
        p = self.planning()
        device = self.completed(xml)
        name = self.family.alias(device, 0, p)
        if name and device.alias is None:
            device.alias = Alias(name=name)
        return list(self.family.plan(device, p))

    def props(self, xml: str) -> list[dict[str, Any]]:
        """The JSON options of the plan, without what is left out."""
        found = [item for item in self.planned(xml) if isinstance(item, Structured)]
        return [{key: value for key, value in item.props.items() if value is not None} for item in found]


def words(items: list[Any], flag: str) -> str:
    """Write the first keyed option of that flag roughly as QEMU takes it."""
    pairs = next(item for item in items if isinstance(item, Keyed) and item.flag == flag).pairs
    shown = {True: "on", False: "off"}
    texts = [(key, shown[value] if isinstance(value, bool) else value) for key, value in pairs if value is not None]
    return ",".join(f"{key}={value}" if key else str(value) for key, value in texts)


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench


@pytest.fixture(name="words")
def words_fixture() -> Callable[[list[Item], str], str]:
    return words
