"""The guest's agent: a small one in a real guest, reached through real virsh, QEMU and virtio-serial."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.system.conftest import wait_until
from tests.system.test_virsh import document

CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
DISK = """<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>
<target dev='vda' bus='virtio'/></disk>"""
# What the agent says, by command; it has no more sense than a shell script.
ANSWERS = {
    "guest-ping": {},
    "guest-get-host-name": {"host-name": "little"},
    "guest-get-time": 1_700_000_000_123_456_789,
    "guest-set-time": {},
    "guest-fsfreeze-freeze": 2,
    "guest-fsfreeze-thaw": 2,
    "guest-fstrim": {"paths": []},
    "guest-get-vcpus": [{"logical-id": 0, "online": True, "can-offline": False}],
    "guest-get-users": [{"user": "root", "login-time": 1_700_000_000.5}],
    "guest-get-osinfo": {"id": "tiny", "pretty-name": "Tiny 1"},
    "guest-get-timezone": {"zone": "UTC", "offset": 0},
    "guest-network-get-interfaces": [
        {"name": "lo", "hardware-address": "00:00:00:00:00:00",
         "ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8}]}
    ],
    "guest-ssh-get-authorized-keys": {"keys": ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]},
    "guest-ssh-add-authorized-keys": {},
    "guest-set-user-password": {},
}  # fmt: skip


def agent(answers: dict[str, Any]) -> str:
    """Write the agent: a shell script that reads lines and prints others; the port ends while nobody is at the host's end."""
    cases = "".join(f"*'\"{name}\"'*) echo '{json.dumps({'return': said})}' >&3;;\n" for name, said in answers.items())
    return f"""port=$(echo /dev/vport*p1)
exec 3<>$port
while sleep 0.1; do while read -r line <&3; do echo "$line" >> /said; case $line in
*guest-sync-delimited*) id=${{line##*:}}; id=${{id%%\\}}*}}; printf '\\377{{"return": %s}}\\n' $id >&3;;
*'"guest-shutdown"'*) poweroff -f;;
*'"guest-suspend-ram"'*) echo mem > /sys/power/state;;
{cases}*) echo '{{"error": {{"class": "CommandNotFound", "desc": "not in this agent"}}}}' >&3;;
esac; done; done
"""


@pytest.fixture
def vm(daemon: Any, guest: Any) -> Iterator[Any]:
    """Give a daemon with a running guest whose agent is ready, and its console."""
    disk = DISK.format(guest.boot_sector)
    xml = document(extra=CHANNEL).replace("<interface", disk + "<interface").replace(">64<", ">256<")
    cmdline = "console=ttyS0 quiet"
    os = f"<kernel>{guest.kernel}</kernel><initrd>{guest.initrd}</initrd><cmdline>{cmdline}</cmdline></os>"
    daemon.define(xml.replace("</os>", os))
    console = daemon.start_listening("vm")
    console.expect(guest.greeting, 60)
    answers = dict(ANSWERS)
    console.send("stty -echo\n")
    place = daemon.virsh("dumpxml", "vm").stdout.split("dev='vda'")[1].split("slot='0x")[1].split("'")[0]
    answers["guest-get-fsinfo"] = [
        {"name": "vda1", "mountpoint": "/", "type": "ext4", "disk": [
            {"bus-type": "virtio", "bus": 0, "target": 0, "unit": 0,
             "pci-controller": {"domain": 0, "bus": 0, "slot": int(place, 16), "function": 0}}]}
    ]  # fmt: skip
    console.send("cat > /agent <<'END'\n")
    for line in agent(answers).splitlines():
        console.send(line + "\n")
        console.expect(">")
    console.send("END\nsh /agent & echo agent-is-up\n")
    console.expect("agent-is-up")
    wait_until("the agent to open its channel", lambda: "state='connected'" in daemon.virsh("dumpxml", "vm").stdout)
    yield daemon


