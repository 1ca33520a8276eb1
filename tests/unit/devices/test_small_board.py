"""Watchdogs, panic notifiers, TPMs, shared memory, IOMMUs, pstore and nvram."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.devices import iommu, nvram, panic, pstore, shmem, tpm, watchdog
from domicile.plan.place import Pci, WantPci
from domicile.plan.qemu import Keyed, Option

PLACE = "<address type='pci' domain='0x0000' bus='0x00' slot='0x08' function='0x0'/>"
AT = {"bus": "pci.0", "addr": "0x8"}


def test_watchdog(bench: Any) -> None:
    pc, q35 = bench(watchdog.FAMILY), bench(watchdog.FAMILY, machine="pc-q35-7.2")
    assert pc.kept("<watchdog model='ib700'/>") == "<watchdog model='ib700' action='reset'/>"
    assert pc.props(f"<watchdog model='i6300esb'>{PLACE}</watchdog>") == [
        {"driver": "i6300esb", "id": "watchdog0", **AT}
    ]
    assert pc.planned("<watchdog model='ib700' action='dump'/>")[1] == Option("-watchdog-action", "pause")
    assert q35.planned("<watchdog model='itco'/>")[0] == Keyed("-global", (("ICH9-LPC.noreboot", False),))
    assert "'itco'" in pc.problems("<watchdog model='itco'/>")[0]
    assert "'diag288'" in pc.problems("<watchdog model='diag288'/>")[0]
    assert "'ib700'" in pc.problems(f"<watchdog model='ib700'>{PLACE}</watchdog>")[0]
    assert pc.problems("<watchdog/>")


@pytest.mark.parametrize(
    ("arch", "machine", "model"),
    [("x86_64", "pc", "isa"), ("ppc64", "pseries", "pseries"), ("s390x", "s390-ccw-virtio", "s390")],
)
def test_the_usual_panic_notifier(bench: Any, arch: str, machine: str, model: str) -> None:
    assert bench(panic.FAMILY, arch=arch, machine=machine).kept("<panic/>") == f"<panic model='{model}'/>"


def test_panic(bench: Any) -> None:
    pc = bench(panic.FAMILY)
    assert pc.props("<panic model='isa'><address type='isa' iobase='0x505'/></panic>") == [
        {"driver": "pvpanic", "ioport": 0x505}
    ]
    assert pc.props(f"<panic model='pvpanic'>{PLACE}</panic>") == [{"driver": "pvpanic-pci", **AT}]
    assert pc.planned("<panic model='hyperv'/>") == []
    assert "'pseries'" in pc.problems("<panic model='pseries'/>")[0]
    assert "'pvpanic'" in pc.problems("<panic model='pvpanic'><address type='isa'/></panic>")[0]
    assert bench(panic.FAMILY, arch="riscv64", machine="virt").problems("<panic/>")
    arm = bench(panic.FAMILY, arch="aarch64", machine="virt")
    assert panic.FAMILY.place(arm.completed("<panic model='pvpanic'/>"), arm.completion()) == WantPci(Pci.PCIE)


def test_tpm(bench: Any, words: Any) -> None:
    pc = bench(tpm.FAMILY, types=("tpm-tis", "tpm-crb"))
    assert pc.kept("<tpm><backend type='emulator'/></tpm>") == (
        "<tpm model='tpm-tis'>\n  <backend type='emulator' version='1.2'/>\n</tpm>"
    )
    assert pc.completed("<tpm model='tpm-crb'><backend type='emulator'/></tpm>").backend.version == "2.0"
    given = "<tpm><backend type='passthrough'/></tpm>"
    assert "<device path='/dev/tpm0'/>" in pc.kept(given)
    lent = "path=/dev/fdset/{fd:tpm0-tpm},cancel-path=/dev/fdset/{fd:tpm0-tpm-cancel}"
    assert words(pc.planned(given), "-tpmdev") == f"passthrough,id=tpm-tpm0,{lent}"
    assert pc.props(given) == [{"driver": "tpm-tis", "tpmdev": "tpm-tpm0", "id": "tpm0"}]
    outside = "<tpm><backend type='external'><source type='unix' path='/s'/></backend></tpm>"
    assert "<source type='unix' mode='connect' path='/s'/>" in pc.kept(outside)
    assert words(pc.planned(outside), "-chardev") == "socket,id=chrtpm,path=/s"
    assert bench(tpm.FAMILY, arch="aarch64", machine="virt").props(given)[0]["driver"] == "tpm-tis-device"


@pytest.mark.parametrize(
    ("xml", "culprit"),
    [
        ("<tpm/>", "<backend>"),
        ("<tpm><backend/></tpm>", "'type'"),
        ("<tpm model='tpm-spapr'><backend type='passthrough'/></tpm>", "'tpm-spapr'"),
        ("<tpm model='tpm-crb'><backend type='emulator' version='1.2'/></tpm>", "'tpm-crb'"),
        (
            "<tpm><backend type='emulator' version='1.2'><active_pcr_banks><sha1/></active_pcr_banks></backend></tpm>",
            "<active_pcr_banks/>",
        ),
        ("<tpm><backend type='external'/></tpm>", "'external'"),
    ],
)
def test_tpm_refusals(bench: Any, xml: str, culprit: str) -> None:
    problems = bench(tpm.FAMILY, types=("tpm-tis", "tpm-crb")).problems(xml)
    assert any(culprit in problem for problem in problems)


def test_shared_memory(bench: Any, words: Any) -> None:
    pc = bench(shmem.FAMILY)
    plain = "<shmem name='s' role='peer'><model type='ivshmem-plain'/>{}</shmem>"
    assert "<size unit='M'>4</size>" in pc.kept(plain.format(""))
    assert "<size unit='M'>8</size>" in pc.kept(plain.format("<size unit='KiB'>8192</size>"))
    assert pc.props(plain.format(PLACE)) == [
        {
            "qom-type": "memory-backend-file",
            "id": "shmmem-shmem0",
            "mem-path": "/dev/shm/s",
            "size": 4 << 20,
            "share": True,
        },
        {"driver": "ivshmem-plain", "id": "shmem0", "memdev": "shmmem-shmem0", "master": "off", **AT},
    ]
    bell = "<shmem name='s'><model type='ivshmem-doorbell'/><server path='/s'/><msi vectors='16'/></shmem>"
    assert "<msi vectors='16' ioeventfd='on'/>" in pc.kept(bell)
    assert words(pc.planned(bell), "-chardev") == "socket,id=charshmem0,path=/s"
    assert "<msi ioeventfd='on'/>" in pc.kept(bell.replace("<msi vectors='16'/>", ""))


@pytest.mark.parametrize(
    "inside",
    [
        "><model type='ivshmem-plain'/",
        " name='a/b'><model type='ivshmem-plain'/",
        " name='..'><model type='ivshmem-plain'/",
        " name='s'",
        " name='s'><model type='ivshmem-plain'/><size unit='M'>3</size",
        " name='s'><model type='ivshmem-plain'/><server path='/s'/",
        " name='s'><model type='ivshmem-plain'/><msi vectors='3'/",
        " name='s'><model type='ivshmem-doorbell'/",
        " name='s'><model type='ivshmem-doorbell'/><server/><size unit='M'>4</size",
    ],
)
def test_shared_memory_refusals(bench: Any, inside: str) -> None:
    assert bench(shmem.FAMILY).problems(f"<shmem{inside}></shmem>")


def test_iommu(bench: Any) -> None:
    q35, pc = bench(iommu.FAMILY, machine="pc-q35-7.2"), bench(iommu.FAMILY)
    xml = "<iommu model='intel'><driver intremap='on' caching_mode='on' eim='off' iotlb='on' aw_bits='48'/></iommu>"
    assert q35.props(xml) == [
        {
            "driver": "intel-iommu",
            "id": "iommu0",
            "intremap": "on",
            "caching-mode": True,
            "eim": "off",
            "device-iotlb": True,
            "aw-bits": 48,
        }
    ]
    assert not q35.problems(xml)
    assert "'intel'" in pc.problems(xml)[0]
    assert "'virtio'" in q35.problems("<iommu model='virtio'><driver intremap='on'/></iommu>")[0]
    assert "'eim'" in q35.problems("<iommu model='intel'><driver eim='on'/></iommu>")[0]
    assert iommu.FAMILY.place(q35.completed("<iommu model='virtio'/>"), q35.completion()) == WantPci(Pci.PCIE)


def test_pstore(bench: Any) -> None:
    pc = bench(pstore.FAMILY, types=("acpi-erst",))
    xml = f"<pstore backend='acpi-erst'>\n  <path>/p</path>\n  <size unit='KiB'>8</size>\n  {PLACE}\n</pstore>"
    assert pc.kept(xml) == xml
    assert pc.kept(xml.replace("'KiB'>8", "'bytes'>8000")) == xml
    assert pc.props(xml)[0]["size"] == 8192
    assert pc.props(xml)[1] == {"driver": "acpi-erst", "id": "pstore0", "memdev": "mempstore0", **AT}
    assert len(pc.problems("<pstore/>")) == 3


def test_nvram(bench: Any) -> None:
    power = bench(nvram.FAMILY, arch="ppc64", machine="pseries")
    assert power.kept("<nvram/>") == "<nvram/>"
    moved = power.planned("<nvram><address type='spapr-vio' reg='0x4000'/></nvram>")
    assert moved == [Keyed("-global", (("spapr-nvram.reg", "0x4000"),))]
    assert "<nvram>" in bench(nvram.FAMILY).problems("<nvram/>")[0]
