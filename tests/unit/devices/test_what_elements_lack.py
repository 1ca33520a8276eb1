"""Elements that say only a part of what they must: each refusal names the element and what is missing."""

from __future__ import annotations

from typing import Any

import pytest

LAYER = "<disk type='file' device='disk'><source file='/a'/>{}<target dev='vda' bus='virtio'/></disk>"
NET = (
    "<disk type='network' device='disk'><source protocol='rbd' name='p/i'><host name='h'/>{}</source>"
    "<target dev='vda' bus='virtio'/></disk>"
)
ISCSI = "<hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.x/1'><host name='h'/>{}</source></hostdev>"


@pytest.mark.parametrize(
    ("inside", "named"),
    [
        (LAYER.format("<backingStore type='file'><source file='/b'/></backingStore>"), ("<backingStore>", "<format>")),
        (LAYER.format("<backingStore type='file'><format type='raw'/></backingStore>"), ("<backingStore>", "<source>")),
        (LAYER.format("").replace("'/a'/>", "'/a'><slices><slice type='storage' size='1'/></slices></source>"), ("offset",)),
        (LAYER.format("<readonly/>").replace("virtio", "ide").replace("vda", "hda"), ("'readonly'", "'ide'")),
        (NET.format("<auth><secret type='ceph' usage='x'/></auth>"), ("<auth>", "username")),
        (NET.format("<auth username='u'><secret usage='x'/></auth>"), ("<secret>", "type")),
        (NET.format("<encryption><secret type='passphrase' usage='x'/></encryption>"), ("<encryption>", "format")),
        (ISCSI.format("<auth username='u'/>"), ("<auth>", "<secret>")),
        (ISCSI.format("<auth username='u'><secret type='iscsi'/></auth>"), ("<secret>", "'usage'")),
        ("<interface type='bridge'><source bridge='b'/><vlan><tag/></vlan></interface>", ("<tag>", "id")),
        ("<interface type='bridge'><source bridge='b'/><virtualport/></interface>", ("<virtualport>", "type")),
        ("<channel type='qemu-vdagent'><source><mouse/></source><target type='virtio'/></channel>", ("<mouse>", "mode")),
        (
            "<interface type='ethernet'><source><route address='10.1.2.3' prefix='8' gateway='10.0.0.1'/></source></interface>",
            ("<route>", "10.1.2.3"),
        ),
    ],
)  # fmt: skip
def test_refused(core: Any, sketch: Any, inside: str, named: tuple[str, ...]) -> None:
    text = " ".join(problem.message for problem in core.problems(sketch(inside, machine="pc")))
    assert all(word.strip("<>") in text for word in named), text
