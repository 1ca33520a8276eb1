"""Typed parameters: read against a table of what a call knows, and written.

Handlers of tuning calls use them. Source of the types: virTypedParameterType.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from domicile.base.errors import FROM_NONE, DomicileError, InvalidRequest
from domicile.rpc.types import TypedParam

ARGUMENT_UNSUPPORTED = 74
#: A client's word in `flags` that it understands texts among parameters.
STRING_OKAY = 4


class Kind(IntEnum):
    """How a parameter's value travels."""

    INT = 1
    UINT = 2
    LLONG = 3
    ULLONG = 4
    DOUBLE = 5
    BOOLEAN = 6
    STRING = 7


def values(params: list[TypedParam], known: Mapping[str, Kind]) -> dict[str, Any]:
    """Read parameters by name, each at most once.

    Raises:
        DomicileError: a name that this call does not know.
        InvalidRequest: a name given twice, or a value of another type.
    """
    found: dict[str, Any] = {}
    for param in params:
        kind = known.get(param.field)
        if kind is None:
            words = f"parameter '{param.field}' not supported; accepted are {', '.join(known)}"
            raise DomicileError(words, code=ARGUMENT_UNSUPPORTED, domain=FROM_NONE)
        if param.type != kind:
            had = Kind(param.type).name.lower()
            raise InvalidRequest(
                f"invalid type '{had}' for parameter '{param.field}', expected '{kind.name.lower()}'", domain=FROM_NONE
            )
        if param.field in found:
            raise InvalidRequest(f"parameter '{param.field}' occurs multiple times", domain=FROM_NONE)
        found[param.field] = bool(param.value) if kind is Kind.BOOLEAN else param.value
    return found


def answer(found: Mapping[str, Any], known: Mapping[str, Kind], room: int) -> tuple[list[TypedParam], int]:
    """Write values by name, as many as the client has room for; without room, say how many there are."""
    if room <= 0:
        return [], len(known)
    params = [TypedParam(name, int(kind), found[name]) for name, kind in known.items()][:room]
    return params, len(params)
