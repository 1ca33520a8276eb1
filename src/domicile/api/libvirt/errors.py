"""Errors as libvirt's clients know them: code, domain, and the opening words that belong to the code.

The session calls this for whatever a handler raises.
"""

from __future__ import annotations

import structlog

from domicile.base import errors as e
from domicile.rpc.types import RemoteError

log = structlog.get_logger(__name__)

# Source: observed with libvirt 9.0's virsh; clients print the message as it comes, so these words are ours to put in front.
OPENINGS = {
    1: "internal error: ",
    3: "this function is not supported by the connection driver: ",
    5: "no connection driver available for ",
    8: "invalid argument: ",
    9: "operation failed: ",
    18: "missing source information for device ",
    21: "missing name information: ",
    27: "XML error: ",
    29: "operation forbidden: ",
    35: "(domain_definition): ",
    42: "Domain not found: ",
    43: "Network not found: ",
    45: "authentication failed: ",
    49: "Storage pool not found: ",
    50: "Storage volume not found: ",
    53: "Node device not found: ",
    55: "Requested operation is not valid: ",
    57: "Interface not found: ",
    62: "Network filter not found: ",
    65: "Invalid secret: ",
    66: "Secret not found: ",
    67: "unsupported configuration: ",
    68: "Timed out during operation: ",
    72: "Domain snapshot not found: ",
    74: "argument unsupported: ",
    77: "revert requires force: ",
    80: "metadata not found: ",
    81: "Unsafe migration: ",
    82: "numerical overflow: ",
    83: "block copy still active: ",
    84: "Operation not supported: ",
    86: "Guest agent is not responding: ",
    87: "resource busy: ",
    88: "access denied: ",
    91: "the CPU is incompatible with host CPU: ",
    92: "XML document failed to validate against schema: ",
    99: "device not found: ",
    101: "Network filter binding not found: ",
    103: "Domain checkpoint not found: ",
    104: "Domain backup job id not found: ",
    108: "no hostname found: ",
    109: "checkpoint inconsistent: ",
}
_NAMES = {
    "xml": "XML",
    "os": "OS",
    "id": "ID",
    "uuid": "UUID",
    "uri": "URI",
    "cpu": "CPU",
    "iothread": "IOThread",
    "io": "IO",
    "pm": "PM",
    "fsinfo": "FSInfo",
    "fstrim": "FSTrim",
    "fsfreeze": "FSFreeze",
    "fsthaw": "FSThaw",
    "nwfilter": "NWFilter",
    "nwfilters": "NWFilters",
    "nmi": "NMI",
    "sev": "SEV",
    "fd": "FD",
    "dhcp": "DHCP",
    "mac": "MAC",
    "ssh": "SSH",
}
ERROR_LEVEL = 2


def api_name(procedure: str) -> str:
    """Name the function of libvirt's library behind a procedure: domain_get_xml_desc is virDomainGetXMLDesc."""
    return "vir" + "".join(_NAMES.get(word, word.capitalize()) for word in procedure.split("_"))


def remote_error(code: int, domain: int, detail: str, opening: str | None = None) -> RemoteError:
    """Make the error that travels, with the code's opening words in front of the detail unless others are given."""
    opening = OPENINGS.get(code, "") if opening is None else opening
    message = detail if detail.startswith(opening) else opening + detail
    return RemoteError(code, domain, message, ERROR_LEVEL, str1=message)


def of_exception(fault: BaseException, procedure: str) -> RemoteError:
    """Translate what a handler raised; a fault of ours is logged and told as an internal error."""
    if isinstance(fault, e.DomicileError):
        return remote_error(fault.wire_code, fault.wire_domain, fault.message, getattr(fault, "opening", None))
    log.error("handler failed", procedure=procedure, exc_info=fault)
    return remote_error(e.INTERNAL_ERROR, e.FROM_QEMU, f"{api_name(procedure)}: {type(fault).__name__}: {fault}")
