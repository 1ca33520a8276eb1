from __future__ import annotations

from typing import Any

from domicile.devices.lease import FAMILY


def test_a_lease_is_kept_in_one_form(bench: Any) -> None:
    given = "<lease><target path='/x' offset='0'/><key>k</key><lockspace>s</lockspace><alias name='ua-x'/></lease>"
    kept = "<lease>\n  <lockspace>s</lockspace>\n  <key>k</key>\n  <target path='/x'/>\n</lease>"
    assert bench(FAMILY).kept(given) == kept


def test_what_is_missing_is_named(bench: Any) -> None:
    found = bench(FAMILY).problems("<lease/>")
    assert ["'lockspace'" in found[0], "'key'" in found[1], "'target'" in found[2]] == [True, True, True]
