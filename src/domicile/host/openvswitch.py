"""Ports of Open vSwitch's bridges, by its own program. Used by host/tap and host/fulfil.

Source: ovs-vsctl(8); the external ids are those by which libvirt's ports are known to controllers.
"""

from __future__ import annotations

import shutil
import subprocess

from domicile.base.errors import INTERNAL_ERROR, HostFailure
from domicile.plan.need import Tap

_SECONDS = 5


def add_port(name: str, need: Tap) -> None:
    """Put a tap on a bridge of Open vSwitch. Raises: HostFailure."""
    words = ["--", "--may-exist", "add-port", need.bridge, name]
    untagged = [number for number, plain in need.vlans if plain]
    if len(need.vlans) == 1 and untagged:
        words.append(f"tag={untagged[0]}")
    elif need.vlans:
        words.append(f"trunk={','.join(str(number) for number, _ in need.vlans)}")
        if untagged:
            words += ["vlan_mode=native-untagged", f"tag={untagged[0]}"]
    words += ["--", "set", "Interface", name, f'external-ids:attached-mac="{need.mac}"']
    words += [f'external-ids:iface-id="{need.port}"'] if need.port else []
    words.append("external-ids:iface-status=active")
    _run(words, f"Unable to add port {name} to OVS bridge {need.bridge}")


def remove_port(name: str) -> None:
    """Take a tap off its bridge; what is gone already is no error. Raises: HostFailure."""
    _run(["--", "--if-exists", "del-port", name], f"Unable to delete port {name} from OVS")


def _run(words: list[str], what: str) -> None:
    program = shutil.which("ovs-vsctl")
    if program is None:
        raise HostFailure(f"{what}: Open vSwitch is not installed (there is no ovs-vsctl)", code=INTERNAL_ERROR)
    try:
        done = subprocess.run(
            [program, f"--timeout={_SECONDS}", *words],
            capture_output=True,
            text=True,
            timeout=_SECONDS + 1,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostFailure(f"{what}: {error}", code=INTERNAL_ERROR) from error
    if done.returncode:
        raise HostFailure(f"{what}: {done.stderr.strip()}", code=INTERNAL_ERROR)
