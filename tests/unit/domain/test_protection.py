"""Protection of the guest from the host: settled, checked, and told to QEMU."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from domicile.domain.document import write
from domicile.domain.rules.unplanned import gaps

SEV = {"cbitpos": 47, "reduced-phys-bits": 1, "pdh": "", "cert-chain": ""}


@pytest.fixture
def able(core: Any) -> Any:
    """A QEMU on a host that can protect guests in every way."""
    types = dict(core.caps.types) | dict.fromkeys(
        ("sev-guest", "sev-snp-guest", "tdx-guest", "s390-pv-guest"), "object"
    )
    options = dict(core.caps.options)
    options["machine"] = options.get("machine", frozenset()) | {"confidential-guest-support"}
    return type(core)(replace(core.caps, types=types, options=options, sev=SEV))


def document(words: str, inside: str) -> str:
    return (
        "<domain type='qemu'><name>n</name><memory unit='MiB'>64</memory>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type></os><launchSecurity {words}>{inside}</launchSecurity></domain>"
    )


def protector(core: Any, xml: str) -> dict[str, Any]:
    arguments = core.arguments(xml)
    assert "confidential-guest-support=lsec0" in next(a.words[1] for a in arguments if a.words[0] == "-machine")
    texts = [a.words[1] for a in arguments if a.words[0] == "-object" and '"lsec0"' in a.words[1]]
    found: dict[str, Any] = json.loads(texts[0])
    return found


def test_sev_with_what_the_host_says(able: Any) -> None:
    assert protector(able, document("type='sev' kernelHashes='yes'", "<policy>1</policy>")) == {
        "qom-type": "sev-guest", "id": "lsec0", "cbitpos": 47, "reduced-phys-bits": 1, "kernel-hashes": True, "policy": 1,
    }  # fmt: skip


def test_sev_with_an_agreement(able: Any) -> None:
    xml = document(
        "type='sev'",
        "<session>S</session><dhCert>D</dhCert><policy>1</policy><reducedPhysBits>5</reducedPhysBits><cbitpos>51</cbitpos>",
    )
    done = able.complete(xml)
    order = [
        line.strip().partition(">")[0].lstrip("<")
        for line in write(done.domain).splitlines()
        if "launchSecurity" not in line
    ]
    assert [name for name in order if name in ("cbitpos", "reducedPhysBits", "policy", "dhCert", "session")] == [
        "cbitpos", "reducedPhysBits", "policy", "dhCert", "session",
    ]  # fmt: skip
    assert "<policy>0x0001</policy>" in write(done.domain)
    found = protector(able, xml)
    assert (found["cbitpos"], found["reduced-phys-bits"]) == (51, 5)
    assert found["dh-cert-file"].endswith("/dh_cert.base64") and found["session-file"].endswith("/session.base64")
    assert [gap.what for gap in gaps(done.domain) if gap.refused] == ["<dhCert> of <launchSecurity>"]


def test_sev_snp(able: Any) -> None:
    xml = document(
        "type='sev-snp' authorKey='yes' vcek='no'",
        "<hostData>H</hostData><idAuth>A</idAuth><idBlock>B</idBlock><policy>0x30000</policy>",
    )
    assert "<policy>0x00030000</policy>" in write(able.complete(xml).domain)
    assert protector(able, xml) == {
        "qom-type": "sev-snp-guest", "id": "lsec0", "cbitpos": 47, "reduced-phys-bits": 1, "author-key-enabled": True,
        "vcek-disabled": True, "policy": 0x30000, "id-block": "B", "id-auth": "A", "host-data": "H",
    }  # fmt: skip


def test_tdx(able: Any) -> None:
    xml = document("type='tdx'", "<policy>0x10000001</policy><mrOwner>O</mrOwner><quoteGenerationService path='/q'/>")
    assert protector(able, xml) == {
        "qom-type": "tdx-guest", "id": "lsec0", "attributes": 0x10000001, "mrowner": "O",
        "quote-generation-socket": {"type": "unix", "path": "/q"},
    }  # fmt: skip
    machine = next(a.words[1] for a in able.arguments(xml) if a.words[0] == "-machine")
    assert "kernel_irqchip=split" in machine


@pytest.mark.parametrize(
    ("words", "inside", "named"),
    [
        ("", "", "'type'"),
        ("type='luck'", "", "'luck'"),
        ("type='sev'", "", "<policy>"),
        ("type='sev-snp'", "<policy>much</policy>", "<policy>"),
        ("type='sev'", "<policy>1</policy><cbitpos>x</cbitpos>", "'cbitpos'"),
        ("type='sev' kernelHashes='perhaps'", "<policy>1</policy>", "'perhaps'"),
    ],
)
def test_refused(able: Any, words: str, inside: str, named: str) -> None:
    messages = [problem.message for problem in able.problems(document(words, inside))]
    assert any(named in message for message in messages), messages


@pytest.mark.parametrize("kind", ["sev", "sev-snp", "tdx", "s390-pv"])
def test_a_host_that_cannot(core: Any, kind: str) -> None:
    (problem,) = core.problems(document(f"type='{kind}'", "<policy>1</policy>"))
    assert f"'{kind}'" in problem.message
