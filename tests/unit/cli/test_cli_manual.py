"""Every command has a page in both languages, with words for every option and argument."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from domicile.cli import app, manual, words
from domicile.cli.command import State

NAMES = [name for section in app.COMMANDS.values() for name in section]


def run(*arguments: str, language: str = "en") -> str:
    words.use(language)
    try:
        done = CliRunner().invoke(
            app.command(), [*arguments], obj=State(), prog_name="domicile", catch_exceptions=False
        )
    finally:
        words.use("en")
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_tell_of_the_same_things(name: str) -> None:
    english, chinese = manual.pages("en")[name], manual.pages("zh")[name]
    assert english.summary
    assert chinese.summary
    assert english.options.keys() == chinese.options.keys()
    assert len(english.examples) == len(chinese.examples)
    assert bool(english.text) == bool(chinese.text)


def test_no_page_without_a_command() -> None:
    for language in words.LANGUAGES:
        assert set(manual.pages(language)) == {*NAMES, "domicile", "*"}


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_option_and_argument_has_its_words(name: str, language: str) -> None:
    root = app.command()
    context = click.Context(root, info_name="domicile", obj=State())
    found = root.get_command(context, name)
    assert found is not None
    words.use(language)
    try:
        inside = click.Context(found, parent=context, info_name=name)
        for parameter in found.get_params(inside):
            if isinstance(parameter, click.Option):
                assert manual.option(name, max(parameter.opts, key=len)), parameter.opts
            else:
                assert manual.option(name, (parameter.name or "").upper()), parameter.name
    finally:
        words.use("en")


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_page_shows(name: str, language: str) -> None:
    page = run(name, "--help", language=language)
    assert manual.pages(language)[name].summary.split("，")[0].split()[0] in page
    assert "--json" in page
    assert ("示例" if language == "zh" else "Examples") in page


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_the_first_page_lists_every_command(language: str) -> None:
    page = run("--help", language=language)
    for name in NAMES:
        assert re.search(rf"^  {name}\s", page, re.MULTILINE), name


def test_examples_name_options_that_exist() -> None:
    root = app.command()
    context = click.Context(root, info_name="domicile", obj=State())
    for name in NAMES:
        found = root.get_command(context, name)
        assert found is not None
        known = {option for parameter in found.params for option in parameter.opts}
        for example in manual.pages("en")[name].examples:
            given = example.partition(f"domicile {name}")[2]
            for option in re.findall(r"(?<=\s)--[\w-]+", given):
                assert option in known, example


def test_the_reference_names_every_command() -> None:
    text = (Path(__file__).parents[3] / "docs/cli.md").read_text()
    for name in NAMES:
        assert f"`domicile {name}" in text, name
