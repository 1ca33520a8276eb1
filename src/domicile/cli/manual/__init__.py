"""The manual: a page for every command, in English and Chinese, in two text files beside this one.

Called by the commands' help. A page begins with ``[name]``; its first line is the summary, ``--option: words`` and
``ARGUMENT: words`` are the help of those, ``$ command`` lines are examples, all else is the text. The page ``*`` holds
options that many commands share.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from domicile.cli import words
from domicile.cli.words import say

if TYPE_CHECKING:
    import click

_HEAD = re.compile(r"\[([\w*-]+)\]\Z")
_OPTION = re.compile(r"(--[\w-]+|[A-Z][A-Z_]*): (.+)\Z")


@dataclass
class Page:
    """One command's page."""

    summary: str = ""
    text: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


@functools.cache
def pages(language: str) -> dict[str, Page]:
    """Read all pages of a language."""
    found: dict[str, Page] = {}
    page = Page()
    for line in Path(__file__).with_name(f"{language}.txt").read_text(encoding="utf-8").splitlines():
        head, option = _HEAD.match(line), _OPTION.match(line)
        if head is not None:
            page = found[head[1]] = Page()
        elif option is not None:
            page.options[option[1]] = option[2]
        elif line.startswith("$ "):
            page.examples.append(line)
        elif not page.summary:
            page.summary = line.strip()
        else:
            page.text.append(line)
    return found


def page(name: str) -> Page:
    """Give a command's page in the language of the person."""
    return pages(words.language()).get(name, Page())


def option(command: str, name: str) -> str:
    """Give the help of an option or argument."""
    return page(command).options.get(name) or page("*").options.get(name, "")


def help_option(found: click.Option | None) -> click.Option | None:
    """Give the help option its words."""
    if found is not None:
        found.help = option("", "--help")
    return found


def usage(formatter: click.HelpFormatter, command: str, rest: str) -> None:
    """Write the line that shows how to call it."""
    formatter.write_usage(command, rest, prefix=say("usage"))


def body(formatter: click.HelpFormatter, page: Page) -> None:
    """Write the summary and the text."""
    text = "\n".join(page.text).strip()
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(page.summary)
        for paragraph in text.split("\n\n") if text else ():
            formatter.write_paragraph()
            if paragraph.startswith("  "):
                formatter.write("".join(f"  {line}\n" for line in paragraph.splitlines()))
            else:
                formatter.write_text(" ".join(paragraph.split()))


def examples(formatter: click.HelpFormatter, page: Page) -> None:
    """Write the examples."""
    if page.examples:
        with formatter.section(say("examples")):
            formatter.write("".join(f"  {line}\n" for line in page.examples))
