from __future__ import annotations

import pytest

from domicile.base.errors import InvalidRequest
from domicile.service.keymap import SETS, qnums

LINUX, XT, ATSET1, ATSET2, ATSET3, OSX, XTKBD, USB, WIN32, QNUM = range(10)


@pytest.mark.parametrize(
    ("codeset", "escape", "a", "right_ctrl", "up"),
    [
        (LINUX, 1, 30, 97, 103),
        (XT, 1, 30, 57373, 57416),
        (ATSET1, 1, 30, 57373, 57416),
        (ATSET2, 118, 28, 57364, 57461),
        (ATSET3, 8, 28, 88, 99),
        (OSX, 0x35, 0x00, 0x3E, 0x7E),
        (USB, 41, 4, 228, 82),
        (WIN32, 0x1B, 0x41, 0xA3, 0x26),
        (QNUM, 1, 30, 157, 200),
    ],
)
def test_the_same_keys_in_every_set(codeset: int, escape: int, a: int, right_ctrl: int, up: int) -> None:
    assert qnums(codeset, [escape, a, right_ctrl, up]) == [1, 30, 157, 200]


def test_what_is_not_known() -> None:
    with pytest.raises(InvalidRequest, match="300 of xt"):
        qnums(XT, [300])
    with pytest.raises(InvalidRequest, match="codeset"):
        qnums(len(SETS), [1])
    with pytest.raises(InvalidRequest):
        qnums(QNUM, [1 << 20])


def test_no_table_leads_beyond_what_qemu_takes() -> None:
    for _, table in SETS:
        assert all(0 < qnum < 512 for qnum in (table or {}).values())
