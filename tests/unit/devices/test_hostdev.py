from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.hostdev import FAMILY, check_together
from domicile.domain.rules.unplanned import gaps
from domicile.plan.need import LentDevice

UUID = "53764d0e-85a0-42b4-af5c-2046b460b1dc"
PCI = "<hostdev type='pci'{}><source><address bus='6' slot='0x12' function='5'/></source>{}</hostdev>"
USB = "<hostdev type='usb'><source{}>{}</source></hostdev>"
MDEV = f"<hostdev type='mdev'{{}}><source><address uuid='{UUID}'/></source>{{}}</hostdev>"
SCSI = "<hostdev type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='4' unit='8'/></source>{}</hostdev>"
DRIVE = "<address type='drive' controller='0' bus='0' target='4' unit='8'/>"


@pytest.fixture
def device(bench: Any) -> Any:
    return bench(FAMILY)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (PCI.format("", ""), "<hostdev mode='subsystem' type='pci' managed='no'>"),
        (PCI.format("", ""), "<address domain='0x0000' bus='0x06' slot='0x12' function='0x5'/>"),
        (USB.format("", "<vendor id='1234'/><product id='0xbeef'/>"), "<vendor id='0x04d2'/>"),
        (USB.format("", "<address device='3' bus='0x1'/>"), "<address bus='1' device='3'/>"),
        (MDEV.format(" model='vfio-pci'", ""), "managed='no' model='vfio-pci' display='off'>"),
        ("<hostdev type='scsi'><source protocol='iscsi' name='iqn.x'><host name='h'/></source></hostdev>", "name='iqn.x/0'"),
    ],
)  # fmt: skip
def test_one_form_is_kept(device: Any, given: str, kept: str) -> None:
    assert kept in device.kept(given)


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ("<hostdev/>", "type"),
        ("<hostdev type='pci'/>", "<source>"),
        ("<hostdev mode='capabilities' type='net'/>", "'capabilities'"),
        (PCI.format(" sgio='filtered'", ""), "'sgio'"),
        (PCI.format(" model='vfio-pci'", ""), "'model'"),
        (PCI.format("", "").replace("0x12", "0x99"), "'0x99'"),
        (USB.format("", "<vendor id='0x1234'/>"), "'product'"),
        (USB.format("", "<address bus='1'/>"), "'device'"),
        (SCSI.format("<address type='pci'/>"), "'pci'"),
        ("<hostdev type='scsi_host'><source protocol='vhost' wwpn='5'/></hostdev>", "'5'"),
        (MDEV.format(" model='vfio-pci'", DRIVE), "'drive'"),
        (MDEV.format(" model='vfio-ap'", "<boot order='1'/>"), "'vfio-ap'"),
        (MDEV.format("", ""), "'model'"),
    ],
)
def test_what_cannot_be_is_named(device: Any, given: str, culprit: str) -> None:
    assert any(culprit in message for message in device.problems(given))


def test_a_device_is_given_once_and_a_screen_needs_a_display(device: Any) -> None:
    c = device.completion()
    check_together([device.completed(MDEV.format(" model='vfio-pci' display='on' ramfb='on'", ""))] * 2, False, c)
    messages = " ".join(problem.message for _, _, problem in c.found)
    assert all(word in messages for word in ("already exists", "display=on", "ramfb"))


@pytest.mark.parametrize(
    ("given", "props"),
    [
        (PCI.format("", "<rom bar='off'/>"), {"driver": "vfio-pci", "host": "0000:06:12.5", "id": "hostdev0", "rombar": 0}),
        (
            USB.format(" guestReset='uninitialized'", "<address bus='1' device='3'/>"),
            {"driver": "usb-host", "hostdevice": "/dev/bus/usb/001/003", "id": "hostdev0"} | {"guest-reset": True, "guest-resets-all": False},
        ),
        (
            USB.format("", "<vendor id='0x1234'/><product id='0xbeef'/>"),
            {"driver": "usb-host", "vendorid": 0x1234, "productid": 0xBEEF, "id": "hostdev0"},
        ),
        (
            MDEV.format(" model='vfio-pci' display='on' ramfb='on'", ""),
            {"driver": "vfio-pci-nohotplug", "id": "hostdev0", "sysfsdev": f"/sys/bus/mdev/devices/{UUID}"} | {"display": "on", "ramfb": True},
        ),
        (
            "<hostdev type='scsi_host'><source protocol='vhost' wwpn='naa.5123456789abcde0'/></hostdev>",
            {"driver": "vhost-scsi-pci", "wwpn": "naa.5123456789abcde0", "vhostfd": "{fd:vhost-scsi-hostdev0}", "id": "hostdev0"},
        ),
    ],
)  # fmt: skip
def test_the_device_qemu_is_asked_for(device: Any, given: str, props: dict[str, Any]) -> None:
    assert device.props(given) == [props]


def test_a_scsi_device_is_a_node_and_a_device(device: Any) -> None:
    node, scsi = device.props(SCSI.format(DRIVE))
    assert node["filename"] == "/dev/{sg:0:0:4:8}"
    assert scsi == {
        "driver": "scsi-generic", "drive": "libvirt-0-backend", "id": "hostdev0", "bus": "scsi0.0", "channel": 0, "scsi-id": 4, "lun": 8,
    }  # fmt: skip


def test_an_unassigned_device_is_taken_from_the_host_and_not_given_to_the_guest(device: Any) -> None:
    (lent,) = device.planned(PCI.format("", "<address type='unassigned'/>"))
    assert isinstance(lent, LentDevice)


@pytest.mark.parametrize(
    "given",
    [
        SCSI.format(""),
        "<hostdev type='scsi'><source protocol='iscsi' name='iqn.x/1'><host name='h'/></source></hostdev>",
        USB.format("", "<vendor id='0x1234'/><product id='0xbeef'/>"),
        PCI.format("", ""),
    ],
)
def test_devices_of_the_host_can_be_lent(core: Any, given: str) -> None:
    machine = "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
    xml = f"<domain type='qemu'><name>v</name><memory>65536</memory>{machine}<devices>{given}</devices></domain>"
    assert not [gap for gap in gaps(core.complete(xml).domain) if gap.refused]
