"""x86 CPUs as models with differences: what the models have, which one says a host best, what a document's CPU becomes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domicile.base.errors import CPU_INCOMPATIBLE, Unsupported
from domicile.domain.cpu import Cpu, CpuFeature, CpuModelName
from domicile.domain.cpus import choose, x86
from domicile.plan.capabilities import CpuModel

OFFERED = {name: CpuModel(name, "") for name in x86.models()}


def cpu(mode: str = "custom", name: str | None = None, features: dict[str, str] | None = None, **more: Any) -> Cpu:
    fallback = more.pop("fallback", None)
    model = CpuModelName(name=name, fallback=fallback) if name is not None else None
    listed = [CpuFeature(name=feature, policy=policy) for feature, policy in (features or {}).items()]
    return Cpu(mode=mode, model=model, feature=listed, **more)


def test_models_are_whole() -> None:
    models = x86.models()
    assert next(iter(models)) == "486" and models["486"].features == {"fpu", "vme", "pse"}
    assert all(model.features <= set(x86.FEATURES) for model in models.values())
    assert len(set(x86.FEATURES)) == len(x86.FEATURES)
    assert models["Skylake-Server"].signed(6, 85, 4) and not models["Skylake-Server"].signed(6, 85, 5)
    assert models["Cascadelake-Server"].signed(6, 85, 6)
    assert "mpx" not in models["Icelake-Server"].features
    assert set(models["Icelake-Server"].gone) == {"mpx", "intel-pt"}


@pytest.mark.parametrize("name", [name for name, model in x86.models().items() if model.guest])
def test_a_processor_that_is_a_model_is_said_by_it(name: str) -> None:
    model = x86.models()[name]
    signature = model.signatures[:2][-1] if model.signatures else None
    stepping = signature.steppings[0] if signature is not None and signature.steppings else 15
    numbers = (signature.family, signature.model, stepping) if signature is not None else (0, 0, 0)
    found = x86.nearest(model.features, model.vendor, numbers, OFFERED)
    assert found is not None
    assert found.model == name
    assert found.features == dict.fromkeys(model.gone, False)


def test_the_own_family_comes_before_a_shorter_list() -> None:
    few = x86.models()["Penryn"].features
    found = x86.nearest(few, "Intel", (6, 94, 3), OFFERED)
    assert found is not None and found.model == "Skylake-Client"


def test_broken_tsx_is_left_out() -> None:
    haswell = x86.models()["Haswell"]
    broken = x86.nearest(haswell.features, "Intel", (6, 60, 3), OFFERED)
    sound = x86.nearest(haswell.features, "Intel", (6, 63, 4), OFFERED)
    assert broken is not None and broken.model == "Haswell-noTSX"
    assert sound is not None and sound.model == "Haswell"


def test_what_qemu_cannot_give_is_turned_off() -> None:
    model = x86.models()["EPYC-Rome"]
    blocked = OFFERED | {"EPYC-Rome": CpuModel("EPYC-Rome", "", blockers=("xsaves", "perfctr-core", "CPUID[x]"))}
    found = x86.nearest(model.features - {"perfctr_core"}, "AMD", (23, 49, 0), blocked)
    assert found == x86.Spelt("EPYC-Rome", "AMD", {"xsaves": False, "perfctr_core": False})


def test_features_given_win(core: Any) -> None:
    best = x86.host_model(core.caps, kvm=False)
    assert best is not None and best.features["acpi"] is True
    wish = cpu("host-model", features={"acpi": "disable", "ds": "force", "rdseed": "optional", "sse4.2": "optional"})
    spelt = choose.spell(wish, core.caps, kvm=False)
    assert spelt is not None and spelt.model == best.model
    chosen = {name: spelt.features[name] for name in ("acpi", "ds", "rdseed", "sse4.2")}
    assert chosen == {"acpi": False, "ds": True, "rdseed": False, "sse4.2": True}
    rest = {name: on for name, on in spelt.features.items() if name not in chosen}
    assert rest == {name: on for name, on in best.features.items() if name not in chosen}


def test_at_least_a_model_is_the_hosts(core: Any) -> None:
    least = choose.spell(cpu(name="core2duo", match="minimum"), core.caps, kvm=False)
    assert least == choose.spell(cpu("host-model"), core.caps, kvm=False)


def test_lost_features_are_turned_off_unless_named(core: Any) -> None:
    plain = choose.spell(cpu(name="Skylake-Client"), core.caps, kvm=False)
    named = choose.spell(cpu(name="Skylake-Client", features={"mpx": "require"}), core.caps, kvm=False)
    assert plain == x86.Spelt("Skylake-Client", "Intel", {"mpx": False})
    assert named == x86.Spelt("Skylake-Client", "Intel", {"mpx": True})


def test_another_model_stands_in_where_it_may(core: Any) -> None:
    few = {name: model for name, model in core.caps.cpus["tcg"].items() if name != "Icelake-Server"}
    caps = replace(core.caps, cpus={"tcg": few})
    found = choose.spell(cpu(name="Icelake-Server", fallback="allow"), caps, kvm=False)
    assert found is not None and found.model != "Icelake-Server" and found.vendor == "Intel"
    with pytest.raises(Unsupported, match="'Icelake-Server'"):
        choose.spell(cpu(name="Icelake-Server", fallback="forbid"), caps, kvm=False)
    with pytest.raises(Unsupported, match="'Pentacle'"):
        choose.spell(cpu(name="Pentacle", fallback="allow"), caps, kvm=False)


@pytest.mark.parametrize("mode", ["host-passthrough", "maximum"])
def test_the_hosts_own_is_not_spelt(core: Any, mode: str) -> None:
    assert choose.spell(cpu(mode), core.caps, kvm=False) is None


class TestComparing:
    """A model is compared with the host's processor before it is started."""

    def test_the_processor_or_qemu_has_it(self, core: Any) -> None:
        # QEMU's own best has no 'pcid'; the kernel says that the processor has.
        wish = cpu(name="Haswell-noTSX", check="partial")
        kvm = core.with_kvm.caps
        with pytest.raises(Unsupported, match=r"'Haswell-noTSX'.*pcid") as refused:
            choose.compare(wish, kvm, frozenset())
        assert refused.value.wire_code == CPU_INCOMPATIBLE
        choose.compare(wish, kvm, frozenset({"pcid", "tsc_deadline_timer", "x2apic", "invpcid"}))

    @pytest.mark.parametrize("policy", ["disable", "optional", "force"])
    def test_what_need_not_be_is_not_missed(self, core: Any, policy: str) -> None:
        kvm = core.with_kvm.caps
        lacking = dict.fromkeys(("pcid", "tsc-deadline", "x2apic", "invpcid"), policy)
        choose.compare(cpu(name="Haswell-noTSX", check="partial", features=lacking), kvm, frozenset())

    def test_forbidden(self, core: Any) -> None:
        with pytest.raises(Unsupported, match=r"forbids.*'avx2'"):
            forbid = cpu(name="Penryn", check="partial", features={"avx2": "forbid"})
            choose.compare(forbid, core.with_kvm.caps, frozenset())

    @pytest.mark.parametrize("check", ["none", "full", None])
    def test_only_where_asked(self, core: Any, check: str | None) -> None:
        choose.compare(cpu(name="SapphireRapids", check=check), core.with_kvm.caps, frozenset())
