"""Settings and devices changed by real virsh, in definitions and in running machines."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

UUID = "11111111-2222-4333-8444-555555555566"
MAC = "52:54:00:11:22:44"


def document(directory: Path) -> str:
    """Write a guest with room for changes: CPUs that can be plugged, a drive, an interface."""
    return f"""<domain type='qemu'>
  <name>vm</name>
  <uuid>{UUID}</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu current='1'>3</vcpu>
  <iothreads>1</iothreads>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{directory}/a.img'/><target dev='vda'/></disk>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='hdc' bus='ide'/></disk>
    <controller type='scsi' model='virtio-scsi'/>
    <controller type='virtio-serial'/>
    <interface type='user'><mac address='{MAC}'/><model type='virtio'/></interface>
  </devices>
</domain>
"""


@pytest.fixture
def images() -> Iterator[Path]:
    """Give a directory with images that QEMU's user may open."""
    directory = Path(tempfile.mkdtemp(prefix="changes-", dir="/tmp"))
    directory.chmod(0o755)
    for name, size in (("a.img", 1 << 20), ("b.img", 1 << 20), ("one.iso", 1 << 16), ("two.iso", 1 << 16)):
        (directory / name).write_bytes(bytes(size))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def virsh(shared_daemon: Any, images: Path) -> Iterator[Callable[..., str]]:
    """Give virsh at a daemon that knows `vm`; what ends badly fails the test, unless `check` is false."""

    def call(*words: str, check: bool = True) -> str:
        done = shared_daemon.virsh(*words, check=check)
        return str(done.stdout + done.stderr).strip()

    shared_daemon.define(document(images))
    yield call
    call("destroy", "vm", check=False)
    call("undefine", "vm")


