"""A filter with all it refers to and its variables' values, as rules in chains: what one interface's packets pass. Pure.

`ruleset` writes it for nftables. Source: libvirt's "Network Filters"; observed with libvirtd 9.0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from domicile.base.errors import INTERNAL_ERROR, OPERATION_FAILED, InvalidRequest, NotFound, Unsupported
from domicile.filters.model import Filter, Rule
from domicile.filters.words import Variable

Values = Mapping[str, tuple[str, ...]]
#: What gives a filter by its name; None where there is none.
Find = Callable[[str], Filter | None]
FROM_NWFILTER = 33
#: How many rules one interface may have once all lists are written out.
MOST_RULES = 20_000
#: How deep filters may refer to each other.
_DEEPEST = 50
LEARNING = "CTRL_IP_LEARNING"
LEARNT = "IP"


class Unresolved(InvalidRequest):
    """A filter names variables that have no value."""

    code, domain = INTERNAL_ERROR, FROM_NWFILTER

    def __init__(self, names: tuple[str, ...]) -> None:
        words = (
            f"Cannot instantiate filter due to unresolvable variables or unavailable list elements: {', '.join(names)}"
        )
        super().__init__(words)
        self.names = names


@dataclass(frozen=True, slots=True)
class Wanted:
    """One rule with the values it looks for."""

    rule: Rule
    protocol: str
    values: Mapping[str, str] = field(default_factory=dict)
    negated: bool = False


@dataclass(slots=True)
class Chain:
    """The rules on frames of one chain, by their priorities."""

    name: str
    priority: int
    rules: list[Wanted] = field(default_factory=list)


@dataclass(slots=True)
class Instance:
    """All that one interface's packets pass: chains of rules on frames, and rules on IP."""

    chains: dict[str, Chain] = field(default_factory=lambda: {"root": Chain("root", 0)})
    on_ip: list[Wanted] = field(default_factory=list)
    filters: set[str] = field(default_factory=set)


def missing(name: str) -> NotFound:
    """Make the error about a filter that another one, or a binding, names and nobody knows."""
    return NotFound(f"referenced filter '{name}' is missing", code=INTERNAL_ERROR, domain=FROM_NWFILTER)


def refers(find: Find, name: str) -> set[str]:
    """Name all filters that a filter refers to, itself included; those that are missing, too."""
    seen, left = {name}, [name]
    while left:
        made = find(left.pop())
        for ref in made.filterref if made is not None else ():
            if ref.filter and ref.filter not in seen:
                seen.add(ref.filter)
                left.append(ref.filter)
    return seen


def check_loop(made: Filter, find: Find) -> None:
    """Refuse a filter that would refer to itself. Raises: InvalidRequest."""
    for ref in made.filterref:
        if (made.name or "") in refers(find, ref.filter or ""):
            raise InvalidRequest("filter would introduce a loop", code=OPERATION_FAILED, domain=FROM_NWFILTER)


def instantiate(name: str, values: Values, find: Find) -> Instance:
    """Put a filter's rules together, with values in place of variables.

    Raises:
        NotFound: a filter is missing.
        Unresolved: a variable has no value.
        InvalidRequest: lists that go together differ in length.
        Unsupported: there would be too many rules.
    """
    made = Instance()
    unresolved: dict[str, None] = {}
    count = 0
    for one, rule, known in _rules(name, values, find, made, 0):
        chain = made.chains.setdefault(one.chain or "root", Chain(one.chain or "root", one.chain_priority))
        for wanted in _written_out(rule, known, unresolved):
            count += 1
            if count > MOST_RULES:
                raise Unsupported(
                    f"the filter '{name}' has more than {MOST_RULES} rules once its lists are written out"
                )
            (chain.rules if rule.on_link else made.on_ip).append(wanted)
    if unresolved:
        raise Unresolved(tuple(unresolved))
    for chain in made.chains.values():
        chain.rules.sort(key=_priority)
    made.on_ip.sort(key=_priority)
    return made


def _priority(wanted: Wanted) -> int:
    return wanted.rule.priority or 0


def _rules(name: str, values: Values, find: Find, made: Instance, depth: int) -> Iterator[tuple[Filter, Rule, Values]]:
    found = find(name)
    if found is None:
        raise missing(name)
    if depth > _DEEPEST:
        raise Unsupported(f"filters refer to each other more than {_DEEPEST} deep")
    made.filters.add(name)
    for entry in found.entries:
        if isinstance(entry, Rule):
            yield found, entry, values
        else:  # what the one who uses a filter says counts before what it says itself
            yield from _rules(entry.filter or "", {**entry.values, **values}, find, made, depth + 1)


def _written_out(rule: Rule, values: Values, unresolved: dict[str, None]) -> Iterator[Wanted]:
    """Write a rule out for each value of its variables: lists of one iterator in step, all others in every combination."""
    match = rule.match
    if match is None:
        yield Wanted(rule, "")
        return
    texts = match.values()
    negated = getattr(match, "match", None) == "no"
    variables = {name: found for name, text in texts.items() if (found := Variable.of(text)) is not None}
    if not variables:
        yield Wanted(rule, match.shape.tag, texts, negated)
        return
    steps: dict[int, dict[str, tuple[str, ...]]] = {}
    for name, variable in variables.items():
        known = values.get(variable.name, ())
        if not known or (variable.index is not None and variable.index >= len(known)):
            unresolved[variable.name] = None
            continue
        if variable.index is not None:
            known = (known[variable.index],)
        steps.setdefault(variable.iterator, {})[name] = known
    if unresolved:
        return
    lengths = []
    for together in steps.values():
        sizes = {len(known) for known in together.values()} - {1}
        if len(sizes) > 1:
            what = "Cardinality of list items must be the same for processing them in parallel"
            raise InvalidRequest(what, code=INTERNAL_ERROR, domain=FROM_NWFILTER)
        lengths.append(range(max(sizes, default=1)))
    declared = match.shape.attrs
    for places in itertools.product(*reversed(lengths)):
        filled = dict(texts)
        for together, place in zip(steps.values(), reversed(places), strict=True):
            for name, known in together.items():
                filled[name] = _checked(name, known[place if len(known) > 1 else 0], declared[name].scalar.parse)
        yield Wanted(rule, match.shape.tag, filled, negated)


def _checked(name: str, value: str, parse: Callable[[str], str]) -> str:
    try:
        return parse(value)
    except ValueError:
        what = f"the value '{value}' of a variable cannot stand in '{name}'"
        raise InvalidRequest(what, code=INTERNAL_ERROR, domain=FROM_NWFILTER) from None
