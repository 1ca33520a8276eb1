"""One set of expectations for every way to learn capabilities: a live QEMU, and a recording of one."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from domicile.base.errors import HostFailure, InvalidRequest, QemuRefused
from domicile.plan.capabilities import Capabilities
from domicile.qemu import cache
from domicile.qemu.interview import Question
from domicile.qemu.probe import Live, live, probe, recorded

QEMU = shutil.which("qemu-system-x86_64")


class _Recorder:
    """Passes questions to a live QEMU and writes the session down in the recording's form."""

    def __init__(self, inner: Live) -> None:
        self.inner, self.lines = inner, [{"execute": "qmp_capabilities"}, {"return": {}}]

    async def answers(self, questions: list[Question]) -> list[Any]:
        answers = await self.inner.answers(questions)
        for question, answer in zip(questions, answers, strict=True):
            self.lines.append({"execute": question.command, "arguments": dict(question.arguments)})
            self.lines.append({"error": {"class": "GenericError"}} if answer is None else {"return": answer})
        return answers


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Capabilities]:
    if QEMU is None:
        pytest.skip("no QEMU here")
    path = tmp_path_factory.mktemp("recording") / "live.replies"
    binary = Path(QEMU)

    async def interview_live() -> Capabilities:
        async with Live(binary, kvm=False) as inner:
            recorder = _Recorder(inner)
            found = await probe(recorder, binary, 0.0)
            path.write_text("\n\n".join(json.dumps(line, indent=2) for line in recorder.lines))
            return found

    return {"live": asyncio.run(interview_live()), "recorded": recorded(path)}


@pytest.mark.system
@pytest.mark.parametrize("subject", ["live", "recorded"])
def test_what_every_x86_qemu_says(both: dict[str, Capabilities], subject: str) -> None:
    caps = both[subject]
    assert caps.arch == "x86_64"
    assert caps.version >= (6, 2, 0)
    assert not caps.kvm
    q35 = caps.machine("q35")
    assert q35 is not None
    assert q35.name.startswith("pc-q35-")
    assert caps.has_property(f"{q35.name}-machine", "smm")
    assert caps.has_device("virtio-blk-pci")
    assert caps.has_property("virtio-blk-pci", "queue-size")
    assert not caps.has_device("virtio-blk-ccw")
    assert caps.has_object("memory-backend-memfd")
    assert caps.has_schema("blockdev-add/arg-type/+file/filename")
    assert caps.has_event("SHUTDOWN")
    assert caps.has_option("sandbox")
    cpu = caps.cpu("qemu64")
    assert cpu is not None
    assert cpu.usable
    assert caps.host_cpu["tcg"].props["sse2"] is True


@pytest.mark.system
def test_both_ways_agree(both: dict[str, Capabilities]) -> None:
    left, right = (both[subject].to_json() for subject in ("live", "recorded"))
    first, second = json.loads(left), json.loads(right)
    first["binary"] = second["binary"]
    assert _sorted(first) == _sorted(second)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(each) for key, each in value.items()}
    return sorted(value, key=repr) if isinstance(value, list) else value


@pytest.mark.system
def test_the_cache_answers_until_the_binary_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if QEMU is None:
        pytest.skip("no QEMU here")
    binary = Path(QEMU)
    first = asyncio.run(cache.capabilities(binary, tmp_path / "cache", kvm=False))
    monkeypatch.setattr(cache, "live", None)  # it is not asked again
    assert asyncio.run(cache.capabilities(binary, tmp_path / "cache", kvm=False)) == first
    assert cache.load(binary, tmp_path / "cache", kvm=False) == first
    assert cache.load(binary, tmp_path / "cache", kvm=True) is None
    [entry] = (tmp_path / "cache").iterdir()
    entry.write_bytes(entry.read_bytes().replace(f'"mtime":{first.mtime}'.encode(), b'"mtime":1.0'))
    assert cache.load(binary, tmp_path / "cache", kvm=False) is None
    entry.write_bytes(b"{broken")
    assert cache.load(binary, tmp_path / "cache", kvm=False) is None


def test_what_is_no_qemu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match="no QEMU at"):
        asyncio.run(live(tmp_path / "absent", kvm=False))
    talker = tmp_path / "talker"
    talker.write_text("#!/bin/sh\necho this is not QEMU >&2\nexit 3\n")
    talker.chmod(0o755)
    with pytest.raises(QemuRefused, match="this is not QEMU"):
        asyncio.run(live(talker, kvm=False))
    odd = tmp_path / "odd.replies"
    odd.write_text('{"greeting": 1}')
    with pytest.raises(InvalidRequest):
        recorded(odd)
