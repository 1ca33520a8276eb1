"""libvirt's own Python bindings against the daemon: what virsh cannot call, and types as another client reads them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import ENVIRONMENT
from tests.system.test_virsh import document

PYTHON = "/usr/bin/python3"
HEAD = """
import json, os, sys, threading, time
import libvirt, libvirt_qemu
libvirt.virEventRegisterDefaultImpl()
conn = libvirt.open(sys.argv[1])
dom = conn.lookupByName("vm") if conn.listAllDomains() else None
"""


@pytest.fixture
def python(shared_daemon: Any) -> Any:
    """Run a script with libvirt's bindings; what it prints as JSON is the answer."""
    if subprocess.run([PYTHON, "-c", "import libvirt, libvirt_qemu"], capture_output=True).returncode:
        pytest.skip("libvirt's Python bindings are not installed")

    def run(script: str) -> Any:
        words = [PYTHON, "-c", HEAD + script, shared_daemon.uri]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield run
    for name in shared_daemon.virsh("list", "--all", "--name").stdout.split():
        shared_daemon.virsh("destroy", name, check=False)
        shared_daemon.virsh("undefine", "--managed-save", name, check=False)


def test_every_kind_of_event_can_be_waited_for(python: Any, shared_daemon: Any, guest: Any, tmp_path: Path) -> None:
    shared_daemon.define(document(guest.boot_sector))
    shared_daemon.virsh("start", "vm")
    heard = python(
        f"""
heard = []
def note(*args):
    heard.append([str(a) for a in args[2:]])
kinds = [k for k in dir(libvirt) if k.startswith("VIR_DOMAIN_EVENT_ID_") and not k.endswith("LAST")]
callbacks = [conn.domainEventRegisterAny(None, getattr(libvirt, kind), note, kind) for kind in kinds]
old = lambda c, d, event, detail, o: heard.append(["old", event, detail])
conn.domainEventRegister(old, None)
monitor = libvirt_qemu.qemuMonitorEventRegister
ids = [monitor(conn, dom, "RESET", lambda c, d, event, s, m, details, o: heard.append(["qemu", event, details]), None)]
def loop():
    while True:
        libvirt.virEventRunDefaultImpl()
threading.Thread(target=loop, daemon=True).start()
dom.suspend(); dom.resume(); dom.reset(0)
dom.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "x", None, None, libvirt.VIR_DOMAIN_AFFECT_LIVE)
dom.saveFlags({str(tmp_path / "i")!r}, None, 0)
end = time.monotonic() + 20
while time.monotonic() < end and not any(h[-1] == "VIR_DOMAIN_EVENT_ID_JOB_COMPLETED" for h in heard):
    time.sleep(0.1)
for one in callbacks: conn.domainEventDeregisterAny(one)
conn.domainEventDeregister(old)
for one in ids: libvirt_qemu.qemuMonitorEventDeregister(conn, one)
print(json.dumps(heard))
"""
    )
    kinds = {each[-1] for each in heard}
    for kind in ("LIFECYCLE", "REBOOT", "METADATA_CHANGE", "JOB_COMPLETED"):
        assert f"VIR_DOMAIN_EVENT_ID_{kind}" in kinds
    assert ["old", 3, 0] in heard
    assert any(each[:2] == ["qemu", "RESET"] for each in heard)
    figures = next(each for each in heard if each[-1] == "VIR_DOMAIN_EVENT_ID_JOB_COMPLETED")
    assert "'operation': 2" in figures[0] and "memory_total" in figures[0]


def test_jobs_and_managed_images(python: Any, shared_daemon: Any, guest: Any) -> None:
    shared_daemon.define(document(guest.boot_sector))
    said = python(
        """
dom.create()
before = [dom.jobInfo()[0], dom.jobStats(), dom.hasManagedSaveImage(), list(dom.controlInfo())]
dom.managedSave(libvirt.VIR_DOMAIN_SAVE_PAUSED)
saved = [dom.hasManagedSaveImage(), dom.managedSaveGetXMLDesc().startswith("<domain"), dom.state()]
stats = dom.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
dom.create()
print(json.dumps([before, saved, stats, dom.state(), dom.hasManagedSaveImage()]))
"""
    )
    before, saved, stats, state, image = said
    assert before == [0, {"type": 0}, 0, [0, 0, 0]]
    assert saved == [1, True, [5, 5]]
    assert stats["operation"] == 2 and stats["type"] == 3 and stats["data_total"] >= stats["data_processed"] > 0
    assert state == [3, 2] and image == 0


def test_flags_that_exclude_each_other_and_values_nobody_knows(python: Any, shared_daemon: Any, guest: Any) -> None:
    shared_daemon.define(document(guest.boot_sector))
    shared_daemon.virsh("start", "vm")
    refused = python(
        """
refused = []
for call in (
    lambda: dom.managedSave(6), lambda: dom.managedSave(1024), lambda: dom.sendKey(77, 0, [1], 1, 0),
    lambda: dom.sendKey(0, 0, [30], 1, 1), lambda: dom.coreDumpWithFormat("/tmp/x", 9, 16), lambda: dom.coreDump("/tmp/x", 3),
    lambda: dom.setLifecycleAction(7, 0, 0), lambda: dom.setLifecycleAction(0, 99, 0),
    lambda: dom.guestInfo(4096), lambda: dom.agentSetResponseTimeout(-7), lambda: dom.hostname(3),
    lambda: dom.jobStats(2), lambda: dom.pMSuspendForDuration(9, 0, 0), lambda: dom.sendProcessSignal(1, 15),
    lambda: dom.injectNMI(4), lambda: dom.pMWakeup(1), lambda: conn.restore("relative"), lambda: dom.abortJob(),
    lambda: dom.interfaceAddresses(17), lambda: dom.fSTrim("/x", 0), lambda: conn.compareCPU("<x/>", 0),
    lambda: conn.baselineCPU([], 0), lambda: conn.domainXMLToNative("x", "<domain/>", 0),
    lambda: conn.saveImageGetXMLDesc("/etc/passwd", 0), lambda: dom.setAutostart(1) or dom.rename("a/b", 0),
):
    try:
        call()
        refused.append(None)
    except libvirt.libvirtError as error:
        refused.append(error.get_error_code())
print(json.dumps(refused))
"""
    )
    assert refused == [*[8] * 12, 74, 3, 8, 8, 38, 55, 74, 74, 27, 8, 8, 9, 27]
