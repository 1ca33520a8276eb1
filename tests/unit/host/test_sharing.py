"""Which files several hosts see, told from the mounts."""

from pathlib import Path

import pytest

from domicile.host import sharing

MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /srv/vm rw shared:1 - nfs4 server:/vm rw
31 22 0:41 / /srv/vm/local rw - xfs /dev/sdb1 rw
32 22 0:42 / /mnt/with\\040space rw - fuse.glusterfs g:/v rw
33 22 0:43 / /srv/vm-other rw - btrfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "shared"),
    [
        ("/srv/vm/a.qcow2", "nfs4", True), ("/srv/vm/local/a", "xfs", False), ("/mnt/with space/a", "fuse.glusterfs", True),
        ("/srv/vm-other/a", "btrfs", False), ("/etc/passwd", "ext4", False),
    ],
)  # fmt: skip
def test_the_longest_mount_counts(path: str, kind: str, shared: bool) -> None:
    assert sharing.kind_of(path, MOUNTS) == kind
    assert sharing.is_shared(kind) is shared


def test_this_hosts_own_files(tmp_path: Path) -> None:
    assert sharing.kind_of(str(tmp_path))
    assert sharing.is_coherent("ocfs2") and not sharing.is_coherent("nfs4")
    assert len(sharing.boot_id()) == 36
