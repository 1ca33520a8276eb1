"""Programs of the host that do storage's work, each with a deadline, none through a shell. The drivers call this."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domicile.base.errors import DeadlineExceeded
from domicile.storage.failure import FROM_STORAGE, broken, failed

#: Seconds for what only looks or makes something small, and for what copies whole images.
SHORT, LONG = 120.0, 12 * 3600.0
_PLACES = "/usr/sbin:/sbin:/usr/local/sbin"
_WORDS_MAX, _SHOWN = 4000, 200


def _path() -> str:
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_PLACES}"


def there(name: str) -> bool:
    """Say whether a program is installed."""
    return shutil.which(name, path=_path()) is not None


def find(name: str) -> str:
    """Find a program. Raises: HostFailure."""
    found = shutil.which(name, path=_path())
    if found is None:
        raise failed(f"Cannot find '{name}' in path: No such file or directory")
    return found


async def run(
    words: Sequence[str], *, deadline: float = SHORT, fds: Sequence[int] = (), accepted: tuple[int, ...] = (0,),
    env: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """Run a program to its end and give what it wrote; it may have the descriptors `fds`, and more in its environment.

    Raises:
        HostFailure: it is not there, or it failed; the message carries its words.
        DeadlineExceeded: it took too long, and was ended.
    """
    program = await asyncio.to_thread(find, words[0])
    process = await asyncio.create_subprocess_exec(
        program, *words[1:], stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        pass_fds=tuple(fds), env={"LC_ALL": "C", "PATH": _path(), **(env or {})},
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(deadline):
            said, complaint = await process.communicate()
    except TimeoutError:
        raise DeadlineExceeded(
            f"{words[0]} took longer than {deadline:g} s and was ended", domain=FROM_STORAGE
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode not in accepted:
        why = complaint.decode(errors="replace").strip() or said.decode(errors="replace").strip()
        raise broken(
            f"{words[0]} {words[1] if len(words) > 1 else ''} failed ({process.returncode}): {why[:_WORDS_MAX]}"
        )
    return said.decode(errors="replace")


async def ask(
    words: Sequence[str], *, fds: Sequence[int] = (), accepted: tuple[int, ...] = (0,), env: Mapping[str, str] | None = None
) -> Any:  # fmt: skip
    """Run a program that answers in JSON, and give its answer. Raises: HostFailure, DeadlineExceeded."""
    said = await run(words, fds=fds, accepted=accepted, env=env)
    try:
        return msgspec.json.decode(said)
    except msgspec.DecodeError:
        raise broken(f"{words[0]} answered what is no JSON: {said.strip()[:_SHOWN]}") from None
