"""What may be said of the virtual CPU: mode and model, features, caches, the width of addresses. Called by `checks`.

Source: libvirt's documentation of CPU models; observed with libvirt 9.0.
"""

from __future__ import annotations

from domicile.base.errors import XML_ERROR
from domicile.domain.cpu import Cache, Cpu, MaxPhysAddr
from domicile.domain.domain import Domain
from domicile.plan.facts import Completion

_VENDOR_LETTERS = 12
_WHOLE = ("host-passthrough", "maximum")


def check(domain: Domain, c: Completion) -> None:
    """Find what contradicts."""
    cpu = domain.cpu
    if cpu is None:
        return
    _features(cpu, c)
    if cpu.migratable is not None and cpu.mode not in _WHOLE:
        what = f"attribute 'migratable' of element 'cpu' stands beside mode '{cpu.mode}'"
        c.problem(cpu, what, "mode='host-passthrough' or 'maximum'", "@migratable")
    vendor = cpu.model.vendor_id if cpu.model is not None else None
    if vendor is not None and (len(vendor) != _VENDOR_LETTERS or "," in vendor):
        what = f"attribute 'vendor_id' has the value '{vendor}'"
        c.problem(cpu.model, what, "12 characters without a comma", "@vendor_id")
    if cpu.cache is not None:
        _cache(cpu.cache, cpu, c)
    if cpu.maxphysaddr is not None:
        _width(cpu.maxphysaddr, c)


def _features(cpu: Cpu, c: Completion) -> None:
    seen: set[str] = set()
    for feature in cpu.feature:
        if feature.name is None:
            c.problem(feature, "element 'feature' has no attribute 'name'", "a feature's name", "@name")
        elif feature.name in seen:
            c.problem(feature, f"CPU feature '{feature.name}' stands twice", "once", "@name")
        seen.add(feature.name or "")


def _cache(cache: Cache, cpu: Cpu, c: Completion) -> None:
    if cache.mode is None:
        c.problem(cache, "element 'cache' has no attribute 'mode'", "emulate, passthrough, disable", "@mode", XML_ERROR)
    elif cache.mode == "emulate" and cache.level != 3:
        what = f"CPU cache mode 'emulate' stands beside level '{cache.level or ''}'"
        c.problem(cache, what, "level='3'", "@level")
    elif cache.mode == "passthrough" and cpu.mode not in _WHOLE:
        what = f"CPU cache mode 'passthrough' stands beside CPU mode '{cpu.mode}'"
        c.problem(cache, what, "mode='host-passthrough' or 'maximum' of <cpu>", "@mode")
    elif cache.mode != "emulate" and cache.level is not None:
        what = f"CPU cache mode '{cache.mode}' stands beside level '{cache.level}'"
        c.problem(cache, what, "no level", "@level")


def _width(width: MaxPhysAddr, c: Completion) -> None:
    if width.mode is None:
        c.problem(width, "element 'maxphysaddr' has no attribute 'mode'", "emulate, passthrough", "@mode", XML_ERROR)
    elif width.mode == "passthrough" and width.bits is not None:
        what = f"<maxphysaddr> of mode 'passthrough' has 'bits' '{width.bits}'"
        c.problem(width, what, "limit, or mode='emulate'", "@bits")
    elif width.mode == "emulate" and width.limit is not None:
        what = f"<maxphysaddr> of mode 'emulate' has a 'limit' of '{width.limit}'"
        c.problem(width, what, "bits, or mode='passthrough'", "@limit")
