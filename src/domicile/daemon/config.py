"""The daemon's configuration: a TOML file, every key with a default. Read once at start."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domicile.base.errors import InvalidRequest
from domicile.plan.host import Settings


@dataclass(frozen=True, slots=True)
class Sockets:
    """Who may connect: octal modes and a group's name."""

    mode: str = "0700"
    mode_read_only: str = "0777"
    group: str = ""
    max_clients: int = 5000


@dataclass(frozen=True, slots=True)
class Qemu:
    """How machines run on this host; more keys are those of `plan.host.Settings`."""

    user: str = ""
    libvirt: str = "9.0"


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    database: str = ""
    log_level: str = "info"
    sockets: Sockets = field(default_factory=Sockets)
    qemu: Qemu = field(default_factory=Qemu)
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
    qemu = dict(data.pop("qemu", {}))
    own = {f.name for f in dataclasses.fields(Qemu)}
    settings = {key: value for key, value in qemu.items() if key not in own}
    tables: dict[str, Any] = {
        "sockets": _table(Sockets, data.pop("sockets", {}), path, "sockets"),
        "qemu": _table(Qemu, {k: v for k, v in qemu.items() if k in own}, path, "qemu"),
        "settings": _table(Settings, settings, path, "qemu"),
        "networks": {str(k): str(v) for k, v in data.pop("networks", {}).items()},
    }
    config: Config = _table(Config, {**data, **tables}, path, "")
    return config


def _table(cls: Any, values: dict[str, Any], path: Path, name: str) -> Any:
    known = {f.name: f for f in dataclasses.fields(cls)}
    for key, value in values.items():
        if key not in known:
            raise InvalidRequest(
                f"{path}: key '{key}' {f'in [{name}] ' if name else ''}is not known; accepted: {', '.join(sorted(known))}"
            )
        default = getattr(cls(), key)
        if isinstance(default, (bool, int, str)) and type(value) is not type(default):
            raise InvalidRequest(f"{path}: '{key}' has the value {value!r}; accepted: a {type(default).__name__}")
    return cls(**values)
