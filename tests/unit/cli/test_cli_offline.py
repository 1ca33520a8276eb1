"""Commands that need no daemon, and the refusals of all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domicile.cli import app, importing, offline
from domicile.domain.adapt import Surroundings, adapt
from domicile.host.kvm import Kvm

MYVM = Path(__file__).parents[3] / "examples/MyVM.xml"


@pytest.fixture(autouse=True)
def this_host(core: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in for the host: the recorded QEMU, no KVM, no daemon."""

    class Local(offline.Local):
        def find(self, emulator: str | None, arch: str) -> Any:
            return core.caps if emulator in (None, core.caps.binary) and arch == "x86_64" else None

        def adapt(self, text: str, maps: dict[str, str], networks: frozenset[str] = frozenset()) -> Any:
            return adapt(
                text,
                Surroundings(
                    self.host, self.find, frozenset(), networks, lambda path: Path(path).exists(), "none", maps
                ),
            )

    local = Local(core.host(), Kvm(False, True, "none"), tmp_path, {}, {})
    monkeypatch.setattr(offline.Local, "look", classmethod(lambda cls: local))
    monkeypatch.delenv("DOMICILE_ROOT", raising=False)
    monkeypatch.setenv("DOMICILE_SOCKET", str(tmp_path / "nobody"))


class Ran:
    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        with pytest.raises(SystemExit) as ended:
            app.run([*arguments])
        self.status = ended.value.code
        self.out, self.err = capsys.readouterr()


def test_a_good_document(capsys: pytest.CaptureFixture[str], tmp_path: Path, sketch: Any) -> None:
    path = tmp_path / "a.xml"
    path.write_text(sketch())
    ran = Ran(capsys, "check", str(path))
    assert (ran.status, ran.out, ran.err) == (0, f"{path}: nothing is wrong\n", "")


def test_every_problem_with_its_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(
        "<domain type='qemu'>\n<name>a/b</name>\n<memory unit='ounces'>1</memory>\n<os><type>hvm</type></os>\n<vcpu>0</vcpu>\n</domain>"
    )
    ran = Ran(capsys, "check", str(path))
    assert ran.status == 1
    for line in (2, 3):
        assert f"{path}:{line}: " in ran.out, ran.out
    assert "accepted: " in ran.out
    answer = json.loads(Ran(capsys, "check", "--json", str(path)).out)
    assert not answer["valid"]
    assert {p["line"] for p in answer["problems"]} >= {2, 3}


def test_what_is_unknown_is_told_and_with_strict_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, sketch: Any
) -> None:
    path = tmp_path / "a.xml"
    path.write_text(sketch(body="<toaster/>"))
    ran = Ran(capsys, "check", str(path))
    assert ran.status == 0
    assert "ignored: element 'toaster'" in ran.out
    assert Ran(capsys, "check", "--strict", str(path)).status == 1


@pytest.mark.parametrize(
    "text",
    ["", "<domain", "<network/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><domain>&b;</domain>", "\0", "<domain type='qemu'/>"],
)
def test_what_is_no_domain(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    assert Ran(capsys, "check", str(path)).status == 1


def test_adapting_writes_only_when_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = tmp_path / "a.img"
    image.touch()
    target = tmp_path / "here.xml"
    mapped = f"/data/image_file.img={image}"
    before = MYVM.read_text()
    dry = Ran(capsys, "adapt", str(MYVM), "--map", mapped)
    assert dry.status == 0
    assert "pc-i440fx-rhel7.0.0 → pc-i440fx-7.2" in dry.out
    assert "the guest notices: " in dry.out
    assert MYVM.read_text() == before
    wet = Ran(capsys, "adapt", str(MYVM), "--map", mapped, "--write", str(target))
    assert wet.status == 0
    assert str(image) in target.read_text()
    assert Ran(capsys, "check", str(target)).status == 0
    assert Ran(capsys, "adapt", str(target)).out == f"{target} runs here as it is\n"


def test_adapting_says_in_its_status_what_is_left(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(MYVM.read_text().replace("/data/", f"{tmp_path}/none/"))
    ran = Ran(capsys, "adapt", str(path), "--json")
    assert ran.status == 1
    answer = json.loads(ran.out)
    assert not answer["runnable"]
    assert [a["path"] for a in answer["adjustments"] if a["open"]] == ["devices/disk[1]/source/@file"]
    assert Ran(capsys, "adapt", str(MYVM), "--map", "nonsense").status == 1


def test_explaining_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, sketch: Any) -> None:
    path = tmp_path / "a.xml"
    path.write_text(sketch("<interface type='user'/>"))
    english = Ran(capsys, "explain", str(path), "/devices/interface")
    assert english.status == 0
    assert "○ <mac>" in english.out or "○ @address" in english.out
    assert "→ -netdev" in english.out
    chinese = Ran(capsys, "explain", str(path), "/devices/interface", "--lang", "zh")
    assert "网卡" in chinese.out
    assert "自动生成" in chinese.out
    answer = json.loads(Ran(capsys, "explain", str(path), "memory", "--json", "--lang", "en").out)
    assert answer[0]["path"] == "memory"
    missing = Ran(capsys, "explain", str(path), "devices/toaster")
    assert missing.status == 1
    assert "toaster" in missing.err


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["list", "--nonsense"], ["show", "vm", "x"], ["define"], ["--lang", "fr", "list"]]
)
def test_what_is_not_understood_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    ran = Ran(capsys, *arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.startswith("domicile: error: ")


@pytest.mark.parametrize(
    "arguments", [["list"], ["info", "a"], ["start", "a"], ["find", "a"], ["xml", "a"], ["define", str(MYVM)]]
)
def test_no_daemon_is_one_line_and_1(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    ran = Ran(capsys, *arguments)
    assert (ran.status, ran.out) == (1, "")
    assert len(ran.err.splitlines()) == 1
    assert "no daemon answers at" in ran.err


def test_a_missing_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ran = Ran(capsys, "check", str(tmp_path / "none"))
    assert (ran.status, len(ran.err.splitlines())) == (1, 1)


def test_a_tree_of_libvirt(tmp_path: Path) -> None:
    qemu = tmp_path / "etc/libvirt/qemu"
    (qemu / "autostart").mkdir(parents=True)
    (qemu / "networks").mkdir()
    for name in ("a", "b"):
        (qemu / f"{name}.xml").write_text("<domain/>")
    (qemu / "networks/default.xml").write_text("<network/>")
    (qemu / "autostart/b.xml").symlink_to(qemu / "b.xml")
    expected = [("a.xml", False), ("b.xml", True)]
    for path in (qemu, tmp_path / "etc/libvirt", tmp_path):
        assert [(f.path.name, f.autostart) for f in importing.tree(path)] == expected
    assert [(f.path.name, f.autostart) for f in importing.tree(qemu / "b.xml")] == [("b.xml", True)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert "_DOMICILE_COMPLETE" in Ran(capsys, "completion", shell).out


def test_starting_imports_little() -> None:
    check = "import sys; from domicile.cli import app, listing; print([m for m in ('lxml','rich','sqlalchemy','asyncio','structlog') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
