"""A display as QEMU's options. Used by this slice's FAMILY."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator
from typing import Any

from domicile.devices.graphics.model import CHANNELS, Graphics, Listen
from domicile.devices.parts.secret import stored_secret
from domicile.plan.facts import Planning
from domicile.plan.need import Directory, DisplayPassword, Need, Port
from domicile.plan.qemu import Command, Item, Keyed, Option, Structured

Pairs = list[tuple[str, Any]]


def plan(graphics: Graphics, p: Planning) -> Iterator[Item | Need]:
    """Ask for the display, its ports and its password."""
    kind = graphics.type
    if kind == "vnc":
        yield from _vnc(graphics, p)
    elif kind == "spice":
        yield from _spice(graphics, p)
    elif kind == "sdl":
        if graphics.fullscreen:
            yield Option("-full-screen", origin=p.origin(graphics))
        yield _display("sdl", [("gl", graphics.gl.enable if graphics.gl is not None else None)], graphics, p)
    elif kind == "egl-headless":
        yield _display(kind, [("rendernode", _render_node(graphics, p))], graphics, p)
    elif kind == "dbus":
        yield _display(kind, _dbus(graphics, p), graphics, p)


def environment(graphics: Graphics, p: Planning) -> dict[str, str]:
    """Say which variables QEMU's environment needs for this display."""
    settings = p.host.settings
    found: dict[str, str] = {}
    if graphics.type == "sdl":
        found = {"XAUTHORITY": graphics.xauth or "", "DISPLAY": graphics.display or ""}
    elif graphics.type == "vnc" and settings.vnc_sasl:
        found = {"SASL_CONF_PATH": settings.vnc_sasl_dir}
    elif graphics.type == "spice" and settings.spice_sasl:
        found = {"SASL_CONF_PATH": settings.spice_sasl_dir}
    return {name: value for name, value in found.items() if value}


def place_of(graphics: Graphics, p: Planning) -> Listen:
    """Settle where the display listens in this run: the host's settings fill in what the document leaves open."""
    first = graphics.first
    settings = p.host.settings
    if graphics.type == "vnc":
        address, sockets = settings.vnc_listen, settings.vnc_auto_unix_socket
    else:
        address, sockets = settings.spice_listen, settings.spice_auto_unix_socket
    if first.type == "socket" or (first.type == "address" and not first.address and sockets):
        return Listen(
            type="socket",
            socket=first.socket or f"{p.host.directories.state}/domain-{p.short_name}/{graphics.type}.sock",
        )
    if first.type == "address":
        return Listen(type="address", address=first.address or address)
    if first.type == "network" and not first.address:
        return Listen(type="network", network=first.network, address=address)
    return first


def show_run(graphics: Graphics, p: Planning, ports: dict[str, int]) -> None:
    """Write into a running machine's document what was settled: the place and the ports, by their tokens."""
    if graphics.type not in ("vnc", "spice") or not graphics.listens:
        return
    place = place_of(graphics, p)
    graphics.listens[0] = place
    graphics.listen = place.address if place.type != "socket" else None
    if place.type == "socket":
        graphics.socket = place.socket if graphics.type == "vnc" else None
        graphics.port = graphics.tlsPort = graphics.autoport = graphics.websocket = None
        return
    for slot, token in _TOKENS[graphics.type].items():
        if token in ports:
            setattr(graphics, slot, ports[token])


_TOKENS = {
    "vnc": {"port": "vnc0", "websocket": "vnc0-websocket"},
    "spice": {"port": "spice0", "tlsPort": "spice0-tls"},
}


def _vnc(graphics: Graphics, p: Planning) -> Iterator[Item | Need]:
    origin, settings = p.origin(graphics), p.host.settings
    place = place_of(graphics, p)
    pairs: Pairs = []
    if place.type == "socket":
        if graphics.first.socket is None and place.socket is not None:
            yield Directory(place.socket.rpartition("/")[0], origin=origin)
        pairs.append(("vnc", f"unix:{place.socket}"))
    elif place.type == "none":
        pairs.append(("", "none"))
    else:
        where = place.address or ""
        fixed = None if graphics.autoport else graphics.port
        yield Port("vnc0", fixed=fixed, low=5900, high=65535, address=where, origin=origin)
        number = "{display:vnc0}" if fixed is None else str(fixed - 5900)
        pairs.append(("", f"{f'[{where}]' if ':' in where else where}:{number}"))
        if graphics.websocket:
            wished = graphics.websocket if graphics.websocket > 0 else None
            yield Port("vnc0-websocket", fixed=wished, low=5700, high=65535, address=where, origin=origin)
            pairs.append(("websocket", wished or "{port:vnc0-websocket}"))
    pairs.append(("share", graphics.sharePolicy))
    pairs.append(("power-control", graphics.powerControl))
    password = graphics.passwd if graphics.passwd is not None else settings.vnc_password
    if password is not None:
        pairs.append(("password", True))
    if settings.vnc_tls:
        yield from _credentials("vnc-tls-creds0", p, origin)
        pairs.append(("tls-creds", "vnc-tls-creds0"))
    if settings.vnc_sasl:
        pairs.append(("sasl", True))
    pairs.append(("audiodev", p.audio(graphics.audio.id if graphics.audio is not None else None)))
    yield Keyed("-vnc", tuple(pairs), origin=origin)
    yield from _keymap(graphics, origin)
    yield from _password(graphics, password, origin)


