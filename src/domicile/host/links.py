"""What a machine's network devices leave behind when QEMU ends: macvtaps, ports of a switch, scripts to run.

Part of `host/fulfil`; the machine's record keeps the list for a later daemon.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from domicile.base.errors import INTERNAL_ERROR, HostFailure
from domicile.host import macvtap, openvswitch
from domicile.plan.need import Macvtap, Need, Tap

log = structlog.get_logger(__name__)
#: Seconds a script of an interface may take.
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Link:
    """One device, by the token of the need it was made for: what has to be done when it is no longer wanted."""

    token: str
    name: str
    mark: str = ""
    downscript: str = ""
    switched: bool = False


def link_of(need: Need, name: str) -> Link | None:
    """Say what a device leaves behind; None where it vanishes with its descriptor."""
    if isinstance(need, Macvtap):
        return Link(need.token, name, mark=need.mark)
    if isinstance(need, Tap) and (need.downscript or need.switch == "openvswitch"):
        return Link(need.token, name, downscript=need.downscript, switched=need.switch == "openvswitch")
    return None


class Links:
    """The devices of all machines that have to be cleared away."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, Link]] = {}

    def of(self, machine: str) -> list[Link]:
        """List a machine's."""
        return list(self._of.get(machine, {}).values())

    def remember(self, machine: str, links: Iterable[Link]) -> None:
        """Note a machine's, also such as an earlier daemon made."""
        known = self._of.setdefault(machine, {})
        known.update({link.token: link for link in links})
        if not known:
            del self._of[machine]

    def clear(self, machine: str, token: str | None = None) -> None:
        """Clear away all of a machine's, or one."""
        known = self._of.get(machine, {})
        for key in [token] if token is not None else list(known):
            link = known.pop(key, None)
            if link is not None:
                _clear(link)
        if not known:
            self._of.pop(machine, None)


def _clear(link: Link) -> None:
    if link.downscript:
        threading.Thread(target=_bring_down, args=(link,), name=f"downscript of {link.name}", daemon=True).start()
    if link.mark:
        macvtap.remove(link.name, link.mark)
    if link.switched:
        try:
            openvswitch.remove_port(link.name)
        except HostFailure as fault:
            log.warning("a port of a switch was not removed", device=link.name, reason=fault.message)


def _bring_down(link: Link) -> None:
    try:
        run_script(link.downscript, link.name)
    except HostFailure as fault:
        log.warning("a script of an interface failed", device=link.name, reason=fault.message)


def run_script(program: str, name: str) -> None:
    """Run an interface's script with the name of its device, and wait for it. Raises: HostFailure."""
    try:
        done = subprocess.run([program, name], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise HostFailure(f"the script {program} {name} did not finish within {PATIENCE:.0f} s") from None
    except OSError as error:
        raise HostFailure(f"the script {program} could not be run: {error.strerror}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[:300]
        what = f"the script {program} {name} ended with status {done.returncode}"
        raise HostFailure(f"{what}: {words}" if words else what, code=INTERNAL_ERROR)


def scripts(needs: Iterable[Need], taps: dict[str, str]) -> list[tuple[str, str]]:
    """List the scripts to run now that the devices are there: the program and the device's name."""
    return [
        (need.script, taps[need.token])
        for need in needs
        if isinstance(need, Tap) and need.script and need.token in taps
    ]
