"""What a display gets when its owner left it open, and what it may not be. Used by this slice's FAMILY."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from domicile.devices.graphics.model import CHANNELS, TYPES, Graphics, Listen
from domicile.devices.parts.omit import omit
from domicile.plan.facts import Completion, Facts

_SERVERS = ("vnc", "spice", "rdp")
_NEVER = ("boot", "alias", "master", "rom", "acpi", "address")
_LOGIN = ("keymap", "passwd", "passwdValidTo", "connected")
_TUNING = ("channels", "image", "jpeg", "zlib", "playback", "streaming", "mouse", "clipboard", "filetransfer")
_OWN = {
    "vnc": ("socket", "port", "autoport", "websocket", "listen", "sharePolicy", "powerControl", *_LOGIN, "audio"),
    "spice": ("socket", "port", "tlsPort", "autoport", "listen", "defaultMode", *_LOGIN, *_TUNING, "gl"),
    "rdp": ("port", "autoport", "replaceUser", "multiUser", "listen", "username", "passwd"),
    "sdl": ("display", "xauth", "fullscreen", "gl"),
    "desktop": ("display", "fullscreen"),
    "egl-headless": ("gl",),
    "dbus": ("p2p", "address_of_bus", "gl", "audio"),
}
_VALID_TO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\Z")
_ENOUGH = {"image": "compression", "jpeg": "compression", "zlib": "compression", "playback": "compression"} | {
    "streaming": "mode",
    "mouse": "mode",
    "clipboard": "copypaste",
    "filetransfer": "enable",
    "audio": "id",
}


def defaults(graphics: Graphics, c: Completion) -> None:
    """Settle where the display listens and which ports it takes, in the one form that is kept."""
    kind = graphics.type
    if kind not in _OWN:
        return
    omit(graphics, _foreign(kind), c, f"graphics of type {kind} have no such thing", f"{kind} 类型的图形显示没有此项")
    for slot in ("fullscreen", "p2p", "replaceUser", "multiUser"):
        if getattr(graphics, slot) is False:
            setattr(graphics, slot, None)
    if kind in _SERVERS:
        if graphics.passwd is None:
            omit(graphics, ("passwdValidTo", "connected"), c, "there is no password", "没有密码")
        _listens(graphics, c)
        {"vnc": _vnc, "spice": _spice, "rdp": _rdp}[kind](graphics, c)
        _mirror(graphics)


@cache
def _foreign(kind: str) -> tuple[str, ...]:
    """List what displays of a type have not."""
    own = {*_OWN[kind], "type", *(("listens",) if kind in _SERVERS else ())}
    return tuple(field.slot for field in Graphics.shape.fields if field.slot not in own)


def _listens(graphics: Graphics, c: Completion) -> None:
    """Fill in the <listen> elements from the attributes that older documents have."""
    places = graphics.listens
    if graphics.type == "vnc" and graphics.socket and (not places or places[0].type != "socket"):
        graphics.listens = places = [Listen(type="socket", socket=graphics.socket)]
        c.add(places[0], "the attribute socket says so", "由属性 socket 得出")
    if not places:
        graphics.listens = places = [Listen(type="address", address=graphics.listen or None)]
        c.add(places[0], "a display listens somewhere", "图形显示须有监听位置")
    first = places[0]
    if first.type == "address" and not first.address:
        first.address = graphics.listen or None
    if first.type == "socket" and first.socket is None:
        first.socket = graphics.socket
    made = f"{c.host.directories.state}/"
    for place in places:
        if place.type == "socket" and place.socket is not None and place.socket.startswith(made):
            why = "its socket was made for an earlier run", "其套接字是为先前的运行生成的"
            c.default(place, "type", "address" if graphics.type == "vnc" else "socket", *why)
            place.socket = None
        if place.type != "address" or not place.address:
            place.address = None
        if place.type != "socket":
            place.socket = None


def _mirror(graphics: Graphics) -> None:
    """Repeat the first place in the attributes, as older clients read it there."""
    first = graphics.first
    graphics.listen = first.address if first.type == "address" else None
    graphics.socket = first.socket if first.type == "socket" and graphics.type == "vnc" else None
    if first.type not in ("address", "network"):
        graphics.port = graphics.tlsPort = graphics.autoport = graphics.websocket = None


_FREE = "no fixed port was asked for", "未指定固定端口"


def _vnc(graphics: Graphics, c: Completion) -> None:
    if graphics.first.type not in ("address", "network"):
        return
    asked = graphics.port
    if graphics.autoport or asked == -1 or (asked is None and graphics.autoport is None):
        if asked != -1:
            c.default(graphics, "port", -1, *_FREE)
        if not graphics.autoport:
            c.default(graphics, "autoport", True, *_FREE)
        return
    if graphics.autoport is None:
        c.default(graphics, "autoport", False, "a fixed port was asked for", "指定了固定端口")
    graphics.port = asked or None
    graphics.websocket = graphics.websocket or None


def _spice(graphics: Graphics, c: Completion) -> None:
    if graphics.port == -1 and graphics.tlsPort == -1:
        c.default(graphics, "autoport", True, *_FREE)
    if graphics.autoport:
        graphics.port = graphics.tlsPort = None
    graphics.port, graphics.tlsPort = graphics.port or None, graphics.tlsPort or None
    first = graphics.first
    if first.type == "address" and not (graphics.port or graphics.tlsPort or graphics.autoport):
        why = "neither a port nor autoport was asked for", "既未指定端口也未要求自动分配"
        c.default(first, "type", "none", *why)
        first.address = None
    if first.type in ("address", "network") and graphics.autoport is None:
        c.default(graphics, "autoport", False, "a fixed port was asked for", "指定了固定端口")
    known = {channel.name: channel for channel in graphics.channels if channel.name is not None}
    graphics.channels = [known[name] for name in CHANNELS if name in known and known[name].mode != "any"] + [
        channel for channel in graphics.channels if channel.name is None
    ]


def _rdp(graphics: Graphics, c: Completion) -> None:
    if graphics.autoport is False:
        graphics.autoport = None
    if graphics.port is None:
        c.default(graphics, "autoport", True, *_FREE)
    if graphics.autoport:
        graphics.port = 0


def check(graphics: Graphics, c: Completion) -> None:
    """Find what cannot be."""
    kind = graphics.type
    if kind is None:
        c.problem(graphics, "element 'graphics' has no attribute 'type'", ", ".join(TYPES), "@type")
        return
    if not supported(kind, c):
        c.problem(
            graphics,
            f"graphics of type '{kind}' do not exist in this emulator",
            ", ".join(word for word in TYPES if supported(word, c)),
            "@type",
        )
    for place in graphics.listens:
        _check_listen(graphics, place, c)
    for slot, need in _ENOUGH.items():
        child = getattr(graphics, slot)
        if child is not None and getattr(child, need) is None:
            c.problem(child, f"element '{slot}' has no attribute '{need}'", f"{need}='…'", f"@{need}")
    for channel in graphics.channels:
        if channel.name is None or channel.mode is None:
            c.problem(channel, "element 'channel' needs the attributes 'name' and 'mode'", "name='…' mode='…'")
    if kind in ("sdl", "spice", "dbus") and graphics.gl is not None and graphics.gl.enable is None:
        c.problem(graphics.gl, "element 'gl' has no attribute 'enable'", "yes, no", "@enable")
    if kind == "vnc" and graphics.passwd is not None and len(graphics.passwd.encode()) > 8:
        c.problem(graphics, f"the VNC password has {len(graphics.passwd)} characters", "8 at most", "@passwd")
    until = graphics.passwdValidTo
    if until is not None and not _VALID_TO.match(until):
        c.problem(
            graphics, f"attribute 'passwdValidTo' has the value '{until}'", "YYYY-MM-DDTHH:MM:SS", "@passwdValidTo"
        )
    if kind == "spice" and (graphics.tlsPort or 0) > 0 and not c.host.settings.spice_tls:
        c.problem(graphics, "a 'spice' TLS port is asked for, but TLS is off on this host", "spice_tls = 1", "@tlsPort")
    if graphics.p2p and graphics.address_of_bus is not None:
        c.problem(graphics, "'dbus' graphics have both 'p2p' and an 'address'", "one of them", "@p2p")


def _check_listen(graphics: Graphics, place: Listen, c: Completion) -> None:
    kind = place.type
    if kind is None:
        c.problem(place, "element 'listen' has no attribute 'type'", "none, address, network, socket", "@type")
        return
    if kind in ("socket", "none") and graphics.type not in ("vnc", "spice"):
        c.problem(
            place, f"listen type '{kind}' is not for graphics of type '{graphics.type}'", "address, network", "@type"
        )
    if kind == "network" and place.network is None:
        c.problem(place, "listen type 'network' has no attribute 'network'", "network='…'", "@network")
    if kind != "network" and place.network is not None:
        c.problem(place, f"attribute 'network' stands in a listen of type '{kind}'", "type='network'", "@network")


def supported(kind: str, facts: Facts) -> bool:
    """Say whether the emulator has this kind of display."""
    caps = facts.caps
    if kind == "vnc":
        return caps.has_command("query-vnc")
    if kind == "spice":
        return caps.has_command("query-spice")
    if kind == "rdp":
        return supported("dbus", facts) and facts.host.libvirt >= (11, 1)
    return kind in ("sdl", "egl-headless", "dbus") and caps.has_schema(f"query-display-options/ret-type/type/^{kind}")


def check_together(displays: Sequence[Graphics], c: Completion) -> None:
    """Find what cannot stand together: two of a type, RDP without D-Bus, egl-headless beside a window."""
    kinds = [graphics.type for graphics in displays]
    for number, graphics in enumerate(displays):
        if graphics.type == "rdp" and "dbus" not in kinds:
            c.problem(
                graphics, "graphics of type 'rdp' show what graphics of type 'dbus' draw", "<graphics type='dbus'/>"
            )
        if graphics.type == "egl-headless" and set(kinds) - {"egl-headless", "vnc", "spice"}:
            c.problem(
                graphics,
                "graphics of type 'egl-headless' only draw, and what stands beside them cannot show it",
                "'vnc' or 'spice' beside it",
            )
        if graphics.type in kinds[:number]:
            c.problem(graphics, f"there is more than one '{graphics.type}' display", "one of each type")


def check_mirrors(graphics: Graphics, c: Completion) -> None:
    """Find attributes that contradict the first <listen>; called on the document as given, before `defaults`."""
    if graphics.type not in _SERVERS or not graphics.listens:
        return
    first = graphics.listens[0]
    if first.type == "address" and graphics.listen and first.address and graphics.listen != first.address:
        c.problem(
            graphics,
            f"attribute 'listen' is '{graphics.listen}', but the first <listen> has '{first.address}'",
            "the same in both, or one of them",
            "@listen",
        )
    if first.type == "socket" and graphics.socket and first.socket and graphics.socket != first.socket:
        c.problem(
            graphics,
            f"attribute 'socket' is '{graphics.socket}', but the first <listen> has '{first.socket}'",
            "the same in both, or one of them",
            "@socket",
        )
