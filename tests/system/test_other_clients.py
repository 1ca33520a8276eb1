"""More programs that know libvirt and nothing of us: exporters, collectd, Perl's and Python's newest bindings, virt-manager."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.test_as_libvirt import Place
from tests.system.test_as_libvirt import place as place

XML = """<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>
<disk type='file'><driver name='qemu' type='raw'/><source file='{}'/><target dev='hda' bus='ide'/></disk>
<interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
<graphics type='vnc' port='-1'/><video><model type='vga'/></video></devices></domain>"""
COLLECTD = """Hostname "here"
Interval 1
BaseDir "{home}"
PIDFile "{home}/pid"
LoadPlugin logfile
<Plugin logfile>
  File "{home}/log"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{home}/csv"
</Plugin>
LoadPlugin virt
<Plugin virt>
  Connection "{uri}"
  RefreshInterval 1
  HostnameFormat name
  ExtraStats "cpu_util disk disk_err domain_state job_stats_background perf vcpupin vcpu memory pcpu disk_physical disk_capacity"
</Plugin>
"""
PERL = """
my $conn = Sys::Virt->new(uri => $ARGV[0]);
my ($dom) = $conn->list_all_domains();
my $info = $dom->get_info();
die "info" unless $info->{state} == 1 && $info->{memory} == 65536 && $info->{nrVirtCpu} == 2;
die "xml" unless $dom->get_xml_description() =~ /52:54:00:11:22:33/;
die "block" unless $dom->get_block_info("hda")->{capacity} > 0;
my @stats = $conn->get_all_domain_stats(0); die "stats" unless @stats == 1;
die "host" unless $conn->get_node_info()->{cpus} >= 1 && $conn->is_alive() && !$conn->is_encrypted();
$dom->suspend(); die "paused" unless $dom->get_info()->{state} == 3; $dom->resume();
eval { $conn->get_domain_by_name("nobody") };
die "error" unless $@ && $@->code == Sys::Virt::Error::ERR_NO_DOMAIN;
print "fine";
"""
PYTHON = """
import sys, libvirt
libvirt.registerErrorHandler(lambda *_: None, None)
conn = libvirt.open(sys.argv[1])
dom = conn.lookupByName("vm")
assert dom.state() == [1, 1] and dom.info()[1] == 65536, dom.state()
assert "52:54:00:11:22:33" in dom.XMLDesc() and dom.UUIDString() in str(dom.XMLDesc())
assert conn.getAllDomainStats()[0][1]["vcpu.current"] == 2
assert dom.metadata(libvirt.VIR_DOMAIN_METADATA_TITLE, None) if dom.setMetadata(1, "t", None, None, 2) else True
dom.suspend(); assert dom.state()[0] == libvirt.VIR_DOMAIN_PAUSED
dom.resume(); assert dom.state()[0] == libvirt.VIR_DOMAIN_RUNNING
with conn: pass
print(libvirt.getVersion(), "fine")
"""


#: What a BIOS writes its text in.
VGA_GREY = b"\xaa\xaa\xaa"


def needs(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture
def running(daemon: Any, guest: Any) -> Any:
    """A daemon whose machine `vm` runs."""
    daemon.define(XML.format(guest.boot_sector))
    daemon.virsh("start", "vm")
    return daemon


def test_an_exporter_in_go(running: Any) -> None:
    needs("prometheus-libvirt-exporter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["prometheus-libvirt-exporter", "--libvirt.uri", running.uri, f"--web.listen-address=127.0.0.1:{port}"]
    exporter = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        text, deadline = "", time.monotonic() + 60
        # Until the guest has read its boot sector.
        while not re.search(r"read_bytes_total.* [1-9]", text):
            assert exporter.poll() is None and time.monotonic() < deadline
            try:
                text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            except OSError:
                time.sleep(0.1)
    finally:
        exporter.terminate()
        exporter.communicate(timeout=20)
    assert "libvirt_up 1" in text and "libvirt_domains_number 1" in text
    found = {line.partition("{")[0]: line.rpartition(" ")[2] for line in text.splitlines() if 'domain="vm"' in line}
    assert found["libvirt_domain_state_code"] == "1" and found["libvirt_domain_info_virtual_cpus"] == "2"
    assert float(found["libvirt_domain_info_maximum_memory_bytes"]) == 64 << 20
    assert float(found["libvirt_domain_block_stats_read_bytes_total"]) >= 512
    assert float(found["libvirt_domain_info_cpu_time_seconds_total"]) > 0


def test_collectd(running: Any, tmp_path: Path) -> None:
    needs("collectd")
    if not Path("/usr/lib/collectd/virt.so").exists():
        pytest.skip("collectd has no virt plugin here")
    (tmp_path / "conf").write_text(COLLECTD.format(home=tmp_path, uri=running.uri))
    collectd = subprocess.Popen(
        ["/usr/sbin/collectd", "-f", "-C", str(tmp_path / "conf")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wanted = {"domain_state", "disk_octets-hda", "memory-total", "virt_vcpu-1", "disk_capacity-hda", "ps_cputime"}
    try:
        deadline = time.monotonic() + 30
        while True:
            written = {path.name[:-11] for path in (tmp_path / "csv").glob("vm/virt/*")}
            if wanted <= written:
                break
            assert time.monotonic() < deadline, (written, (tmp_path / "log").read_text())
            time.sleep(0.2)
    finally:
        collectd.terminate()
        collectd.wait(30)
    assert "failed" not in (tmp_path / "log").read_text()


def test_perls_bindings(running: Any) -> None:
    needs("perl")
    if subprocess.run(["perl", "-MSys::Virt", "-e", "1"], capture_output=True, check=False).returncode:
        pytest.skip("Sys::Virt is not installed")
    done = subprocess.run(
        ["perl", "-MSys::Virt", "-e", PERL, running.uri], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "fine", done.stderr


def test_the_newest_python_bindings(running: Any) -> None:
    if importlib.util.find_spec("libvirt") is None:
        pytest.skip("libvirt-python is not in this virtual environment")
    done = subprocess.run(
        [sys.executable, "-c", PYTHON, running.uri], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.endswith("fine\n"), done.stderr


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[str]:
    """A display of an X server without a screen."""
    needs("Xvfb")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        pass_fds=[writer], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    try:
        number = os.read(reader, 16).decode().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        yield f":{number}"
    finally:
        os.close(reader)
        server.terminate()
        server.wait(20)


def colours(display: str, into: Path) -> set[bytes]:
    """Take the screen's picture; list the colours in it."""
    subprocess.run(["import", "-display", display, "-window", "root", f"rgb:{into}"], check=True, timeout=30)
    data = into.read_bytes()
    return {data[at : at + 3] for at in range(0, len(data), 3)}


