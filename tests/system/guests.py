"""Tiny BIOS guests, a boot sector each, and the command line that runs one without acceleration."""

from __future__ import annotations

import shutil
from pathlib import Path

QEMU = shutil.which("qemu-system-x86_64")

HALT = bytes.fromhex("fa f4 eb fd")  # cli; hlt; again
POWER_OFF = bytes.fromhex("ba0406 b80020 ef")  # the PC's ACPI control register: sleep in S5
RESET = bytes.fromhex("b0fe e664")  # the keyboard controller's reset line
PANIC = bytes.fromhex("b001 ba0505 ee")  # the pvpanic port
# Enable the power button's event, wait until it is pressed.
AWAIT_BUTTON = bytes.fromhex("ba0206 b80001 ef ba0006 ed f6c401 74fa b80001 ef")


def say(text: str) -> bytes:
    """Write to the first serial port."""
    return bytes.fromhex("baf803") + b"".join(b"\xb0" + bytes([each]) + b"\xee" for each in text.encode())


def boot_disk(path: Path, *code: bytes) -> Path:
    """Make a disk whose boot sector is that code."""
    sector = b"".join(code) + HALT
    path.write_bytes(sector.ljust(510, b"\0") + b"\x55\xaa" + b"\0" * (2**20 - 512))
    return path


def argv(disk: Path | None, *more: str, machine: str = "pc") -> list[str]:
    """Build a command line with tokens, as the plan would."""
    words = [QEMU or "qemu-system-x86_64", "-S", "-no-user-config", "-nodefaults", "-display", "none", "-m", "64"]
    words += ["-machine", f"{machine},accel=tcg", "-no-shutdown"]
    words += ["-chardev", "socket,id=charmonitor,fd={fd:monitor},server=on,wait=off"]
    words += ["-mon", "chardev=charmonitor,id=monitor,mode=control"]
    if disk is not None:
        words += ["-drive", f"file={disk},format=raw,if=none,id=disk0", "-device", "virtio-blk-pci,drive=disk0"]
    return [*words, *more]
