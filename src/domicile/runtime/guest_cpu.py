"""Asks a QEMU that was just started which features its virtual CPU has. Called by `start` before the guest runs."""

from __future__ import annotations

from collections.abc import Sequence

from domicile.domain.cpus import verify
from domicile.domain.cpus.verify import Expected
from domicile.qemu.monitor import Monitor, Refusal


async def features(argv: Sequence[str], monitor: Monitor, deadline: float) -> tuple[list[str], list[str]] | None:
    """Give what the first virtual CPU has and what of its model this host cannot give, both in QEMU's words.

    QEMU spells its own model out by one command, where asking the CPU takes one for each feature. None where this QEMU
    cannot say it.
    """
    word = argv[argv.index("-cpu") + 1] if "-cpu" in argv else ""
    name, *changes = word.split(",")
    props: dict[str, object] = {}
    for change in changes:
        key, given, value = change.partition("=")
        if key.startswith(("+", "-")) and not given:
            props[key[1:]] = key[0] == "+"
        elif value in ("on", "off"):
            props[key] = value == "on"
    try:
        model = {"name": name, "props": props}
        spelt = await monitor.execute("query-cpu-model-expansion", {"type": "full", "model": model}, deadline)
        cpus = await monitor.execute("query-cpus-fast", {}, deadline)
        missing = {"path": cpus[0]["qom-path"], "property": "unavailable-features"}
        unavailable = await monitor.execute("qom-get", missing, deadline)
    except Refusal:
        return None
    enabled = [feature for feature, value in spelt["model"]["props"].items() if value is True]
    return enabled, list(unavailable)


async def look(argv: Sequence[str], wanted: Expected | None, monitor: Monitor, deadline: float) -> list[str] | None:
    """Give the features of the guest's CPU in libvirt's words; first hold them against what is wanted.

    Raises:
        Unsupported: it has less or more; every feature is named.
    """
    found = await features(argv, monitor, deadline)
    if found is None:
        return None
    enabled, unavailable = found
    if wanted is not None:
        verify.verify(wanted, enabled, unavailable)
    return verify.has(enabled, unavailable)
