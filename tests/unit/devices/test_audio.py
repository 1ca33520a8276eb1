from __future__ import annotations

from typing import Any

import pytest

from domicile.devices.audio import FAMILY, check_together, default_type, environment


@pytest.fixture
def backend(bench: Any) -> Any:
    return bench(FAMILY)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<audio id='1' type='none' path='x'><input dev='k' voices='2'/><alias name='ua-d'/></audio>", "<audio id='1' type='none'>\n  <input voices='2'/>"),
        ("<audio id='1' type='file' path='/x.wav'><input/></audio>", "<audio id='1' type='file' path='/x.wav'/>"),
        ("<audio id='1' type='alsa'><input mixingEngine='yes' fixedSettings='yes'/></audio>", "fixedSettings='yes'>\n    <settings/>"),
        (
            "<audio id='1' type='oss' dspPolicy='0' tryMMap='no'><input tryPoll='yes' bufferCount='3' bufferLength='2' dev='/d'/></audio>",
            "<audio id='1' type='oss' tryMMap='no' dspPolicy='0'>\n  <input bufferLength='2' dev='/d' bufferCount='3' tryPoll='yes'/>",
        ),
    ],
)  # fmt: skip
def test_only_what_the_backend_knows_is_kept(backend: Any, given: str, kept: str) -> None:
    assert kept in backend.kept(given)


def test_what_cannot_be_is_named(backend: Any) -> None:
    assert "'id'" in backend.problems("<audio type='none'/>")[0]
    assert "'type'" in backend.problems("<audio id='1'/>")[0]
    assert "'fixedSettings'" in backend.problems("<audio id='1' type='none'><input fixedSettings='yes'/></audio>")[0]
    settings = "<audio id='1' type='none'><input><settings channels='2'/></input></audio>"
    assert "'settings'" in backend.problems(settings)[0]
    c = backend.completion()
    check_together([backend.read("<audio id='3' type='none'/>")] * 2, c)
    assert "'3'" in c.found[0][2].message


def test_the_backend_qemu_is_asked_for(backend: Any) -> None:
    assert backend.props("<audio id='1' type='none'/>") == [{"id": "audio1", "driver": "none"}]
    full = (
        "<audio id='2' type='pulseaudio' serverName='s'><input name='n' streamName='m' latency='3'/>"
        "<output mixingEngine='yes' fixedSettings='yes'><settings frequency='44100' channels='2' format='s16'/></output></audio>"
    )
    out = {"mixing-engine": True, "fixed-settings": True, "frequency": 44100, "channels": 2, "format": "s16"}
    assert backend.props(full) == [
        {
            "id": "audio2",
            "driver": "pa",
            "server": "s",
            "in": {"name": "n", "stream-name": "m", "latency": 3},
            "out": out,
        }
    ]


def test_the_backend_of_machines_that_name_none() -> None:
    assert default_type([], {}) == ("none", None)
    assert default_type(["spice", "vnc"], {}) == ("none", None)
    assert default_type(["vnc", "spice"], {}) == ("spice", None)
    assert default_type(["vnc", "egl-headless"], {}) == ("none", None)
    assert default_type(["sdl"], {}) == (None, None)
    assert default_type(["sdl"], {"QEMU_AUDIO_DRV": "pa"}) == ("pulseaudio", None)
    assert default_type(["dbus"], {}) == (None, None)


def test_some_backends_need_an_environment(backend: Any) -> None:
    assert environment(backend.read("<audio id='1' type='sdl' driver='alsa'/>")) == {"SDL_AUDIODRIVER": "alsa"}
    assert environment(backend.read("<audio id='1' type='pipewire' runtimeDir='/run/x'/>")) == {
        "PIPEWIRE_RUNTIME_DIR": "/run/x"
    }
