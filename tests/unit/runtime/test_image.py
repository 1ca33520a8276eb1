"""The header of saved machines: what is written is read again, and nothing else is taken for an image."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domicile.runtime import image
from domicile.runtime.image import BadImage, Image


def read(data: bytes, tmp: Path) -> Image:
    tmp.write_bytes(data)
    fd = os.open(tmp, os.O_RDONLY)
    try:
        found = image.read(fd, "it")
        assert os.lseek(fd, 0, os.SEEK_CUR) == found.begin
        return found
    finally:
        os.close(fd)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    head = Image("<domain>ä</domain>", True, revision=7).head(image.WHOLE)
    found = read(head + b"state", tmp_path / "i")
    assert (found.xml, found.running, found.revision, found.compression) == ("<domain>ä</domain>", True, 7, 0)
    assert found.begin == len(head)
    found.xml, found.revision, found.cookie, found.running = "<domain>longer than it was before</domain>", 0, "", False
    again = found.head(image.WHOLE)
    assert len(again) == len(head)
    assert read(again, tmp_path / "i").xml == found.xml


def test_a_document_must_have_room(tmp_path: Path) -> None:
    found = read(Image("<domain/>", True).head(image.WHOLE), tmp_path / "i")
    found.xml = "<domain>" + "x" * 100_000 + "</domain>"
    with pytest.raises(BadImage, match="room"):
        found.head(image.WHOLE)


def test_the_other_byte_order(tmp_path: Path) -> None:
    texts = b"<domain/>\0".ljust(64, b"\0")
    head = image.WHOLE + struct.pack(">5I", 2, len(texts), 1, 0, 0) + bytes(56) + texts
    found = read(head, tmp_path / "i")
    assert found.xml == "<domain/>" and found.big and found.head(image.WHOLE) == head


def test_a_cookie_of_libvirts_own_is_kept(tmp_path: Path) -> None:
    texts = b"<domain/>\0<cookie>\n  <slirpHelper/>\n</cookie>\n\0".ljust(4096, b"\0")
    head = image.WHOLE + struct.pack("<5I", 2, len(texts), 0, 0, 10) + bytes(56) + texts
    found = read(head, tmp_path / "i")
    assert found.revision == 0 and "slirpHelper" in found.cookie and found.head(image.WHOLE) == head


@given(st.binary(max_size=300), st.booleans())
def test_nothing_else_is_an_image(tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bool) -> None:
    try:
        found = read((image.WHOLE if magic else b"") + data, tmp_path_factory.getbasetemp() / "any")
    except BadImage:
        return
    assert magic and found.length <= len(data)
