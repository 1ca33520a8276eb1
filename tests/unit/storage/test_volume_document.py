"""Documents of volumes: completed and written as libvirt 9.0 does (observed), refused with its numbers."""

from __future__ import annotations

import pytest

from domicile.storage.failure import StorageDocument
from domicile.storage.kinds import KINDS
from domicile.storage.parts import Amount
from domicile.storage.volume import read, write

DIR = KINDS["dir"]


def volume(rest: str) -> str:
    return f"<volume><name>v</name>{rest}</volume>"


def test_a_whole_document() -> None:
    made = read(
        volume(
            "<key>abc</key><capacity unit='MiB'>1</capacity><allocation>0</allocation><target><path>/x//y</path><format type='qcow2'/>"
            "<permissions><mode>644</mode><owner>-1</owner><group>2</group></permissions><compat>1.1</compat>"
            "<clusterSize unit='KiB'>128</clusterSize><features><lazy_refcounts/></features></target>"
            "<backingStore><path>/b</path><format type='qcow2'/></backingStore>"
        ),
        DIR,
    )
    assert write(made) == (
        "<volume>\n  <name>v</name>\n  <capacity unit='bytes'>1048576</capacity>\n  <allocation unit='bytes'>0</allocation>\n"
        "  <target>\n    <path>/x/y</path>\n    <format type='qcow2'/>\n    <permissions>\n      <mode>0644</mode>\n"
        "      <group>2</group>\n    </permissions>\n    <compat>1.1</compat>\n    <clusterSize unit='B'>131072</clusterSize>\n"
        "    <features>\n      <lazy_refcounts/>\n    </features>\n  </target>\n"
        "  <backingStore>\n    <path>/b</path>\n    <format type='qcow2'/>\n  </backingStore>\n</volume>\n"
    )


def test_formats_that_nobody_named() -> None:
    made = read(volume("<capacity>1</capacity><backingStore><path>/b</path></backingStore>"), DIR)
    assert made.format == "raw" and made.backingStore is not None and made.backingStore.format is not None
    assert made.backingStore.format.type == "raw"
    assert read(volume("<capacity>1</capacity>"), KINDS["logical"]).format == ""


def test_sizes_may_be_left_out_where_another_image_tells_them() -> None:
    below = "<target><format type='qcow2'/></target><backingStore><path>/b</path></backingStore>"
    assert read(volume(below), DIR).capacity is None
    assert read(volume(""), DIR, copied=True).capacity is None


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("<volume/>", 27),
        ("<pool/>", 27),
        (volume(""), 27),
        (volume("<capacity>x</capacity>"), 27),
        (volume("<capacity unit='zz'>1</capacity>"), 8),
        ("<volume type='zz'><name>v</name><capacity>1</capacity></volume>", 67),
        (volume("<capacity>1</capacity><target><format type='bogus'/></target>"), 67),
        (volume("<capacity>1</capacity><target><format type='none'/></target>"), 67),
        (volume("<capacity>1</capacity><target><features><bogus/></features></target>"), 67),
        (volume("<capacity>1</capacity><target><compat>2</compat></target>"), 27),
        (volume("<capacity>1</capacity><target><permissions><mode>abc</mode></permissions></target>"), 27),
        ("<", 35),
    ],
)
def test_refused_with_libvirts_number(document: str, code: int) -> None:
    with pytest.raises(StorageDocument) as refused:
        read(document, DIR)
    assert (refused.value.wire_code, refused.value.wire_domain) == (code, 18)


@pytest.mark.parametrize(
    ("unit", "count"),
    [(None, 3), ("B", 3), ("bytes", 3), ("KB", 3000), ("K", 3072), ("KiB", 3072), ("g", 3 * 2**30), ("EB", 3 * 10**18), ("zz", None), ("Kx", None)],
)  # fmt: skip
def test_units(unit: str | None, count: int | None) -> None:
    assert Amount(unit=unit, value=3).count() == count


def test_too_much_is_no_amount() -> None:
    assert Amount(unit="E", value=17).count() is None
