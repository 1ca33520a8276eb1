"""What must be refused, by real virsh: one clear error, the daemon alive, nothing stored; and libvirt's error codes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

UUID = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
GOOD = f"""<domain type='qemu'>
  <name>vm</name>
  <uuid>{UUID}</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><source file='/var/tmp/none.img'/><target dev='hda' bus='ide'/></disk>
  </devices>
</domain>
"""
BAD = {
    "malformed": GOOD.replace("</vcpu>", "</vcpus>"),
    "cut off": GOOD[:100],
    "empty": "",
    "entities": "<!DOCTYPE domain [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]>" + GOOD.replace(">vm<", ">&b;<"),
    "external entity": "<!DOCTYPE domain [<!ENTITY a SYSTEM '/etc/passwd'>]>" + GOOD.replace(">vm<", ">&a;<"),
    "wrong root": "<network><name>vm</name></network>",
    "no name": GOOD.replace("<name>vm</name>", ""),
    "empty name": GOOD.replace(">vm<", "><"),
    "path in name": GOOD.replace(">vm<", ">../../etc/vm<"),
    "bad uuid": GOOD.replace(UUID, "not-a-uuid"),
    "unknown type": GOOD.replace("type='qemu'", "type='qqq'"),
    "unknown bus": GOOD.replace("bus='ide'", "bus='tram'"),
    "unknown device": GOOD.replace("device='disk'", "device='drum'"),
    "unknown action": GOOD.replace("<devices>", "<on_crash>panic</on_crash><devices>"),
    "unknown machine": GOOD.replace("machine='pc'", "machine='pc-i440fx-rhel7.0.0'"),
    "unknown emulator": GOOD.replace("<devices>", "<devices><emulator>/no/such/qemu</emulator>"),
    "disk without source": GOOD.replace("<source file='/var/tmp/none.img'/>", ""),
    "no memory": GOOD.replace(">64<", ">0<"),
    "negative memory": GOOD.replace(">64<", ">-1<"),
    "too many vcpus": GOOD.replace("<vcpu>1", "<vcpu>100000"),
    "no vcpu": GOOD.replace("<vcpu>1", "<vcpu>0"),
}


@pytest.mark.parametrize("case", BAD)
def test_define_refuses(case: str, shared_daemon: Any) -> None:
    done = shared_daemon.virsh("define", "/dev/stdin", text_in=BAD[case], check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Failed to define domain from /dev/stdin\nerror: ")
    assert "Traceback" not in done.stderr + shared_daemon.output()
    assert shared_daemon.virsh("list", "--all", "--name").stdout.strip() == ""


def test_a_huge_document_is_refused_by_name(shared_daemon: Any, tmp_path: Path) -> None:
    document = tmp_path / "huge.xml"
    padding = "".join(f"<!-- {'x' * 1000} {i} -->" for i in range(20_000))
    document.write_text(GOOD.replace("<devices>", padding + "<devices>"))
    done = shared_daemon.virsh("define", str(document), check=False)
    assert done.returncode == 1 and done.stderr
    assert shared_daemon.virsh("list", "--all", "--name").stdout.strip() == ""


def test_a_name_and_a_uuid_belong_to_one_domain(daemon: Any) -> None:
    daemon.define(GOOD)
    for text in (GOOD.replace(UUID, OTHER), GOOD.replace(">vm<", ">second<")):
        done = daemon.virsh("define", "/dev/stdin", text_in=text, check=False)
        assert done.returncode == 1
        assert "error: operation failed: domain 'vm' " in done.stderr
    assert daemon.virsh("list", "--all", "--name").stdout.split() == ["vm"]
    assert daemon.virsh("domuuid", "vm").stdout.strip() == UUID


def test_the_unknown_is_kept_or_with_validate_refused(daemon: Any) -> None:
    strange = GOOD.replace("<devices>", "<shape sides='4'/><devices>")
    done = daemon.virsh("define", "--validate", "/dev/stdin", text_in=strange, check=False)
    assert done.returncode == 1 and "shape" in done.stderr
    assert daemon.virsh("list", "--all", "--name").stdout.strip() == ""
    daemon.define(strange)
    assert "shape" not in daemon.virsh("dumpxml", "vm").stdout


def test_a_read_only_connection_cannot_write(daemon: Any, tmp_path: Path) -> None:
    daemon.define(GOOD)
    document = tmp_path / "vm.xml"
    document.write_text(GOOD)
    assert daemon.virsh_readonly("list", "--all", "--name").stdout.split() == ["vm"]
    assert "<name>vm</name>" in daemon.virsh_readonly("dumpxml", "vm").stdout
    writes = (
        *(["define", str(document)], ["create", str(document)], ["start", "vm"], ["destroy", "vm"], ["undefine", "vm"]),
        *(["autostart", "vm"], ["shutdown", "vm"], ["reboot", "vm"], ["reset", "vm"], ["suspend", "vm"]),
        *(["resume", "vm"], ["desc", "vm", "x"], ["domrename", "vm", "x"], ["console", "vm"]),
    )
    for words in writes:
        done = daemon.virsh_readonly(*words, check=False)
        assert done.returncode == 1, words
        if words[0] not in ("console", "destroy"):
            assert "read only" in done.stderr, (words, done.stderr)
    uri = f"qemu+unix:///system?socket={daemon.root}/run/domicile-sock-ro"
    honest = subprocess.run(["virsh", "-c", uri, "undefine", "vm"], capture_output=True, text=True, timeout=30)
    assert "operation forbidden: read only access prevents virDomainUndefine" in honest.stderr
    assert daemon.virsh("domstate", "vm").stdout.strip() == "shut off"


def test_states_that_do_not_fit(daemon: Any) -> None:
    daemon.define(GOOD.replace("device='disk'", "device='cdrom'").replace("<source file='/var/tmp/none.img'/>", ""))
    for command in ("shutdown", "reboot", "reset", "suspend", "resume"):
        error = daemon.virsh(command, "vm", check=False).stderr
        assert "Requested operation is not valid: domain is not running" in error, command
    daemon.virsh("start", "vm")
    assert "Domain is already active" in daemon.virsh("start", "vm", check=False).stderr
    assert "already running" in daemon.virsh("resume", "vm", check=False).stderr
    assert "cannot rename active domain" in daemon.virsh("domrename", "vm", "x", check=False).stderr
    assert "failed to get domain 'nobody'" in daemon.virsh("dominfo", "nobody", check=False).stderr
    daemon.virsh("undefine", "vm")
    error = daemon.virsh("autostart", "vm", check=False).stderr
    assert "Requested operation is not valid: cannot set autostart for transient domain" in error
    daemon.virsh("destroy", "vm")
    assert daemon.virsh("list", "--all", "--name").stdout.strip() == ""


SCRIPT = """
import json, sys, libvirt
libvirt.registerErrorHandler(lambda *a: None, None)
conn = libvirt.open(sys.argv[1])
codes = {}
def ask(name, function, *args):
    try:
        function(*args)
        codes[name] = 0
    except libvirt.libvirtError as error:
        codes[name] = error.get_error_code()
