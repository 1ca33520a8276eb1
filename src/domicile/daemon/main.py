"""`domiciled`: arguments, configuration, logging, one daemon for one root, signals."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import gc
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import structlog

from domicile import __version__
from domicile.base.errors import DomicileError
from domicile.daemon import access, accounts, database
from domicile.daemon import config as configuration
from domicile.service.paths import Paths
from domicile.service.place import without_password


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="domiciled", description="The Domicile daemon: gives KVM virtual machines a home in a database."
    )
    parser.add_argument(
        "--root", type=Path, help="keep everything below this directory: database, state, logs, sockets"
    )
    parser.add_argument(
        "--session", action="store_true", help="serve this user alone, from the XDG directories (default unless root)"
    )
    parser.add_argument(
        "--as-libvirt", action="store_true", help="also listen where clients of libvirt look by default"
    )
    parser.add_argument("--config", type=Path, help="the configuration file")
    parser.add_argument("--foreground", action="store_true", help="stay in the foreground and log to standard error")
    parser.add_argument("--pidfile", type=Path, help="write the process id there")
    parser.add_argument("--version", action="version", version=f"domiciled {__version__}")
    database.offer(parser)
    accounts.offer(parser)
    return parser.parse_args(words)


def _paths(arguments: argparse.Namespace) -> Paths:
    if arguments.root is not None:
        return Paths.below(arguments.root)
    if arguments.session or os.geteuid() != 0:
        return Paths.session()
    return Paths.system()


def _only_one(paths: Paths) -> int:
    """Hold the lock that makes this the only daemon of its directories; the descriptor stays open."""
    handle = os.open(paths.pid, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held = os.read(handle, 32).decode(errors="replace").strip()
        raise SystemExit(f"domiciled: another daemon (pid {held or 'unknown'}) serves {paths.run}") from None
    return handle


def _log(level: str, to: Path | None) -> None:
    stream = sys.stderr if to is None else to.open("a", buffering=1)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper(), logging.INFO)),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def _detach() -> int:
    """Go into the background; the parent waits until the daemon is ready, and ends as it fares.

    Returns the descriptor to write to when the sockets listen.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        ready = os.read(reading, 1)
        os._exit(0 if ready else 1)
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    return writing


def _ready(waiting: int | None) -> None:
    """Tell the parent that the daemon serves, and let go of its terminal."""
    if waiting is None:
        return
    os.write(waiting, b"1")
    os.close(waiting)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 2)
    os.close(null)


def main(words: list[str] | None = None) -> None:
    """Run the daemon."""
    gc.disable()  # until all is loaded: it would walk over what is there to stay again and again, a fifth of a start
    arguments = _arguments(words)
    paths = _paths(arguments)
    os.umask(0o022)
    try:
        if arguments.config is not None and not arguments.config.exists():
            raise SystemExit(f"domiciled: there is no configuration file {arguments.config}")
        config = configuration.load(arguments.config or paths.config)
        if arguments.as_libvirt:
            config = replace(config, sockets=replace(config.sockets, as_libvirt=True))
        if arguments.database is not None:
            config = replace(config, database=without_password(arguments.database))
        if arguments.database_password_file is not None:
            config = replace(config, database_password_file=str(arguments.database_password_file))
        if accounts.manage(arguments, access.users(config.sasl, paths)):
            return
        paths.make()
    except (DomicileError, OSError) as error:
        raise SystemExit(f"domiciled: {error}") from None
    lock = _only_one(paths)
    waiting: int | None = None
    if not arguments.foreground:
        os.close(lock)
        waiting = _detach()
        lock = _only_one(paths)
    _log(config.log_level, None if arguments.foreground else paths.log / "domiciled.log")
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    if arguments.pidfile is not None:
        arguments.pidfile.write_text(f"{os.getpid()}\n")
    try:
        asyncio.run(_run(config, paths, waiting))
    except DomicileError as error:
        raise SystemExit(f"domiciled: {error.message}") from None
    finally:
        if arguments.pidfile is not None:
            arguments.pidfile.unlink(missing_ok=True)


async def _run(config: configuration.Config, paths: Paths, waiting: int | None) -> None:
    from domicile.daemon.wiring import serve

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(config, paths, stop, lambda: _ready(waiting))
