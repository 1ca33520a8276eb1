from __future__ import annotations

from domicile.plan.capabilities import Capabilities, CpuModel, HostCpu, MachineType
from domicile.plan.qmp_schema import compact

SCHEMA = [
    {"name": "blockdev-add", "meta-type": "command", "arg-type": "1", "ret-type": "0", "features": ["fresh"]},
    {"name": "STOP", "meta-type": "event", "arg-type": "0"},
    {"name": "0", "meta-type": "object", "members": []},
    {
        "name": "1",
        "meta-type": "object",
        "tag": "driver",
        "members": [
            {"name": "driver", "type": "2"},
            {"name": "node-name", "type": "str", "default": None, "features": ["deprecated"]},
            {"name": "chain", "type": "5"},
        ],
        "variants": [{"case": "file", "type": "3"}],
    },
    {"name": "2", "meta-type": "enum", "values": ["file", "raw"]},
    {"name": "3", "meta-type": "object", "members": [{"name": "aio", "type": "4", "default": None}]},
    {
        "name": "4",
        "meta-type": "enum",
        "members": [{"name": "threads"}, {"name": "io_uring", "features": ["unstable"]}],
    },
    {"name": "5", "meta-type": "array", "element-type": "6"},
    {"name": "6", "meta-type": "alternate", "members": [{"type": "str"}, {"type": "3"}]},
    {"name": "str", "meta-type": "builtin", "json-type": "string"},
]


def make() -> Capabilities:
    pc = MachineType("pc-i440fx-7.2", alias="pc", default=True, max_cpus=255)
    tcg_only = MachineType("isapc")
    return Capabilities(
        binary="/usr/bin/qemu-system-x86_64",
        mtime=1.5,
        version=(7, 2, 0),
        package="v7.2.0",
        arch="x86_64",
        kvm=True,
        machine_types={"kvm": {pc.name: pc}, "tcg": {pc.name: pc, tcg_only.name: tcg_only}},
        cpus={"kvm": {"host": CpuModel("host", "host-x86_64-cpu", True)}, "tcg": {}},
        host_cpu={"kvm": HostCpu("base", {"aes": True, "family": 23, "vendor": "AuthenticAMD"})},
        types={"pc-i440fx-7.2-machine": "generic-pc-machine", "generic-pc-machine": "machine", "VGA": ""},
        properties={"generic-pc-machine": frozenset({"smm"})},
        schema=compact(SCHEMA),
        options={"sandbox": frozenset({"enable"})},
    )


def test_lookups() -> None:
    caps = make()
    assert caps.has_device("VGA")
    assert not caps.has_device("qxl")
    assert caps.has_property("pc-i440fx-7.2-machine", "smm")
    assert not caps.has_property("pc-i440fx-7.2-machine", "acpi")
    assert not caps.has_property("VGA", "vgamem_mb")
    assert not caps.knows_properties("VGA")
    assert caps.has_option("sandbox", "enable")
    assert not caps.has_option("sandbox", "obsolete")
    assert not caps.has_option("compat")


def test_machines_by_name_alias_and_accelerator() -> None:
    caps = make()
    default = caps.default_machine()
    assert default is not None
    assert default is caps.machine("pc")
    assert caps.machine("isapc") is None
    assert caps.machine("isapc", kvm=False) is not None
    assert caps.machine("q35") is None


def test_schema_paths() -> None:
    caps = make()
    for path in (
        "blockdev-add",
        "blockdev-add/!fresh",
        "blockdev-add/arg-type/driver/^raw",
        "blockdev-add/arg-type/+file/aio/^io_uring",
        "blockdev-add/arg-type/+file/aio/^io_uring/!unstable",
        "blockdev-add/arg-type/+file/*aio",
        "blockdev-add/arg-type/node-name/!deprecated",
        "blockdev-add/arg-type/chain/aio",
        "STOP/arg-type",
    ):
        assert caps.has_schema(path), path
    for path in (
        "blockdev-del",
        "1/driver",
        "blockdev-add/!stale",
        "blockdev-add/arg-type/+nbd",
        "blockdev-add/arg-type/+file/aio/^native",
        "blockdev-add/arg-type/+file/aio/^threads/!unstable",
        "blockdev-add/arg-type/*driver",
        "blockdev-add/arg-type/chain/size",
        "blockdev-add/other-type",
    ):
        assert not caps.has_schema(path), path
    assert caps.has_command("blockdev-add")
    assert not caps.has_command("STOP")
    assert caps.has_event("STOP")


def test_the_stored_form_gives_the_same_back() -> None:
    caps = make()
    assert caps.has_schema("blockdev-add")
    again = Capabilities.from_json(caps.to_json())
    assert again == caps
    assert again.host_cpu["kvm"].props == {"aes": True, "family": 23, "vendor": "AuthenticAMD"}
