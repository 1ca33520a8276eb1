"""The commented sample configuration says everything, and says it truly."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from domicile.daemon.access import Sasl, Sockets, Tcp, Tls
from domicile.daemon.config import Config, Definitions, Qemu, load
from domicile.plan.host import Settings

SAMPLE = Path(__file__).resolve().parents[2] / "docs/domiciled.toml"
KEY = re.compile(r"^#(?=\w+ = )", re.MULTILINE)
#: Keys without a default of their own: the sample shows a value instead.
SHOWN = {"vnc_password": "secret", "spice_password": "secret"}


@pytest.fixture(scope="module")
def uncommented() -> str:
    return KEY.sub("", SAMPLE.read_text())


def _defaults(cls: Any) -> dict[str, Any]:
    values = {field.name: getattr(cls(), field.name) for field in dataclasses.fields(cls)}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    return {key: SHOWN.get(key, value) for key, value in plain.items() if not dataclasses.is_dataclass(value)}


def test_as_it_is_it_changes_nothing() -> None:
    assert load(SAMPLE) == Config()


def test_uncommented_it_loads_and_shows_the_defaults(uncommented: str, tmp_path: Path) -> None:
    file = tmp_path / "domicile.toml"
    file.write_text(uncommented)
    loaded = load(file)
    assert (loaded.sockets, loaded.qemu) == (Sockets(), Qemu())
    assert (loaded.tcp, loaded.tls, loaded.sasl) == (Tcp(), Tls(), Sasl())
    assert loaded.settings == dataclasses.replace(Settings(), **SHOWN)
    assert loaded.networks == {"default": "virbr0"}


def test_every_key_is_documented(uncommented: str) -> None:
    shown = tomllib.loads(uncommented)
    assert shown.pop("networks") == {"default": "virbr0"}
    for name, table in (("sockets", Sockets), ("tcp", Tcp), ("tls", Tls), ("sasl", Sasl), ("definitions", Definitions)):
        assert shown.pop(name) == _defaults(table)
    assert shown.pop("qemu") == _defaults(Qemu) | _defaults(Settings)
    assert shown == {key: value for key, value in _defaults(Config).items() if key != "networks"}


def test_keys_without_effect_are_named_so() -> None:
    """Whatever the code does not read stands below the line that says so, and nothing else does."""
    source = SAMPLE.parents[1] / "src/domicile"
    texts = [path.read_text() for path in source.rglob("*.py") if path.name not in ("host.py", "config.py")]
    code = "\n".join(texts)
    unread = {name for name in _defaults(Settings) if not re.search(rf"\b{name}\b", code)}
    below = SAMPLE.read_text().partition("without effect")[2].partition("[networks]")[0]
    assert set(re.findall(r"^#(\w+) = ", below, re.MULTILINE)) == unread
