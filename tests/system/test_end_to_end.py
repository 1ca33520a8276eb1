"""What people do with pools, networks and machines together, with the programs they do it with: virt-install, virt-clone, libvirt-python."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.conftest import open_directory, wait_until
from tests.system.test_networks import NAT, SCRIPT, Walled, say
from tests.system.test_networks import walled as walled
from tests.system.test_real_clients import PYTHON, needs, run

pytestmark = pytest.mark.system
QUIET = ("--graphics", "none", "--osinfo", "detect=off,require=off", "--virt-type", "qemu", "--noautoconsole")

# What the Terraform provider calls, in its order: pool, volumes filled over streams, network, domain.
SEQUENCE = r"""
import libvirt, os, sys, uuid
uri, target, image, seed = sys.argv[1:]
libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.open(uri)
try:
    conn.storagePoolLookupByName("tf")
except libvirt.libvirtError as error:
    assert error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL
pool = conn.storagePoolDefineXML(f"<pool type='dir'><name>tf</name><target><path>{target}</path></target></pool>", 0)
pool.build(0)
pool.setAutostart(1)
pool.create(0)
pool.refresh(0)
assert pool.info()[0] == libvirt.VIR_STORAGE_POOL_RUNNING and pool.isActive() and pool.isPersistent()

def upload(name, source, kind):
    size = os.path.getsize(source)
    volume = pool.createXML(
        f"<volume type='file'><name>{name}</name><capacity unit='bytes'>{size}</capacity><target><format type='{kind}'/>"
        "<permissions><mode>644</mode></permissions></target></volume>", 0)
    stream = conn.newStream(0)
    volume.upload(stream, 0, size, 0)
    with open(source, "rb") as file:
        stream.sendAll(lambda _, count, file: file.read(count), file)
    stream.finish()
    return volume

base = upload("base.img", image, "raw")
seeded = upload("seed.iso", seed, "iso")
pool.refresh(0)
root = pool.createXML(
    f"<volume><name>root.qcow2</name><capacity>{base.info()[1]}</capacity><target><format type='qcow2'/></target>"
    f"<backingStore><path>{base.path()}</path><format type='raw'/></backingStore></volume>", 0)
assert conn.storageVolLookupByKey(root.key()).name() == "root.qcow2"
assert conn.storageVolLookupByPath(root.path()).storagePoolLookupByVolume().name() == "tf"
network = conn.networkDefineXML(
    "<network><name>tf</name><forward mode='nat'/><bridge name='dvbr3'/><ip address='192.168.79.1' prefix='24'>"
    "<dhcp><range start='192.168.79.10' end='192.168.79.20'/></dhcp></ip></network>")
