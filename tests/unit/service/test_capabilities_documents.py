from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from domicile.base.errors import HostFailure, InvalidRequest, Unsupported
from domicile.plan.capabilities import Capabilities, CpuModel, MachineType
from domicile.plan.host import Host
from domicile.service import capabilities_xml, domain_capabilities
from domicile.service.domain_capabilities import Wish

MACHINES = {
    "pc-q35-7.2": MachineType("pc-q35-7.2", alias="q35", max_cpus=288),
    "pc-i440fx-7.2": MachineType("pc-i440fx-7.2", alias="pc", default=True, max_cpus=255),
    "pc-i440fx-1.4": MachineType("pc-i440fx-1.4", max_cpus=255, deprecated=True),
    "none": MachineType("none"),
}
CPUS = {
    name: CpuModel(name, f"{name}-x86_64-cpu", usable)
    for name, usable in {"max": True, "EPYC": False, "EPYC-v2": False, "qemu64": True, "Penryn": None}.items()
}
TYPES = ("iothread", "isa-fdc", "virtio-blk-pci", "usb-storage", "ich9-ahci", "VGA", "rng-random", "virtio-rng-pci")
CAPS = Capabilities(
    "/usr/bin/qemu-system-x86_64", 0.0, (7, 2, 0), "", "x86_64", False, {"tcg": MACHINES, "kvm": MACHINES},
    {"tcg": CPUS, "kvm": CPUS}, {}, dict.fromkeys(TYPES, ""), {}, {}, {}, tpm_models=("tpm-tis",), tpm_types=("emulator",),
)  # fmt: skip
KVM = replace(CAPS, kvm=True)


def find(caps: Capabilities = CAPS) -> Any:
    return lambda emulator, arch: caps if emulator in (None, caps.binary) and arch in ("x86_64", "i686") else None


def test_the_capabilities_of_the_host() -> None:
    text = capabilities_xml.write({"x86_64": CAPS}, "11111111-2222-4333-8444-555555555555")
    root = etree.fromstring(text)
    assert root.findtext("host/uuid") == "11111111-2222-4333-8444-555555555555"
    assert root.findtext("host/cpu/arch") and root.find("host/topology/cells/cell/cpus/cpu") is not None
    machines = [(m.text, m.get("canonical"), m.get("deprecated")) for m in root.findall("guest/arch/machine")]
    assert machines == [
        ("pc-i440fx-7.2", None, None),
        ("pc", "pc-i440fx-7.2", None),
        ("pc-q35-7.2", None, None),
        ("q35", "pc-q35-7.2", None),
        ("pc-i440fx-1.4", None, "yes"),
    ]
    assert [d.get("type") for d in root.findall("guest/arch/domain")] == ["qemu"]
    assert text.startswith("<capabilities>\n\n  <host>\n    <uuid>")


def test_cpu_models_for_definitions() -> None:
    assert capabilities_xml.cpu_models(CAPS) == ["qemu64", "Penryn", "EPYC"]
    assert capabilities_xml.cpu_models(None) == []


def described(wish: Wish, caps: Capabilities = CAPS, host: Host | None = None) -> Any:
    return etree.fromstring(domain_capabilities.write(wish, host or Host(kvm=caps.kvm), find(caps)))


def test_what_is_left_open_is_settled() -> None:
    root = described(Wish())
    assert [root.findtext(tag) for tag in ("path", "domain", "machine", "arch")] == [
        CAPS.binary,
        "qemu",
        "pc-i440fx-7.2",
        "x86_64",
    ]
    assert root.find("vcpu").get("max") == "255"
    assert described(Wish(machine="q35")).findtext("machine") == "pc-q35-7.2"
    assert described(Wish(), KVM).findtext("domain") == "kvm"


def test_devices_are_those_that_the_emulator_has() -> None:
    def values(root: Any, path: str) -> list[str]:
        return [value.text for value in root.findall(f"{path}/value")]

    pc, q35 = described(Wish()), described(Wish(machine="q35"))
    assert values(pc, "devices/disk/enum[@name='bus']") == ["ide", "fdc", "virtio", "usb", "sata"]
    assert values(q35, "devices/disk/enum[@name='bus']") == ["fdc", "virtio", "usb", "sata"]
    assert values(pc, "devices/video/enum[@name='modelType']") == ["vga", "none"]
    assert values(pc, "devices/graphics/enum[@name='type']") == ["sdl", "vnc", "egl-headless", "dbus"]
    assert values(pc, "devices/tpm/enum[@name='backendModel']") == ["emulator", "external"]
    assert pc.find("devices/redirdev").get("supported") == "no" and len(pc.find("devices/redirdev")) == 0
    models = pc.findall("cpu/mode[@name='custom']/model")
    assert [(m.text, m.get("usable"), m.get("vendor")) for m in models] == [
        ("EPYC", "no", "AMD"),
        ("qemu64", "yes", "unknown"),
        ("Penryn", "unknown", "Intel"),
    ]
    assert pc.find("cpu/mode[@name='host-passthrough']").get("supported") == "no"
    assert described(Wish(), KVM).find("cpu/mode[@name='host-passthrough']").get("supported") == "yes"


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        (Wish(kind="bogus"), InvalidRequest),
        (Wish(kind="xen"), InvalidRequest),
        (Wish(kind="kvm"), InvalidRequest),
        (Wish(arch="bogus"), InvalidRequest),
        (Wish(arch="aarch64"), Unsupported),
        (Wish(machine="bogus"), InvalidRequest),
        (Wish(machine="none"), InvalidRequest),
        (Wish(emulator="/no/such/qemu"), HostFailure),
    ],
)
def test_wishes_that_cannot_be(wish: Wish, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        described(wish)


def test_the_hosts_model_is_spelt_out(core: Any) -> None:
    root = described(Wish(kind="qemu"), core.caps)
    mode = root.find("cpu/mode[@name='host-model']")
    # As libvirt 9.0 says it of the same QEMU.
    assert mode.get("supported") == "yes"
    assert (mode.findtext("model"), mode.find("model").get("fallback"), mode.findtext("vendor")) == (
        "EPYC",
        "forbid",
        "AMD",
    )
    features = {feature.get("name"): feature.get("policy") for feature in mode.findall("feature")}
    assert features["hypervisor"] == "require" and features["fxsr_opt"] == "disable" and len(features) == 28
    assert described(Wish()).find("cpu/mode[@name='host-model']").get("supported") == "no"
