"""SCRAM-SHA-256: proving that one knows a password without sending it; what a server keeps and says.

`api/libvirt/sasl` logs clients in with it. Source: RFC 5802 and RFC 7677; no channel binding. No I/O here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import stringprep
import unicodedata
from dataclasses import dataclass
from typing import Self

from domicile.base.errors import AUTH_FAILED, FROM_RPC, Denied, InvalidRequest

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 60_000
"""Below the 65536 that Cyrus SASL, which libvirt logs in with, takes at most."""
_LEAST_ITERATIONS = 4096
_MOST_ITERATIONS = 10_000_000
_NONCE = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_SALT = 16
_MAX_MESSAGE = 4096


class LoginFailed(Denied):
    """A client did not prove who it is; the message says no more than that."""

    code, domain, status = AUTH_FAILED, FROM_RPC, 401


def prepare(text: str) -> str:
    """Bring a password or a user's name into the one form that is compared (SASLprep, RFC 4013).

    Raises: InvalidRequest where it holds what may not be in one.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(letter) else letter for letter in text if not stringprep.in_table_b1(letter)
    )
    done = unicodedata.normalize("NFKC", mapped)
    if not done:
        raise InvalidRequest("a name or password is empty, or holds nothing that shows")
    forbidden = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
        stringprep.in_table_c9, stringprep.in_table_a1,
    )  # fmt: skip
    for letter in done:
        if any(table(letter) for table in forbidden):
            raise InvalidRequest(f"the character U+{ord(letter):04X} may not be in a name or password")
    if any(stringprep.in_table_d1(letter) for letter in done) and (
        any(stringprep.in_table_d2(letter) for letter in done)
        or not stringprep.in_table_d1(done[0])
        or not stringprep.in_table_d1(done[-1])
    ):
        raise InvalidRequest("a name or password mixes directions of writing in a way that may not be")
    return done


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password: enough to check a proof, too little to make one."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def of(cls, password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> Self:
        """Make it from the password.

        Raises: InvalidRequest
        """
        salt = os.urandom(_SALT) if salt is None else salt
        salted = hashlib.pbkdf2_hmac("sha256", prepare(password).encode(), salt, iterations)
        stored = hashlib.sha256(_mac(salted, b"Client Key")).digest()
        return cls(iterations, salt, stored, _mac(salted, b"Server Key"))

    @classmethod
    def invented(cls, user: str, secret: bytes) -> Self:
        """Make one that no password fits, the same each time for the same name."""
        noise = [_mac(secret, f"{part} {user}".encode()) for part in ("salt", "stored", "server")]
        return cls(ITERATIONS, noise[0][:_SALT], noise[1], noise[2])

    def written(self) -> str:
        """Write it on one line: SCRAM-SHA-256$iterations:salt$stored key:server key, the binary parts in Base64."""
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{MECHANISM}${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `written` wrote.

        Raises: InvalidRequest
        """
        try:
            mechanism, head, keys = text.split("$")
            count, salt = head.split(":")
            stored, server = keys.split(":")
            made = cls(int(count), *(base64.b64decode(part, validate=True) for part in (salt, stored, server)))
        except (ValueError, binascii.Error) as fault:
            raise InvalidRequest(f"no verifier of a password: {fault}") from None
        sizes = len(made.stored_key) == len(made.server_key) == hashlib.sha256().digest_size
        if mechanism != MECHANISM or not sizes or not _LEAST_ITERATIONS <= made.iterations <= _MOST_ITERATIONS:
            raise InvalidRequest(f"no verifier of a password: accepted is {MECHANISM} with 4096 iterations or more")
        return made


class Exchange:
    """One login: `name_in` reads the client's first message, `challenge` answers it, `final` checks the second.

    For a user that there is not, challenge with an `invented` verifier: a stranger shall not learn which users there are.
    """

    def __init__(self, nonce: str | None = None) -> None:
        self.user = ""
        self._nonce = nonce or base64.b64encode(os.urandom(24)).decode()
        self._verifier: Verifier | None = None
        self._bare = self._first = self._header = ""

    def name_in(self, message: bytes) -> str:
        """Read the client's first message: who it says it is.

        Raises: LoginFailed
        """
        text = _text(message)
        binding, _, rest = text.partition(",")
        authority, comma, bare = rest.partition(",")
        if binding not in ("n", "y") or not comma:
            raise LoginFailed("the login asks for a binding to its channel, or begins with no header")
        parts = bare.split(",")
        if len(parts) < 2 or not parts[0].startswith("n=") or not parts[1].startswith("r="):
            raise LoginFailed("the login's first message has no name and nonce")
        nonce = parts[1][2:]
        if not _NONCE.fullmatch(nonce) or any(part.startswith("m=") for part in parts):
            raise LoginFailed("the login's first message has a nonce or an extension that may not be")
        self.user = _name(parts[0][2:])
        if authority and (not authority.startswith("a=") or _name(authority[2:]) != self.user):
            raise LoginFailed("the login asks to act as somebody else")
        self._bare, self._header, self._nonce = bare, f"{binding},{authority},", nonce + self._nonce
        return self.user

    def challenge(self, verifier: Verifier) -> bytes:
        """Answer the first message."""
        self._verifier = verifier
        salt = base64.b64encode(verifier.salt).decode()
        self._first = f"r={self._nonce},s={salt},i={verifier.iterations}"
        return self._first.encode()

    def final(self, message: bytes) -> bytes:
        """Check the client's proof, and prove in turn that the password is known here.

        Raises: LoginFailed
        """
        text = _text(message)
        without, _, proof = text.rpartition(",p=")
        parts = without.split(",")
        binding = base64.b64encode(self._header.encode()).decode()
        if self._verifier is None or parts[:2] != [f"c={binding}", f"r={self._nonce}"]:
            raise LoginFailed("the login's second message does not belong to its first")
        if any(part.startswith("m=") for part in parts):
            raise LoginFailed("the login's second message has an extension that is not known")
        try:
            given = base64.b64decode(proof, validate=True)
        except (ValueError, binascii.Error):
            raise LoginFailed("the login's proof is no Base64") from None
        heard = f"{self._bare},{self._first},{without}".encode()
        signature = _mac(self._verifier.stored_key, heard)
        key = bytes(a ^ b for a, b in zip(given, signature, strict=False))
        known = hmac.compare_digest(hashlib.sha256(key).digest(), self._verifier.stored_key)
        if not known or len(given) != len(signature):
            raise LoginFailed("the name or the password is wrong")
        return b"v=" + base64.b64encode(_mac(self._verifier.server_key, heard))


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _text(message: bytes) -> str:
    if len(message) > _MAX_MESSAGE:
        raise LoginFailed(f"a login's message of {len(message)} bytes; at most {_MAX_MESSAGE} may be")
    try:
        text = message.decode()
    except UnicodeDecodeError:
        raise LoginFailed("the login's message is no UTF-8") from None
    if "\0" in text:
        raise LoginFailed("the login's message has a NUL in it")
    return text


def _name(escaped: str) -> str:
    if re.search(r"=(?!2C|3D)", escaped):
        raise LoginFailed("the name in the login is not written as it must be")
    try:
        return prepare(escaped.replace("=2C", ",").replace("=3D", "="))
    except InvalidRequest as fault:
        raise LoginFailed(fault.message) from None
