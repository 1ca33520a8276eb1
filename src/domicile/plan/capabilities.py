"""What one QEMU binary can do, as questions that are answered from memory.

Device slices, completion and rendering ask it; `qemu/probe` makes it, `qemu/cache` keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from domicile.plan.qmp_schema import Entry, reaches

#: Raised whenever the stored form changes: an older cache is then probed anew.
FORMAT = 3


@dataclass(frozen=True, slots=True)
class MachineType:
    """A machine type as QEMU lists it."""

    name: str
    alias: str | None = None
    default: bool = False
    default_cpu: str | None = None
    max_cpus: int = 1
    hotplug_cpus: bool = False
    numa_mem_supported: bool = False
    default_ram_id: str | None = None
    deprecated: bool = False
    #: Whether it can have ACPI; None from a QEMU that does not say.
    acpi: bool | None = None


@dataclass(frozen=True, slots=True)
class CpuModel:
    """A CPU model under one accelerator; `usable` is None where QEMU does not say."""

    name: str
    type_name: str
    usable: bool | None = None
    blockers: tuple[str, ...] = ()
    migratable: bool | None = None
    static: bool = False
    deprecated: bool = False
    alias_of: str | None = None


@dataclass(frozen=True, slots=True)
class HostCpu:
    """The best CPU an accelerator can give: `host` under KVM, `max` under TCG, spelt out.

    `unmigratable` are properties that are on only for guests that never move, `hyperv` what hv-passthrough turns on.
    """

    model: str
    props: Mapping[str, bool | int | str] = field(default_factory=dict)
    unmigratable: frozenset[str] = frozenset()
    hyperv: frozenset[str] = frozenset()
    deprecated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Capabilities:
    """Everything known of one QEMU binary.

    `machine_types`, `cpus` and `host_cpu` are kept by accelerator, ``kvm`` or ``tcg``; `kvm` says whether the first is
    there. `gic` are the versions of ARM's interrupt controller, `gic_kernel` those that KVM does. `arch` is
    libvirt's word for the target. The `properties` of a type hold for what derives from it, too.
    """

    binary: str
    mtime: float
    version: tuple[int, int, int]
    package: str
    arch: str
    kvm: bool
    machine_types: Mapping[str, Mapping[str, MachineType]]
    cpus: Mapping[str, Mapping[str, CpuModel]]
    host_cpu: Mapping[str, HostCpu]
    types: Mapping[str, str]
    properties: Mapping[str, frozenset[str]]
    schema: Mapping[str, Entry]
    options: Mapping[str, frozenset[str]]
    tpm_models: tuple[str, ...] = ()
    tpm_types: tuple[str, ...] = ()
    migration: frozenset[str] = frozenset()
    gic: tuple[int, ...] = ()
    gic_kernel: tuple[int, ...] = ()
    sev: Mapping[str, Any] | None = None
    sgx: Mapping[str, Any] | None = None
    _paths: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    _aliases: dict[str, dict[str, str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def machines(self) -> Mapping[str, MachineType]:
        """The machine types of the best accelerator."""
        return self.machine_types["kvm" if self.kvm else "tcg"]

    def accelerator(self, kvm: bool | None = None) -> str:
        """Name the accelerator to look things up with: KVM where it is there, unless told not to."""
        return "kvm" if self.kvm and kvm is not False else "tcg"

    def has_device(self, driver: str) -> bool:
        """Say whether ``-device driver`` exists."""
        return driver in self.types

    def has_object(self, qom_type: str) -> bool:
        """Say whether a QOM type exists."""
        return qom_type in self.types

    def parent(self, qom_type: str) -> str | None:
        """Name the type a QOM type derives from."""
        return self.types.get(qom_type) or None

    def knows_properties(self, qom_type: str) -> bool:
        """Say whether the properties of a type (or of one it derives from) were asked for when probing."""
        return bool(self._properties(qom_type))

    def has_property(self, qom_type: str, prop: str) -> bool:
        """Say whether a device, object, CPU or machine type has a property; False where it was never asked."""
        return prop in self._properties(qom_type)

    def _properties(self, qom_type: str) -> frozenset[str]:
        name: str | None = qom_type
        while name:
            found = self.properties.get(name)
            if found is not None:
                return found
            name = self.types.get(name)
        return frozenset()

    def has_command(self, name: str) -> bool:
        """Say whether a QMP command exists."""
        entry = self.schema.get(name)
        return entry is not None and entry.meta == "command"

    def has_event(self, name: str) -> bool:
        """Say whether a QMP event exists."""
        entry = self.schema.get(name)
        return entry is not None and entry.meta == "event"

    def has_schema(self, path: str) -> bool:
        """Say whether a path through QEMU's QMP schema exists: ``blockdev-add/arg-type/+file/aio/^io_uring``."""
        known = self._paths.get(path)
        if known is None:
            known = self._paths[path] = reaches(self.schema, path)
        return known

    def has_option(self, option: str, parameter: str | None = None) -> bool:
        """Say whether a command line option (without its dash), or one parameter of it, is listed."""
        parameters = self.options.get(option)
        return parameters is not None and (parameter is None or parameter in parameters)

    def machine(self, name: str, kvm: bool | None = None) -> MachineType | None:
        """Find a machine type by name or alias."""
        accelerator = self.accelerator(kvm)
        machines = self.machine_types[accelerator]
        found = machines.get(name)
        if found is None:
            aliases = self._aliases.get(accelerator)
            if aliases is None:
                aliases = {m.alias: m.name for m in machines.values() if m.alias}
                self._aliases[accelerator] = aliases
            found = machines.get(aliases.get(name, ""))
        return found

    def default_machine(self) -> MachineType | None:
        """Find the machine type QEMU takes when none is named."""
        return next((m for m in self.machines.values() if m.default), None)

    def cpu(self, name: str, kvm: bool | None = None) -> CpuModel | None:
        """Find a CPU model as it is under an accelerator."""
        return self.cpus[self.accelerator(kvm)].get(name)

    def default_cpu(self, machine: str, kvm: bool | None = None) -> str | None:
        """Name the CPU model a machine type has by itself: the first that is listed with its type."""
        found = self.machine(machine, kvm) or self.machine(machine)
        if found is None or not found.default_cpu:
            return None
        models = self.cpus[self.accelerator(kvm)].values()
        return next((model.name for model in models if model.type_name == found.default_cpu), None)

    def at(self, binary: str) -> Capabilities:
        """Give the same capabilities for another path of the binary."""
        return self if binary == self.binary else replace(self, binary=binary)

    def to_json(self) -> bytes:
        """Give the stored form."""
        return msgspec.json.encode({name: getattr(self, name) for name in _STORED})

    @classmethod
    def from_json(cls, data: bytes) -> Capabilities:
        """Read the stored form.

        Raises:
            msgspec.DecodeError: when it is no such thing.
        """
        return msgspec.json.decode(data, type=cls)


_STORED = tuple(name for name in Capabilities.__dataclass_fields__ if not name.startswith("_"))
