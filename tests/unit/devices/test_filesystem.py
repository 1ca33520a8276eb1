from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domicile.devices.filesystem import FAMILY

SHARE = "<source dir='/a'/><target dir='t'/>"


@pytest.fixture
def share(bench: Any) -> Any:
    return bench(FAMILY, types=("vhost-user-fs-pci",))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (f"<filesystem>{SHARE}</filesystem>", "<filesystem type='mount' accessmode='passthrough'>"),
        (f"<filesystem accessmode='mapped' fmode='644' dmode='0755'>{SHARE}</filesystem>", "accessmode='mapped' fmode='0644' dmode='0755'>"),
        ("<filesystem><driver type='virtiofs'/><source socket='/s'/><target dir='t'/></filesystem>", "<filesystem type='mount'>"),
        (
            f"<filesystem><driver iommu='on' wrpolicy='immediate' format='raw' type='path'/>{SHARE}</filesystem>",
            "<driver type='path' format='raw' wrpolicy='immediate' iommu='on'/>",
        ),
        (
            f"<filesystem>{SHARE}<space_hard_limit unit='KiB'>5</space_hard_limit></filesystem>",
            "<space_hard_limit unit='bytes'>5120</space_hard_limit>",
        ),
    ],
)  # fmt: skip
def test_one_form_is_kept(share: Any, given: str, kept: str) -> None:
    assert kept in share.kept(given)


@pytest.mark.parametrize(
    ("given", "culprit"),
    [
        ("<filesystem type='ram'/>", "'ram'"),
        ("<filesystem><source dir='/a'/></filesystem>", "'/a'"),
        ("<filesystem><target dir='t'/></filesystem>", "'t'"),
        (f"<filesystem accessmode='squash' fmode='644'>{SHARE}</filesystem>", "'fmode'"),
        (f"<filesystem fmode='999'>{SHARE}</filesystem>", "'999'"),
        (f"<filesystem accessmode='mapped'><driver type='virtiofs'/>{SHARE}</filesystem>", "'mapped'"),
    ],
)
def test_what_cannot_be_is_named(share: Any, given: str, culprit: str) -> None:
    assert any(culprit in message for message in share.problems(given))


def test_qemu_serves_9p_itself(share: Any, words: Callable[[list[Any], str], str]) -> None:
    xml = f"<filesystem accessmode='squash' multidevs='warn'>{SHARE}<readonly/></filesystem>"
    backend = words(share.planned(xml), "-fsdev")
    assert backend == "local,security_model=none,multidevs=warn,id=fsdev-fs0,path=/a,readonly=on"
    assert share.props(xml) == [{"driver": "virtio-9p-pci", "id": "fs0", "fsdev": "fsdev-fs0", "mount_tag": "t"}]


def test_a_daemon_serves_virtiofs(share: Any, words: Callable[[list[Any], str], str]) -> None:
    xml = f"<filesystem><driver type='virtiofs' queue='1024'/>{SHARE}</filesystem>"
    assert words(share.planned(xml), "-chardev").endswith("/domain-1-vm/fs0-fs.sock")
    assert share.props(xml) == [
        {"driver": "vhost-user-fs-pci", "id": "fs0", "chardev": "chr-vu-fs0", "queue-size": 1024, "tag": "t"}
    ]