def _credentials(name: str, p: Planning, origin: str) -> Iterator[Item]:
    settings = p.host.settings
    known = settings.vnc_tls_x509_secret_uuid
    if known:
        yield stored_secret(f"{name}-secret0", known, origin)
    props = {
        "qom-type": "tls-creds-x509",
        "id": name,
        "dir": settings.vnc_tls_x509_cert_dir,
        "endpoint": "server",
        "verify-peer": settings.vnc_tls_x509_verify,
        "passwordid": f"{name}-secret0" if known else None,
    }
    yield Structured("object", props, origin=origin)


def _keymap(graphics: Graphics, origin: str) -> Iterator[Item]:
    if graphics.keymap:
        yield Option("-k", graphics.keymap, origin=origin)


def _password(graphics: Graphics, password: str | None, origin: str) -> Iterator[Item]:
    if password is None:
        return
    protocol = graphics.type or ""
    words = {"protocol": protocol, "password": password, "connected": graphics.connected}
    yield DisplayPassword("set_password", {k: v for k, v in words.items() if v is not None}, origin=origin)
    until = graphics.passwdValidTo
    moment = "never" if until is None else str(calendar.timegm(time.strptime(until, "%Y-%m-%dT%H:%M:%S")))
    yield Command("expire_password", {"protocol": protocol, "time": moment}, origin=origin)


def _spice(graphics: Graphics, p: Planning) -> Iterator[Item | Need]:
    origin, settings = p.origin(graphics), p.host.settings
    place = place_of(graphics, p)
    pairs: Pairs = []
    secure = False
    if place.type == "socket":
        pairs += [("unix", True), ("addr", place.socket)]
    elif place.type == "none":
        pairs.append(("port", 0))
    else:
        plain, secure = _spice_ports(graphics, settings.spice_tls)
        for wanted, key, token, given in (
            (plain, "port", "spice0", graphics.port),
            (secure, "tls-port", "spice0-tls", graphics.tlsPort),
        ):
            if wanted:
                fixed = given if given is not None and given > 0 else None
                yield Port(token, fixed=fixed, low=5900, high=65535, address=place.address or "", origin=origin)
                pairs.append((key, fixed or f"{{port:{token}}}"))
        if plain or secure:
            pairs.append(("addr", place.address or None))
    pairs.append(("sasl", True if settings.spice_sasl else None))
    if graphics.mouse is not None:
        pairs.append(("agent-mouse", graphics.mouse.mode == "client"))
    password = graphics.passwd if graphics.passwd is not None else settings.spice_password
    pairs.append(("disable-ticketing", True if password is None else None))
    pairs.append(("x509-dir", settings.spice_tls_x509_cert_dir if secure else None))
    pairs += _channels(graphics)
    pairs += _tuning(graphics)
    if graphics.gl is not None and graphics.gl.enable:
        pairs += [("gl", True), ("rendernode", _render_node(graphics, p))]
    pairs.append(("seamless-migration", True))
    yield Keyed("-spice", tuple(pairs), origin=origin)
    yield from _keymap(graphics, origin)
    yield from _password(graphics, password, origin)


def _spice_ports(graphics: Graphics, tls: bool) -> tuple[bool, bool]:
    """Say whether SPICE needs a port in the clear and one for TLS."""
    plain, secure = graphics.port is not None, graphics.tlsPort is not None
    if not graphics.autoport:
        return plain, secure
    named = {channel.name: channel.mode for channel in graphics.channels}
    modes = {named.get(name) or graphics.defaultMode or "any" for name in CHANNELS}
    return plain or bool({"any", "insecure"} & modes), secure or "secure" in modes or ("any" in modes and tls)


def _channels(graphics: Graphics) -> Pairs:
    words = {"secure": "tls-channel", "insecure": "plaintext-channel"}
    rules = [("default", graphics.defaultMode), *((channel.name, channel.mode) for channel in graphics.channels)]
    return [(words[mode], name) for name, mode in rules if mode in words]


def _tuning(graphics: Graphics) -> Pairs:
    pairs: Pairs = []
    for child, key in (
        (graphics.image, "image-compression"),
        (graphics.jpeg, "jpeg-wan-compression"),
        (graphics.zlib, "zlib-glz-wan-compression"),
        (graphics.playback, "playback-compression"),
    ):
        pairs.append((key, child.compression if child is not None else None))
    pairs.append(("streaming-video", graphics.streaming.mode if graphics.streaming is not None else None))
    if graphics.clipboard is not None and graphics.clipboard.copypaste is False:
        pairs.append(("disable-copy-paste", True))
    if graphics.filetransfer is not None and graphics.filetransfer.enable is False:
        pairs.append(("disable-agent-file-xfer", True))
    return pairs


def _dbus(graphics: Graphics, p: Planning) -> Pairs:
    bus = graphics.address_of_bus or f"unix:path={p.host.directories.run}/dbus/{p.short_name}-dbus.sock"
    gl = graphics.gl
    pairs: Pairs = [("p2p", True)] if graphics.p2p else [("addr", bus)]
    pairs.append(("gl", gl.enable if gl is not None else None))
    pairs.append(("rendernode", gl.rendernode if gl is not None else None))
    pairs.append(("audiodev", p.audio(graphics.audio.id) if graphics.audio is not None else None))
    return pairs


def _display(kind: str, pairs: Pairs, graphics: Graphics, p: Planning) -> Keyed:
    return Keyed("-display", (("", kind), *pairs), origin=p.origin(graphics))


def _render_node(graphics: Graphics, p: Planning) -> str | None:
    """Name the graphics card's node: the document's, or the host's first; without any, QEMU takes the first that works."""
    named = graphics.gl.rendernode if graphics.gl is not None else None
    return named or p.host.render_node or None
