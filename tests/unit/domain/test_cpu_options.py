"""The CPU as QEMU is told of it."""

from __future__ import annotations

from typing import Any

import pytest

DOMAIN = """
<domain type='qemu'>
  <name>n</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <cpu {cpu}</cpu>
</domain>"""


@pytest.mark.parametrize(
    ("cpu", "told"),
    [
        ("mode='host-model'>", "max"),
        ("mode='maximum'>", "max"),
        ("mode='maximum'><cache mode='disable'/>", "max,host-cache-info=off,l3-cache=off"),
        ("mode='custom'><model>Penryn</model><cache level='3' mode='emulate'/>", "Penryn,l3-cache=on"),
        (
            "mode='maximum'><maxphysaddr mode='passthrough' limit='39'/>",
            "max,host-phys-bits=on,host-phys-bits-limit=39",
        ),
        ("mode='custom'><model>Penryn</model><feature name='sse4_2'/>", "Penryn,sse4.2=on"),
        ("mode='custom'><model>Penryn</model><feature name='lahf_lm' policy='disable'/>", "Penryn,lahf-lm=off"),
        # QEMU does not know it, so it is off anyhow.
        ("mode='custom'><model>Penryn</model><feature name='pconfig' policy='disable'/>", "Penryn"),
    ],
)
def test_words(core: Any, cpu: str, told: str) -> None:
    arguments = core.arguments(DOMAIN.format(cpu=cpu))
    assert next(a.words[1] for a in arguments if a.words[0] == "-cpu") == told
