from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from domicile.base.errors import InvalidDocument
from domicile.domain import document
from domicile.domain.rules import firmware, unplanned
from domicile.plan.facts import Completion
from domicile.plan.need import Copied

GUEST = """<domain type='qemu'><name>vm</name><memory>262144</memory>
<os{attribute}><type arch='x86_64' machine='{machine}'>hvm</type>{inner}</os>{outer}{features}</domain>"""


def guest(
    inner: str = "",
    *,
    firmware: str = "efi",
    machine: str = "q35",
    features: str = "<features><acpi/></features>",
    outer: str = "",
) -> str:
    attribute = f" firmware='{firmware}'" if firmware else ""
    return GUEST.format(attribute=attribute, machine=machine, inner=inner, outer=outer, features=features)


def chosen(core: Any, text: str) -> str:
    return core.complete(text).domain.os.loader.path.rpartition("/")[2]


OFF = "<features><acpi/><smm state='off'/></features>"
NO_KEYS = "<firmware><feature enabled='no' name='enrolled-keys'/></firmware>"
NO_SECURE = "<firmware><feature enabled='no' name='secure-boot'/></firmware>"
SEV = "<launchSecurity type='sev'><policy>0x{}</policy></launchSecurity>"


@pytest.mark.parametrize(
    ("given", "image"),
    [
        (guest(), "OVMF_CODE_4M.ms.fd"),
        (guest(machine="pc"), "OVMF_CODE_4M.fd"),
        (guest(features=OFF), "OVMF_CODE_4M.fd"),
        (guest("<loader secure='no'/>"), "OVMF_CODE_4M.fd"),
        (guest(NO_SECURE), "OVMF_CODE_4M.fd"),
        (guest(NO_KEYS), "OVMF_CODE_4M.secboot.fd"),
        (guest("<loader format='qcow2'/>"), "OVMF_CODE_4M.secboot.qcow2"),
        (guest("<nvram format='qcow2'/>"), "OVMF_CODE_4M.secboot.qcow2"),
        (guest("<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>"), "OVMF_CODE_4M.secboot.fd"),
        (guest("<loader stateless='yes'/>"), "OVMF.amdsev.fd"),
        (guest(outer=SEV.format("1")), "OVMF_CODE_4M.fd"),
        (guest("<loader stateless='yes'/>", outer=SEV.format("5")), "OVMF.amdsev.fd"),
        (guest(firmware="bios"), "bios-256k.bin"),
        (guest(outer="<pm><suspend-to-disk enabled='yes'/></pm>", firmware="bios"), "bios-256k.bin"),
    ],
)
def test_the_first_that_fits_is_chosen(core: Any, given: str, image: str) -> None:
    caps, machine = core.caps, core.caps.options["machine"] | {"confidential-guest-support"}
    able = type(core)(replace(caps, sev={"cbitpos": 47}, options={**caps.options, "machine": machine}))
    assert chosen(able, given) == image


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (guest("<nvram>/x</nvram>", firmware="bios"), "bios"),
        (guest("<loader stateless='no'/>", firmware="bios"), "bios"),
        (guest("<loader type='pflash'/>", firmware=""), "<loader>"),
        (guest("<nvram>/x</nvram>", firmware=""), "<loader>"),
        (guest(NO_KEYS, firmware=""), "feature"),
        (guest(NO_KEYS + "<loader type='pflash'>/x</loader>", firmware=""), "/x"),
        (guest("<firmware><feature name='secure-boot'/></firmware>"), "enabled"),
        (guest(NO_SECURE.replace("</f", "<feature enabled='yes' name='enrolled-keys'/></f")), "enrolled-keys"),
        (guest("<loader type='rom' readonly='no'>/x</loader>", firmware=""), "rom"),
        (guest("<loader stateless='yes' type='pflash'>/x</loader><nvram template='/t'/>", firmware=""), "template"),
        (guest("<loader readonly='no' type='pflash'>/x</loader><nvram>/t</nvram>", firmware=""), "<nvram>"),
        (guest("<loader secure='yes' type='pflash' readonly='yes'>/x</loader>", firmware=""), "<smm>"),
        (guest("<loader secure='yes' type='pflash' readonly='yes'>/x</loader>", firmware="", machine="pc"), "q35"),
        (guest(features=""), "<acpi/>"),
        (guest("<loader secure='yes'/>", features=OFF), "efi"),
        (guest("<nvram template='/own'/>"), "efi"),
        (guest("<nvram type='network'/>"), "network"),
        (guest("<acpi><table type='slic'>/a</table><table type='slic'>/b</table></acpi>"), "slic"),
        (guest("<acpi><table type='rawset'>/a</table></acpi>"), "rawset"),
        (guest("<acpi><table>/a</table></acpi>"), "type"),
    ],
)
def test_contradictions_are_refused(core: Any, given: str, named: str) -> None:
    assert any(named in problem.message for problem in core.problems(given))


