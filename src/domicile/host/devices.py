"""Devices of the host that the daemon opens for a machine, since QEMU's user may not: TPMs, vhost, vDPA, SCSI.

`host/fulfil` asks at a machine's start.
"""

from __future__ import annotations

import os
from pathlib import Path

from domicile.base.errors import HostFailure
from domicile.host.files import OpenFile
from domicile.plan.need import HostTpm, Macvtap, OpenDevice, ScsiGeneric, Tap

_VHOST_NET = "/dev/vhost-net"


def open_device(need: OpenDevice) -> OpenFile:
    """Open a device for reading and writing.

    Raises:
        HostFailure: it cannot be opened.
    """
    return OpenFile((_open(need.path, os.O_RDWR, need.origin),))


def open_vhost_net(need: Tap | Macvtap) -> OpenFile:
    """Open the kernel's end for each queue of a tap.

    Raises:
        HostFailure: the kernel has none.
    """
    fds: list[int] = []
    try:
        for _ in range(max(1, need.queues)):
            fds.append(_open(_VHOST_NET, os.O_RDWR, need.origin))
    except HostFailure:
        for fd in fds:
            os.close(fd)
        raise
    return OpenFile(tuple(fds))


def open_tpm(need: HostTpm) -> tuple[OpenFile, OpenFile]:
    """Open the host's TPM, and the file by which a command that takes too long is broken off.

    Raises:
        HostFailure: one of them cannot be opened.
    """
    module = open_device(OpenDevice(need.token, need.path, origin=need.origin))
    name = Path(need.path).name
    classes = (Path(f"/sys/class/{kind}/{name}/device/cancel") for kind in ("tpm", "misc"))
    # A TPM 2 breaks off by itself: it has no such file.
    cancel = next((str(path) for path in classes if path.exists()), os.devnull)
    try:
        return module, OpenFile((_open(cancel, os.O_WRONLY, need.origin),))
    except HostFailure:
        module.close()
        raise


def scsi_generic(need: ScsiGeneric, root: Path = Path("/sys/bus/scsi/devices")) -> str:
    """Name the node of a SCSI device, such as sg3.

    Raises:
        HostFailure: the host has no such device.
    """
    found = sorted((root / need.token / "scsi_generic").glob("sg*"))
    if not found:
        raise HostFailure(f"{need.origin}: the host has no SCSI device {need.token}")
    return found[0].name


def _open(path: str, mode: int, origin: str) -> int:
    try:
        return os.open(path, mode | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise HostFailure(f"{origin}: '{path}' cannot be opened: {error.strerror}") from error
