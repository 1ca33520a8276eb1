"""QEMU's own events in libvirt's terms."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.service import happenings
from domicile.service.entry import Entry, Live

XML = """<domain type='qemu' id='3'><name>vm</name><memory>65536</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<clock offset='variable' adjustment='100' basis='utc'/>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/top' index='2'/>
<backingStore type='file' index='1'><format type='raw'/><source file='/srv/base'/><backingStore/></backingStore>
<target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>
<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/><alias name='ide0-1-0'/></disk>
<channel type='unix'><source mode='bind' path='/run/a'/><target type='virtio' name='org.qemu.guest_agent.0'
state='disconnected'/><alias name='channel0'/></channel>
</devices></domain>"""


@pytest.fixture
def entry() -> Entry:
    return Entry("6f1c0000-0000-4000-8000-000000000105", "vm", id=3, live=Live(XML, 0, {}, []))


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("RTC_CHANGE", {"offset": 5}, [("rtc_change", (105,))]),
        ("WATCHDOG", {"action": "pause"}, [("watchdog", (1,))]),
        ("WATCHDOG", {"action": "inject-nmi"}, [("watchdog", (6,))]),
        (
            "BLOCK_IO_ERROR",
            {"device": "", "node-name": "vda-format", "action": "stop", "nospace": True, "operation": "write"},
            [
                ("io_error", ("/srv/top", "virtio-disk0", 1)),
                ("io_error_reason", ("/srv/top", "virtio-disk0", 1, "enospc")),
            ],
        ),
        (
            "BLOCK_IO_ERROR",
            {"device": "/machine/peripheral/virtio-disk0/virtio-backend", "action": "report", "operation": "read"},
            [("io_error", ("/srv/top", "virtio-disk0", 2)), ("io_error_reason", ("/srv/top", "virtio-disk0", 2, ""))],
        ),
        ("DEVICE_TRAY_MOVED", {"id": "ide0-1-0", "device": "", "tray-open": True}, [("tray_change", ("ide0-1-0", 0))]),
        ("DEVICE_TRAY_MOVED", {"id": "ide0-1-0", "tray-open": False}, [("tray_change", ("ide0-1-0", 1))]),
        ("DEVICE_TRAY_MOVED", {"id": "nobody", "tray-open": False}, []),
        (
            "BLOCK_WRITE_THRESHOLD",
            {"node-name": "libvirt-2-format", "amount-exceeded": 7, "write-threshold": 90},
            [("block_threshold", ("vda", "/srv/top", 90, 7))],
        ),
        ("WAKEUP", {}, [("pmwakeup", ())]),
        ("SUSPEND", {}, [("pmsuspend", ())]),
        ("SUSPEND_DISK", {}, [("pmsuspend_disk", ())]),
        ("BALLOON_CHANGE", {"actual": 33554432}, [("balloon_change", (32768,))]),
        ("DEVICE_UNPLUG_GUEST_ERROR", {"device": "dimm0"}, [("device_removal_failed", ("dimm0",))]),
        ("MEM_UNPLUG_ERROR", {"device": "dimm0", "msg": "no"}, [("device_removal_failed", ("dimm0",))]),
        (
            "MEMORY_DEVICE_SIZE_CHANGE",
            {"id": "virtiomem0", "size": 2048},
            [("memory_device_size_change", ("virtiomem0", 2))],
        ),
        (
            "MEMORY_FAILURE",
            {"recipient": "guest", "action": "inject", "flags": {"action-required": True, "recursive": True}},
            [("memory_failure", (1, 1, 3))],
        ),
        ("MIGRATION_PASS", {"pass": 2}, [("migration_iteration", (2,))]),
        ("VSERPORT_CHANGE", {"id": "channel0", "open": True}, [("agent_lifecycle", (1, 2))]),
        ("VSERPORT_CHANGE", {"id": "channel7", "open": True}, []),
        (
            "VNC_INITIALIZED",
            {
                "server": {"auth": "sasl", "family": "ipv4", "host": "127.0.0.1", "service": "5900"},
                "client": {"family": "ipv6", "host": "::1", "service": "4321", "sasl_username": "kim"},
            },
            [("graphics", (1, (0, "127.0.0.1", "5900"), (1, "::1", "4321"), "sasl", [("saslUsername", "kim")]))],
        ),
        (
            "SPICE_DISCONNECTED",
            {
                "server": {"family": "unix", "host": "/s", "port": ""},
                "client": {"family": "ipv4", "host": "h", "port": "1"},
            },
            [("graphics", (2, (2, "/s", ""), (0, "h", "1"), "", []))],
        ),
        ("STOP", {}, []),
        ("SOMETHING_NEW", {"x": 1}, []),
    ],
)
def test_what_is_told(entry: Entry, name: str, data: dict[str, Any], told: list[Any]) -> None:
    assert happenings.heard(entry, name, data) == told


def test_an_open_channel_is_shown(entry: Entry) -> None:
    happenings.heard(entry, "VSERPORT_CHANGE", {"id": "channel0", "open": True})
    assert entry.live is not None
    assert "state='connected'" in entry.live.xml and entry.live.open_ports == {"channel0"}
    happenings.heard(entry, "VSERPORT_CHANGE", {"id": "channel0", "open": False})
    assert "state='disconnected'" in entry.live.xml and entry.live.open_ports == set()