def test_virt_manager_shows_the_list_and_a_machines_screen(
    place: Place, guest: Any, screen: str, tmp_path: Path
) -> None:
    needs("virt-manager", "import")
    root = place.directory / "root"
    place.wait(place.run_ / "libvirt/libvirt-sock", place.domiciled("--root", str(root)))
    (place.directory / "vm.xml").write_text(XML.format(guest.boot_sector))
    for words in (("define", f"{place.directory}/vm.xml"), ("start", "vm")):
        done = place.run("virsh", "-q", *words)
        assert not done.returncode, done.stderr
    home = place.directory / "home"
    home.mkdir()
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "DISPLAY": screen, "GDK_BACKEND": "x11",
        "GIO_USE_VFS": "local", "NO_AT_BRIDGE": "1", "GSETTINGS_BACKEND": "memory",
    }  # fmt: skip
    words = ["virt-manager", "--no-fork", "--debug", "-c", "qemu:///system", "--show-domain-console", "vm"]
    with (place.directory / "manager").open("wb") as output:
        manager = subprocess.Popen(
            place.words(*words), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 90
        said = ""
        while "Viewer connected" not in said or VGA_GREY not in colours(screen, tmp_path / "picture"):
            said = (place.directory / "manager").read_text()
            assert manager.poll() is None and time.monotonic() < deadline, said[-2000:]
            time.sleep(1)
    finally:
        manager.send_signal(signal.SIGTERM)
        manager.wait(30)
        place.run("virsh", "destroy", "vm")
    said = (place.directory / "manager").read_text()
    assert "Traceback" not in said, said[said.index("Traceback") :][:2000]
