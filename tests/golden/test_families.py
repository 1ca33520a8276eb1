"""One folder shows a whole slice: in.xml what somebody writes, out.xml what it is completed to, args what QEMU and host are asked.

Where the document is refused, the folder holds problems instead: everything that its author hears.
`scripts/regold [CASE]` writes out.xml, args and problems anew; what changed is reviewed as a diff, since guests notice it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from domicile.base.errors import InvalidDocument
from domicile.devices import FAMILIES
from domicile.domain import document, namespace
from domicile.domain.plan import plan_domain
from domicile.qemu import render

OUTCOMES = {"out.xml", "args", "problems"}
FILLED = ("defaulted", "allocated", "added")
HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/*/in.xml") if path.parts[-3] != "libvirt-9.0")
REGOLD = bool(os.environ.get("DOMICILE_REGOLD"))


def name_of(case: Path) -> str:
    return "/".join(case.parts[-2:])


def outcome(core: Any, text: bytes) -> dict[str, str]:
    """Give what the case's other files must hold."""
    core = core.meant(text)
    try:
        done = core.complete(text)
    except InvalidDocument as refused:
        return {"problems": "".join(f"{problem.sentence()}\n" for problem in refused.problems)}
    plan = plan_domain(done.domain, core.caps, core.host())
    lines = [" ".join(argument.words) for argument in render.command_line(plan.items, core.caps.version)]
    lines += [f"qmp: {command.execute} {dict(command.arguments)}" for command in render.commands(plan.items)]
    lines += [f"need: {need!r}" for need in plan.needs]
    lines += [f"environment: {name}={value}" for name, value in namespace.variables(done.domain).items()]
    ignored = "".join(f"<!-- ignored: {problem.sentence()} -->\n" for problem in done.ignored)
    return {"out.xml": document.write(done.domain) + ignored, "args": "\n".join([plan.binary, *lines]) + "\n"}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_golden(core: Any, case: Path) -> None:
    made = outcome(core, (case / "in.xml").read_bytes())
    for name in OUTCOMES - made.keys():
        if REGOLD:
            (case / name).unlink(missing_ok=True)
        assert not (case / name).exists(), (
            f"{name_of(case)} has no {name} any more (scripts/regold {case.name} takes it off)"
        )
    for name, text in made.items():
        path = case / name
        if REGOLD:
            path.write_text(text)
        else:
            assert text == path.read_text(), f"{name_of(case)}/{name} (scripts/regold {case.name} writes it anew)"


@pytest.mark.parametrize("case", [case for case in CASES if (case / "out.xml").exists()], ids=name_of)
def test_completing_the_outcome_changes_nothing(core: Any, case: Path) -> None:
    core = core.meant((case / "in.xml").read_bytes())
    once = core.complete((case / "in.xml").read_bytes()).domain
    done = core.complete(document.write(once))
    again = document.write(done.domain)
    assert [entry for entry in done.report if entry.kind in FILLED] == []
    # Controllers that were added stand last at first and among their kind afterwards, and consoles are numbered without
    # the stand-in for a serial port at first: libvirt's habits.
    for domain in (once, done.domain):
        domain.devices.controller.sort(key=turn)
        for console in domain.devices.console:
            console.target.port = None
    assert document.write(done.domain) == document.write(once)
    assert core.completed(again) == again


def turn(controller: Any) -> tuple[object, ...]:
    return controller.type, controller.index, controller.model


def test_every_family_has_a_folder() -> None:
    assert {family.tag for family in FAMILIES} <= {case.parent.name for case in CASES}
