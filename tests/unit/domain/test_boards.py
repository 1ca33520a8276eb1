"""What only some kinds of machines have: chosen where it must be, refused elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domicile.base.errors import Unsupported

ARCHES = {"pseries": "ppc64", "virt": "aarch64", "mac99": "ppc64", "vexpress-a9": "armv7l"}
Sketch = Callable[..., str]


def document(sketch: Sketch, machine: str, body: str, **more: str) -> str:
    return sketch("", machine=machine, arch=ARCHES.get(machine, "x86_64"), body=body, **more)


@pytest.mark.parametrize(
    ("machine", "features", "words"),
    [
        ("q35", "<htm state='on'/>", ("'htm'", "'x86_64'")),
        ("virt", "<hpt resizing='enabled'/>", ("'hpt'", "'aarch64'")),
        ("mac99", "<cfpc value='fixed'/>", ("'cfpc'", "'mac99'")),
        ("pseries", "<gic version='3'/>", ("'gic'", "'ppc64'")),
        ("pseries", "<nested-hv/>", ("'nested-hv'", "'state'")),
        ("pseries", "<sbbc/>", ("'sbbc'", "'value'")),
        ("pseries", "<ras state='on'/>", ("'ras'",)),
        ("vexpress-a9", "<gic/>", ("'gic'", "'vexpress-a9'")),
    ],
)
def test_features_of_other_machines_are_refused(
    core: Any, sketch: Sketch, machine: str, features: str, words: tuple[str, ...]
) -> None:
    xml = document(sketch, machine, f"<features>{features}</features>")
    found = core.meant(xml).problems(xml)
    assert len(found) == 1
    assert all(word in found[0].message for word in words), found[0].message


def test_a_page_table_of_which_nothing_is_said_is_dropped(core: Any, sketch: Sketch) -> None:
    xml = document(sketch, "pseries", "<features><hpt/></features>")
    assert "<features>" not in core.meant(xml).completed(xml)


@pytest.mark.parametrize(("policy", "ok"), [("require", True), ("force", True), ("disable", False), ("forbid", False)])
def test_vector_lengths_need_the_extension(core: Any, sketch: Sketch, policy: str, ok: bool) -> None:
    names = f"<feature policy='{policy}' name='sve'/><feature policy='require' name='sve256'/>"
    xml = document(sketch, "virt", f"<cpu mode='maximum'>{names}</cpu>")
    core = core.meant(xml)
    if ok:
        assert "<feature policy='require' name='sve'/>" in core.completed(xml)
    else:
        assert [policy in problem.message for problem in core.problems(xml)] == [True]


def test_the_host_passes_for_an_older_power(core: Any, sketch: Sketch) -> None:
    body = "<cpu mode='host-model'><model>{}</model></cpu>"
    xml = document(sketch, "pseries", body.format("power8"), kind="kvm")
    words = [argument.words for argument in core.meant(xml).arguments(xml)]
    assert ["-cpu", "host"] in [list(w) for w in words]
    assert any("max-cpu-compat=power8" in w[-1] for w in words)
    with pytest.raises(Unsupported, match="POWER8"):
        core.meant(xml).arguments(document(sketch, "pseries", body.format("POWER8"), kind="kvm"))
    xml = document(sketch, "pseries", body.format("power8"))
    with pytest.raises(Unsupported, match="kvm"):
        core.meant(xml).arguments(xml)


def test_all_that_qemu_can_is_a_model_of_some_emulators_only(core: Any, sketch: Sketch) -> None:
    xml = document(sketch, "pseries", "<cpu mode='maximum'/>")
    assert "maximum" in core.meant(xml).problems(xml)[0].message
