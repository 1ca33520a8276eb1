"""Machines of s390x: numbers on the channel and of PCI devices, what the machine has by itself, and what it has not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domicile.base.errors import Unsupported
from domicile.plan.capabilities import CpuModel

RNG = "<rng model='virtio'><backend model='random'/>{}</rng>"
MDEV = "<hostdev type='mdev' model='{}'><source><address uuid='00000000-0000-4000-8000-0000000000{:02d}'/></source></hostdev>"


@pytest.fixture(name="s390")
def s390_fixture(core: Any) -> Any:
    return core.of("s390x")


@pytest.fixture(name="draw")
def draw_fixture(sketch: Callable[..., str]) -> Callable[..., str]:
    def draw(devices: str = "", **more: Any) -> str:
        return sketch(devices, arch="s390x", machine="s390-ccw-virtio", **more)

    return draw


def numbers(text: str) -> list[str]:
    return re.findall(r"cssid='0x(\w+)' ssid='0x(\w)' devno='0x(\w+)'", text)


def identities(text: str) -> list[tuple[str, str]]:
    return re.findall(r"<zpci uid='0x(\w+)' fid='0x(\w+)'/>", text)


def said(problems: Any) -> str:
    return "\n".join(problem.sentence() for problem in problems)


def test_given_numbers_stay_and_the_others_are_the_lowest_free_ones(s390: Any, draw: Callable[..., str]) -> None:
    given = "<address type='ccw' cssid='0xfe' ssid='0' devno='1'/>"
    text = s390.completed(draw(RNG.format("") + RNG.format(given) + RNG.format("<address type='ccw'/>")))
    # The balloon comes before the generators.
    assert numbers(text) == [("fe", "0", "0000"), ("fe", "0", "0002"), ("fe", "0", "0001"), ("fe", "0", "0003")]


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("cssid='0xfe' ssid='0'", ["'devno'"]),
        ("cssid='0xff' ssid='0' devno='1'", ["'0xff'", "'0x0'", "'0x0001'"]),
        ("cssid='0xfe' ssid='4' devno='1'", ["'0xfe'", "'0x4'", "'0x0001'"]),
        ("cssid='0xfe' ssid='3' devno='65536'", ["'0xfe'", "'0x3'", "'0x10000'"]),
    ],
)
def test_numbers_on_the_channel_are_whole_and_in_range(
    s390: Any, draw: Callable[..., str], address: str, named: list[str]
) -> None:
    text = said(s390.problems(draw(RNG.format(f"<address type='ccw' {address}/>"))))
    assert all(word in text for word in named), text


def test_a_number_is_used_once_and_only_where_there_are_channels(
    core: Any, s390: Any, draw: Callable[..., str], sketch: Callable[..., str]
) -> None:
    rng = RNG.format("<address type='ccw' cssid='0xfe' ssid='3' devno='1'/>")
    assert "'fe.3.0001'" in said(s390.problems(draw(rng + rng)))
    assert "'ccw'" in said(core.problems(sketch(rng)))


def test_a_channel_device_asked_for_on_pci_gets_both_places(s390: Any, draw: Callable[..., str]) -> None:
    text = s390.completed(draw(RNG.format("<address type='pci'/>") + "<memballoon model='none'/>"))
    assert not numbers(text)
    assert identities(text) == [("0001", "00000000")]


def test_what_has_one_identity_gets_the_other_before_those_that_have_none(s390: Any, draw: Callable[..., str]) -> None:
    text = s390.completed(
        draw(
            RNG.format("<address type='pci'/>")
            + RNG.format("<address type='pci'><zpci fid='0x1'/></address>")
            + RNG.format("<address type='pci'><zpci uid='0x1'/></address>")
        )
    )
    assert identities(text) == [("0003", "00000002"), ("0002", "00000001"), ("0001", "00000000")]


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("uid='5' fid='1'", "uid='5' fid='2'", "'0x0005'"),
        ("uid='5' fid='1'", "uid='6' fid='1'", "'0x00000001'"),
        ("uid='0'", "fid='1'", "'0x0000'"),
        ("uid='0x10000'", "fid='1'", "'0x10000'"),
    ],
)
def test_identities_are_in_range_and_used_once(
    s390: Any, draw: Callable[..., str], first: str, second: str, named: str
) -> None:
    both = [RNG.format(f"<address type='pci'><zpci {given}/></address>") for given in (first, second)]
    assert named in said(s390.problems(draw("".join(both))))


def test_identities_are_only_for_s390(core: Any, sketch: Callable[..., str]) -> None:
    rng = RNG.format("<address type='pci'><zpci uid='1' fid='2'/></address>")
    assert "<zpci>" in said(core.problems(sketch(rng, machine="pc")))


def test_qemu_is_told_the_identities_in_front_of_the_device(s390: Any, draw: Callable[..., str]) -> None:
    devices = RNG.format("<address type='pci'/>") + "<serial type='pty'><target type='pci-serial'/></serial>"
    told = [a.words[1] for a in s390.arguments(draw(devices)) if a.words[0] == "-device"]
    place = next(number for number, words in enumerate(told) if '"zpci"' in words)
    assert '"target":"rng0"' in told[place] and '"virtio-rng-pci"' in told[place + 1]
    assert sum('"zpci"' in words for words in told) == 1  # a serial port has none


def test_buses_are_added_below_the_root(s390: Any, draw: Callable[..., str]) -> None:
    text = s390.completed(draw(RNG.format("<address type='pci'/>") * 31))
    assert text.count("model='pci-bridge'") == 1
    assert len(set(identities(text))) == 32


def test_without_pci_in_qemu_there_is_no_root(s390: Any, draw: Callable[..., str]) -> None:
    types = {name: parent for name, parent in s390.caps.types.items() if name != "zpci"}
    bare = type(s390)(replace(s390.caps, types=types))
    assert "pci-root" not in bare.completed(draw())


def test_a_usb_controller_is_none_unless_more_is_said_of_it(s390: Any, draw: Callable[..., str]) -> None:
    assert "type='usb' index='0' model='none'" in s390.completed(draw("<controller type='usb'/>"))
    placed = s390.completed(draw("<controller type='usb'><address type='pci' slot='1'/></controller>"))
    assert "<controller type='usb' index='0'>" in placed
    assert "<controller type='usb'" not in s390.completed(draw())


@pytest.mark.parametrize(
    "devices",
    [
        "<disk type='file'><source file='/i/1'/><target dev='hda' bus='ide'/></disk>",
        "<controller type='ide'/>",
        "<controller type='sata'/>",
        "<controller type='scsi' model='lsilogic'/>",
        "<controller type='pci' index='0' model='pcie-root'/>",
        "<controller type='pci' index='1' model='pci-expander-bus'/>",
        "<controller type='pci' index='1' model='pcie-expander-bus'/>",
        "<parallel type='pty'/>",
        "<watchdog model='diag288'><address type='pci'/></watchdog>",
        "<panic model='isa'/>",
        "<panic model='s390'><address type='isa'/></panic>",
        "<panic/><panic model='s390'/>",
        "<serial type='pty'><target type='sclp-serial'/><address type='isa'/></serial>",
        "<input type='tablet' bus='usb'/>",
        "<input type='mouse' bus='ps2'/>",
        "<nvram/>",
        "<iommu model='intel'/>",
        MDEV.format("vfio-ap", 1) + MDEV.format("vfio-ap", 2),
        "<interface type='user'><boot order='1' loadparm=''/></interface>",
        "<interface type='user'><rom bar='off'/></interface>",
        "<interface type='user'><acpi index='2'/></interface>",
        "<interface type='user'><boot order='1' loadparm='123456789'/></interface>",
        "<interface type='user'><boot order='1' loadparm='a*'/></interface>",
    ],
)
def test_what_an_s390_cannot_have_is_refused(s390: Any, draw: Callable[..., str], devices: str) -> None:
    assert s390.problems(draw(devices))


@pytest.mark.parametrize(
    "body",
    [
        *(f"<clock offset='utc'><timer name='{name}' present='yes'/></clock>" for name in ("tsc", "kvmclock", "hpet")),
        "<clock offset='utc'><timer name='armvtimer'/></clock>",
        "<clock offset='utc'><timer name='platform'/></clock>",
        "<features><gic version='2'/></features>",
        "<features><hyperv><relaxed state='on'/></hyperv></features>",
        "<features><pvspinlock/></features>",
        "<features><ioapic driver='kvm'/></features>",
        "<features><apic eoi='on'/></features>",
        "<features><vmport state='off'/></features>",
        "<features><vmcoreinfo/></features>",
        "<pm><suspend-to-mem enabled='no'/></pm>",
        "<keywrap><cipher name='aes' state='on'/><cipher name='aes' state='off'/></keywrap>",
        "<launchSecurity type='s390-pv'/>",
        "<maxMemory slots='4' unit='KiB'>2097152</maxMemory>",
    ],
)
def test_what_this_machine_has_not_is_refused(s390: Any, draw: Callable[..., str], body: str) -> None:
    assert s390.problems(draw(body=body))


def test_what_is_only_said_to_be_absent_is_fine(s390: Any, draw: Callable[..., str]) -> None:
    timers = "".join(f"<timer name='{name}' present='no'/>" for name in ("tsc", "kvmclock", "hypervclock", "hpet"))
    assert "tsc" in s390.completed(draw(body=f"<clock offset='utc'>{timers}</clock>"))
    assert "keywrap" not in s390.completed(draw(body="<keywrap/>"))


def test_the_machine_loads_what_its_first_device_says(s390: Any, draw: Callable[..., str]) -> None:
    disk = "<disk type='file'><source file='/i/{0}'/><target dev='vd{0}'/><boot order='{1}' loadparm='{2}'/></disk>"
    text = draw(disk.format("a", 2, "x") + disk.format("b", 1, "a b"))
    assert "loadparm='A B'" in s390.completed(text)
    machine = next(a.words[1] for a in s390.arguments(text) if a.words[0] == "-machine")
    assert machine.endswith(",loadparm=A B")


def test_a_load_parameter_is_named_as_it_is_kept(s390: Any, draw: Callable[..., str]) -> None:
    text = draw("<interface type='user'><boot order='1' loadparm='far too long'/></interface>")
    assert "'FAR TOO LONG'" in said(s390.problems(text))


def test_virtiofs_boots_from_pci_alone(s390: Any, draw: Callable[..., str]) -> None:
    shared = "<memoryBacking><access mode='shared'/></memoryBacking>"
    export = "<filesystem><driver type='virtiofs'/><source dir='/x'/><target dir='t'/><boot order='1'/>{}</filesystem>"
    assert "'pci'" in said(s390.problems(draw(export.format(""), body=shared)))
    assert identities(s390.completed(draw(export.format("<address type='pci'/>"), body=shared)))


def test_a_balloon_that_is_none_is_nowhere(s390: Any, draw: Callable[..., str]) -> None:
    text = s390.completed(draw("<memballoon model='none'><address type='ccw'/></memballoon>"))
    assert "<memballoon model='none'/>" in text


def test_newer_qemu_is_told_for_each_device(s390: Any, draw: Callable[..., str]) -> None:
    known = s390.caps.properties
    properties = {**known, "virtio-blk-ccw": known.get("virtio-blk-ccw", frozenset()) | {"loadparm"}}
    newer = type(s390)(replace(s390.caps, properties=properties))
    text = draw("<interface type='user'><boot order='1' loadparm='2'/></interface>")
    words = [word for a in newer.arguments(text) for word in a.words]
    assert any('"loadparm":"2"' in word for word in words)
    assert not any(",loadparm=" in word for word in words)


def test_a_protected_guest(s390: Any, draw: Callable[..., str]) -> None:
    able = type(s390)(
        replace(
            s390.caps,
            types={**s390.caps.types, "s390-pv-guest": ""},
            options={**s390.caps.options, "machine": s390.caps.options["machine"] | {"confidential-guest-support"}},
        )
    )
    text = draw(body="<launchSecurity type='s390-pv'><policy>7</policy></launchSecurity>")
    assert "<launchSecurity type='s390-pv'/>" in able.completed(text)
    words = [word for a in able.arguments(text) for word in a.words]
    assert any(",confidential-guest-support=lsec0" in word for word in words)
    assert '{"qom-type":"s390-pv-guest","id":"lsec0"}' in words


def test_the_hosts_own_cpu_is_spelt_out(s390: Any, draw: Callable[..., str]) -> None:
    stand_in = s390.with_kvm.caps
    tcg = s390.caps.machine_types["tcg"]
    machines = {name: replace(machine, default_cpu="host-s390x-cpu") for name, machine in tcg.items()}
    cpus = {**s390.caps.cpus["tcg"], "host": CpuModel("host", "host-s390x-cpu")}
    changed = {"machine_types": {"kvm": machines, "tcg": tcg}, "cpus": {**s390.caps.cpus, "kvm": cpus}}
    kvm = type(s390)(replace(stand_in, **changed))
    assert "<cpu mode='host-model' check='partial'/>" in kvm.completed(draw(kind="kvm"))
    words = next(a.words[1] for a in kvm.arguments(draw(kind="kvm")) if a.words[0] == "-cpu")
    assert words.startswith(f"{stand_in.host_cpu['kvm'].model},")
    name = next(name for name, on in stand_in.host_cpu["kvm"].props.items() if on is True)
    less = draw(kind="kvm", body=f"<cpu mode='host-model'><feature policy='disable' name='{name}'/></cpu>")
    words = next(a.words[1] for a in kvm.arguments(less) if a.words[0] == "-cpu")
    assert f",{name}=off" in words and f",{name}=on" not in words


def test_deprecated_features_are_a_word_of_newer_qemu(s390: Any, draw: Callable[..., str]) -> None:
    text = draw(body="<cpu mode='host-model' deprecated_features='off'/>")
    assert "'deprecated_features'" in said(s390.problems(text))
    expansion = s390.caps.schema["query-cpu-model-expansion"].ret
    entry = s390.caps.schema[expansion]
    schema = {
        **s390.caps.schema,
        expansion: replace(entry, members={**entry.members, "deprecated-props": "[str]"}),
    }
    newer = type(s390)(replace(s390.caps, schema=schema))
    assert "deprecated_features='off'" in newer.completed(text)


@pytest.mark.parametrize(
    ("cpu", "named"),
    [
        ("<cpu mode='custom' match='exact'><model>foo</model></cpu>", "'foo'"),
        ("<cpu mode='custom' match='minimum'><model>z13</model></cpu>", "'minimum'"),
        ("<cpu mode='custom' match='exact'><model>z13</model><feature policy='force' name='vx'/></cpu>", "'vx'"),
        ("<cpu mode='custom' match='exact'><model>z13</model><feature policy='optional' name='te'/></cpu>", "'te'"),
        ("<cpu mode='custom' match='exact'><model>z13</model><feature policy='forbid' name='te'/></cpu>", "'te'"),
    ],
)
def test_a_cpu_that_qemu_cannot_be_told(s390: Any, draw: Callable[..., str], cpu: str, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        s390.arguments(draw(body=cpu))


def test_a_cpu_is_told_with_its_features(s390: Any, draw: Callable[..., str]) -> None:
    features = "<feature policy='require' name='vx'/><feature policy='disable' name='te'/>"
    text = draw(body=f"<cpu mode='custom' match='exact'><model>z13</model>{features}</cpu>")
    assert next(a.words[1] for a in s390.arguments(text) if a.words[0] == "-cpu") == "z13,vx=on,te=off"


def test_a_mediated_pci_device_has_numbers_that_are_not_told(s390: Any, draw: Callable[..., str]) -> None:
    text = draw(MDEV.format("vfio-pci", 1))
    assert identities(s390.completed(text))
    assert not any("zpci" in word for a in s390.arguments(text) for word in a.words)