network.create()
network.setAutostart(1)
domain = conn.defineXMLFlags(
    f'''<domain type='qemu'><name>tf</name><uuid>{uuid.uuid4()}</uuid><memory unit='MiB'>160</memory><vcpu>1</vcpu>
    <os><type arch='x86_64'>hvm</type></os><features><acpi/></features><devices>
    <disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='tf' volume='root.qcow2'/>
    <target dev='vda' bus='virtio'/></disk>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{seeded.path()}'/>
    <target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='network'><source network='tf'/><mac address='52:54:00:79:00:01'/><model type='virtio'/></interface>
    <serial type='pty'/><console type='pty'/></devices></domain>''', libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
assert domain.isActive()
try:
    root.delete(0)
except libvirt.libvirtError as error:
    assert "in use" in str(error)
else:
    raise SystemExit("a running machine's volume was deleted")
print("fine")
"""


def volumes(daemon: Any, pool: str) -> dict[str, str]:
    lines = daemon.virsh("vol-list", pool).stdout.splitlines()
    return dict(line.split(None, 1) for line in lines if line.strip())


@pytest.fixture
def pooled(walled: Walled) -> Walled:
    """Give a daemon with a pool and a network that are both called default."""
    place = walled.root / "images"
    walled.virsh("pool-define-as", "default", "dir", "--target", str(place))
    walled.virsh("pool-build", "default")
    walled.virsh("pool-start", "default")
    walled.net(NAT)
    return walled


def test_virt_install_takes_a_disk_of_a_pool_and_a_network(pooled: Walled, guest: Any) -> None:
    needs("virt-install", "virt-clone")
    kernel = f"kernel={guest.kernel},initrd={guest.initrd},kernel_args=console=ttyS0 quiet"
    done = run(
        "virt-install", "--connect", pooled.uri, "--name", "vm", "--memory", "160", "--disk", "size=2,pool=default",
        "--network", "network=default", "--import", "--boot", kernel, *QUIET,
    )  # fmt: skip
    assert not done.returncode, done.stdout + done.stderr
    assert volumes(pooled, "default") == {"vm.qcow2": f"{pooled.root}/images/vm.qcow2"}
    assert "2.00 GiB" in pooled.virsh("vol-info", "vm.qcow2", "--pool", "default").stdout
    console = pooled.console("vm")
    say(console, SCRIPT)
    say(console, "chmod +x /up; ip link set eth0 up")
    assert "status=0." in say(console, "udhcpc -i eth0 -n -q -t 10 -s /up")
    assert re.search(r"\b2097152 [sv]da\b", say(console, "cat /proc/partitions"))
    assert "192.168.77." in pooled.virsh("net-dhcp-leases", "default").stdout
    say(console, "printf written-by-vm | dd of=/dev/sda bs=512 conv=sync 2>/dev/null; sync")
    pooled.virsh("destroy", "vm")
    done = run("virt-clone", "--connect", pooled.uri, "--original", "vm", "--name", "copy", "--auto-clone")
    assert not done.returncode, done.stdout + done.stderr
    assert set(volumes(pooled, "default")) == {"vm.qcow2", "copy.qcow2"}
    copied = pooled.start_listening("copy")
    copied.expect(guest.last_fact)
    assert "written-by-vm" in say(copied, "dd if=/dev/sda bs=512 count=1 2>/dev/null | tr -d '\\000'")
    pooled.virsh("start", "vm")
    pooled.virsh("destroy", "copy")
    pooled.virsh("undefine", "copy", "--remove-all-storage")
    assert set(volumes(pooled, "default")) == {"vm.qcow2"}


@pytest.fixture
def bare(walled: Walled) -> Iterator[Walled]:
    """Give a daemon without pools, to which the usual place of images is an empty one of its own."""
    walled.stop()
    private = 'mkdir -p /var/lib/libvirt/images && mount -t tmpfs images /var/lib/libvirt/images && exec "$0" "$@"'
    walled.prefix = (*walled.prefix, "unshare", "--mount", "sh", "-c", private)
    walled.start()
    yield walled


def test_virt_install_makes_the_default_pool_where_there_is_none(bare: Walled, guest: Any) -> None:
    needs("virt-install")
    kernel = f"kernel={guest.kernel},initrd={guest.initrd},kernel_args=console=ttyS0 quiet"
    done = run(
        "virt-install", "--connect", bare.uri, "--name", "vm", "--memory", "160", "--disk", "size=1", "--network", "none",
        "--import", "--boot", kernel, *QUIET,
    )  # fmt: skip
    assert not done.returncode, done.stdout + done.stderr
    assert volumes(bare, "default") == {"vm.qcow2": "/var/lib/libvirt/images/vm.qcow2"}
    assert re.search(r"default +active +yes", bare.virsh("pool-list", "--all").stdout)
    assert bare.state("vm") == "running"


@pytest.fixture
def seed() -> Iterator[Path]:
    """Give the image with which cloud-init is told what it shall be."""
    needs("xorriso")
    directory = open_directory("seed-")
    (directory / "user-data").write_text("#cloud-config\nhostname: tf\n")
    (directory / "meta-data").write_text("instance-id: tf\n")
    path = directory / "seed.iso"
    words = [
        "xorriso",
        "-as",
        "mkisofs",
        "-quiet",
        "-V",
        "cidata",
        "-J",
        "-r",
        "-o",
        str(path),
        "user-data",
        "meta-data",
    ]
    subprocess.run(words, cwd=directory, check=True, capture_output=True, timeout=60)
    yield path
    shutil.rmtree(directory)


def test_what_terraform_does_through_libvirts_python_binding(walled: Walled, guest: Any, seed: Path) -> None:
    needs("/usr/lib/python3/dist-packages/libvirt.py")
    target = walled.root / "tf"
    done = run(PYTHON, "-c", SEQUENCE, walled.uri, str(target), str(guest.image), str(seed))
    assert done.stdout == "fine\n", done.stderr
    for name, source in (("base.img", guest.image), ("seed.iso", seed)):
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (target / name, source)]
        assert digests[0] == digests[1], name
    assert "<format type='iso'/>" in walled.virsh("vol-dumpxml", "seed.iso", "--pool", "tf").stdout
    console = walled.console("tf")
    walled.virsh("resume", "tf")
    console.expect(guest.last_fact, 60)
    say(console, SCRIPT)
    say(console, "chmod +x /up; ip link set eth0 up")
    assert "status=0." in say(console, "udhcpc -i eth0 -n -q -t 10 -s /up")
    assert "192.168.79." in walled.virsh("domifaddr", "tf").stdout
    assert "sr0" in say(console, "cat /proc/partitions")
    assert "CD001" in say(console, "dd if=/dev/sr0 bs=2048 skip=16 count=1 2>/dev/null | tr -cd 'A-Z0-9'")
    walled.restart()
    wait_until("the pool", lambda: "root.qcow2" in walled.virsh("vol-list", "tf", check=False).stdout)
    assert walled.state("tf") == "running"
    walled.virsh("destroy", "tf")
    for words in (("undefine", "tf"), ("net-destroy", "tf"), ("net-undefine", "tf")):
        walled.virsh(*words)
    for name in ("root.qcow2", "seed.iso", "base.img"):
        walled.virsh("vol-delete", name, "--pool", "tf")
    for verb in ("destroy", "delete", "undefine"):
        walled.virsh(f"pool-{verb}", "tf")
    assert not target.exists()
