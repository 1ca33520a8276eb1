"""Where secrets' values are kept: each in a file, encrypted with a key that is in a file of its own.

The service calls it, in threads. The database holds no value and no key: a copy of it tells nobody a password.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from domicile.base.errors import HostFailure
from domicile.secrets.secret import FROM_SECRET

_KEY_BYTES, _NONCE_BYTES, _BLOCK = 32, 12, 16


class Vault:
    """The values of one daemon's secrets: `directory` holds them, `key_file` the key."""

    def __init__(self, directory: Path, key_file: Path) -> None:
        self._directory, self._key_file = directory, key_file

    def put(self, uuid: str, value: bytes) -> None:
        """Keep a value. Raises: HostFailure."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._key(make=True)).encrypt(nonce, value, uuid.encode())
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._directory / uuid, nonce + sealed)
        except OSError as error:
            raise _refused(f"the value of secret '{uuid}' cannot be kept: {error.strerror}") from error

    def get(self, uuid: str) -> bytes | None:
        """Give a value; None where there is none. Raises: HostFailure."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            kept = (self._directory / uuid).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _refused(f"the value of secret '{uuid}' cannot be read: {error.strerror}") from error
        try:
            return AESGCM(self._key(make=False)).decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], uuid.encode())
        except (InvalidTag, ValueError):
            words = f"the value of secret '{uuid}' was sealed with another key than that in {self._key_file}"
            raise _refused(words) from None

    def drop(self, uuid: str) -> None:
        """Forget a value. Raises: HostFailure."""
        try:
            (self._directory / uuid).unlink(missing_ok=True)
        except OSError as error:
            raise _refused(f"the value of secret '{uuid}' cannot be removed: {error.strerror}") from error

    def _key(self, *, make: bool) -> bytes:
        try:
            return self._read_key()
        except FileNotFoundError:
            if not make:
                raise _refused(f"the key of all secrets is missing: {self._key_file}") from None
        with suppress(FileExistsError):
            _write(self._key_file, secrets.token_bytes(_KEY_BYTES), fresh=True)
        return self._read_key()

    def _read_key(self) -> bytes:
        facts = self._key_file.stat()
        if facts.st_mode & 0o077:
            raise _refused(
                f"{self._key_file} can be opened by others (mode {facts.st_mode & 0o777:o}); mode 600 would be accepted"
            )
        key = self._key_file.read_bytes()
        if len(key) != _KEY_BYTES:
            raise _refused(f"{self._key_file} holds {len(key)} bytes, which is no key of {_KEY_BYTES}")
        return key


def _write(path: Path, data: bytes, *, fresh: bool = False) -> None:
    """Write a file that only its owner may open; it appears whole. With `fresh` none may be there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            os.link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _refused(words: str) -> HostFailure:
    return HostFailure(words, domain=FROM_SECRET)


def seal(value: bytes, key: bytes, iv: bytes) -> bytes:
    """Encrypt a value as QEMU's secret objects read it: AES-256 in CBC mode, padded to whole blocks.

    Source: QEMU's documentation of secret objects (docs/system/secrets, `keyid` and `iv`).
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    missing = _BLOCK - len(value) % _BLOCK
    machine = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return bytes(machine.update(value + bytes([missing]) * missing) + machine.finalize())
