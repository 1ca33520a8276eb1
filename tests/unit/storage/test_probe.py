"""Image files are known by their own bytes, as qemu-img writes them; nonsense is raw and never an error."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from domicile.storage.probe import Image, examine

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def look(path: Path) -> Image:
    fd = os.open(path, os.O_RDONLY)
    try:
        return examine(fd)
    finally:
        os.close(fd)


def make(path: Path, *words: str) -> Image:
    subprocess.run(["qemu-img", "create", "-q", *words[:-1], str(path), words[-1]], check=True, timeout=60)
    return look(path)


@needs_qemu_img
@pytest.mark.parametrize("format", ["qcow", "qcow2", "qed", "vdi", "vmdk"])
def test_formats(tmp_path: Path, format: str) -> None:
    found = make(tmp_path / "i", "-f", format, "2M")
    assert (found.format, found.capacity, found.below, found.encryption) == (format, 2 << 20, None, None)


@needs_qemu_img
def test_vpc_has_the_size_of_its_geometry(tmp_path: Path) -> None:
    assert make(tmp_path / "i", "-f", "vpc", "2M") == Image("vpc", 2_123_776)


@needs_qemu_img
def test_what_qcow2_says_of_itself(tmp_path: Path) -> None:
    old = make(tmp_path / "old", "-f", "qcow2", "-o", "compat=0.10", "1M")
    assert (old.compat, old.cluster) == (None, 65536)
    new = make(
        tmp_path / "new", "-f", "qcow2", "-o", "compat=1.1,lazy_refcounts=on,extended_l2=on,cluster_size=128K", "1M"
    )
    assert (new.compat, new.cluster, new.lazy_refcounts, new.extended_l2) == ("1.1", 131072, True, True)


@needs_qemu_img
def test_layers_below(tmp_path: Path) -> None:
    make(tmp_path / "base", "-f", "qcow2", "1M")
    for format in ("qcow2", "qed", "vmdk"):
        kind = "vmdk" if format == "vmdk" else "qcow2"
        if kind == "vmdk":
            make(tmp_path / "base.vmdk", "-f", "vmdk", "1M")
        base = str(tmp_path / ("base.vmdk" if kind == "vmdk" else "base"))
        found = make(tmp_path / f"top.{format}", "-f", format, "-b", base, "-F", kind, "1M")
        assert found.below == base, format
        if format == "qcow2":
            assert found.below_format == "qcow2"


@needs_qemu_img
def test_luks_counts_what_the_guest_sees(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("hello")
    words = [
        "qemu-img",
        "create",
        "-q",
        "-f",
        "luks",
        "--object",
        f"secret,id=k,file={key}",
        "-o",
        "key-secret=k,iter-time=10",
    ]
    for _ in range(10):  # QEMU sometimes fails to measure how fast a virtual host is
        if subprocess.run([*words, str(tmp_path / "l"), "1M"], timeout=60).returncode == 0:
            break
    else:
        pytest.skip("qemu-img could not measure how fast this host is, ten times in a row")
    found = look(tmp_path / "l")
    assert (found.format, found.capacity, found.encryption) == ("luks", 1 << 20, "luks")


def test_iso(tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(bytes(32768) + b"\1CD001\1\0" + bytes(4096))
    assert look(tmp_path / "i").format == "iso"


def test_nonsense_is_raw(tmp_path: Path) -> None:
    chance = random.Random(1)
    path = tmp_path / "i"
    for head in (b"", b"QFI\xfb", b"QED\0", b"KDMV", b"conectix", b"LUKS\xba\xbe\0\1", b"QFI\xfb\0\0\0\3"):
        for size in (0, 3, 40, 600):
            path.write_bytes(head + chance.randbytes(size))
            look(path)
    path.write_bytes(b"QFI\xfb" + b"\xff" * 200)
    assert look(path) == Image()
