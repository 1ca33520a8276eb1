from __future__ import annotations

import pytest

from domicile.base.errors import DomicileError, InvalidDocument, Unsupported
from domicile.domain.cpus import x86
from domicile.service import cpu_answers
from domicile.service.cpu_answers import Verdict, baseline, compare, known, names


def cpu(model: str, more: str = "", attributes: str = "") -> cpu_answers.Known:
    return known(f"<cpu{attributes}><arch>x86_64</arch><model>{model}</model>{more}</cpu>")


def features(model: str) -> frozenset[str]:
    return x86.models()[model].features


def test_models_stand_in_libvirts_order() -> None:
    found = names("x86_64", (9, 0))
    assert found[:3] == ["486", "pentium", "pentium2"]
    assert found.index("qemu64") < found.index("kvm64") < found.index("Broadwell-noTSX-IBRS") < found.index("EPYC")
    assert "SapphireRapids" not in found and "SapphireRapids" in names("x86_64", (10, 0))
    assert names("aarch64", (9, 0)) == names("s390x", (9, 0)) == []
    assert "POWER9" in names("ppc64le", (9, 0))
    with pytest.raises(Unsupported):
        names("riscv64", (9, 0))


def test_a_cpu_against_what_is_there() -> None:
    wanted = cpu("Penryn")
    assert compare(wanted, features("Penryn"), "Intel", fail=True) is Verdict.IDENTICAL
    assert compare(wanted, features("Nehalem"), "Intel", fail=True) is Verdict.SUPERSET
    assert compare(wanted, features("kvm64"), "Intel", fail=False) is Verdict.INCOMPATIBLE
    with pytest.raises(Unsupported, match=r"ssse3.*sse4\.1"):
        compare(wanted, features("kvm64"), "Intel", fail=True)
    less = "<feature policy='disable' name='ssse3'/><feature policy='optional' name='sse4.1'/>"
    more = "<feature policy='disable' name='lahf_lm'/>"
    assert compare(cpu("Penryn", less + more), features("kvm64"), None, fail=True) is not Verdict.INCOMPATIBLE
    forbidden = cpu("kvm64", "<feature policy='forbid' name='sse4.2'/>")
    assert compare(forbidden, features("Nehalem"), "Intel", fail=False) is Verdict.INCOMPATIBLE
    strict = cpu("Penryn", attributes=" match='strict'")
    assert compare(strict, features("Nehalem"), "Intel", fail=False) is Verdict.INCOMPATIBLE
    amd = cpu("kvm64", "<vendor>AMD</vendor>")
    assert compare(amd, features("Nehalem"), "Intel", fail=False) is Verdict.INCOMPATIBLE


def test_what_several_have_in_common() -> None:
    """The texts are those of libvirt 9.0 for the same CPUs."""

    def common(*cpus: cpu_answers.Known, expand: bool = False) -> str:
        return baseline(cpus, None, expand=expand, migratable=False)

    assert common(cpu("Penryn"), cpu("Nehalem")) == (
        "<cpu mode='custom' match='exact'>\n  <model fallback='allow'>Penryn</model>\n</cpu>\n"
    )
    intel = "<vendor>Intel</vendor>"
    assert common(cpu("Skylake-Client", intel), cpu("Westmere", intel)) == (
        "<cpu mode='custom' match='exact'>\n  <model fallback='allow'>Westmere</model>\n  <vendor>Intel</vendor>\n</cpu>\n"
    )
    assert "fallback='forbid'>core2duo" in common(cpu("core2duo"))
    assert "<feature policy='disable' name='monitor'/>" in common(cpu("EPYC"), cpu("EPYC-Rome"))
    spelt = common(cpu("Penryn"), cpu("Nehalem"), expand=True)
    assert spelt.count("<feature policy='require'") == len(features("Penryn"))
    with pytest.raises(DomicileError, match="vendors"):
        common(cpu("kvm64", intel), cpu("kvm64", "<vendor>AMD</vendor>"))


def test_what_is_no_cpu() -> None:
    with pytest.raises(DomicileError, match="Nonsense"):
        cpu("Nonsense")
    with pytest.raises(DomicileError, match="nosuch"):
        cpu("kvm64", "<feature name='nosuch'/>")
    with pytest.raises(InvalidDocument):
        known("<cpu/>")
    with pytest.raises(InvalidDocument):
        known("<domain/>")
