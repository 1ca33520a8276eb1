"""A stored secret as an object of QEMU. Used by the `plan` of families that log in somewhere or decrypt."""

from __future__ import annotations

from domicile.plan.qemu import Structured


def stored_secret(name: str, known: str, origin: str) -> Structured:
    """Ask for a stored secret's value under a name; the value itself is a token, put in when the machine is launched.

    `known` is the secret's UUID or the name of its use.
    """
    return sealed(name, f"{{secret:{known}}}", origin)


def sealed(name: str, data: str, origin: str) -> Structured:
    """Ask for a value that is encrypted with the machine's master key."""
    props = {
        "qom-type": "secret",
        "id": name,
        "data": data,
        "keyid": "masterKey0",
        "iv": f"{{iv:{name}}}",
        "format": "base64",
    }
    return Structured("object", props, origin=origin)