def test_what_an_agent_is_asked(vm: Any) -> None:
    def said(*words: str) -> str:
        out: str = vm.virsh(*words).stdout
        return out

    assert json.loads(said("qemu-agent-command", "vm", '{"execute":"guest-ping"}')) == {"return": {}}
    assert said("domhostname", "vm").strip() == "little"
    assert said("domtime", "vm").strip() == "Time: 1700000000"
    vm.virsh("domtime", "vm", "--now")
    vm.virsh("domfsfreeze", "vm")
    vm.virsh("domfsthaw", "vm")
    vm.virsh("domfstrim", "vm", "--minimum", "4096")
    assert said("domfsinfo", "vm").split()[-4:] == ["/", "vda1", "ext4", "vda"]
    assert "online         : 0" in said("guestvcpus", "vm")
    assert "127.0.0.1/8" in said("domifaddr", "vm", "--source", "agent")
    keys = said("get-user-sshkeys", "vm", "root")
    assert "ssh-ed25519 AAAA one" in keys and "ssh-ed25519 BBBB two" in keys
    vm.virsh("set-user-password", "vm", "root", "geheim")
    log = vm.cli("log").stdout + vm.output()
    assert "geheim" not in log
    told = said("guestinfo", "vm")
    for line in ("user.0.name", "os.pretty-name", "hostname", "fs.0.disk.0.alias", "if.0.addr.0.addr"):
        assert line in told
    assert "disk.count" not in told.replace("fs.0.disk.count", ""), "this agent knows nothing of disks"
    refused = vm.virsh("guestinfo", "vm", "--disk", check=False)
    assert refused.returncode and "not in this agent" in refused.stderr
    refused = vm.virsh("domfstrim", "vm", "--mountpoint", "/", check=False)
    assert refused.returncode and "argument unsupported" in refused.stderr


def test_the_agent_of_a_guest_that_another_daemon_finds(vm: Any) -> None:
    vm.kill9()
    vm.start()
    assert vm.virsh("domhostname", "vm").stdout.strip() == "little"


def test_a_guest_that_stands_still_does_not_answer(vm: Any) -> None:
    vm.virsh("suspend", "vm")
    vm.virsh("guest-agent-timeout", "vm", "--timeout", "1")
    refused = vm.virsh("domhostname", "vm", check=False)
    assert refused.returncode and "Guest agent is not responding" in refused.stderr
    vm.virsh("resume", "vm")
    vm.virsh("guest-agent-timeout", "vm", "--timeout", "10")
    assert vm.virsh("domhostname", "vm").stdout.strip() == "little"


def test_a_shutdown_through_the_agent(vm: Any) -> None:
    vm.virsh("shutdown", "vm", "--mode", "agent")
    vm.wait_state("vm", "shut off")
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "shut off (shutdown)"


def test_where_no_agent_is(daemon: Any, guest: Any) -> None:
    daemon.define(document(guest.boot_sector))
    daemon.virsh("start", "vm")
    refused = daemon.virsh("domhostname", "vm", check=False)
    assert "argument unsupported" in refused.stderr and "not configured" in refused.stderr
    daemon.virsh("destroy", "vm")
    daemon.define(document(guest.boot_sector, extra=CHANNEL))
    daemon.virsh("start", "vm")
    for words in (("domhostname", "vm"), ("domfsfreeze", "vm"), ("dompmsuspend", "vm", "mem"), ("guestinfo", "vm")):
        refused = daemon.virsh(*words, check=False)
        assert refused.returncode and "not connected" in refused.stderr
    assert "state='disconnected'" in daemon.virsh("dumpxml", "vm").stdout


def test_a_guest_sleeps_and_is_woken(vm: Any) -> None:
    refused = vm.virsh("dompmwakeup", "vm", check=False)
    assert refused.returncode and "internal error" in refused.stderr
    refused = vm.virsh("dompmsuspend", "vm", "disk", check=False)
    assert refused.returncode and "not in this agent" in refused.stderr
    refused = vm.virsh("dompmsuspend", "vm", "mem", "--duration", "5", check=False)
    assert refused.returncode and "argument unsupported" in refused.stderr
    vm.virsh("dompmsuspend", "vm", "mem")
    vm.wait_state("vm", "pmsuspended")
    for words in (("suspend", "vm"), ("resume", "vm")):
        assert vm.virsh(*words, check=False).returncode
    vm.virsh("dompmwakeup", "vm")
    vm.wait_state("vm", "running")
    assert vm.virsh("domstate", "vm", "--reason").stdout.strip() == "running (event wakeup)"


def test_file_systems_are_held_still_for_a_snapshot(vm: Any) -> None:
    vm.virsh("snapshot-create-as", "vm", "still", "--disk-only", "--quiesce")
    assert vm.state("vm") == "running" and ".still" in vm.virsh("domblklist", "vm").stdout
    console = vm.console("vm")
    console.send("grep -o 'fsfreeze-[a-z]*' /said | tr '\\n' ' '; echo done\n")
    assert "fsfreeze-freeze fsfreeze-thaw" in console.expect("done")