text = sys.stdin.read()
ask("unknown name", conn.lookupByName, "nobody")
ask("unknown uuid", conn.lookupByUUIDString, "99999999-0000-4000-8000-000000000000")
ask("unknown id", conn.lookupByID, 4711)
dom = conn.defineXML(text)
ask("name taken", conn.defineXML, text.replace("11111111", "22222222"))
ask("stop when off", dom.destroy)
ask("no description", dom.metadata, 0, None)
ask("live when off", dom.metadata, 0, None, 1)
ask("unknown flag", dom.createWithFlags, 1 << 20)
dom.createWithFlags(1)
ask("start twice", dom.create)
ask("rename running", dom.rename, "x")
dom.undefine()
ask("undefine transient", dom.undefine)
ask("change config of transient", dom.setMetadata, 0, "x", None, None, 2)
dom.destroy()
ask("gone", dom.info)
ask("no network", conn.networkLookupByName, "default")
ask("no pool", conn.storagePoolLookupByName, "default")
read_only = libvirt.openReadOnly(sys.argv[1])
ask("read only", read_only.defineXML, text)
print(json.dumps(codes))
"""


@pytest.mark.skipif(
    not Path("/usr/lib/python3/dist-packages/libvirt.py").exists(), reason="libvirt-python is not installed"
)
def test_error_codes(daemon: Any) -> None:
    text = GOOD.replace("device='disk'", "device='cdrom'").replace("<source file='/var/tmp/none.img'/>", "")
    python = shutil.which("python3", path="/usr/bin") or "python3"
    done = subprocess.run([python, "-c", SCRIPT, daemon.uri], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "unknown name": 42,
        "unknown uuid": 42,
        "unknown id": 42,
        "name taken": 9,
        "stop when off": 55,
        "no description": 80,
        "live when off": 55,
        "unknown flag": 8,
        "start twice": 55,
        "rename running": 55,
        "undefine transient": 55,
        "change config of transient": 55,
        "gone": 42,
        "no network": 43,
        "no pool": 49,
        "read only": 29,
    }
