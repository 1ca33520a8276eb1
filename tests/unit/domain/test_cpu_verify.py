"""The CPU that QEMU gave, held against the one that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from domicile.base.errors import Unsupported
from domicile.domain.cpu import Cpu, CpuFeature, CpuModelName
from domicile.domain.cpus import verify, x86


def cpu(mode: str = "custom", name: str | None = "Penryn", check: str = "full", **features: str) -> Cpu:
    listed = [CpuFeature(name=feature, policy=policy) for feature, policy in features.items()]
    return Cpu(mode=mode, check=check, model=CpuModelName(name=name) if name else None, feature=listed)


def test_only_a_full_check_is_made_after_the_start(core: Any) -> None:
    assert verify.expected(None, core.caps, kvm=False) is None
    assert verify.expected(cpu(check="partial"), core.caps, kvm=False) is None
    assert verify.expected(cpu(check="none"), core.caps, kvm=False) is None


def test_what_is_wanted_is_the_model_and_its_differences(core: Any) -> None:
    wanted = verify.expected(cpu(aes="require", sse="disable", rtm="optional"), core.caps, kvm=False)
    assert wanted is not None
    assert wanted.on == (x86.models()["Penryn"].features | {"aes"}) - {"sse"}
    assert wanted.off == set(x86.FEATURES) - wanted.on
    most = verify.expected(cpu("maximum", None, aes="require", avx="disable"), core.caps, kvm=False)
    assert most == verify.Expected(frozenset({"aes"}), frozenset({"avx"}))


def test_all_that_differs_is_named(core: Any) -> None:
    wanted = verify.expected(cpu(), core.caps, kvm=False)
    assert wanted is not None
    exact = [x86.to_qemu(name) for name in wanted.on]
    verify.verify(wanted, exact, ())
    less = [name for name in exact if name not in ("lahf-lm", "cx16")]
    with pytest.raises(Unsupported, match="lacks cx16, lahf_lm and has hypervisor besides"):
        verify.verify(wanted, [*less, "hypervisor"], ())
    with pytest.raises(Unsupported, match="lacks sse2"):
        verify.verify(wanted, exact, ["sse2"])
