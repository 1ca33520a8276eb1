"""System information and machine features: what is refused."""

from __future__ import annotations

from typing import Any

import pytest

DOMAIN = """
<domain type='qemu'>
  <name>n</name>
  <uuid>6f1c0000-0000-4000-8000-000000000001</uuid>
  <memory unit='MiB'>64</memory>{info}
  <os><type arch='x86_64' machine='{machine}'>hvm</type>{os}</os>
  <features>{features}</features>
</domain>"""


def document(info: str = "", os: str = "", features: str = "", machine: str = "q35") -> str:
    return DOMAIN.format(info=info, os=os, features=features, machine=machine)


def table(tag: str, name: str, value: str) -> str:
    return f"<sysinfo type='smbios'><{tag}><entry name='{name}'>{value}</entry></{tag}></sysinfo>"


def firmware_file(attributes: str, text: str = "") -> str:
    return f"<sysinfo type='fwcfg'><entry {attributes}>{text}</entry></sysinfo>"


@pytest.mark.parametrize(
    ("xml", "word"),
    [
        (document(table("bios", "date", "13/01/2014")), "13/01/2014"),
        (document(table("bios", "date", "spring")), "spring"),
        (document(table("system", "uuid", "6f1c0000-0000-4000-8000-000000000002")), "<uuid>"),
        (document(table("system", "uuid", "x")), "'x'"),
        (document(firmware_file("name='etc/x'", "y")), "'etc/x'"),
        (document(firmware_file("name='opt/ovmf/x'", "y")), "'opt/ovmf/x'"),
        (document(firmware_file("name='opt/x'")), "'opt/x'"),
        (document(firmware_file("name='opt/x' file='/f'", "y")), "'opt/x'"),
        (document(features="<ps2 state='off'/><vmport state='on'/>"), "'vmport'"),
        (document(features="<smm state='on'><tseg unit='KiB'>12345</tseg></smm>"), "12345"),
        (document(features="<smm state='on'><tseg>16</tseg></smm>", machine="pc"), "tseg"),
    ],
)
def test_what_cannot_be_is_refused(core: Any, xml: str, word: str) -> None:
    assert any(word in problem.message for problem in core.problems(xml))


def test_a_clock_of_its_own_zone(core: Any) -> None:
    def base(clock: str) -> str:
        xml = document().replace("</domain>", f"{clock}</domain>")
        return next(a.words[1] for a in core.arguments(xml) if a.words[0] == "-rtc")

    assert base("<clock offset='variable' adjustment='60' basis='utc'/>") == "base=2023-11-14T22:14:20"
    assert base("<clock offset='variable' adjustment='0' basis='localtime'/>") == "base=2023-11-14T23:13:20"
    assert base("<clock offset='timezone' timezone='Europe/Paris'/>") == "base=localtime"
