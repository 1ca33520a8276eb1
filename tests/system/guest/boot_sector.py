"""The smallest guest: 512 bytes that greet on the first serial port within a moment of power-on.

Called by scripts/guest-image and by tests that need a guest whose system does not matter. It echoes what it is sent and
obeys: P powers off, R resets, C tells the pvpanic device of a crash, the ACPI power button powers off.
"""

import struct

GREETING = b"DOMICILE-BOOT ready\r\n"
LSR, DATA = 0x3FD, 0x3F8
PM_STATUS, PM_ENABLE, PM_CONTROL = 0x600, 0x602, 0x604  # where SeaBIOS puts ACPI's registers, on pc and q35 alike
POWER_BUTTON = 0x0100
SLEEP_S5 = 0x2000


class _Code:
    """16-bit instructions at 0x7c00, with labels for short jumps."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []
        self._calls: list[tuple[int, str]] = []
        self._addresses: list[tuple[int, str]] = []

    def put(self, *values: int) -> None:
        """Append plain bytes."""
        self._bytes += bytes(values)

    def label(self, name: str) -> None:
        """Name this place."""
        self._labels[name] = len(self._bytes)

    def jump(self, opcode: int, name: str) -> None:
        """Append a short jump to a label."""
        self.put(opcode, 0)
        self._jumps.append((len(self._bytes) - 1, name))

    def call(self, name: str) -> None:
        """Append a near call of a label."""
        self.put(0xE8, 0, 0)
        self._calls.append((len(self._bytes) - 2, name))

    def address(self, name: str) -> None:
        """Append a label's address as a word."""
        self.put(0, 0)
        self._addresses.append((len(self._bytes) - 2, name))

    def port(self, number: int) -> None:
        """`mov dx, number`."""
        self.put(0xBA, *struct.pack("<H", number))

    def write_word(self, number: int, value: int) -> None:
        """`out number, value`, 16 bits."""
        self.port(number)
        self.put(0xB8, *struct.pack("<H", value), 0xEF)

    def write_byte(self, number: int, value: int) -> None:
        """`out number, value`, 8 bits."""
        self.port(number)
        self.put(0xB0, value, 0xEE)

    def data(self, text: bytes) -> None:
        """Append data."""
        self._bytes += text

    def sector(self) -> bytes:
        """Resolve the labels and close the sector with its signature."""
        for at, name in self._jumps:
            self._bytes[at] = struct.pack("b", self._labels[name] - at - 1)[0]
        for at, name in self._calls:
            self._bytes[at : at + 2] = struct.pack("<h", self._labels[name] - at - 2)
        for at, name in self._addresses:
            self._bytes[at : at + 2] = struct.pack("<H", 0x7C00 + self._labels[name])
        if len(self._bytes) > 510:
            raise ValueError("the boot sector is too long")
        return bytes(self._bytes.ljust(510, b"\0")) + b"\x55\xaa"


def boot_sector() -> bytes:
    """Assemble the sector."""
    jz, jnz, jmp = 0x74, 0x75, 0xEB
    code = _Code()
    code.put(0xFA, 0x31, 0xC0, 0x8E, 0xD8, 0x8E, 0xD0, 0xBC, 0x00, 0x7C)  # cli; ds = ss = 0; sp = 0x7c00
    code.write_byte(0xA1, 0xFF)  # no interrupts of the second controller: ACPI's is polled
    code.write_word(PM_ENABLE, POWER_BUTTON)
    code.put(0xFB, 0xFC, 0xBE)  # sti; cld; mov si, greeting
    code.address("greeting")
    code.label("greet")
    code.put(0xAC, 0x84, 0xC0)  # lodsb; test al, al
    code.jump(jz, "idle")
    code.call("send")
    code.jump(jmp, "greet")

    code.label("idle")
    code.put(0xF4)  # hlt, until the timer ticks
    code.port(PM_STATUS)
    code.put(0xED, 0xF6, 0xC4, POWER_BUTTON >> 8)  # in ax, dx; test ah, the button
    code.jump(jnz, "off")
    code.label("receive")
    code.port(LSR)
    code.put(0xEC, 0xA8, 0x01)  # in al, dx; test al, data ready
    code.jump(jz, "idle")
    code.port(DATA)
    code.put(0xEC)
    for letter, target in (("P", "off"), ("R", "reset"), ("C", "crash")):
        code.put(0x3C, ord(letter))
        code.jump(jz, target)
    code.call("send")
    code.jump(jmp, "receive")

    code.label("send")
    code.put(0x88, 0xC3)  # mov bl, al
    code.port(LSR)
    code.label("full")
    code.put(0xEC, 0xA8, 0x20)  # in al, dx; test al, transmitter empty
    code.jump(jz, "full")
    code.port(DATA)
    code.put(0x88, 0xD8, 0xEE, 0xC3)  # mov al, bl; out dx, al; ret

    code.label("off")
    code.write_word(PM_STATUS, POWER_BUTTON)
    code.write_word(PM_CONTROL, SLEEP_S5)
    code.jump(jmp, "idle")
    code.label("reset")
    code.write_byte(0x64, 0xFE)
    code.jump(jmp, "idle")
    code.label("crash")
    code.write_byte(0x505, 0x01)
    code.jump(jmp, "idle")
    code.label("greeting")
    code.data(GREETING + b"\0")
    return code.sector()
