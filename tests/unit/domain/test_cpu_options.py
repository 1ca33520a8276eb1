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

# What QEMU 7.2 can emulate and an EPYC has not, then what it cannot emulate of one; as libvirt 11.3 says it.
NEAREST = """acpi=on ss=on monitor=on hypervisor=on erms=on mpx=on pcommit=on clwb=on umip=on pku=on vaes=on la57=on pks=on
3dnowext=on 3dnow=on npt=on vgif=on svme-addr-chk=on vme=off rdseed=off sha-ni=off xsavec=off fxsr-opt=off misalignsse=off
3dnowprefetch=off osvw=off topoext=off nrip-save=off"""


@pytest.mark.parametrize(
    ("cpu", "told"),
    [
        ("mode='host-model'>", f"EPYC,{','.join(NEAREST.split())}"),
        ("mode='host-model'><feature name='ds' policy='force'/>", f"EPYC,{','.join(NEAREST.split())},ds=on"),
        ("mode='custom'><model>Penryn</model><feature name='avx2' policy='optional'/>", "Penryn,avx2=on"),
        ("mode='custom'><model>Penryn</model><feature name='rtm' policy='optional'/>", "Penryn,rtm=off"),
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
