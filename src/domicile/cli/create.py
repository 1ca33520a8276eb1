"""`domicile create`: a new virtual machine from a few words; the document is written for you and shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from domicile.base.errors import InvalidRequest
from domicile.cli import connection, definition, images, screen
from domicile.cli.command import Argument, Option, command, state
from domicile.cli.connection import calls, remote
from domicile.cli.words import pick, say
from domicile.rpc.client import Client

_SIZE = re.compile(r"\d+(\.\d+)?[KMGTkmgt]?(i?[bB])?\Z")


@command(
    "create",
    Argument(["name"]),
    Option(["--memory"], default="1G", metavar="SIZE", show_default=True),
    Option(["--cpus"], type=click.IntRange(min=1), default=1, show_default=True),
    Option(["--disk", "disks"], multiple=True, metavar="SIZE|PATH[,bus=…][,format=…]"),
    Option(["--iso"], type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    Option(["--network", "networks"], multiple=True, metavar="NETWORK"),
    Option(["--graphics"], default="vnc", metavar="GRAPHICS", show_default=True),
    Option(["--machine"], default="q35", show_default=True),
    Option(["--arch"], default=""),
    Option(["--cpu"], default=""),
    Option(["--firmware"], type=click.Choice(["bios", "efi"])),
    Option(["--kernel"], default=""),
    Option(["--initrd"], default=""),
    Option(["--cmdline"], default=""),
    Option(["--title"], default=""),
    Option(["--images"], type=click.Path(path_type=Path, file_okay=False), metavar="DIR"),
    Option(["--start"], is_flag=True),
    Option(["--dry-run"], is_flag=True),
)
def create_(name: str, disks: tuple[str, ...], start: bool, dry_run: bool, **options: Any) -> None:
    """Create a machine."""
    from domicile.domain import create

    with connection.connect(state()) as client:
        host = connection.ask_of(client, calls.host_info)
        directory: Path = options["images"] or Path(host["state"]) / "images"
        wishes = [_disk(name, index, spec, directory) for index, spec in enumerate(disks)]
        text = create.document(
            create.Wishes(
                name=name,
                memory_mib=max(1, create.size(options["memory"], "M") // 2**20),
                disks=tuple(create.DiskWish(str(w["path"].absolute()), w["format"], w["bus"]) for w in wishes),
                iso=str(options["iso"].absolute()) if options["iso"] else "",
                networks=options["networks"] or ("user",),
                kvm=host["kvm"] and options["arch"] in ("", host["arch"]),
                firmware=options["firmware"] or "",
                **{
                    key: options[key]
                    for key in ("cpus", "graphics", "machine", "arch", "cpu", "kernel", "initrd", "cmdline", "title")
                },
            )
        )
        if dry_run:
            screen.json({"xml": text}) if state().json else screen.out(text.rstrip("\n"))
            return
        done = _make(client, text, wishes)
        if start:
            client.call(remote.domain_create_with_flags, connection.find(client, done["uuid"]), 0)
            done.update(connection.state_of(client, connection.find(client, done["uuid"])))
    _tell(text, done, wishes, start)


def _disk(name: str, index: int, spec: str, directory: Path) -> dict[str, Any]:
    """Read one --disk: an amount makes a new image, a path takes what is there."""
    from domicile.domain import create

    what, *properties = spec.split(",")
    wish: dict[str, Any] = {"bus": "virtio"}
    for word in properties:
        key, _, value = word.partition("=")
        if key not in ("bus", "format") or not value:
            raise InvalidRequest(say("cr_bad_disk", key=key))
        wish[key] = value
    if _SIZE.match(what) and not Path(what).exists():
        wish.setdefault("format", "qcow2")
        stem = name if index == 0 else f"{name}-{index + 1}"
        return {**wish, "size": create.size(what, "G"), "path": directory / f"{stem}.{wish['format']}"}
    path = Path(what)
    wish.setdefault("format", images.form_of(path))
    return {**wish, "path": path}


def _make(client: Client, text: str, wishes: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the images and define the machine; where that fails, the images go again."""
    made: list[Path] = []
    check = connection.ask_of(client, calls.check, text)
    if not check["valid"]:
        definition.define(client, text, keep=False)
    try:
        for wish in wishes:
            if "size" in wish:
                images.make(wish["path"], wish["size"], wish["format"])
                made.append(wish["path"])
        return definition.define(client, text, head=0, keep=False)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _tell(text: str, done: dict[str, Any], wishes: list[dict[str, Any]], start: bool) -> None:
    if state().json:
        screen.json({**done, "authored": text, "images": [str(w["path"]) for w in wishes if "size" in w]})
        return
    for wish in wishes:
        if "size" in wish:
            screen.out(say("cr_disk", path=wish["path"], size=screen.size(wish["size"]), format=wish["format"]))
    screen.out(screen.paint(say("cr_yours"), "bold"))
    for line in text.splitlines():
        screen.out(f"  {screen.paint(line, 'green')}")
    generated = [entry for entry in done["report"] if entry["kind"] not in ("ignored", "duplicate")]
    if generated:
        screen.out(screen.paint(say("cr_generated"), "bold"))
        screen.table(
            [say("path"), say("value"), say("why")], [[f"/{e['path']}", e["value"], pick(e)] for e in generated]
        )
    screen.out(say("defined", name=done["name"], revision=done["revision"]))
    if start:
        screen.out(say("did_start", name=done["name"], id=done["id"]))
