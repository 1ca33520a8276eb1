"""The daemon's configuration: a TOML file, every key with a default. Read once at start."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domicile.base.errors import InvalidRequest
from domicile.daemon import access
from domicile.daemon.access import Sasl, Sockets, Tcp, Tls
from domicile.plan.host import Settings

KEEP = ("devices", "all", "nothing")
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Qemu:
    """How machines run on this host; more keys are those of `plan.host.Settings`."""

    user: str = ""
    libvirt: str = "9.0"


@dataclass(frozen=True, slots=True)
class Definitions:
    """How definitions are stored."""

    keep: str = "devices"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    database: str = ""
    database_password_file: str = ""
    log_level: str = "info"
    sockets: Sockets = field(default_factory=Sockets)
    tcp: Tcp = field(default_factory=Tcp)
    tls: Tls = field(default_factory=Tls)
    sasl: Sasl = field(default_factory=Sasl)
    qemu: Qemu = field(default_factory=Qemu)
    definitions: Definitions = field(default_factory=Definitions)
    settings: Settings = field(default_factory=Settings)
    networks: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> Config:
    """Read a configuration file; a missing one is an empty one.

    Raises:
        InvalidRequest: it is not TOML, or a key or value is unknown.
    """
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return Config()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: not TOML: {error}") from error
    qemu = _section(data, "qemu", path)
    own = {f.name for f in dataclasses.fields(Qemu)}
    others = {f.name for f in dataclasses.fields(Settings)}
    for key in qemu.keys() - own - others:
        known = ", ".join(sorted(own | others))
        raise InvalidRequest(f"{path}: key '{key}' in [qemu] is not known; accepted: {known}")
    networks = _section(data, "networks", path)
    for name, bridge in networks.items():
        if not isinstance(bridge, str):
            raise InvalidRequest(
                f"{path}: [networks] '{name}' has the value {bridge!r}; accepted: the name of a bridge"
            )
    tables: dict[str, Any] = {
        "sockets": _table(Sockets, _section(data, "sockets", path), path, "sockets"),
        "tcp": _table(Tcp, _section(data, "tcp", path), path, "tcp"),
        "tls": _table(Tls, _section(data, "tls", path), path, "tls"),
        "sasl": _table(Sasl, _section(data, "sasl", path), path, "sasl"),
        "qemu": _table(Qemu, {k: v for k, v in qemu.items() if k in own}, path, "qemu"),
        "settings": _table(Settings, {k: v for k, v in qemu.items() if k not in own}, path, "qemu"),
        "networks": networks,
        "definitions": _table(Definitions, _section(data, "definitions", path), path, "definitions"),
    }
    if "settings" in data:
        raise InvalidRequest(f"{path}: there is no table [settings]; its keys stand in [qemu]")
    config: Config = _table(Config, {**data, **tables}, path, "")
    _check(config, path)
    return config


def _section(data: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = data.pop(name, {})
    if not isinstance(found, dict):
        raise InvalidRequest(f"{path}: '{name}' has the value {found!r}; accepted: a table [{name}]")
    return found


def _check(config: Config, path: Path) -> None:
    """Refuse values of the right type that mean nothing."""
    access.check(config.sockets, config.tcp, config.tls, path)
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", config.qemu.libvirt):
        raise InvalidRequest(
            f"{path}: 'libvirt' in [qemu] has the value {config.qemu.libvirt!r}; accepted: a release such as 9.0"
        )
    if config.definitions.keep not in KEEP:
        raise InvalidRequest(
            f"{path}: 'keep' in [definitions] has the value {config.definitions.keep!r}; accepted: {', '.join(KEEP)}"
        )
    if config.log_level not in LEVELS:
        raise InvalidRequest(f"{path}: 'log_level' has the value {config.log_level!r}; accepted: {', '.join(LEVELS)}")


def _table(cls: Any, values: dict[str, Any], path: Path, name: str) -> Any:
    known = {f.name: f for f in dataclasses.fields(cls)}
    for key, value in list(values.items()):
        if key not in known:
            raise InvalidRequest(
                f"{path}: key '{key}' {f'in [{name}] ' if name else ''}is not known; accepted: {', '.join(sorted(known))}"
            )
        default = getattr(cls(), key)
        wanted = type(default) if default is not None else str
        if wanted is tuple:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise InvalidRequest(f"{path}: '{key}' has the value {value!r}; accepted: a list of texts")
            values[key] = tuple(value)
        if wanted in (bool, int, str) and type(value) is not wanted:
            raise InvalidRequest(f"{path}: '{key}' has the value {value!r}; accepted: a {wanted.__name__}")
    return cls(**values)
