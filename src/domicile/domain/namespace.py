"""QEMU's own namespace in a document (``qemu:commandline`` and its siblings): what its owner says past libvirt's elements.

Checked by domain/complete.py; turned into arguments by domain/plan.py, into variables by the service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from domicile.devices.audio import Audio, environment
from domicile.domain.domain import Domain
from domicile.plan.facts import Completion
from domicile.plan.need import Need
from domicile.plan.qemu import Item, Option, Structured

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPES = {"signed": "a whole number", "unsigned": "a whole number from 0", "bool": "true, false", "string": "any text"}
# What QEMU is told about deprecated things in its answers and in what it is asked. Source: QEMU's -compat, observed with
# libvirtd 9.0; words it does not know change nothing there.
_DEPRECATION: dict[str, dict[str, str]] = {
    "omit": {"deprecated-output": "hide"},
    "reject": {"deprecated-output": "hide", "deprecated-input": "reject"},
    "crash": {"deprecated-output": "hide", "deprecated-input": "crash"},
}


def _named(node: Any, name: str) -> Iterator[Any]:
    """List a node's elements of one name."""
    for child in node if node is not None else ():
        if isinstance(child.tag, str) and child.tag.rpartition("}")[2] == name:
            yield child


def _properties(domain: Domain) -> Iterator[tuple[Any, Any]]:
    """List the devices of ``qemu:override``, each with its properties in turn."""
    for device in _named(domain.qemu_override, "device"):
        for frontend in _named(device, "frontend"):
            for prop in _named(frontend, "property"):
                yield device, prop


def check(domain: Domain, c: Completion) -> None:
    """Find what cannot be."""
    for argument in _named(domain.qemu_commandline, "arg"):
        if argument.get("value") is None:
            _problem(domain, c, "commandline", "a <qemu:arg> has no 'value'", "value='…'")
    for variable in _named(domain.qemu_commandline, "env"):
        name = variable.get("name")
        if not _VARIABLE.fullmatch(name or ""):
            said = "has no 'name'" if not name else f"has the 'name' '{name}'"
            accepted = "letters, digits and underscores, no digit first"
            _problem(domain, c, "commandline", f"a <qemu:env> {said}", accepted)
    for change in ("add", "del"):
        for capability in _named(domain.qemu_capabilities, change):
            if not capability.get("capability"):
                _problem(domain, c, "capabilities", f"a <qemu:{change}> has no 'capability'", "capability='…'")
    for device in _named(domain.qemu_override, "device"):
        if not device.get("alias"):
            _problem(domain, c, "override", "a <qemu:device> has no 'alias'", "the alias of a device")
    for _, prop in _properties(domain):
        _check_property(domain, prop, c)


def _check_property(domain: Domain, prop: Any, c: Completion) -> None:
    name, kind, value = prop.get("name"), prop.get("type"), prop.get("value")
    which = f"the <qemu:property> '{name}'" if name else "a <qemu:property>"
    if not name:
        _problem(domain, c, "override", f"{which} has no 'name'", "a property of the device")
    if kind not in (*_TYPES, "remove"):
        said = "has no 'type'" if kind is None else f"has the 'type' '{kind}'"
        _problem(domain, c, "override", f"{which} {said}", ", ".join((*_TYPES, "remove")))
    elif kind == "remove":
        if value is not None:
            _problem(domain, c, "override", f"{which} is removed and has the 'value' '{value}'", "no value")
    elif value is None:
        _problem(domain, c, "override", f"{which} has no 'value'", _TYPES[kind])
    else:
        try:
            _value(kind, value)
        except ValueError:
            message = f"{which} of type '{kind}' has the 'value' '{value}'"
            _problem(domain, c, "override", message, _TYPES[kind])


def _problem(domain: Domain, c: Completion, where: str, message: str, accepted: str) -> None:
    c.problem(domain, message, accepted, f"qemu:{where}")


def _value(kind: str, text: str) -> str | int | bool:
    """Read a property's value. Raises: ValueError."""
    if kind == "bool":
        return {"true": True, "false": False}[text] if text in ("true", "false") else _refuse()
    if kind == "string":
        return text
    number = int(text) if re.fullmatch(r"[+-]?\d+", text) else _refuse()
    bottom, top = (0, 2**64) if kind == "unsigned" else (-(2**63), 2**63)
    return number if bottom <= number < top else _refuse()


def _refuse() -> Any:
    raise ValueError


def deprecation(domain: Domain) -> Iterator[Item]:
    """Yield the option that says what QEMU does with deprecated things."""
    node = domain.qemu_deprecation
    policy = _DEPRECATION.get(node.get("behavior") or "") if node is not None else None
    if policy is not None:
        yield Structured("compat", policy, origin="qemu:deprecation")


def overridden(domain: Domain, wishes: Iterable[Item | Need]) -> Iterator[Item | Need]:
    """Set, replace and remove properties of devices as ``qemu:override`` says."""
    wanted: dict[str, list[Any]] = {}
    for device, prop in _properties(domain):
        wanted.setdefault(device.get("alias"), []).append(prop)
    for wish in wishes:
        changes = (
            wanted.get(wish.props.get("id", "")) if isinstance(wish, Structured) and wish.flag == "device" else None
        )
        if changes is not None and isinstance(wish, Structured):
            props = dict(wish.props)
            for prop in changes:
                props.pop(prop.get("name"), None)
                if prop.get("type") != "remove":
                    props[prop.get("name")] = _value(prop.get("type"), prop.get("value"))
            wish = replace(wish, props=props)  # noqa: PLW2901   the same wish in its owner's form
        yield wish


def arguments(domain: Domain) -> Iterator[Item]:
    """Yield the arguments that the owner adds by hand."""
    for node in _named(domain.qemu_commandline, "arg"):
        yield Option(node.get("value"), None, origin="qemu:commandline")


def variables(domain: Domain) -> dict[str, str]:
    """Give QEMU's environment variables: the time zone of its clock, its sound systems', what the owner adds by hand."""
    found = {}
    if domain.clock is not None and domain.clock.offset == "timezone" and domain.clock.timezone:
        found["TZ"] = domain.clock.timezone
    for audio in domain.devices.of(Audio) if domain.devices is not None else ():
        found |= environment(audio)
    return found | {node.get("name"): node.get("value", "") for node in _named(domain.qemu_commandline, "env")}
