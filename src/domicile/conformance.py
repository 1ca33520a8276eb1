"""The door by which faithfulness to libvirt is measured: one JSON request a line in, one JSON answer a line out.

`python -m domicile.conformance`; it goes through the same completion, planning and rendering as the daemon, with the
reference host's facts in place of this machine's.
"""

from __future__ import annotations

import functools
import json
import re
import sys
import traceback
from dataclasses import fields
from pathlib import Path
from typing import Any

from domicile.base.errors import DomicileError
from domicile.domain import document
from domicile.domain.complete import complete_text
from domicile.domain.plan import plan_domain
from domicile.host import firmware
from domicile.plan.capabilities import Capabilities
from domicile.plan.firmware import Firmware
from domicile.plan.host import Directories, Host, Settings
from domicile.qemu import probe, render

_DIRECTORIES = Directories(
    state="/var/lib/libvirt/qemu", channels="/run/libvirt/qemu/channel", nvram="/var/lib/libvirt/qemu/nvram",
    ram="/var/lib/libvirt/qemu/ram", run="/run/libvirt/qemu", tpm="/dev/test",
)  # fmt: skip
_TOKEN = re.compile(r"\{(fd|fds|port|display|sg):([^}]*)\}")


def host(
    arch: str, given: dict[str, Any], firmwares: tuple[Firmware, ...] = (), *, fresh: bool, aliases: bool = False
) -> Host:
    """Make the reference host, changed by a request's settings (named as in qemu.conf)."""
    known = {f.name for f in fields(Settings)}
    values = {}
    for name, value in given.items():
        snake = re.sub(r"([a-z])(TLS|SASL)", r"\1_\2", name)
        snake = (
            re.sub(r"([a-z0-9])([A-Z][a-z])", r"\1_\2", snake)
            .lower()
            .replace("x509secretuuid", "x509_secret_uuid")
            .replace("tlsx509", "tls_x509")
            .replace("x509verify", "x509_verify")
        )
        if snake in known:
            values[snake] = value
    environment = {k.removeprefix("env "): str(v) for k, v in given.items() if k.startswith("env ")}
    return Host(
        arch=arch, kvm=True, directories=_DIRECTORIES, settings=Settings(spice_password="123456", **values), libvirt=(11, 3),  # noqa: S106
        environment=environment, aliases=aliases, fresh=fresh, modern=False, firmwares=firmwares,
        hugepages={2048: "/dev/hugepages2M/libvirt/qemu", 1048576: "/dev/hugepages1G/libvirt/qemu"},
        numa_nodes=frozenset(range(4)), advised_nodes=(0, 1, 2, 3),
        iommu_group=_group,
        vhost_net=True, vsock_cid=lambda _uuid: 42, render_node="/dev/dri/foo", now=lambda: 1234567890.0, zone_offset=lambda _moment: 30 * 60,
    )  # fmt: skip


def _group(address: str) -> int:
    """Each card of the reference host is a group of its own, with all its functions."""
    domain, bus, slot = address.partition(".")[0].split(":")
    return int(domain + bus + slot, 16)


@functools.cache
def _firmwares(root: Path) -> tuple[Firmware, ...]:
    return firmware.read(root)


@functools.cache
def _newest(directory: Path, arch: str) -> Path:
    """Find the recording of the newest QEMU: it alone was used as if no machine type were called by another name."""
    found = directory.glob(f"caps_*_{arch}.replies")
    return max(found, key=lambda path: [int(part) for part in path.name.split("_")[1].split(".")])


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Answer one request."""
    recording = Path(request["capabilities"])
    caps = probe.recorded(recording)
    # The recorded documents were read as if from disk, the command lines made as at a start.
    firmwares = _firmwares(recording.parent.parent / "host")
    fresh, aliases = request["action"] != "complete", recording != _newest(recording.parent, caps.arch)
    reference = host(caps.arch, request.get("settings") or {}, firmwares, fresh=fresh, aliases=aliases)

    def find(emulator: str | None, arch: str) -> Capabilities | None:
        return caps.at(f"/usr/bin/qemu-system-{_binary(caps.arch)}" if emulator is None else emulator)

    try:
        done = complete_text(request["xml"], reference, find)
        if request["action"] == "complete":
            return {"id": request["id"], "result": document.write(done.domain)}
        plan = plan_domain(done.domain, caps, reference)
        words = [plan.binary]
        for argument in render.command_line(plan.items, caps.version):
            words += [_resolved(word) for word in argument.words]
        return {"id": request["id"], "result": words}
    except DomicileError as error:
        return {"id": request["id"], "error": {"message": error.message}}


def _binary(arch: str) -> str:
    return {"armv7l": "arm", "i686": "i386"}.get(arch, arch)


def _resolved(word: str) -> str:
    """Put the reference host's ports and descriptors in place of tokens."""

    def value(found: re.Match[str]) -> str:
        kind, token = found.groups()
        if kind == "display":
            return "0"
        if kind == "sg":
            return "sg0"
        if kind == "port":
            return "5901" if "tls" not in token else "5902"
        return "3"

    return _TOKEN.sub(value, word)


def main() -> None:
    """Serve requests until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = answer(request)
        except Exception as error:  # an error of ours must not look like a refusal
            traceback.print_exc()
            reply = {"id": request.get("id"), "crash": repr(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
