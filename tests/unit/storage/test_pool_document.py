"""Documents of pools: written as libvirt 9.0 writes them (observed), refused with its numbers."""

from __future__ import annotations

import re

import pytest

from domicile.schema.field import Field
from domicile.secrets.secret import Secret
from domicile.storage import capabilities
from domicile.storage.failure import StorageDocument
from domicile.storage.kinds import KINDS
from domicile.storage.parts import sane
from domicile.storage.pool import Pool, read, read_stored, write
from domicile.storage.volume import Volume

UUID = "11111111-0000-4000-8000-000000000001"
HEAD = f"<name>p</name><uuid>{UUID}</uuid>"
AMOUNTS = """  <capacity unit='bytes'>0</capacity>
  <allocation unit='bytes'>0</allocation>
  <available unit='bytes'>0</available>
"""


def written(type: str, rest: str) -> str:
    text = write(read(f"<pool type='{type}'>{HEAD}{rest}</pool>"))
    assert text == write(read_stored(text))
    assert text.startswith(f"<pool type='{type}'>\n  <name>p</name>\n  <uuid>{UUID}</uuid>\n{AMOUNTS}")
    return re.sub(r"\s*\n\s*", "", text.partition(AMOUNTS)[2]).strip()


CASES = {
    "dir": (
        "<source><host name='x'/><format type='raw'/></source><target><path>/tmp//d/</path>"
        "<permissions><mode>0755</mode><owner>0</owner><group>-1</group><label>abc</label></permissions></target>",
        "<source></source><target><path>/tmp/d</path><permissions><mode>0755</mode><owner>0</owner>"
        "<label>abc</label></permissions></target></pool>",
    ),
    "fs": (
        "<source><device path='/dev/vdz/'/></source><target><path>/mnt/x</path></target>",
        "<source><device path='/dev/vdz'/><format type='auto'/></source><target><path>/mnt/x</path></target></pool>",
    ),
    "netfs": (
        "<source><dir path='/e/'/><host name='h' port='77'/><format type='nfs'/><protocol ver='4.1'/></source>"
        "<target><path>/x</path></target>",
        "<source><host name='h' port='77'/><dir path='/e'/><format type='nfs'/><protocol ver='4.1'/></source>"
        "<target><path>/x</path></target></pool>",
    ),
    "logical": (
        "<source><device path='/dev/a'/><device path='/dev/b' part_separator='yes'/><vendor name='V'/></source>",
        "<source><device path='/dev/a'/><device path='/dev/b' part_separator='yes'/><name>p</name>"
        "<format type='lvm2'/><vendor name='V'/></source><target><path>/dev/p</path></target></pool>",
    ),
    "disk": (
        "<source><device path='/dev/vdz'><freeExtent start='1' end='4'/></device><format type='gpt'/></source>"
        "<target><path>/dev</path></target>",
        "<source><device path='/dev/vdz'/><format type='gpt'/></source><target><path>/dev</path></target></pool>",
    ),
    "iscsi": (
        "<source><host name='h' port='3260'/><device path='iqn.x'/><auth type='chap' username='u'>"
        "<secret usage='sec'/></auth><initiator><iqn name='iqn.y'/></initiator></source><target><path>/dev/disk/by-path</path></target>",
        "<source><host name='h' port='3260'/><device path='iqn.x'/><initiator><iqn name='iqn.y'/></initiator>"
        "<auth type='chap' username='u'><secret usage='sec'/></auth></source><target><path>/dev/disk/by-path</path></target></pool>",
    ),
    "iscsi-direct": (
        "<source><host name='h'/><device path='iqn.x'/><initiator><iqn name='iqn.y'/></initiator></source>",
        "<source><host name='h'/><device path='iqn.x'/><initiator><iqn name='iqn.y'/></initiator></source></pool>",
    ),
    "scsi": (
        "<source><adapter name='host0'/></source><target><path>/dev/disk/by-id</path></target>",
        "<source><adapter type='scsi_host' name='host0'/></source><target><path>/dev/disk/by-id</path></target></pool>",
    ),
    "mpath": (
        "<target><path>/dev/mapper</path></target>",
        "<source></source><target><path>/dev/mapper</path></target></pool>",
    ),
    "rbd": (
        f"<source><name>n</name><host name='h'/><auth type='ceph' username='u'><secret uuid='{UUID}'/></auth></source>",
        f"<source><host name='h'/><name>n</name><auth type='ceph' username='u'><secret uuid='{UUID}'/></auth></source></pool>",
    ),
    "sheepdog": (
        "<source><name>n</name><host name='h'/></source>",
        "<source><host name='h'/><name>n</name></source></pool>",
    ),
    "gluster": (
        "<source><name>n</name><host name='h'/><dir path='/d'/></source>",
        "<source><host name='h'/><dir path='/d'/><name>n</name></source></pool>",
    ),
    "zfs": (
        "<source><name>tank</name></source>",
        "<source><name>tank</name></source><target><path>/dev/zvol/tank</path></target></pool>",
    ),
    "vstorage": (
        "<source><name>c</name></source><target><path>/mnt/v</path></target>",
        "<source><name>c</name></source><target><path>/mnt/v</path></target></pool>",
    ),
}


