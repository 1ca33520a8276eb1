"""When a right is needed only sometimes: what the words behind the ``?`` of a declared right mean.

`call` resolves them for the procedures that a read-only client may otherwise make; the session asks before each call.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """The right is needed where an argument has one of these bits, or (`exact`) is this number."""

    argument: str
    number: int
    exact: bool = False

    def holds(self, value: int) -> bool:
        """Say whether it is needed for an argument of this value."""
        return value == self.number if self.exact else bool(value & self.number)


# Source: the flags' numbers are those of libvirt's public headers.
CONDITIONS = {
    "VIR_DOMAIN_XML_SECURE|MIGRATABLE": Condition("flags", 1 | 8),
    "VIR_DOMAIN_SAVE_IMAGE_XML_SECURE": Condition("flags", 1),
    "VIR_DOMAIN_SNAPSHOT_XML_SECURE": Condition("flags", 1),
    "VIR_DOMAIN_CHECKPOINT_XML_SECURE": Condition("flags", 1),
    "VIR_DOMAIN_VCPU_GUEST": Condition("flags", 8),
    "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT": Condition("source", 1, exact=True),
}
