"""The balloon, the generator, the socket device, the accelerator: small devices on virtio."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.devices import crypto, memballoon, rng, vsock
from domicile.plan.need import File
from domicile.plan.place import Pci, WantPci

PLACE = "<address type='pci' domain='0x0000' bus='0x00' slot='0x08' function='0x0'/>"
AT = {"bus": "pci.0", "addr": "0x8"}


def test_balloon(bench: Any) -> None:
    pc = bench(memballoon.FAMILY)
    xml = (
        "<memballoon model='virtio' autodeflate='on' freePageReporting='on'>\n  <stats period='10'/>\n"
        f"  {PLACE}\n  <driver iommu='on'/>\n</memballoon>"
    )
    assert pc.kept(xml) == xml
    assert pc.props(xml) == [
        {
            "driver": "virtio-balloon-pci",
            "iommu_platform": True,
            "id": "balloon0",
            "deflate-on-oom": True,
            "free-page-reporting": True,
            **AT,
        }
    ]
    assert pc.planned("<memballoon model='none'/>") == []
    assert "'xen'" in pc.problems("<memballoon model='xen'/>")[0]
    assert "'model'" in pc.problems("<memballoon/>")[0]


@pytest.mark.parametrize(("machine", "bus"), [("q35", Pci.PCIE), ("pc", Pci.PCI)])
def test_virtio_sits_on_the_better_bus(bench: Any, machine: str, bus: Pci) -> None:
    pc = bench(memballoon.FAMILY, machine=machine)
    want = memballoon.FAMILY.place(pc.completed("<memballoon model='virtio'/>"), pc.completion())
    assert want == WantPci(bus | Pci.HOTPLUG)


def test_rng(bench: Any, words: Any) -> None:
    pc = bench(rng.FAMILY)
    given = f"<rng model='virtio'><rate bytes='5'/><backend model='random'/>{PLACE}</rng>"
    assert "<backend model='random'>/dev/random</backend>" in pc.kept(given)
    assert pc.planned(given)[0] == File("/dev/random", writable=False)
    assert pc.props(given) == [
        {"qom-type": "rng-random", "id": "objrng0", "filename": "/dev/random"},
        {"driver": "virtio-rng-pci", "rng": "objrng0", "id": "rng0", "max-bytes": 5, "period": 1000, **AT},
    ]
    egd = f"<rng model='virtio'><backend model='egd' type='unix'><source path='/e'/></backend>{PLACE}</rng>"
    assert words(pc.planned(egd), "-chardev") == "socket,id=charrng0,path=/e"
    assert pc.props(egd)[0] == {"qom-type": "rng-egd", "id": "objrng0", "chardev": "charrng0"}
    assert pc.props(f"<rng model='virtio-transitional'><backend model='builtin'/>{PLACE}</rng>")[1]["driver"] == (
        "virtio-rng-pci-transitional"
    )


@pytest.mark.parametrize(
    "xml",
    [
        "<rng/>",
        "<rng model='virtio'/>",
        "<rng model='virtio'><backend model='egd'/></rng>",
        "<rng model='virtio'><backend model='egd' type='unix'/></rng>",
    ],
)
def test_rng_refusals(bench: Any, xml: str) -> None:
    assert bench(rng.FAMILY).problems(xml)


def test_vsock(bench: Any) -> None:
    pc = bench(vsock.FAMILY)
    assert pc.kept("<vsock/>") == "<vsock model='virtio'>\n  <cid auto='yes'/>\n</vsock>"
    assert "<cid auto='no' address='7'/>" in pc.kept("<vsock><cid address='7'/></vsock>")
    fixed = pc.props(f"<vsock><cid address='7'/>{PLACE}</vsock>")
    assert fixed == [
        {"driver": "vhost-vsock-pci", "id": "vsock0", "guest-cid": 7, "vhostfd": "{fd:vsock0-vhost}", **AT}
    ]
    chosen = pc.props("<vsock/>")[0]["guest-cid"]
    assert 3 <= chosen < 2**32 - 1
    assert "'2'" in pc.problems("<vsock><cid address='2'/></vsock>")[0]
    assert pc.problems("<vsock><cid auto='no'/></vsock>")


def test_crypto(bench: Any) -> None:
    pc = bench(crypto.FAMILY, types=("cryptodev-backend-builtin",))
    xml = f"<crypto model='virtio' type='qemu'>\n  <backend model='builtin' queues='2'/>\n  {PLACE}\n</crypto>"
    assert pc.kept(xml) == xml
    assert pc.props(xml) == [
        {"qom-type": "cryptodev-backend-builtin", "id": "objcrypto0", "queues": 2},
        {"driver": "virtio-crypto-pci", "cryptodev": "objcrypto0", "id": "crypto0", **AT},
    ]
    assert not pc.problems(xml)
    assert "'lkcf'" in pc.problems("<crypto model='virtio' type='qemu'><backend model='lkcf'/></crypto>")[0]
    assert len(pc.problems("<crypto/>")) == 3