def shown(text: str, name: str) -> str:
    """Give a value of virsh's list of parameters."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(\S*)\s*$", text, re.M)
    assert found, text
    return found[1]


def test_stored_settings_become_revisions(virsh: Callable[..., str]) -> None:
    for words in (
        "setvcpus vm 2 --config", "vcpupin vm 1 0 --config", "emulatorpin vm 0 --config", "iothreadadd vm 4 --config",
        "iothreadpin vm 4 0 --config", "iothreaddel vm 1 --config", "setmem vm 32768 --config", "setmaxmem vm 49152 --config",
        "memtune vm --hard-limit 900000 --config", "numatune vm --mode preferred --nodeset 0 --config",
        "schedinfo vm --config --set cpu_shares=77", "blkiotune vm --weight 300 --config",
        "blkdeviotune vm vda --total-iops-sec 50 --config", f"domiftune vm {MAC} --inbound 10,20,30 --config",
        f"domif-setlink vm {MAC} down --config", "perf vm --enable cpu_cycles --config", "dommemstat vm --period 5 --config",
    ):  # fmt: skip
        virsh(*words.split())
    xml = virsh("dumpxml", "vm", "--inactive")
    for part in (
        "<vcpu placement='static' current='2'>3</vcpu>", "<vcpupin vcpu='1' cpuset='0'/>", "<emulatorpin cpuset='0'/>",
        "<iothread id='4'/>", "<iothreadpin iothread='4' cpuset='0'/>", "<memory unit='KiB'>49152</memory>",
        "<currentMemory unit='KiB'>32768</currentMemory>", "<hard_limit unit='KiB'>900000</hard_limit>",
        "<memory mode='preferred' nodeset='0'/>", "<shares>77</shares>", "<weight>300</weight>",
        "<total_iops_sec>50</total_iops_sec>", "<inbound average='10' peak='20' burst='30'/>", "<link state='down'/>",
        "<event name='cpu_cycles' enabled='yes'/>", "<stats period='5'/>",
    ):  # fmt: skip
        assert part in xml, part
    assert "<iothread id='1'" not in xml
    assert shown(virsh("memtune", "vm", "--config"), "hard_limit") == "900000"
    assert shown(virsh("numatune", "vm", "--config"), "numa_mode") == "preferred"
    assert shown(virsh("blkdeviotune", "vm", "vda", "--config"), "total_iops_sec") == "50"
    assert shown(virsh("domiftune", "vm", MAC, "--config"), "inbound.peak") == "20"


def test_what_is_refused_changes_nothing(virsh: Callable[..., str]) -> None:
    before = virsh("dumpxml", "vm", "--inactive")
    for words, kind in (
        ("setvcpus vm 9 --config", "invalid argument"), ("vcpupin vm 9 0 --config", "invalid argument"),
        ("iothreaddel vm 9 --config", "invalid argument"), ("setmem vm 99999999 --config", "invalid argument"),
        ("schedinfo vm --config --set vcpu_period=5", "invalid argument"),
        ("blkdeviotune vm vdz --total-iops-sec 5 --config", "invalid argument"),
        ("setvcpus vm 2 --live", "Requested operation is not valid"),
        ("memtune vm --hard-limit 5 --swap-hard-limit 4 --config", "invalid argument"),
    ):  # fmt: skip
        assert kind in virsh(*words.split(), check=False), words
    assert virsh("dumpxml", "vm", "--inactive") == before


def test_cpus_are_plugged_and_held(virsh: Callable[..., str], shared_daemon: Any) -> None:
    virsh("start", "vm")
    virsh("setvcpus", "vm", "2", "--live")
    assert "current      live           2" in virsh("vcpucount", "vm")
    assert "<vcpu id='1' enabled='yes' order='2'/>" in virsh("dumpxml", "vm")
    virsh("setvcpu", "vm", "2", "--enable", "--live")
    virsh("vcpupin", "vm", "1", "0", "--live")
    (pid,) = shared_daemon.guests()
    names = {task: (task / "comm").read_text() for task in Path(f"/proc/{pid}/task").iterdir()}
    held = {name: os.sched_getaffinity(int(task.name)) for task, name in names.items() if name.startswith("CPU 1/")}
    assert list(held.values()) == [{0}]
    assert "cannot be unplugged" in virsh("setvcpu", "vm", "0", "--disable", "--live", check=False).replace(
        "can't", "cannot"
    )
    virsh("iothreadadd", "vm", "2", "--live")
    virsh("iothreadset", "vm", "2", "--poll-max-ns", "1000", "--live")
    assert "iothread.2.poll-max-ns=1000" in virsh("domstats", "vm", "--iothread")
    virsh("iothreaddel", "vm", "2", "--live")
    assert "current      config         1" in virsh("vcpucount", "vm")


def test_disks_come_and_go_while_it_runs(virsh: Callable[..., str], images: Path) -> None:
    virsh("start", "vm")
    virsh("attach-disk", "vm", f"{images}/b.img", "sda", "--targetbus", "scsi", "--live", "--config")
    live = virsh("dumpxml", "vm")
    assert "<alias name='scsi0-0-0-0'/>" in live and "target dev='sda'" in virsh("dumpxml", "vm", "--inactive")
    assert "b.img" in virsh("domblklist", "vm")
    virsh("domblkstat", "vm", "sda")
    virsh("blockresize", "vm", "sda", "2M")
    assert (images / "b.img").stat().st_size == 2 << 20
    assert "XML error" in virsh("attach-disk", "vm", f"{images}/b.img", "sda", "--live", check=False)
    assert "No such file" in virsh("attach-disk", "vm", f"{images}/none.img", "vdx", "--live", "--config", check=False)
    assert "vdx" not in virsh("dumpxml", "vm", "--inactive"), "what the machine refused is not left in the definition"
    virsh("detach-disk", "vm", "sda", "--live", "--config")
    assert "sda" not in virsh("domblklist", "vm") + virsh("domblklist", "vm", "--inactive")
    virsh("attach-disk", "vm", f"{images}/b.img", "sda", "--targetbus", "scsi", "--live")


def test_media_change_and_the_old_one_stays_where_the_new_one_is_missing(
    virsh: Callable[..., str], images: Path
) -> None:
    virsh("start", "vm")
    virsh("change-media", "vm", "hdc", f"{images}/one.iso", "--insert", "--live")
    virsh("change-media", "vm", "hdc", f"{images}/two.iso", "--update", "--live")
    assert "No such file" in virsh("change-media", "vm", "hdc", f"{images}/none.iso", "--update", "--live", check=False)
    assert "two.iso" in virsh("domblklist", "vm")
    virsh("change-media", "vm", "hdc", "--eject", "--live")
    assert "two.iso" not in virsh("dumpxml", "vm")


def test_other_devices_come_while_it_runs(virsh: Callable[..., str], images: Path) -> None:
    virsh("start", "vm")
    for number, text in enumerate((
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        "<watchdog model='i6300esb' action='reset'/>", "<controller type='scsi' index='1' model='virtio-scsi'/>",
        "<input type='tablet' bus='usb'/>", "<channel type='pty'><target type='virtio' name='a.b'/></channel>",
        "<interface type='user'><mac address='52:54:00:11:22:55'/></interface>",
    )):  # fmt: skip
        file = images / f"{number}.xml"
        file.write_text(text)
        virsh("attach-device", "vm", str(file), "--live")
    live = virsh("dumpxml", "vm")
    for part in (
        "<alias name='rng0'/>",
        "<alias name='watchdog0'/>",
        "<alias name='scsi1'/>",
        "<alias name='net1'/>",
        "<alias name='channel0'/>",
    ):
        assert part in live, part
    (images / "usb.xml").write_text("<input type='tablet' bus='usb'/>")
    virsh("detach-device", "vm", str(images / "usb.xml"), "--live")
    assert "tablet" not in virsh("dumpxml", "vm")
    (images / "sound.xml").write_text("<sound model='ich6'/>")
    assert "Operation not supported" in virsh("attach-device", "vm", str(images / "sound.xml"), "--live", check=False)


def test_a_running_machine_is_tuned(virsh: Callable[..., str]) -> None:
    virsh("start", "vm")
    virsh("setmem", "vm", "32768", "--live")
    virsh("blkdeviotune", "vm", "vda", "--write-bytes-sec", "2M", "--write-bytes-sec-max", "4M", "--live")
    assert shown(virsh("blkdeviotune", "vm", "vda"), "write_bytes_sec_max") == str(4 << 20)
    virsh("domif-setlink", "vm", MAC, "down")
    assert "down" in virsh("domif-getlink", "vm", MAC)
    assert "unsupported configuration" in virsh("domiftune", "vm", MAC, "--inbound", "5", "--live", check=False)
    found = virsh("domstats", "vm")
    for name in ("block.0.rd.reqs", "block.0.capacity", "vcpu.0.delay", "balloon.current", "iothread.1.poll-max-ns"):
        assert name in found, name
    assert "actual" in virsh("dommemstat", "vm") and "cpu_time" in virsh("cpu-stats", "vm", "--total")
    groups = [Path(path) for path in ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup") if Path(path, "cgroup.procs").exists()]
    if os.geteuid() == 0 and groups and os.access(groups[0], os.W_OK):
        virsh("schedinfo", "vm", "--live", "--set", "cpu_shares=300", "--set", "vcpu_quota=50000")
        assert shown(virsh("schedinfo", "vm"), "cpu_shares") == "300"
        group = groups[0] / "machine" / f"domicile-{UUID}"
        assert (group / ("cpu.shares" if "cpu" in str(groups[0]) else "cpu.weight")).read_text().strip() == "300"
        virsh("destroy", "vm")
        assert not group.exists(), "the group goes with the machine"


def test_an_interface_on_a_bridge_comes_with_its_tap(virsh: Callable[..., str]) -> None:
    name = f"domc{os.getpid()}"
    if subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True, check=False).returncode:
        pytest.skip("no bridge can be made here")
    try:
        virsh("start", "vm")
        virsh("attach-interface", "vm", "bridge", name, "--mac", "52:54:00:11:22:66", "--model", "virtio", "--live")
        tap = re.search(r"(vnet\d+)\s+bridge", virsh("domiflist", "vm"))
        assert tap is not None and Path(f"/sys/class/net/{name}/brif/{tap[1]}").exists()
        assert "rx_bytes" in virsh("domifstat", "vm", tap[1])
        assert "No such device" in virsh("attach-interface", "vm", "bridge", "nosuchbr0", "--live", check=False)
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)


def test_limits_in_the_definition_hold_from_the_start(
    virsh: Callable[..., str], shared_daemon: Any, images: Path
) -> None:
    name = f"doms{os.getpid()}"
    if subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True, check=False).returncode:
        pytest.skip("no bridge can be made here")
    card = "<interface type='user'>"
    limits = "<bandwidth><inbound average='100' peak='200' burst='50'/></bandwidth>"
    text = document(images).replace(card, f"<interface type='bridge'><source bridge='{name}'/>{limits}")
    pins = "<cputune><vcpupin vcpu='0' cpuset='0'/><emulatorpin cpuset='0'/><iothreadpin iothread='1' cpuset='0'/></cputune>"
    try:
        shared_daemon.define(text.replace("<os>", f"{pins}<os>"))
        done = virsh("start", "vm", check=False)
        assert "error" not in done or "tc " in done, done
        if "tc " in done:
            pytest.skip(f"this kernel cannot limit traffic: {done}")
        (pid,) = shared_daemon.guests()
        held = {
            (task / "comm").read_text().strip(): os.sched_getaffinity(int(task.name))
            for task in Path(f"/proc/{pid}/task").iterdir()
        }
        assert held["qemu-system-x86"] == {0} and held["CPU 0/TCG"] == {0}
        tap = re.search(r"(vnet\d+)\s+bridge", virsh("domiflist", "vm"))
        assert tap is not None
        shown = subprocess.run(
            ["tc", "class", "show", "dev", tap[1]], capture_output=True, text=True, check=True
        ).stdout
        assert "htb 1:1" in shown
    finally:
        virsh("destroy", "vm", check=False)
        subprocess.run(["ip", "link", "del", name], check=True)


def test_threads_are_scheduled_as_the_definition_says(
    virsh: Callable[..., str], shared_daemon: Any, images: Path
) -> None:
    policies = (
        "<cputune><emulatorsched scheduler='batch'/><vcpusched vcpus='0' scheduler='idle'/>"
        "<iothreadsched iothreads='1' scheduler='batch'/></cputune>"
    )
    shared_daemon.define(document(images).replace("<os>", f"{policies}<os>"))
    virsh("start", "vm")
    try:
        (pid,) = shared_daemon.guests()
        found = {
            (task / "comm").read_text().strip(): os.sched_getscheduler(int(task.name))
            for task in Path(f"/proc/{pid}/task").iterdir()
        }
        assert found["qemu-system-x86"] == os.SCHED_BATCH
        assert found["CPU 0/TCG"] == os.SCHED_IDLE
        assert found["IO iothread1"] == os.SCHED_BATCH
    finally:
        virsh("destroy", "vm", check=False)


def test_what_was_plugged_in_is_known_to_the_next_daemon(daemon: Any, images: Path) -> None:
    daemon.define(document(images))
    daemon.virsh("start", "vm")
    daemon.virsh("attach-disk", "vm", f"{images}/b.img", "sda", "--targetbus", "scsi", "--live")
    daemon.virsh("setvcpus", "vm", "2", "--live")
    before = daemon.virsh("dumpxml", "vm").stdout
    daemon.kill9()
    daemon.start()
    assert daemon.virsh("dumpxml", "vm").stdout == before
    daemon.virsh("detach-disk", "vm", "sda", "--live")
    assert "sda" not in daemon.virsh("domblklist", "vm").stdout
    daemon.virsh("attach-disk", "vm", f"{images}/b.img", "sda", "--targetbus", "scsi", "--live")


def test_images_that_need_not_be_there_are_left_out(daemon: Any, images: Path) -> None:
    drive = "<disk type='file' device='cdrom'><source file='{}/gone.iso' startupPolicy='{}'/><target dev='sdc' bus='scsi'/></disk>"
    disk = "<disk type='file'><driver type='raw'/><source file='{}/gone.img' startupPolicy='optional'/><target dev='vdz' bus='virtio'/></disk>"
    text = document(images)
    daemon.define(text.replace("</devices>", drive.format(images, "optional") + disk.format(images) + "</devices>", 1))
    words = ["virsh", "-c", daemon.uri, "event", "vm", "--event", "disk-change", "--loop", "--timeout", "30"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as waiting:
        time.sleep(1)
        daemon.virsh("start", "vm")
        waiting.send_signal(signal.SIGINT)
        heard, _ = waiting.communicate(timeout=30)
    said = "event 'disk-change' for domain 'vm' disk"
    assert f"{said} scsi0-0-0-2: {images}/gone.iso -> <null>: changed" in heard
    assert f"{said} virtio-disk25: {images}/gone.img -> <null>: dropped" in heard
    live, stored = daemon.virsh("dumpxml", "vm").stdout, daemon.virsh("dumpxml", "--inactive", "vm").stdout
    assert "gone.iso" in stored and "gone.img" in stored
    assert "gone.iso" not in live and "vdz" not in live and "dev='sdc'" in live
    daemon.virsh("destroy", "vm")
    daemon.define(text.replace("</devices>", drive.format(images, "requisite") + "</devices>", 1))
    assert "gone.iso" in daemon.virsh("start", "vm", check=False).stderr
    assert daemon.state("vm") == "shut off"


def test_the_running_document_says_what_the_guest_has(virsh: Callable[..., str], shared_daemon: Any, images: Path) -> None:
    cpu = "<cpu mode='custom' match='exact' check='partial'><model fallback='allow'>Nehalem</model><feature policy='require' name='avx'/><feature policy='require' name='pcid'/></cpu>"
    shared_daemon.define(document(images).replace("<devices>", f"{cpu}<devices>", 1))
    virsh("start", "vm")
    running, elsewhere = virsh("dumpxml", "vm"), virsh("dumpxml", "vm", "--migratable")
    virsh("destroy", "vm")
    # As libvirt 9.0 with QEMU 7.2: TCG shows itself, and it cannot give pcid.
    assert """<cpu mode='custom' match='exact' check='full'>
    <model fallback='forbid'>Nehalem</model>
    <feature policy='require' name='avx'/>
    <feature policy='disable' name='pcid'/>
    <feature policy='require' name='hypervisor'/>
  </cpu>""" in running
    assert "check='partial'" in elsewhere and "<feature policy='require' name='pcid'/>" in elsewhere
    assert "<driver name='qemu'/>\n      <target dev='hdc'" in running
    if os.geteuid() == 0:
        assert re.search(r"<seclabel type='dynamic' model='dac' relabel='yes'>\s*<label>\+(\d+):\+(\d+)</label>", running)
        assert "<seclabel" not in elsewhere
