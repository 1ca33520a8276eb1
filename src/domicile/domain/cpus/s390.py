"""What may be asked of an s390 CPU. Pure; called by options/cpu when a machine is planned."""

from __future__ import annotations

from domicile.base.errors import Unsupported
from domicile.domain.cpu import Cpu
from domicile.plan.capabilities import Capabilities


def check(cpu: Cpu, caps: Capabilities, *, kvm: bool) -> None:
    """Find what cannot be told to QEMU: it compares no CPUs here, it only takes models and features.

    Raises:
        Unsupported: with the model, feature or way of matching that it is about.
    """
    for feature in cpu.feature:
        if feature.policy not in ("require", "disable"):
            what = f"CPU feature '{feature.name}' has the policy '{feature.policy}'"
            raise Unsupported(f"{what}; on s390 'require' and 'disable' are accepted")
    name = cpu.model.name if cpu.model is not None else None
    if cpu.mode != "custom" or name is None:
        return
    if cpu.match == "minimum":
        raise Unsupported("a CPU on s390 cannot be matched as 'minimum'; 'exact' and 'strict' are accepted")
    if caps.cpu(name, kvm) is None:
        raise Unsupported(f"this QEMU has no CPU model '{name}'")
