"""A guest that counts: into a sector of its disk, and aloud. What it says shows whether it ever ran twice.

It boots from the disk's first sector, reads where the count stood from the second, and adds one at every tick of the PC's clock,
18 a second: the sector is written first, then the number goes to the serial port as eight hexadecimal digits and a line break. A
boot says ``B``. Two machines that run at once would both go on counting; whoever keeps all that both say sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

_PACKET = 0x7C00 + 0x60
_SET_UP = "fa 31c0 8ed8 8ec0 8ed0 bc007c fb"  # no segments, a stack below
_READ = f"be{_PACKET & 0xFF:02x}{_PACKET >> 8:02x} b442 b280 cd13"  # the second sector to 0x7e00
_SAY_B = "baf803 b042 ee b00a ee"
_COUNT = (
    f"f4 66ff06007e be{_PACKET & 0xFF:02x}{_PACKET >> 8:02x} b80043 b280 cd13 baf803 7221"  # a tick; write; carry: !
)
_SAY = "66a1007e b90800 66c1c004 6650 240f 3c0a 7202 0407 0430 ee 6658 e2eb b00a ee"
_FAILED = "b021 ee"
_DISK_PACKET = "1000 0100 007e 0000 0100000000000000"


def _code() -> bytes:
    before = bytes.fromhex(_SET_UP + _READ + _SAY_B)
    loop = bytes.fromhex(_COUNT + _SAY)
    back = bytes([0xEB, (-len(loop) - 2) & 0xFF])
    failed = bytes.fromhex(_FAILED)
    after = bytes([0xEB, (-(len(loop) + len(back) + len(failed)) - 2) & 0xFF])
    code = before + loop + back + failed + after
    # The jump where the disk refused leads behind the loop.
    jump = len(before) + len(bytes.fromhex(_COUNT)) - 1
    code = code[:jump] + bytes([len(before) + len(loop) + len(back) - jump - 1]) + code[jump + 1 :]
    assert len(code) <= _PACKET - 0x7C00
    return code


def disk(path: Path) -> None:
    """Make the guest's disk, a mebibyte of raw bytes."""
    sector = _code().ljust(_PACKET - 0x7C00, b"\0") + bytes.fromhex(_DISK_PACKET)
    path.write_bytes(sector.ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20 - 512))


def counted(path: Path) -> int:
    """Read where the count on the disk stands."""
    with path.open("rb") as file:
        file.seek(512)
        return int.from_bytes(file.read(4), "little")


@dataclass
class Spoken:
    """All that the guest's machines have said, in the order in which the kernel took it."""

    path: Path
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Give it as it stands."""
        return self.path.read_bytes().decode(errors="replace") if self.path.exists() else ""

    def last(self) -> int:
        """Give the last number that was said whole."""
        numbers = [line for line in self.text().split("\n")[:-1] if len(line) == 8]
        return int(numbers[-1], 16) if numbers else 0

    def judge(self) -> list[str]:
        """Say where it is not the speech of one machine at a time."""
        found: list[str] = []
        before: int | None = None
        for place, line in enumerate(self.text().split("\n")[:-1]):
            if line.endswith("B") and (len(line) == 1 or before is None or len(line) < 9):
                before = None  # a boot; what a machine that was killed had begun to say may stand before it
                continue
            try:
                number = int(line, 16) if len(line) == 8 else None
            except ValueError:
                number = None
            if number is None:
                found.append(f"line {place}: {line!r} is no number: two spoke at once, or the disk refused")
                before = None
            elif before is not None and number != before + 1:
                found.append(f"line {place}: {number} after {before}")
                before = number
            else:
                before = number
        return found
