from __future__ import annotations

import json

import pytest

from domicile.plan.qemu import NULL, Command, Keyed, Option, Structured
from domicile.qemu import render

NEW, OLD = (7, 2, 0), (2, 8, 0)


def test_each_item_in_its_words_with_its_origin() -> None:
    items = [
        Option("-S"),
        Option("-uuid", "u", origin="uuid"),
        Keyed("-name", (("guest", "a,b"), ("debug-threads", True), ("x", None)), origin="name"),
        Keyed("-machine", (("", "pc"), ("usb", False))),
        Structured("device", {"driver": "VGA", "id": "v", "n": None}, origin="devices/video"),
        Command("set_link", {"name": "net0", "up": False}),
    ]
    words = [(argument.words, argument.origin) for argument in render.command_line(items, NEW)]
    assert words == [
        (("-S",), ""),
        (("-uuid", "u"), "uuid"),
        (("-name", "guest=a,,b,debug-threads=on"), "name"),
        (("-machine", "pc,usb=off"), ""),
        (("-device", '{"driver":"VGA","id":"v"}'), "devices/video"),
    ]
    assert [command.execute for command in render.commands(items)] == ["set_link"]


def test_json_keeps_types_and_leaves_out_nothing_but_none() -> None:
    props = {"driver": "x", "a": True, "b": 0, "c": "", "d": NULL, "e": {"f": None, "g": [1, {"h": None}]}, "i": "二"}
    text = render.structured(Structured("blockdev", props), NEW)
    assert json.loads(text) == {"driver": "x", "a": True, "b": 0, "c": "", "d": None, "e": {"g": [1, {}]}, "i": "二"}
    assert "二" in text


def test_older_releases_get_pairs() -> None:
    item = Structured("device", {"id": "a", "driver": "virtio-blk-pci", "drive": "x,y", "on": True, "n": None})
    assert render.structured(item, OLD) == "virtio-blk-pci,id=a,drive=x,,y,on=on"
    nested = Structured("blockdev", {"driver": "file", "cache": {"direct": True}, "list": [1, 2]})
    assert render.structured(nested, OLD) == "driver=file,cache.direct=on,list.0=1,list.1=2"
    assert render.structured(Structured("netdev", {"id": "n", "type": "user"}), (6, 2, 0)) == "user,id=n"
    assert (
        render.structured(Structured("object", {"id": "o", "qom-type": "rng-random"}), (5, 2, 0)) == "rng-random,id=o"
    )


@pytest.mark.parametrize(
    ("flag", "command"),
    [("device", "device_add"), ("netdev", "netdev_add"), ("object", "object-add"), ("blockdev", "blockdev-add")],
)
def test_the_same_to_a_running_machine(flag: str, command: str) -> None:
    assert render.qmp(Structured(flag, {"driver": "x", "n": None})) == (command, {"driver": "x"})


def test_a_value_can_end_no_option_and_begin_no_other() -> None:
    evil = "x,server=on,,path=/etc/passwd\n-device evil"
    (argument,) = render.command_line([Keyed("-chardev", (("", "socket"), ("path", evil)))], NEW)
    assert argument.words == ("-chardev", "socket,path=x,,server=on,,,,path=/etc/passwd\n-device evil")
    (argument,) = render.command_line([Structured("blockdev", {"filename": '","x":"'})], NEW)
    assert json.loads(argument.words[1]) == {"filename": '","x":"'}
