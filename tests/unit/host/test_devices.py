"""Devices of the host that are opened for a machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.host.devices import open_device, open_tpm, scsi_generic
from domicile.plan.need import HostTpm, OpenDevice, ScsiGeneric


def test_a_device_is_opened_for_both(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.write_bytes(b"x")
    opened = open_device(OpenDevice("t", str(path)))
    assert os.read(opened.fds[0], 1) == b"x"
    assert os.write(opened.fds[0], b"y") == 1
    opened.close()


def test_a_missing_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match="nothing"):
        open_device(OpenDevice("t", str(tmp_path / "nothing"), origin="devices/vsock"))


def test_a_tpm_has_a_way_to_break_off(tmp_path: Path) -> None:
    path = tmp_path / "tpm0"
    path.touch()
    module, cancel = open_tpm(HostTpm("t", str(path)))
    assert os.write(cancel.fds[0], b"x") == 1
    module.close()
    cancel.close()


def test_a_scsi_device_is_found_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "0:0:1:2" / "scsi_generic" / "sg7").mkdir(parents=True)
    assert scsi_generic(ScsiGeneric("0:0:1:2", writable=True), tmp_path) == "sg7"
    with pytest.raises(HostFailure, match="9:9:9:9"):
        scsi_generic(ScsiGeneric("9:9:9:9", writable=True), tmp_path)