def test_every_type_has_a_case() -> None:
    assert CASES.keys() == KINDS.keys()


@pytest.mark.parametrize("type", CASES)
def test_written_as_libvirt_does(type: str) -> None:
    given, expected = CASES[type]
    assert written(type, given) == expected


def test_mount_options_keep_their_namespace() -> None:
    options = "<fs:mount_opts xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><fs:option name='sync'/></fs:mount_opts>"
    pool = read(
        f"<pool type='fs'>{HEAD}<source><device path='/d'/></source><target><path>/x</path></target>{options}</pool>"
    )
    text = write(pool)
    assert text.startswith("<pool type='fs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'>\n")
    assert "  <fs:mount_opts>\n    <fs:option name='sync'/>\n  </fs:mount_opts>\n</pool>\n" in text
    assert pool.options() == read_stored(text).options() == ["sync"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("<pool type='warp'><name>q</name></pool>", 27),
        ("<pool><name>q</name></pool>", 27),
        ("<pool type='dir'><name>a/b</name><target><path>/x</path></target></pool>", 27),
        ("<pool type='dir'><target><path>/x</path></target></pool>", 27),
        ("<pool type='dir'><name>q</name></pool>", 27),
        ("<pool type='dir'><name>q</name><uuid>x</uuid><target><path>/x</path></target></pool>", 27),
        ("<pool type='dir'><name>q</name><target><path>/x</path><permissions><mode>999</mode></permissions></target></pool>", 27),
        ("<pool type='dir'><name>q</name><target><path>/x</path><permissions><group>-2</group></permissions></target></pool>", 27),
        ("<pool type='fs'><name>q</name><target><path>/x</path></target></pool>", 27),
        ("<pool type='fs'><name>q</name><source><device path='/a'/><format type='z'/></source><target><path>/x</path></target></pool>", 67),
        ("<pool type='netfs'><name>q</name><source><dir path='/x'/></source><target><path>/x</path></target></pool>", 27),
        ("<pool type='scsi'><name>q</name><source><adapter type='fc_host'/></source><target><path>/x</path></target></pool>", 27),
        ("<pool type='scsi'><name>q</name><source><adapter type='fc_host' wwnn='z' wwpn='y'/></source><target><path>/x</path></target></pool>", 1),
        ("<pool type='iscsi'><name>q</name><source><host name='h'/><auth type='x' username='a'/></source><target><path>/x</path></target></pool>", 67),
        ("<pool type='iscsi'><name>q</name><source><host name='h'/><auth username='a'/></source><target><path>/x</path></target></pool>", 67),
        ("<network/>", 27),
        ("garbage", 35),
        ("", 35),
    ],
)  # fmt: skip
def test_refused_with_libvirts_number(document: str, code: int) -> None:
    with pytest.raises(StorageDocument) as refused:
        read(document)
    assert (refused.value.wire_code, refused.value.wire_domain) == (code, 18)


def test_what_is_unknown_is_refused_only_when_asked() -> None:
    text = f"<pool type='dir'>{HEAD}<target><path>/x</path></target><bogus/></pool>"
    read(text)
    with pytest.raises(StorageDocument, match="bogus") as refused:
        read(text, strict=True)
    assert refused.value.wire_code == 92


def test_paths_are_written_with_single_slashes() -> None:
    assert [sane(p) for p in ("/a//b/", "//a/", "///a", "/", "a//b", "")] == ["/a/b", "//a", "/a", "/", "a/b", ""]


def test_capabilities_name_each_type_once() -> None:
    text = capabilities.document()
    assert re.findall(r"<pool type='(.*?)'", text) == list(KINDS)
    assert "<defaultFormat type='raw'/>" in text and "supported='no'" in text


def _fields(root: type) -> list[Field]:
    seen: dict[type, None] = {}
    waiting = [root]
    while waiting:
        cls = waiting.pop()
        if cls not in seen:
            seen[cls] = None
            waiting += [f.of for f in cls.shape.fields if isinstance(f.of, type)]  # type: ignore[attr-defined]
    return [f for cls in seen for f in cls.shape.fields]  # type: ignore[attr-defined]


@pytest.mark.parametrize("root", [Pool, Volume, Secret])
def test_every_field_has_words_in_both_languages(root: type) -> None:
    for field in _fields(root):
        assert field.en.endswith(".") and re.search(r"[\u4e00-\u9fff]", field.zh), field.slot
