"""Reading, completing and writing documents of network filters and of their bindings. Pure; called by the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domicile.base import ids
from domicile.base.errors import INTERNAL_ERROR, XML_INVALID_SCHEMA, InvalidDocument
from domicile.base.problem import Problem
from domicile.filters.binding import Binding
from domicile.filters.model import MATCHES, Filter, Rule
from domicile.schema import read as reading
from domicile.schema import write as writing
from domicile.schema.shape import Element

#: libvirt's numbers of the part that speaks of filters, and of "no such filter" and "no such binding".
FROM_NWFILTER, NO_NWFILTER, NO_BINDING = 33, 62, 101
_RULE_PRIORITY = 500
_PORTED = ("tcp", "udp", "sctp", "33")


def refused(problems: list[Problem], code: int | None = None) -> InvalidDocument:
    """Make the refusal of a filter's document."""
    return InvalidDocument(problems, code=code, domain=FROM_NWFILTER)


def _root(text: str | bytes, tag: str) -> Any:
    root: Any = reading.parse(text)
    if root.tag != tag:
        raise refused([Problem("", f"the root element is '{root.tag}'", root.sourceline or 0, f"<{tag}>")])
    return root


def read(text: str | bytes) -> tuple[Filter, list[Problem]]:
    """Read a document; the problems include what is ignored. Raises: InvalidDocument where it cannot be read at all."""
    root = _root(text, "filter")
    reader = reading.Reader()
    extra = [_second(rule, reader.problems) for rule in root.findall("rule")]
    for rule, nodes in zip(root.findall("rule"), extra, strict=True):
        for node in nodes:
            rule.remove(node)
    made: Filter = reader.element(Filter.shape, root)
    rules, refs = iter(made.rule), iter(made.filterref)
    made.entries = [
        next(rules) if node.tag == "rule" else next(refs) for node in root if node.tag in ("rule", "filterref")
    ]
    return made, reader.problems


def _second(rule: Any, problems: list[Problem]) -> list[Any]:
    """Find what a rule looks at beside the first; it has no effect."""
    nodes = [node for node in rule if node.tag in MATCHES][1:]
    for node in nodes:
        what = f"element 'rule' has a second protocol '{node.tag}', which has no effect"
        problems.append(Problem(reading.path_of(node), what, node.sourceline or 0, severity="ignored"))
    return nodes


def read_stored(text: str) -> Filter:
    """Read a document that this program wrote itself."""
    return read(text)[0]


def complete_text(text: str | bytes, new_uuid: Callable[[], str] = ids.new_uuid, *, strict: bool = False) -> Filter:
    """Read and complete a document.

    Raises:
        InvalidDocument: with every problem; with `strict` also what has no effect is one.
    """
    made, found = read(text)
    unknown = strict and any(problem.severity != "error" for problem in found)
    wrong = [problem for problem in found if strict or problem.severity == "error"] + _check(made)
    if wrong:
        raise refused(wrong, XML_INVALID_SCHEMA if unknown else None)
    made.uuid = made.uuid or new_uuid()
    made.chain = made.chain or "root"
    if made.chain != "root" and made.priority is None and made.chain_priority:
        made.priority = made.chain_priority
    if made.chain == "root" or made.priority == 0:
        made.priority = None
    for rule in made.rule:
        rule.priority = _RULE_PRIORITY if rule.priority is None else rule.priority
        rule.statematch = None if rule.statematch else rule.statematch
        _settle(rule)
    for ref in made.filterref:
        ref.settle()
    return made


def _settle(rule: Rule) -> None:
    match: Any = rule.match
    if match is None:
        return
    if match.match == "yes":
        match.match = None
    values = match.values()
    if "ipset" in values and "ipsetflags" not in values:
        match.ipsetflags = "src"
    elif "ipsetflags" in values and "ipset" not in values:
        match.ipsetflags = None


def _check(made: Filter) -> list[Problem]:
    found: list[Problem] = []
    name = made.name or ""
    if not name:
        found.append(Problem("@name", "filter has no name", made.source_line, "a name", code=INTERNAL_ERROR))
    elif "/" in name or not name.isprintable() or len(name) > 255:
        what = f"'{name[:80]}' cannot be the name of a filter"
        accepted = "at most 255 characters without a slash or a line break"
        found.append(Problem("@name", what, made.source_line, accepted, code=INTERNAL_ERROR))
    for number, rule in enumerate(made.rule, 1):
        match = rule.match
        path = f"rule[{number}]" if len(made.rule) > 1 else "rule"
        for ref in made.filterref:
            for one in ref.parameter:
                if not one.counts and number == 1:
                    found.append(_parameter(one))
        if match is None or match.shape.tag not in ("ip", "ipv6"):
            continue
        values = match.values()
        protocol = values.get("protocol", "")
        if any("port" in name for name in values) and protocol not in _PORTED and not protocol.startswith("$"):
            what = f"a rule on ports needs a protocol that has some, not '{protocol or 'none'}'"
            accepted = f"protocol {', '.join(_PORTED)}"
            found.append(Problem(f"{path}/{match.shape.tag}", what, match.source_line, accepted, code=INTERNAL_ERROR))
    return found


def _parameter(one: Any) -> Problem:
    what = f"the parameter '{one.name}' cannot have the value '{one.value}'"
    accepted = "letters, digits and _ in its name, also . and : in its value"
    return Problem("filterref/parameter", what, one.source_line, accepted, code=INTERNAL_ERROR)


def write(made: Filter) -> str:
    """Write a document in libvirt's text form."""
    head = "".join(
        f" {name}='{writing.escape(str(value))}'"
        for name, value in (("name", made.name), ("chain", made.chain), ("priority", made.priority))
        if value is not None
    )
    lines = [f"<filter{head}>", f"  <uuid>{made.uuid}</uuid>"]
    for entry in made.entries:
        shape = entry.shape
        writing.writer_of(shape)(entry, "  ", lines, True, shape.tag, None)
    return "\n".join([*lines, "</filter>"]) + "\n"


# Bindings.


def read_binding(text: str | bytes, *, strict: bool = False) -> Binding:
    """Read and check a binding's document. Raises: InvalidDocument."""
    root = _root(text, "filterbinding")
    reader = reading.Reader()
    made: Binding = reader.element(Binding.shape, root)
    wrong = [problem for problem in reader.problems if strict or problem.severity == "error"]
    needed: tuple[tuple[Element | None, str, str], ...] = (
        (made.owner, "owner", "<owner>…</owner>"),
        (made.portdev, "portdev", "<portdev name='…'/>"),
        (made.mac, "mac", "<mac address='…'/>"),
        (made.filterref, "filterref", "<filterref filter='…'/>"),
    )
    for value, tag, accepted in needed:
        if value is None and not any(problem.path.startswith(tag) for problem in wrong):
            what = f"element 'filterbinding' has no <{tag}>"
            wrong.append(Problem(tag, what, made.source_line, accepted, code=INTERNAL_ERROR))
    if made.filterref is not None:
        wrong += [_parameter(one) for one in made.filterref.parameter if not one.counts]
    if wrong:
        raise refused(wrong)
    assert made.filterref is not None
    made.filterref.settle()
    return made


def write_binding(binding: Binding) -> str:
    """Write a binding's document in libvirt's text form."""
    return writing.write(binding)
