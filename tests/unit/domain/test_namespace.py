"""QEMU's own namespace: what is refused, and what becomes of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.domain import namespace
from domicile.plan.qemu import Structured

HEAD = (
    "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>a</name><memory>65536</memory>"
)
TAIL = "<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{}<memballoon model='none'/></devices>{}</domain>"
CARD = (
    "<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/><alias name='ua-card'/></interface>"
)


def document(extra: str, devices: str = CARD) -> str:
    return HEAD + TAIL.format(devices, extra)


def override(prop: str, alias: str = "alias='ua-card'") -> str:
    frontend = f"<qemu:frontend>{prop}</qemu:frontend>"
    return f"<qemu:override><qemu:device {alias}>{frontend}</qemu:device></qemu:override>"


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ("<qemu:commandline><qemu:arg/></qemu:commandline>", "qemu:arg"),
        ("<qemu:commandline><qemu:env name='A B' value='x'/></qemu:commandline>", "'A B'"),
        ("<qemu:commandline><qemu:env value='x'/></qemu:commandline>", "qemu:env"),
        ("<qemu:capabilities><qemu:add/></qemu:capabilities>", "qemu:add"),
        (override("<qemu:property name='mac' type='string' value='x'/>", ""), "alias"),
        (override("<qemu:property type='string' value='x'/>"), "name"),
        (override("<qemu:property name='mac' value='x'/>"), "type"),
        (override("<qemu:property name='mac' type='word' value='x'/>"), "'word'"),
        (override("<qemu:property name='mac' type='string'/>"), "value"),
        (override("<qemu:property name='mac' type='remove' value='x'/>"), "removed"),
        (override("<qemu:property name='mac' type='bool' value='yes'/>"), "'yes'"),
        (override("<qemu:property name='mac' type='unsigned' value='-1'/>"), "'-1'"),
        (override("<qemu:property name='mac' type='signed' value='1x'/>"), "'1x'"),
    ],
)  # fmt: skip
def test_what_is_refused(core: Any, extra: str, word: str) -> None:
    (problem,) = core.problems(document(extra))
    assert problem.path.startswith("qemu:")
    assert word in problem.sentence()


def card(core: Any, extra: str) -> dict[str, Any]:
    return next(
        dict(item.props)
        for item in core.plan(document(extra)).items
        if isinstance(item, Structured) and item.flag == "device" and item.props.get("id") == "ua-card"
    )


def test_properties_are_set_replaced_and_removed(core: Any) -> None:
    plain = card(core, "")
    props = (
        "<qemu:property name='mac' type='string' value='52:54:00:00:00:02'/>"
        "<qemu:property name='x-txtimer' type='signed' value='-5'/>"
        "<qemu:property name='packed' type='bool' value='true'/>"
        "<qemu:property name='bus' type='remove'/>"
    )
    changed = card(core, override(props))
    gone = {"bus"}
    assert changed == {k: v for k, v in plain.items() if k not in gone} | {
        "mac": "52:54:00:00:00:02", "x-txtimer": -5, "packed": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("behavior", "policy"),
    [
        ("omit", {"deprecated-output": "hide"}),
        ("reject", {"deprecated-output": "hide", "deprecated-input": "reject"}),
        ("crash", {"deprecated-output": "hide", "deprecated-input": "crash"}),
        ("none", None),
        ("something", None),
    ],
)  # fmt: skip
def test_what_qemu_does_with_deprecated_things(core: Any, behavior: str, policy: dict[str, str] | None) -> None:
    items = core.plan(document(f"<qemu:deprecation behavior='{behavior}'/>")).items
    found = [dict(i.props) for i in items if isinstance(i, Structured) and i.flag == "compat"]
    assert found == ([policy] if policy else [])


def test_sound_systems_have_their_variables(core: Any) -> None:
    audio = "<audio id='1' type='sdl' driver='alsa'/>"
    domain = core.complete(document("", audio)).domain
    assert namespace.variables(domain) == {"SDL_AUDIODRIVER": "alsa"}
