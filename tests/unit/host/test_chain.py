"""Which files stand below an image, by what real images say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from domicile.base.errors import HostFailure
from domicile.host.chain import layers

needs_images = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")


def image(path: Path, *, below: str = "", kind: str = "qcow2", version: str = "1.1") -> Path:
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"compat={version}"]
    if below:
        words += ["-b", below, "-F", kind]
    subprocess.run([*words, str(path), "1M"], check=True)
    return path


@needs_images
@pytest.mark.parametrize("version", ["0.10", "1.1"])
def test_a_chain_is_followed_to_its_end(tmp_path: Path, version: str) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(1 << 20))
    middle = image(tmp_path / "middle.qcow2", below="base.raw", kind="raw", version=version)
    top = image(tmp_path / "top.qcow2", below=str(middle), version=version)
    assert layers(str(top)) == [str(middle), str(base)]
    assert layers(str(base)) == []


@needs_images
def test_what_a_guest_wrote_into_a_raw_layer_is_not_believed(tmp_path: Path) -> None:
    secret = image(tmp_path / "secret.qcow2")
    forged = image(tmp_path / "forged", below=str(secret))
    top = image(tmp_path / "top.qcow2", below=str(forged), kind="raw")
    assert layers(str(top)) == [str(forged)]


@needs_images
def test_a_circle_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    image(one)
    image(two, below=str(one))
    subprocess.run(["qemu-img", "rebase", "-q", "-u", "-b", str(two), "-F", "qcow2", str(one)], check=True)
    with pytest.raises(HostFailure, match="circle"):
        layers(str(two))


@needs_images
def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    base = image(tmp_path / "base")
    top = image(tmp_path / "top", below=str(base))
    base.unlink()
    with pytest.raises(HostFailure, match="base"):
        layers(str(top))


def test_junk_has_no_layers(tmp_path: Path) -> None:
    path = tmp_path / "junk"
    for content in (b"", b"QFI\xfb", b"QFI\xfb" + b"\xff" * 200, b"x" * 4096):
        path.write_bytes(content)
        assert layers(str(path)) == []
