"""Security labels that mean nothing are refused, the others are kept."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.domain.document import write

LABEL = "<label>system_u:x</label>"


def disk(labels: str) -> str:
    return f"<devices><disk><source file='/i'>{labels}</source><target dev='vda' bus='virtio'/></disk></devices>"


def serial(labels: str) -> str:
    return f"<devices><serial type='file'><source path='/s'>{labels}</source></serial></devices>"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("<seclabel type='dynamic' model='selinux' relabel='no'/>", "'dynamic'"),
        ("<seclabel type='none' relabel='yes'/>", "'none'"),
        ("<seclabel type='static' model='selinux'/>", "<label>"),
        ("<seclabel type='sticky' model='selinux'/>", "'sticky'"),
        ("<seclabel type='dynamic' model='selinux' relabel='maybe'/>", "'maybe'"),
        ("<seclabel type='none' relabel='no'/><seclabel type='dynamic' model='dac'/>", "'model'"),
        ("<seclabel model='dac'/><seclabel model='dac'/>", "'dac'"),
        (disk("<seclabel model='selinux' relabel='no'/>" * 2), "'selinux'"),
        (disk("<seclabel model='selinux' relabel='yes'/>"), "relabel='yes'"),
        (disk(f"<seclabel model='selinux' relabel='no'>{LABEL}</seclabel>"), "relabel='no'"),
        (serial("<seclabel model='selinux' relabel='no'/>" * 2), "'selinux'"),
        (
            f"<seclabel type='static' model='selinux'>{LABEL}</seclabel>"
            + disk(f"<seclabel model='selinux' relabel='yes'>{LABEL}</seclabel>"),
            "relabel",
        ),
    ],
)
def test_refused(core: Any, more: str, words: str) -> None:
    problems = core.problems(document(more))
    assert any(words in problem.message for problem in problems), problems


@pytest.mark.parametrize(
    "more",
    [
        f"<seclabel type='static' model='selinux' relabel='yes'>{LABEL}</seclabel>",
        "<seclabel type='dynamic' model='dac' relabel='yes'/><seclabel type='none' model='selinux'/>",
        disk(f"<seclabel model='selinux' relabel='yes'>{LABEL}</seclabel><seclabel model='dac' relabel='no'/>"),
        serial("<seclabel relabel='no'/>"),
    ],
)
def test_kept(core: Any, more: str) -> None:
    assert "<seclabel" in write(core.complete(document(more)).domain)


def document(more: str) -> str:
    return (
        "<domain type='qemu'><name>n</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>"
        f"{more}</domain>"
    )
