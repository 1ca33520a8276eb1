"""An image is known by what it is, not by how it is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domicile.host import images


def test_links_and_renamed_files_are_one_image(tmp_path: Path) -> None:
    image, link, other = tmp_path / "i", tmp_path / "link", tmp_path / "hard"
    image.touch()
    link.symlink_to(image)
    other.hardlink_to(image)
    known = images.identity(str(image))
    assert images.identity(str(link)) == images.identity(str(other)) == known
    image.rename(tmp_path / "moved")
    assert images.identity(str(tmp_path / "moved")) == known
    image.touch()
    assert images.identity(str(image)) != known
    assert images.identity(str(tmp_path / "none")).endswith(f":{tmp_path}/none")


MOUNTS = """23 1 0:20 / / rw shared:1 - ext4 /dev/vda rw
40 23 0:40 / /srv/nfs rw,relatime shared:20 - nfs4 filer:/export/vm rw,vers=4.2
41 23 0:40 /sub /bound rw - nfs filer:/export/vm rw
42 23 0:41 / /a\\040b rw - cifs //filer/share rw
43 40 0:42 / /srv/nfs/local rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/srv/nfs/x.qcow2", "nfs:filer:/export/vm/x.qcow2"),
        ("/srv/nfs/sub/x.qcow2", "nfs:filer:/export/vm/sub/x.qcow2"),
        ("/bound/x.qcow2", "nfs:filer:/export/vm/sub/x.qcow2"),
        ("/a b/c", "cifs://filer/share/c"),
    ],
)
def test_files_of_servers_are_known_by_their_place_there(
    path: str, known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(images, "_MOUNTS", mounts)
    assert images.identity(path) == known


def test_files_of_this_host_are_known_by_its_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(images, "_MOUNTS", mounts)
    assert images.identity("/srv/nfs/local/x").startswith("path:")
    assert images.identity("/srv/nfs-other").startswith("path:")


def test_devices_are_known_by_what_they_carry(tmp_path: Path) -> None:
    loops = list(Path("/sys/block").glob("*/dev"))
    assert loops, "this host has no block device"
    major, minor = map(int, loops[0].read_text().split(":"))
    assert images.block(os.makedev(major, minor)).split(":")[0] in ("block", "disk", "dm")
