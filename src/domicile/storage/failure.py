"""Refusals that concern storage, with libvirt's numbers. Raised all over this room."""

from __future__ import annotations

from collections.abc import Sequence

from domicile.base.errors import (
    INTERNAL_ERROR,
    INVALID_ARG,
    XML_DETAIL,
    Conflict,
    HostFailure,
    InvalidDocument,
    InvalidRequest,
    NotFound,
    Unsupported,
    WrongState,
)  # fmt: skip
from domicile.base.problem import Problem

# Source: libvirt's virterror.h.
FROM_STORAGE = 18
NO_POOL, NO_VOLUME, VOLUME_EXISTS, ARGUMENT_UNSUPPORTED = 49, 50, 90, 74
PROBE_FAILED, POOL_BUILT, OVERFLOW, OPERATION_UNSUPPORTED = 75, 76, 82, 84


class StorageDocument(InvalidDocument):
    """A pool's or volume's document was refused."""

    domain = FROM_STORAGE

    def __init__(self, problems: Sequence[Problem], what: str) -> None:
        super().__init__(problems)
        if self.wire_code == XML_DETAIL:
            self.opening = f"({what}_definition):1: "


def wrong_state(words: str) -> WrongState:
    """Refuse what only another state allows."""
    return WrongState(words, domain=FROM_STORAGE)


def failed(words: str) -> HostFailure:
    """Say that the host refused a file or device."""
    return HostFailure(words, domain=FROM_STORAGE)


def broken(words: str) -> HostFailure:
    """Say that a program of the host failed."""
    return HostFailure(words, code=INTERNAL_ERROR, domain=FROM_STORAGE)


def device_missing(path: str) -> InvalidRequest:
    """Say that a pool's device is not there."""
    return InvalidRequest(f"device path '{path}' doesn't exist", code=INVALID_ARG, domain=FROM_STORAGE)


def unprobed(words: str) -> HostFailure:
    """Say that what is on a device could not be told."""
    return HostFailure(f"Storage pool probe failed: {words}", code=PROBE_FAILED, domain=FROM_STORAGE)


def built(words: str) -> WrongState:
    """Refuse to build over what is there."""
    return WrongState(f"Storage pool already built: {words}", code=POOL_BUILT, domain=FROM_STORAGE)


def unsupported(words: str, code: int | None = None) -> Unsupported:
    """Say that this host or this type of pool cannot."""
    return Unsupported(words, code=code, domain=FROM_STORAGE)


def invalid(words: str) -> InvalidRequest:
    """Refuse arguments that make no sense."""
    return InvalidRequest(words, domain=FROM_STORAGE)


def conflict(words: str, code: int | None = None) -> Conflict:
    """Refuse what another has already."""
    return Conflict(words, code=code, domain=FROM_STORAGE)


def no_volume(words: str) -> NotFound:
    """Say that there is no such volume."""
    return NotFound(words, code=NO_VOLUME, domain=FROM_STORAGE)


def no_pool(words: str) -> NotFound:
    """Say that there is no such pool."""
    return NotFound(words, code=NO_POOL, domain=FROM_STORAGE)
