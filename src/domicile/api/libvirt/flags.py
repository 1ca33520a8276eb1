"""The flags of calls: their numbers, the check for those nobody knows, and which of a domain's two states they mean.

Source: libvirt-domain.h and libvirt-host.h.
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, ClassVar

from domicile.api.libvirt.errors import api_name
from domicile.api.libvirt.reference import not_running
from domicile.base.errors import FROM_DOMAIN, InvalidRequest, WrongState

if TYPE_CHECKING:
    from domicile.service.entry import Entry


class UnknownFlags(InvalidRequest):
    """A call was given flags that it does not know; clients get these words without others in front."""

    opening: ClassVar[str] = ""


class Affect(IntFlag):
    """Which state of a domain a call reads or changes; none of them means the running one where there is one."""

    LIVE = 1
    CONFIG = 2


class Xml(IntFlag):
    """How a document is to be written."""

    SECURE = 1
    INACTIVE = 2
    UPDATE_CPU = 4
    MIGRATABLE = 8


class Create(IntFlag):
    """How a domain is to be started."""

    PAUSED = 1
    AUTODESTROY = 2
    BYPASS_CACHE = 4
    FORCE_BOOT = 8
    VALIDATE = 16
    RESET_NVRAM = 32


def known(flags: int, allowed: int, call: str, domain: int | None = None) -> None:
    """Refuse flags that a call does not know; `domain` is that of the error.

    Raises: InvalidRequest
    """
    unknown = flags & ~int(allowed)
    if unknown:
        function = "qemu" + api_name(call).removeprefix("vir")
        raise UnknownFlags(f"unsupported flags ({unknown:#x}) in function {function}", domain=domain)


def of_config(entry: Entry, flags: int) -> bool:
    """Say whether a reading call means the stored definition rather than the running one.

    Raises: InvalidRequest where both are named; WrongState where the state named does not exist.
    """
    if flags & 3 == 3:
        raise InvalidRequest("the live and the stored state cannot both be read at once", domain=FROM_DOMAIN)
    live, config = affected(entry, flags)
    return config and not live


def affected(entry: Entry, flags: int) -> tuple[bool, bool]:
    """Say which states a change is for: the running machine's, the stored definition's.

    Raises: WrongState where a state named does not exist.
    """
    active = entry.id != -1
    if not flags & 3:
        return active, not active
    if flags & Affect.LIVE and not active:
        raise not_running()
    if flags & Affect.CONFIG and not entry.persistent:
        raise WrongState("transient domains do not have any persistent config", domain=FROM_DOMAIN)
    return bool(flags & Affect.LIVE), bool(flags & Affect.CONFIG)


def only_one(flags: int, **named: int) -> None:
    """Refuse flags that exclude each other. Raises: InvalidRequest."""
    if all(flags & bit for bit in named.values()):
        words = " and ".join(f"'{name}'" for name in named)
        raise InvalidRequest(f"the flags {words} exclude each other", domain=FROM_DOMAIN)
