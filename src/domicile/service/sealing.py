"""Secrets on their way to QEMU: encrypted with the machine's master key, which only its own file and QEMU hold.

The plan asks for a secret by a token; here its value takes the token's place. `machines` calls this before a start, `plugging`
before something is added.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from domicile.base import ids
from domicile.base.errors import HostFailure, Unsupported
from domicile.devices.disk.complete import sources
from domicile.domain.domain import Domain
from domicile.plan.qemu import Item, Structured
from domicile.qemu.launch import User
from domicile.secrets.vault import seal
from domicile.service.disk_sources import disks

if TYPE_CHECKING:
    from domicile.service.service import Service

MASTER, _FILE = "masterKey0", "master-key.aes"
_KEY_BYTES, _IV_BYTES = 32, 16
_TOKEN = re.compile(r"\{(secret|cookies):(.*)\}\Z", re.DOTALL)


def asked(items: Iterable[Item]) -> bool:
    """Say whether a plan asks for any secret's value."""
    return any(_token(item) is not None for item in items)


def _token(item: Item) -> tuple[str, str] | None:
    if isinstance(item, Structured) and item.flag == "object" and item.props.get("qom-type") == "secret":
        found = _TOKEN.match(str(item.props.get("data", "")))
        return (found[1], found[2]) if found is not None else None
    return None


async def sealed(
    service: Service, domain: Domain, items: Sequence[Item], directory: Path, *, fresh: bool
) -> list[Item]:
    """Put the values of secrets in the place of their tokens.

    The master key is made where there is none; the object that QEMU reads it by stands first among the items where it is
    `fresh`, or was made just now.

    Raises: NotFound, HostFailure
    """
    if not asked(items):
        return list(items)
    key, made = await asyncio.to_thread(_master_key, directory, service.resources.user)
    done: list[Item] = []
    cookies = _cookies(domain)
    for item in items:
        token = _token(item)
        if token is None or not isinstance(item, Structured):
            done.append(item)
            continue
        value = await _value(service, cookies, token, item)
        iv = secrets.token_bytes(_IV_BYTES)
        data = await asyncio.to_thread(seal, value, key, iv)
        words = {"data": base64.b64encode(data).decode(), "iv": base64.b64encode(iv).decode()}
        done.append(replace(item, props={**item.props, **words}))
    if not (fresh or made):
        return done
    props = {"qom-type": "secret", "id": MASTER, "format": "raw", "file": str(directory / _FILE)}
    master = Structured("object", props, origin=next(item.origin for item in items if _token(item) is not None))
    place = next(number for number, item in enumerate(done) if isinstance(item, Structured))
    return [*done[:place], master, *done[place:]]


async def _value(service: Service, cookies: Mapping[str, str], token: tuple[str, str], item: Item) -> bytes:
    kind, name = token
    if kind == "cookies":
        if name not in cookies:
            raise Unsupported(f"{item.origin}: the cookies of '{name}' are nowhere in the document")
        return cookies[name].encode()
    uuid = ids.parse_uuid(name)
    return await service.secrets.passphrase(uuid, None if uuid else name)


def _cookies(domain: Domain) -> dict[str, str]:
    """Write the cookies of each layer as a browser sends them, by the name of its node."""
    found = {}
    for disk in disks(domain):
        for _, source in sources(disk):
            if source.cookies is not None:
                text = "; ".join(f"{cookie.name}={cookie.value or ''}" for cookie in source.cookies.cookie)
                found[f"libvirt-{source.index}-storage"] = text
    return found


def _master_key(directory: Path, user: User | None) -> tuple[bytes, bool]:
    """Read a machine's master key, made where there is none; say whether it was made."""
    path = directory / _FILE
    try:
        if path.exists():
            return path.read_bytes(), False
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        key = secrets.token_bytes(_KEY_BYTES)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            if user is not None:
                os.chown(directory, user.uid, user.gid)
                os.fchown(file.fileno(), user.uid, user.gid)
            file.write(key)
    except OSError as error:
        raise HostFailure(f"the master key {path} cannot be made: {error.strerror}") from error
    return key, True
