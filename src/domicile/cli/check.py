"""`domicile check`: all that is wrong with a document, each with its line; nothing is stored, no daemon is needed."""

from __future__ import annotations

from typing import Any

import click

from domicile.base.errors import InvalidDocument
from domicile.base.problem import Problem
from domicile.cli import screen
from domicile.cli.command import Option, command, document, read_document, state
from domicile.cli.words import say


@command("check", document("files", nargs=-1, required=True), Option(["--strict"], is_flag=True))
def check_(files: tuple[str, ...], strict: bool) -> None:
    """Check documents."""
    from domicile.cli.offline import Local

    local = Local.look()
    answers = [_one(local, file, strict) for file in files]
    if state().json:
        screen.json(answers if len(files) > 1 else answers[0])
    if not all(answer["valid"] for answer in answers):
        raise click.exceptions.Exit(1)


def _one(local: Any, file: str, strict: bool) -> dict[str, Any]:
    problems: list[Problem]
    try:
        problems, valid = local.complete(read_document(file), strict=strict).ignored, True
    except InvalidDocument as error:
        problems, valid = error.problems, False
    if not state().json:
        _tell(file, problems, valid)
    listed = [
        {"path": p.path, "line": p.line, "message": p.message, "accepted": p.accepted, "severity": p.severity}
        for p in problems
    ]
    return {"file": file, "valid": valid, "problems": listed}


def _tell(file: str, problems: list[Problem], valid: bool) -> None:
    for problem in problems:
        where = screen.place(file, problem.line, problem.path)
        ignored = problem.severity == "ignored" and valid
        words = (say("c_ignored") if ignored else "") + problem.message
        accepted = f" ({say('c_accepted', words=problem.accepted)})" if problem.accepted else ""
        screen.out(where + screen.paint(words, "yellow" if ignored else "red") + accepted)
    if valid:
        screen.out(screen.paint(say("c_good", file=file), "green"))
    else:
        screen.out(say("c_count", file=file, count=len(problems)))
