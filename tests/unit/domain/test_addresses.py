"""Who gets which place: PCI on both PCs, USB, SCSI, virtio-serial."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from domicile.devices.controller import Controller
from domicile.devices.parts.device import PciAddress

Sketch = Callable[..., str]
CARD = "<interface type='user'><model type='e1000'/></interface>"
VIRTIO = "<interface type='user'><model type='virtio'/></interface>"


def places(core: Any, xml: str, tag: str) -> list[str]:
    domain = core.complete(xml).domain
    found = []
    for device in getattr(domain.devices, tag):
        a = device.address
        found.append(f"{a.bus:02x}:{a.slot:02x}.{a.function}" if isinstance(a, PciAddress) else "")
    return found


def bridges(core: Any, xml: str) -> list[tuple[int, str]]:
    domain = core.complete(xml).domain
    return [(k.index, k.model) for k in domain.devices.of(Controller) if k.type == "pci"]


def test_on_a_pc_from_slot_three_on_when_there_is_a_display(core: Any, sketch: Sketch) -> None:
    xml = sketch(CARD * 3 + "<graphics type='vnc'/>", machine="pc")
    assert places(core, xml, "interface") == ["00:03.0", "00:04.0", "00:05.0"]
    assert places(core, xml, "video") == ["00:02.0"]
    assert places(core, xml, "memballoon") == ["00:06.0"]


def test_the_built_in_slot_of_a_pc_is_never_given_out(core: Any, sketch: Sketch) -> None:
    xml = sketch(CARD * 10 + "<disk><source file='/a'/><target dev='hda'/></disk>", machine="pc")
    assert not [place for place in places(core, xml, "interface") if place.startswith("00:01")]


def test_gaps_are_filled_and_given_places_kept(core: Any, sketch: Sketch) -> None:
    given = "<interface type='user'><address type='pci' slot='0x04'/></interface>"
    assert places(core, sketch(CARD + given + CARD, machine="pc"), "interface") == ["00:02.0", "00:04.0", "00:03.0"]


@pytest.mark.parametrize(("count", "expected"), [(20, 1), (27, 1), (31, 2), (40, 2), (70, 3)])
def test_a_full_pc_gets_bridges(core: Any, sketch: Sketch, count: int, expected: int) -> None:
    xml = sketch(CARD * count, machine="pc")
    found = bridges(core, xml)
    assert len(found) == expected, found
    assert found[1:] == [(n, "pci-bridge") for n in range(1, expected)]
    taken = places(core, xml, "interface")
    assert len(set(taken)) == count


def test_every_device_of_a_q35_gets_a_port_of_its_own_and_one_stays_free(core: Any, sketch: Sketch) -> None:
    xml = sketch(VIRTIO * 3, machine="q35")
    taken = places(core, xml, "interface")
    assert all(re.fullmatch(r"0[1-9a-f]:00\.0", place) for place in taken)
    ports = [index for index, model in bridges(core, xml) if model == "pcie-root-port"]
    domain = core.complete(xml).domain
    used = {d.address.bus for d in domain.devices.every() if isinstance(d.address, PciAddress) and d.address.bus}
    assert set(ports) - used, "no port is left to plug something in"


def test_plain_pci_cards_of_a_q35_stand_behind_a_bridge(core: Any, sketch: Sketch) -> None:
    xml = sketch(CARD * 2, machine="q35")
    models = [model for _, model in bridges(core, xml)]
    assert models[:3] == ["pcie-root", "pcie-root-port", "pcie-to-pci-bridge"]
    assert places(core, xml, "interface") == ["02:01.0", "02:02.0"]


def test_root_ports_share_slots(core: Any, sketch: Sketch) -> None:
    domain = core.complete(sketch(VIRTIO * 12, machine="q35")).domain
    ports = [k for k in domain.devices.of(Controller) if k.model == "pcie-root-port"]
    by_slot: dict[int, list[int]] = {}
    for port in ports:
        by_slot.setdefault(port.address.slot, []).append(port.address.function)
    assert next(len(functions) for functions in by_slot.values()) == 8
    for port in ports:
        assert bool(port.address.multifunction) == (port.address.function == 0 and len(by_slot[port.address.slot]) > 1)
    chassis = [(port.target.chassis, port.target.port) for port in ports]
    assert len(set(chassis)) == len(chassis)


@pytest.mark.parametrize(
    ("address", "word"),
    [
        ("slot='0x20'", "0x20"),
        ("slot='0x03' function='0x8'", "function 8"),
        ("domain='0x0001' slot='0x03'", "domain"),
        ("slot='0x01' function='0x1'", "0000:00:01.1"),
    ],
)
def test_places_that_do_not_exist(core: Any, sketch: Sketch, address: str, word: str) -> None:
    disk = "<disk><source file='/a'/><target dev='hda'/></disk>"
    nic = f"<interface type='user'><address type='pci' {address}/></interface>"
    xml = sketch(disk + nic, machine="pc", body="")
    problems = core.problems(xml)
    assert word in problems[0].message


def test_a_bus_further_up_brings_its_bridges_and_a_part_of_a_place_is_the_whole(core: Any, sketch: Sketch) -> None:
    xml = sketch("<interface type='user'><address type='pci' bus='0x02' slot='0x03'/></interface>", machine="pc")
    assert places(core, xml, "interface") == ["02:03.0"]
    assert [index for index, _ in bridges(core, xml)] == [0, 1, 2]
    assert "<address type='pci' domain='0x0000' bus='0x02' slot='0x03' function='0x0'/>" in core.completed(xml)


def test_a_place_of_zeroes_is_none(core: Any, sketch: Sketch) -> None:
    zeroes = "<interface type='user'><address type='pci' domain='0' bus='0' slot='0' function='0'/></interface>"
    assert places(core, sketch(zeroes, machine="pc"), "interface") == ["00:02.0"]


def test_usb_ports_then_hubs(core: Any, sketch: Sketch) -> None:
    tablets = "<input type='tablet' bus='usb'/>"
    domain = core.complete(
        sketch("<controller type='usb' model='piix3-uhci'/><hub type='usb'/>" + tablets * 5, machine="pc")
    ).domain
    ports = [i.address.port for i in domain.devices.input if i.bus == "usb"]
    assert domain.devices.hub[0].address.port == "1"
    assert ports == ["2", "1.1", "1.2", "1.3", "1.4"]


def test_hubs_are_added_where_ports_are_lacking(core: Any, sketch: Sketch) -> None:
    tablets = "<input type='tablet' bus='usb'/>"
    domain = core.complete(sketch("<controller type='usb' model='piix3-uhci'/>" + tablets * 17, machine="pc")).domain
    assert [h.address.port for h in domain.devices.hub] == ["1", "2", "1.1"]
    ports = [i.address.port for i in domain.devices.input if i.bus == "usb"]
    # A hub's own ports come first, then those of the hubs on it, then the next hub.
    assert ports == [f"1.{n}" for n in range(2, 9)] + [f"1.1.{n}" for n in range(1, 9)] + ["2.1", "2.2"]
    enough = core.complete(sketch("<controller type='usb' model='piix3-uhci'/>" + tablets * 2, machine="pc")).domain
    assert not enough.devices.hub


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<controller type='usb' model='none'/><input type='tablet' bus='usb'/>", ["USB is off", "'input'"]),
        (
            "<hub type='usb'><address type='usb' bus='0' port='1.1.1.1.1'/></hub>",
            ["'port'", "<address>", "'1.1.1.1.1'"],
        ),
        ("<hub type='usb'><address type='usb' bus='0' port='x'/></hub>", ["'port'", "<address>", "'x'"]),
        ("<hub type='usb'><address type='usb' bus='0' port='2.1'/></hub>", ["'2.1'", "does not exist"]),
        ("<hub type='usb'><address type='usb' bus='7' port='1'/></hub>", ["'7'", "does not exist"]),
        ("<controller type='usb' model='nec-xhci' ports='16'/>", ["'nec-xhci'", "'15'", "'16'"]),
        ("<controller type='usb' model='qemu-xhci' ports='0'/>", ["'qemu-xhci'", "'15'", "'0'"]),
    ],
)
def test_usb_that_cannot_be(core: Any, sketch: Sketch, inside: str, words: list[str]) -> None:
    messages = [problem.message for problem in core.problems(sketch(inside, machine="pc"))]
    assert any(all(word in message for word in words) for message in messages), messages


def test_a_hub_and_a_device_on_one_port(core: Any, sketch: Sketch) -> None:
    place = "<address type='usb' bus='0' port='1'/>"
    inside = f"<input type='tablet' bus='usb'>{place}</input><hub type='usb'>{place}</hub>"
    (problem,) = core.problems(sketch(inside, machine="pc"))
    assert "'1'" in problem.message and "twice" in problem.message


def test_parts_of_a_chipsets_usb_keep_together(core: Any, sketch: Sketch) -> None:
    models = ("ehci1", "uhci1", "uhci2", "ehci1", "uhci1", "uhci1", "ehci1")
    domain = core.complete(sketch("".join(f"<controller type='usb' model='ich9-{m}'/>" for m in models))).domain
    found = [(k.model.removeprefix("ich9-"), k.index) for k in domain.devices.of(Controller) if k.type == "usb"]
    assert found == [
        ("ehci1", 0), ("uhci1", 0), ("uhci2", 0), ("ehci1", 1), ("uhci1", 1), ("ehci1", 2), ("uhci1", 2),
    ]  # fmt: skip


def test_a_group_of_usb_follows_its_first_companion(core: Any, sketch: Sketch) -> None:
    group = "".join(f"<controller type='usb' index='0' model='ich9-{m}'/>" for m in ("ehci1", "uhci1", "uhci2"))
    assert places(core, sketch(group), "controller")[:3] == ["00:1d.7", "00:1d.0", "00:1d.1"]
    # Without it there is nothing to follow: a plain PCI slot.
    assert places(core, sketch("<controller type='usb' index='0' model='ich9-ehci1'/>"), "controller")[0] == "02:01.7"
    (problem,) = core.problems(sketch("<controller type='usb' index='3' model='ich9-uhci1'/>"))
    assert "no master" in problem.message and "'ich9-uhci1'" in problem.message


def test_the_first_usb_controller_is_there_though_only_another_is_written(core: Any, sketch: Sketch) -> None:
    domain = core.complete(sketch("<controller type='usb' index='1' model='nec-xhci'/>")).domain
    assert {(k.index, k.model) for k in domain.devices.of(Controller) if k.type == "usb"} == {
        (0, "qemu-xhci"),
        (1, "nec-xhci"),
    }
    (problem,) = core.problems(sketch("<controller type='usb' model='none'/>" * 2))
    assert "USB is off" in problem.message


def test_a_controller_is_never_below_itself(core: Any, sketch: Sketch) -> None:
    (problem,) = core.problems(sketch("<controller type='pci' index='1' model='pci-bridge'/>"))
    assert "'1'" in problem.message and "'0x01'" in problem.message


def test_ports_of_a_switch_have_a_slot_each(core: Any, sketch: Sketch) -> None:
    models = ("pcie-root-port", "pcie-switch-upstream-port", *["pcie-switch-downstream-port"] * 3, "dmi-to-pci-bridge")
    domain = core.complete(
        sketch("".join(f"<controller type='pci' model='{m}' index='{n}'/>" for n, m in enumerate(models, 1)))
    ).domain
    controllers = domain.devices.of(Controller)
    ports = [k for k in controllers if k.model == "pcie-switch-downstream-port"]
    assert [(p.address.bus, p.address.slot, p.address.function, p.target.port) for p in ports] == [
        (2, 0, 0, 0), (2, 1, 0, 1), (2, 2, 0, 2),
    ]  # fmt: skip
    # Where real chipsets have it.
    assert [k.address.slot for k in controllers if k.model == "dmi-to-pci-bridge"] == [0x1E]


def test_a_usb_port_once(core: Any, sketch: Sketch) -> None:
    twice = "<input type='tablet' bus='usb'><address type='usb' bus='0' port='1'/></input>" * 2
    (problem,) = core.problems(sketch(twice, machine="pc"))
    assert "'1'" in problem.message


def test_scsi_places_follow_names(core: Any, sketch: Sketch) -> None:
    names = ("sda", "sdg", "sdh", "sdz")
    disks = "".join(f"<disk><source file='/{n}'/><target dev='{n}' bus='scsi'/></disk>" for n in names)
    domain = core.complete(sketch(disks)).domain
    assert [(d.address.controller, d.address.unit) for d in domain.devices.disk] == [(0, 0), (0, 6), (1, 0), (3, 4)]
    assert [k.index for k in domain.devices.of(Controller) if k.type == "scsi"] == [0, 1, 2, 3]


def test_host_devices_take_the_units_disks_leave(core: Any, sketch: Sketch) -> None:
    disk = "<disk><source file='/a'/><target dev='sdb' bus='scsi'/></disk>"
    tape = "<hostdev type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='{}' unit='0'/></source></hostdev>"
    domain = core.complete(sketch(disk + "".join(tape.format(n) for n in range(7)))).domain
    units = [(h.address.controller, h.address.unit) for h in domain.devices.hostdev]
    assert units == [(0, 0), (0, 2), (0, 3), (0, 4), (0, 5), (0, 6), (1, 0)]


def test_ports_of_virtio_serial(core: Any, sketch: Sketch) -> None:
    channel = "<channel type='pty'><target type='virtio' name='c{}'/></channel>"
    fixed = "<channel type='pty'><target type='virtio' name='f'/><address type='virtio-serial' controller='0' port='2'/></channel>"
    xml = sketch(fixed + "".join(channel.format(n) for n in range(31)))
    domain = core.complete(xml).domain
    found = [(c.address.controller, c.address.port) for c in domain.devices.channel]
    assert found[:3] == [(0, 2), (0, 1), (0, 3)]
    assert len(set(found)) == 32
    assert found[-1][0] == 1
    (problem,) = core.problems(sketch(fixed + fixed.replace("'f'", "'g'")))
    assert "twice" in problem.message


def test_no_machine_is_that_big(core: Any, sketch: Sketch) -> None:
    (problem, *_) = core.problems(sketch(VIRTIO * 300, machine="q35"))
    assert "no PCI slot is free" in problem.message
    (problem, *_) = core.problems(sketch("<controller type='pci' index='4000000000' model='pcie-root-port'/>"))
    assert "'4000000000'" in problem.message


@pytest.mark.parametrize(("machine", "slot"), [("pc", "0x01"), ("q35", "0x1f")])
def test_where_the_chipset_is_nothing_else_can_be(core: Any, sketch: Sketch, machine: str, slot: str) -> None:
    place = f"<address type='pci' domain='0' bus='0' slot='{slot}' function='0'/>"
    problems = core.problems(sketch(CARD.replace("</interface>", f"{place}</interface>"), machine=machine))
    assert any(f"0000:00:{slot[2:]}.0" in problem.message for problem in problems)
