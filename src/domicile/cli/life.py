"""`domicile start`, `shutdown`, `reboot`, `reset`, `destroy`, `suspend`, `resume`, `autostart`: a machine's life."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from domicile.base.errors import DeadlineExceeded
from domicile.cli import connection, screen
from domicile.cli.command import Option, command, machine, state
from domicile.cli.connection import remote
from domicile.cli.words import say
from domicile.rpc.client import Client
from domicile.rpc.types import Domain

#: virDomainCreateFlags, virDomainDestroyFlags, virDomainShutdownFlagValues. Source: libvirt-domain.h.
_PAUSED, _GRACEFUL = 1, 1
_MODES = {"default": 0, "acpi": 1, "agent": 2}


def _mode() -> Option:
    return Option(["--mode"], type=click.Choice(list(_MODES)), default="default")


def _each(names: Sequence[str], word: str, act: Callable[[Client, Domain], str | None]) -> None:
    """Do something to each machine named, and say so; `act` may give another word for what it did."""
    answers: list[dict[str, Any]] = []
    with connection.connect(state()) as client:
        for name in names:
            dom = connection.find(client, name)
            said = act(client, dom) or word
            now = connection.state_of(client, dom)
            answers.append(now)
            if not state().json:
                screen.out(say(said, name=now["name"], id=now["id"]))
    if state().json:
        screen.json(answers[0] if len(names) == 1 else answers)


@command("start", machine("vms", nargs=-1, required=True), Option(["--paused"], is_flag=True))
def start_(vms: tuple[str, ...], paused: bool) -> None:
    """Start machines."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_create_with_flags, dom, _PAUSED if paused else 0)

    _each(vms, "did_start_paused" if paused else "did_start", act)


@command(
    "shutdown",
    machine("vms", nargs=-1, required=True),
    _mode(),
    Option(["--wait"], type=click.FloatRange(min=0), metavar="SECONDS"),
)
def shutdown_(vms: tuple[str, ...], mode: str, wait: float | None) -> None:
    """Ask guests to power off."""

    def act(client: Client, dom: Domain) -> str | None:
        client.call(remote.domain_shutdown_flags, dom, _MODES[mode])
        return _until_off(client, dom, wait) if wait is not None else None

    _each(vms, "did_shutdown", act)


def _until_off(client: Client, dom: Domain, seconds: float) -> str:
    """Wait until a machine is off. Raises: DeadlineExceeded."""
    end = time.monotonic() + seconds
    while (now := connection.state_of(client, dom))["id"] >= 0:
        if time.monotonic() > end:
            word = say(f"state_{now['state']}")
            raise DeadlineExceeded(say("still_up", name=dom.name, state=word, seconds=f"{seconds:g}"))
        time.sleep(0.1)
    return "did_shutdown_wait"


@command("reboot", machine("vms", nargs=-1, required=True), _mode())
def reboot_(vms: tuple[str, ...], mode: str) -> None:
    """Ask guests to reboot."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_reboot, dom, _MODES[mode])

    _each(vms, "did_reboot", act)


@command("reset", machine("vms", nargs=-1, required=True))
def reset_(vms: tuple[str, ...]) -> None:
    """Press the reset button."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_reset, dom, 0)

    _each(vms, "did_reset", act)


@command("destroy", machine("vms", nargs=-1, required=True), Option(["--graceful"], is_flag=True))
def destroy_(vms: tuple[str, ...], graceful: bool) -> None:
    """Pull the plug."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_destroy_flags, dom, _GRACEFUL if graceful else 0)

    _each(vms, "did_destroy", act)


@command("suspend", machine("vms", nargs=-1, required=True))
def suspend_(vms: tuple[str, ...]) -> None:
    """Stop the CPUs."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_suspend, dom)

    _each(vms, "did_suspend", act)


@command("resume", machine("vms", nargs=-1, required=True))
def resume_(vms: tuple[str, ...]) -> None:
    """Let the CPUs go on."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_resume, dom)

    _each(vms, "did_resume", act)


@command("autostart", machine("vms", nargs=-1, required=True), Option(["--disable"], is_flag=True))
def autostart_(vms: tuple[str, ...], disable: bool) -> None:
    """Say whether machines start with the daemon."""

    def act(client: Client, dom: Domain) -> None:
        client.call(remote.domain_set_autostart, dom, int(not disable))

    _each(vms, "did_autostart_off" if disable else "did_autostart_on", act)
