"""Everything the command line says is there in both languages, with the same fields."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from domicile import cli
from domicile.cli import words

MODULES = sorted(Path(cli.__file__).parent.rglob("*.py"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", words.WORDS)
def test_both_languages_say_the_same(key: str) -> None:
    english, chinese = words.WORDS[key]
    assert english.strip()
    assert chinese.strip()
    assert fields(english) == fields(chinese)


def said() -> dict[str, set[str]]:
    """Find the keys said in the source, with the fields they are given; keys made of parts are left to other tests."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
                keys = [
                    n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant) and isinstance(n.value, str)
                ]
                if isinstance(node.args[0], ast.Constant | ast.IfExp):
                    for key in keys:
                        given = {word.arg for word in node.keywords if word.arg is not None}
                        if all(word.arg for word in node.keywords) and key in words.WORDS:
                            found[key] = given
                        else:
                            found.setdefault(key, fields(words.WORDS.get(key, ("", ""))[0]))
    return found


def test_what_is_said_is_known_and_given_its_fields() -> None:
    for key, given in said().items():
        if key in ("yes", "no") or key in words.WORDS:
            assert fields(words.WORDS[key][0]) <= given, key


def test_nothing_stands_there_unsaid() -> None:
    source = "\n".join(module.read_text() for module in MODULES if not module.name.startswith("words"))
    made = (
        "state_",
        "pool_",
        "did_upload",
        "did_download",
        "section_",
        "kind_",
        "r_",
        "p_",
        "x_safe_",
        "x_when_",
        "d_good",
        "d_note",
        "d_bad",
    )
    for key in words.WORDS:
        assert f'"{key}"' in source or f"'{key}'" in source or key.startswith(made), key


def test_keys_made_of_parts_are_there() -> None:
    from domicile.cli.app import COMMANDS
    from domicile.cli.connection import _STATES

    made = [f"state_{name}" for name in _STATES] + [f"section_{name}" for name in COMMANDS]
    made += [f"kind_{name}" for name in ("define", "edit", "import", "rollback", "rename", "undefine", "undelete")]
    made += [f"x_safe_{name}" for name in ("yes", "care", "no")] + [
        f"x_when_{name}" for name in ("live", "start", "never")
    ]
    made += [f"d_{name}" for name in ("good", "note", "bad")]
    assert set(made) <= set(words.WORDS)


@pytest.mark.parametrize(
    ("arguments", "environment", "language"),
    [
        (["list"], {}, "en"),
        (["list", "--lang", "zh"], {}, "zh"),
        (["--lang=zh", "list"], {"LANG": "en_US.UTF-8"}, "zh"),
        (["list"], {"LANG": "zh_CN.UTF-8"}, "zh"),
        (["list"], {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        (["list", "--lang", "en"], {"LC_MESSAGES": "zh_TW"}, "en"),
        (["list", "--lang"], {}, "en"),
    ],
)
def test_the_language_wanted(arguments: list[str], environment: dict[str, str], language: str) -> None:
    assert words.wanted(arguments, environment) == language


def test_picking() -> None:
    words.use("zh")
    try:
        assert words.pick({"en": "a", "zh": "b"}) == "b"
        assert words.pick({"why_en": "a", "why_zh": "c"}, "why_") == "c"
        assert words.pick({"why_en": "a"}, "why_") == "a"
    finally:
        words.use("en")
