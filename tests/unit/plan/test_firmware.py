from __future__ import annotations

import json
from typing import Any

from domicile.plan.firmware import choose, parse


def described(path: str, **more: Any) -> bytes:
    mapping = {
        "device": "flash",
        "executable": {"filename": path, "format": "raw"},
        "nvram-template": {"filename": f"{path}.vars", "format": "raw"},
    }
    targets = [{"architecture": "i386", "machines": ["pc-q35-*"]}, {"architecture": "x86_64", "machines": ["microvm"]}]
    whole = {"interface-types": ["uefi"], "mapping": mapping, "targets": targets, "features": [], "tags": []}
    return json.dumps(whole | more).encode()


def test_a_description_without_a_mode_is_split() -> None:
    firmware = parse("a", described("/code", features=["requires-smm"]))
    assert firmware is not None
    assert (firmware.kinds, firmware.mode, firmware.template, firmware.secure) == (
        ("efi",),
        "split",
        "/code.vars",
        True,
    )
    assert firmware.runs_on("i686", "pc-q35-9.0") and firmware.runs_on("x86_64", "microvm")
    assert not firmware.runs_on("x86_64", "pc-q35-9.0")


def test_what_is_no_description_is_passed_over() -> None:
    for text in (b"", b"{", b"[]", b'{"mapping": 1}', described("/x", mapping={"device": "flash"})):
        assert parse("a", text) is None
    assert choose([{"a": b"{", "b": described("/b")}])[0].path == "/b"


def test_names_give_the_order_and_hide_one_another() -> None:
    usual = {"20": described("/usual"), "10": described("/first"), "30": described("/hidden")}
    own = {"20": described("/own"), "30": b""}
    assert [firmware.path for firmware in choose([usual, own])] == ["/first", "/own"]


def test_a_rom_has_one_image() -> None:
    firmware = parse(
        "a", described("", mapping={"device": "memory", "filename": "/rom"}, **{"interface-types": ["bios"]})
    )
    assert firmware is not None and (firmware.device, firmware.mode, firmware.path) == ("memory", "stateless", "/rom")
