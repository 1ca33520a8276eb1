"""Programs that know libvirt and nothing of us: what a monitor asks, what virt-xml edits, what virt-viewer shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PYTHON = "/usr/bin/python3"
XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>2</vcpu>
<os><type arch='x86_64'>hvm</type></os><devices>{devices}</devices></domain>"""
DISK = "<disk type='file'><source file='{}'/><target dev='vda' bus='virtio'/></disk>"

# What exporters of measurements ask at each scrape, from a read-only connection: libvirt-exporter, collectd's virt plugin.
SCRAPE = """
import libvirt, sys
libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.openReadOnly(sys.argv[1])
assert conn.isAlive() and conn.isSecure() and conn.getLibVersion() and conn.getVersion() and conn.getHostname()
assert conn.getInfo()[2] >= 1 and conn.getCPUStats(-1) and conn.getMemoryStats(-1) and conn.getFreeMemory()
for flags in (0, 1, 2):
    assert [len(kind(flags)) for kind in (conn.listAllStoragePools, conn.listAllNetworks)] == [0, 0]
assert "lo" in [one.name() for one in conn.listAllInterfaces()] and "computer" in [one.name() for one in conn.listAllDevices()]
stats = {dom.name(): values for dom, values in conn.getAllDomainStats()}
assert set(stats) == {"runs", "rests"}, stats
assert stats["runs"]["state.state"] == libvirt.VIR_DOMAIN_RUNNING
assert stats["rests"]["state.state"] == libvirt.VIR_DOMAIN_SHUTOFF
assert stats["runs"]["cpu.time"] > 0 and stats["runs"]["vcpu.current"] == 2
assert stats["runs"]["block.count"] == 1 and stats["runs"]["block.0.name"] == "vda"
assert stats["runs"]["balloon.current"] == 65536
active = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
assert [dom.name() for dom, _ in conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, active)] == ["runs"]
for identity in conn.listDomainsID():
    dom = conn.lookupByID(identity)
    state, most, memory, cpus, time = dom.info()
    assert (state, most, memory, cpus) == (1, 65536, 65536, 2) and time > 0
    assert dom.memoryStats()["actual"] == 65536 and dom.jobInfo()[0] == 0 and dom.UUIDString()
    assert dom.blockInfo("vda")[0] == 1048576 and len(dom.vcpus()[0]) == 2
assert conn.listDefinedDomains() == ["rests"]
try:
    conn.lookupByName("runs").destroy()
except libvirt.libvirtError as error:
    assert error.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED
else:
    raise SystemExit("a reading client ended a machine")
print("fine")
"""


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, **more)


def needs(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None and not Path(name).exists()]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_what_a_monitor_asks(daemon: Any, guest: Any) -> None:
    needs("/usr/lib/python3/dist-packages/libvirt.py")
    daemon.define(XML.format(name="runs", devices=DISK.format(guest.boot_sector)))
    daemon.define(XML.format(name="rests", devices=""))
    daemon.virsh("start", "runs")
    done = run(PYTHON, "-c", SCRAPE, f"{daemon.uri}-ro")
    assert done.stdout == "fine\n", done.stderr


def test_virt_xml_edits_and_virt_install_boots_kernels_and_images(daemon: Any, guest: Any) -> None:
    needs("virt-xml", "virt-install")
    daemon.define(XML.format(name="edited", devices=""))
    for words in (
        ("--edit", "--memory", "128"),
        ("--add-device", "--network", "type=user,model=e1000"),
        ("--add-device", "--disk", f"{guest.image},format=raw"),
        ("--edit", "--metadata", "description=by virt-xml"),
        ("--remove-device", "--network", "all"),
    ):
        done = run("virt-xml", "--connect", daemon.uri, "edited", *words)
        assert not done.returncode, (words, done.stdout, done.stderr)
    xml = daemon.virsh("dumpxml", "edited").stdout
    assert "<memory unit='KiB'>131072</memory>" in xml and "by virt-xml" in xml and "<interface" not in xml
    for name, words in (
        (
            "kernel",
            ("--install", f"kernel={guest.kernel},initrd={guest.initrd},kernel_args=console=ttyS0", "--disk", "none"),
        ),
        ("image", ("--disk", f"{guest.boot_sector},format=raw")),
        ("fresh", ("--disk", f"path={guest.image.parent}/fresh.qcow2,size=1,format=qcow2")),
    ):
        done = run(
            "virt-install", "--connect", daemon.uri, "--name", name, "--memory", "128", "--import", *words, "--network", "none",
            "--graphics", "none", "--osinfo", "detect=off,require=off", "--virt-type", "qemu", "--noautoconsole",
        )  # fmt: skip
        assert not done.returncode, done.stdout + done.stderr
        assert daemon.state(name) == "running"
    assert (guest.image.parent / "fresh.qcow2").exists()


def test_virt_viewer_shows_a_display_that_listens_nowhere(daemon: Any, guest: Any) -> None:
    needs("virt-viewer", "xvfb-run")
    display = "<graphics type='vnc'><listen type='none'/></graphics><video><model type='vga'/></video>"
    daemon.define(XML.format(name="seen", devices=display + DISK.format(guest.boot_sector)))
    daemon.virsh("start", "seen")
    viewer = ["virt-viewer", "--debug", "-c", daemon.uri, "--attach", "seen"]
    words = ["xvfb-run", "-a", "timeout", "-k", "5", "15", *viewer]
    done = run(
        *words, env={"PATH": "/usr/bin:/bin", "HOME": str(daemon.root), "GIO_USE_VFS": "local", "NO_AT_BRIDGE": "1"}
    )
    said = done.stdout + done.stderr
    if "cannot open display" in said.lower() or "Xvfb failed" in said:
        pytest.skip(f"no display can be had: {said[-200:]}")
    assert re.search(r"After open connection callback fd=\d+", said), said[-3000:]
    assert "desktop resize 720x400" in said or "notebook show display" in said, said[-3000:]