def test_variables_beside_an_image_in_memory_are_refused_since_9_2(core: Any) -> None:
    given = guest("<loader>/x</loader><nvram>/y</nvram>", firmware="")
    assert core.complete(given).domain.os.nvram.path == "/y"
    with pytest.raises(InvalidDocument, match="'rom' keeps no variables"):
        core.complete(given, libvirt=(9, 2))


def test_an_image_named_is_recognised_and_keeps_its_own_variables(core: Any) -> None:
    inner = "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram>/srv/vars</nvram>"
    given = guest(inner, firmware="")
    os = core.complete(given).domain.os
    # As libvirt 9.0: the template is not written down, and looked up when the variables are made.
    assert (os.firmware, os.nvram.path, os.nvram.template) == (None, "/srv/vars", None)
    (copied,) = (need for need in core.plan(given).needs if isinstance(need, Copied))
    assert (copied.path, copied.template) == ("/srv/vars", "/usr/share/OVMF/OVMF_VARS_4M.fd")


def test_an_unknown_image_is_left_alone(core: Any) -> None:
    os = core.complete(guest("<loader type='pflash' readonly='yes'>/srv/code</loader>", firmware="")).domain.os
    assert os.firmware is None and os.nvram.template is None and os.nvram.path.endswith("/vm_VARS.fd")


def test_variables_elsewhere_may_hold_any_keys(core: Any) -> None:
    source = "<nvram type='network'><source protocol='nbd' name='x'><host name='h'/></source></nvram>"
    text = core.completed(guest(source))
    assert re.findall("feature enabled='(.*)' name='(.*)'", text) == [("yes", "secure-boot")]
    assert "template" not in text


def test_every_choice_has_its_reason(core: Any) -> None:
    report = {entry.path: entry for entry in core.complete(guest()).report}
    assert "40-secure-enrolled" in report["os/loader/text()"].en and report["os/nvram/text()"].kind == "allocated"
    assert report["features/smm"].kind == "defaulted"


def test_variables_on_the_network_are_asked_for_there(core: Any) -> None:
    source = "<nvram type='network'><source protocol='nbd' name='x'><host name='h'/></source></nvram>"
    nodes = [" ".join(a.words) for a in core.arguments(guest(source)) if "pflash1-storage" in " ".join(a.words)]
    assert '"driver":"nbd"' in nodes[0] and '"host":"h","port":"10809"' in nodes[0]
    assert [need.path for need in core.plan(guest(source)).needs] == ["/usr/share/OVMF/OVMF_CODE_4M.ms.fd"]


@pytest.mark.parametrize(
    "given", [guest(), guest("<loader type='pflash' readonly='yes'>/srv/code</loader>", firmware="")]
)
def test_a_definition_from_before_the_choice_does_not_start_with_another_firmware(core: Any, given: str) -> None:
    before, _ = document.read(given)
    assert [gap.refused for gap in unplanned.gaps(before)] == [True]
    assert list(unplanned.gaps(core.complete(given).domain)) == []


@pytest.mark.parametrize(
    ("given", "found"), [(guest(firmware=""), 1), (guest("<loader type='pflash'>/x</loader>", firmware=""), 0)]
)
def test_acpi_on_arm_needs_uefi(core: Any, given: str, found: int) -> None:
    domain, _ = document.read(given)
    c = Completion("aarch64", "virt-9.0", "qemu", "hvm", core.caps, core.host())
    firmware.settle(domain, c)
    assert [step for _, step, _ in c.found] == ["acpi"] * found
