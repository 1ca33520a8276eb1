"""Errors as classes by remedy, each with its libvirt code, libvirt domain and HTTP status.

Every room raises these; the front doors translate them without looking at the text.

    DomicileError
     ├─ InvalidDocument      mend the document (carries every problem at once)
     ├─ InvalidRequest       mend the call
     ├─ NotFound             name something that exists
     ├─ Conflict             something else has this name, id or address
     ├─ WrongState           do it in another state of the machine
     ├─ Unsupported          this host, QEMU or version cannot
     ├─ Denied               ask for the right to do it
     ├─ HostFailure          look at the host
     │   └─ Unreachable      wait until the database answers again, or see why it does not
     ├─ QemuRefused          QEMU said no; its words are in the message
     ├─ OutcomeUnknown       ask again what became of it
     └─ DeadlineExceeded     it took too long
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domicile.base.problem import Problem

# Source: libvirt's virterror.h (virErrorNumber); the numbers are the wire protocol's.
INTERNAL_ERROR = 1
NO_SUPPORT = 3
INVALID_ARG = 8
OPERATION_FAILED = 9
NO_SOURCE = 18
NO_NAME = 21
XML_ERROR = 27
DOM_EXIST = 28
OPERATION_DENIED = 29
XML_DETAIL = 35
SYSTEM_ERROR = 38
RPC = 39
NO_DOMAIN = 42
AUTH_FAILED = 45
INVALID_STREAM = 54
OPERATION_INVALID = 55
CONFIG_UNSUPPORTED = 67
OPERATION_TIMEOUT = 68
RESOURCE_BUSY = 87
ACCESS_DENIED = 88
CPU_INCOMPATIBLE = 91
XML_INVALID_SCHEMA = 92

# Source: libvirt's virterror.h (virErrorDomain).
FROM_NONE = 0
FROM_RPC = 7
FROM_QEMU = 10
FROM_DOMAIN = 20


class DomicileError(Exception):
    """The root of all errors meant for people.

    `code` and `domain` are libvirt's numbers for the wire, `status` is the HTTP status.
    """

    code: ClassVar[int] = INTERNAL_ERROR
    domain: ClassVar[int] = FROM_QEMU
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, code: int | None = None, domain: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.wire_code = self.code if code is None else code
        self.wire_domain = self.domain if domain is None else domain


class InvalidDocument(DomicileError):
    """A document was refused; `problems` holds all that is wrong with it."""

    code, domain, status = XML_ERROR, FROM_DOMAIN, 422

    def __init__(self, problems: Sequence[Problem], *, code: int | None = None, domain: int | None = None) -> None:
        self.problems = list(problems)
        named = next((p.code for p in self.problems if p.lead), None) or next((p.code for p in self.problems if p.code), None)
        lead = next((f"{p.lead}\n" for p in self.problems if p.lead and p.code == named), "")
        super().__init__(lead + "\n".join(p.sentence() for p in self.problems), code=code or named, domain=domain)


class InvalidRequest(DomicileError):
    """A call's arguments make no sense."""

    code, status = INVALID_ARG, 400


class NotFound(DomicileError):
    """Nothing has that name, uuid or id."""

    code, status = NO_DOMAIN, 404


class Conflict(DomicileError):
    """Another domain already has this name, uuid or resource."""

    code, status = OPERATION_FAILED, 409


class WrongState(DomicileError):
    """The machine's state does not allow this now."""

    code, status = OPERATION_INVALID, 409


class Unsupported(DomicileError):
    """This host, this QEMU or this version cannot do it."""

    code, status = CONFIG_UNSUPPORTED, 501


class Denied(DomicileError):
    """The caller may not do this."""

    code, status = OPERATION_DENIED, 403


class HostFailure(DomicileError):
    """The host refused something: a file, a device, a process."""

    code, status = SYSTEM_ERROR, 500


class Unreachable(HostFailure):
    """The database does not answer; what needs it is refused, and what runs goes on."""

    status = 503


class QemuRefused(DomicileError):
    """QEMU answered with an error or ended; the message carries its words."""

    code, status = INTERNAL_ERROR, 500


class OutcomeUnknown(DomicileError):
    """The connection was cut while the command was under way."""

    code, status = OPERATION_FAILED, 504


class DeadlineExceeded(DomicileError):
    """It took longer than it may."""

    code, status = OPERATION_TIMEOUT, 504
