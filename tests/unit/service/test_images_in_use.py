"""Two machines do not write to one image, unless both say that they may."""

from __future__ import annotations

from pathlib import Path

import pytest

from domicile.base.errors import Conflict
from domicile.service.images_in_use import ImagesInUse, Use


def test_writers_are_alone(tmp_path: Path) -> None:
    image, link = tmp_path / "i", tmp_path / "link"
    image.touch()
    link.symlink_to(image)
    images = ImagesInUse()
    images.claim("1", "one", [Use(str(image), written=True)])
    for written in (True, False):
        with pytest.raises(Conflict, match="'one'"):
            images.claim("2", "two", [Use(str(link), written=written)])
    assert images.holders(str(link)) == ["one"]
    images.claim("1", "one", [Use(str(image), written=True)])
    images.release("1")
    images.release("1")
    images.claim("2", "two", [Use(str(link), written=True)])
    assert images.holders(str(image)) == ["two"]


def test_readers_and_shareable_writers_are_not(tmp_path: Path) -> None:
    images = ImagesInUse()
    for number in "123":
        images.claim(number, number, [Use("/a", written=False), Use("/b", written=True, shared=True)])
    assert images.holders("/a") == images.holders("/b") == ["1", "2", "3"]
    with pytest.raises(Conflict):
        images.claim("4", "4", [Use("/b", written=True)])
