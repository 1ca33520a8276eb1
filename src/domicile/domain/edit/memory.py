"""Changes of a domain's memory: how much, its limits, where on the host it is. Called by service."""

from __future__ import annotations

from collections.abc import Mapping

from domicile.base.errors import FROM_DOMAIN, FROM_NONE, InvalidRequest
from domicile.devices.memballoon import BalloonStats, MemBalloon
from domicile.domain.domain import Domain
from domicile.domain.memory import Memory
from domicile.domain.tuning import MemTune, NumaMemory, NumaTune
from domicile.schema.scalar import NUMBERS

#: No limit, in KiB; what is greater means the same. Source: VIR_DOMAIN_MEMORY_PARAM_UNLIMITED.
UNLIMITED = 2**53 - 1
LIMITS = ("hard_limit", "soft_limit", "swap_hard_limit")
# Source: virDomainNumatuneMemMode.
MODES = ("strict", "preferred", "interleave", "restrictive")


def size(domain: Domain) -> int:
    """Say how much memory a domain has, in KiB."""
    return domain.memory.value if domain.memory is not None and domain.memory.value else 0


def current(domain: Domain) -> int:
    """Say how much of it the balloon leaves, in KiB."""
    now = domain.currentMemory.value if domain.currentMemory is not None else None
    return now or size(domain)


def set_current(domain: Domain, kib: int) -> None:
    """Say how much memory the balloon leaves. Raises: InvalidRequest where that is more than there is."""
    if kib > size(domain):
        raise InvalidRequest(f"cannot set memory higher than max memory: {kib} KiB are more than {size(domain)} KiB")
    domain.currentMemory = Memory(unit="KiB", value=kib)


def set_maximum(domain: Domain, kib: int) -> None:
    """Say how much memory there is. Raises: InvalidRequest where NUMA nodes say it."""
    numa = domain.cpu.numa if domain.cpu is not None else None
    if numa is not None and numa.cell:
        raise InvalidRequest("the memory of a domain with NUMA nodes is theirs; changing the nodes would be accepted")
    now = current(domain)
    domain.memory = Memory(unit="KiB", value=kib, dumpCore=domain.memory.dumpCore if domain.memory else None)
    domain.currentMemory = Memory(unit="KiB", value=min(now, kib))


def grow(domain: Domain, kib: int) -> None:
    """Count a module that came into a running machine, or one that left it."""
    whole, now = size(domain) + kib, current(domain) + kib
    domain.memory = Memory(unit="KiB", value=whole, dumpCore=domain.memory.dumpCore if domain.memory else None)
    domain.currentMemory = Memory(unit="KiB", value=now)


def set_period(domain: Domain, seconds: int) -> None:
    """Say how often the guest reports its use of memory. Raises: InvalidRequest where it has no balloon."""
    balloon = next(iter(domain.devices.of(MemBalloon)), None) if domain.devices is not None else None
    if balloon is None or balloon.model == "none":
        raise InvalidRequest("the domain has no memory balloon, so nothing reports its use of memory")
    balloon.stats = BalloonStats(period=seconds) if seconds else None


def limits(domain: Domain) -> dict[str, int]:
    """Give the limits of a domain's memory, in KiB."""
    found = {}
    for name in LIMITS:
        amount: Memory | None = getattr(domain.memtune, name) if domain.memtune is not None else None
        found[name] = amount.value if amount is not None and amount.value is not None else UNLIMITED
    return found


def set_limits(domain: Domain, wanted: Mapping[str, int]) -> None:
    """Change limits. Raises: InvalidRequest where memory alone might be more than memory and swap."""
    both = {**limits(domain), **{name: min(value, UNLIMITED) for name, value in wanted.items()}}
    if both["hard_limit"] > both["swap_hard_limit"]:
        words = "memory hard_limit tunable value must be lower than or equal to swap_hard_limit"
        raise InvalidRequest(words, domain=FROM_DOMAIN)
    tune = domain.memtune = domain.memtune or MemTune()
    for name in wanted:
        setattr(tune, name, Memory(unit="KiB", value=both[name]) if both[name] < UNLIMITED else None)
    if all(getattr(tune, name) is None for name in (*LIMITS, "min_guarantee")):
        domain.memtune = None


def placement(domain: Domain) -> tuple[int, str]:
    """Say where the memory is: the mode's number and the nodes."""
    memory = domain.numatune.memory if domain.numatune is not None else None
    if memory is None:
        return 0, ""
    return MODES.index(memory.mode or "strict"), memory.nodeset or ""


def set_placement(domain: Domain, mode: int | None, nodes: str | None) -> None:
    """Say where the memory shall be. Raises: InvalidRequest."""
    if mode is not None and not 0 <= mode < len(MODES):
        named = ", ".join(f"{number} ({name})" for number, name in enumerate(MODES))
        raise InvalidRequest(f"unsupported numatune mode: '{mode}'; accepted are {named}")
    if nodes is not None:
        nodes = _nodes(nodes)
    tune = domain.numatune = domain.numatune or NumaTune()
    memory = tune.memory or NumaMemory(mode="strict")
    if mode is not None:
        memory.mode = MODES[mode]
    if nodes is not None:
        memory.nodeset, memory.placement = nodes, None
    tune.memory = memory if memory.nodeset or memory.placement else None
    if tune.memory is None and not tune.memnode:
        domain.numatune = None


def _nodes(text: str) -> str:
    try:
        found: str = NUMBERS.parse(text)
    except ValueError:
        found = ""
    if not found:
        raise InvalidRequest(f"Failed to parse bitmap '{text}'; {NUMBERS.accepted} is accepted", domain=FROM_NONE)
    return found
