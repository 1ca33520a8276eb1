"""Whether KVM really runs a virtual CPU here: one is made and runs a few instructions, in a child that may hang.

The daemon's wiring and `doctor` ask; opening /dev/kvm alone proves nothing on nested or crippled hosts.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import mmap
import os
import platform
import struct
import sys
from dataclasses import dataclass

# Source: linux/kvm.h and asm/kvm.h for x86.
_GET_API_VERSION, _CREATE_VM, _GET_VCPU_MMAP_SIZE, _CREATE_VCPU, _RUN = 0xAE00, 0xAE01, 0xAE04, 0xAE41, 0xAE80
_SET_USER_MEMORY_REGION = 0x4020AE46
_SET_REGS, _GET_SREGS, _SET_SREGS = 0x4090AE82, 0x8138AE83, 0x4138AE84
_REGS_SIZE, _SREGS_SIZE = 0x90, 0x138
_EXIT_REASON = 8
_EXIT_IO, _EXIT_HLT, _EXIT_INTERNAL_ERROR = 2, 5, 17
# KVM can interpret simple code without any hardware that runs it; 64-bit code with SSE it must really run.
_CODE_AT, _TABLES_AT = 0x1000, 0x2000
# A stack at 0x6000; count down a million in ecx while adding with SSE; out 0x10,al; hlt
_CODE = bytes.fromhex("bc00600000 b940420f00 0f57c0 f30f58c0 50 58 ffc9 75f6 b02a e610 f4")
_PAGES = 6
_CS = struct.pack("QIHBBBBBBBBBB", 0, 0xFFFFFFFF, 8, 11, 1, 0, 0, 1, 1, 1, 0, 0, 0)
_DS = struct.pack("QIHBBBBBBBBBB", 0, 0xFFFFFFFF, 16, 3, 1, 0, 1, 1, 0, 1, 0, 0, 0)
_CR0, _CR3, _CR4, _EFER = 224, 240, 248, 264
_PROTECTED_PAGED, _PAE_SSE, _LONG_MODE = 0x80000033, 0x620, 0x500

#: Seconds the trial may take before it counts as hung.
DEADLINE = 2.0


@dataclass(frozen=True, slots=True)
class Kvm:
    """The answer: whether virtual CPUs run, whether that was verified by running one, and in words why (not)."""

    works: bool
    verified: bool
    reason: str


async def check(deadline: float = DEADLINE) -> Kvm:
    """Try KVM out; never raises and never takes much longer than its deadline."""
    obstacle = _obstacle()
    if obstacle is not None:
        return Kvm(False, True, obstacle)
    if platform.machine() != "x86_64":
        return Kvm(True, False, f"/dev/kvm opens; running a virtual CPU is not verified on {platform.machine()}")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", __file__),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(deadline):
            output, _ = await child.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        return Kvm(False, True, f"a virtual CPU was made but does not run: no answer within {deadline:g} s")
    if child.returncode == 0:
        return Kvm(True, True, "a virtual CPU ran")
    words = output.decode(errors="replace").strip().splitlines()
    return Kvm(False, True, words[-1] if words else f"the trial ended with status {child.returncode}")


def _obstacle() -> str | None:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "/dev/kvm does not exist: no KVM in this kernel, or virtualization is off in the firmware"
    except PermissionError:
        return "/dev/kvm may not be opened by this user"
    except OSError as error:
        return f"/dev/kvm cannot be opened: {error.strerror}"
    return None


def _trial() -> str | None:
    """Run the instructions; return what went wrong, None when nothing did."""
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    if fcntl.ioctl(kvm, _GET_API_VERSION, 0) != 12:
        return "KVM speaks an unknown version of its interface"
    machine = fcntl.ioctl(kvm, _CREATE_VM, 0)
    memory = mmap.mmap(-1, _PAGES * mmap.PAGESIZE)
    memory[: len(_CODE)] = _CODE
    # Three levels of page tables, the last with one page of 2 MiB: addresses stay what they are.
    for level, entry in enumerate((_TABLES_AT + 0x1003, _TABLES_AT + 0x2003, 0x83)):
        struct.pack_into("Q", memory, _TABLES_AT - _CODE_AT + level * 0x1000, entry)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    region = struct.pack("IIQQQ", 0, 0, _CODE_AT, _PAGES * mmap.PAGESIZE, address)
    fcntl.ioctl(machine, _SET_USER_MEMORY_REGION, region)
    cpu = fcntl.ioctl(machine, _CREATE_VCPU, 0)
    shared = mmap.mmap(cpu, fcntl.ioctl(kvm, _GET_VCPU_MMAP_SIZE, 0))
    special = bytearray(fcntl.ioctl(cpu, _GET_SREGS, bytes(_SREGS_SIZE)))
    special[: 6 * len(_CS)] = _CS + _DS * 5
    for place, value in ((_CR0, _PROTECTED_PAGED), (_CR3, _TABLES_AT), (_CR4, _PAE_SSE), (_EFER, _LONG_MODE)):
        struct.pack_into("Q", special, place, value)
    fcntl.ioctl(cpu, _SET_SREGS, bytes(special))
    registers = bytearray(_REGS_SIZE)
    struct.pack_into("QQ", registers, 0x80, _CODE_AT, 2)  # rip, rflags
    fcntl.ioctl(cpu, _SET_REGS, bytes(registers))
    for expected in (_EXIT_IO, _EXIT_HLT):
        fcntl.ioctl(cpu, _RUN, 0)
        reason = struct.unpack_from("I", shared, _EXIT_REASON)[0]
        if reason == _EXIT_INTERNAL_ERROR:
            return "a virtual CPU was made but does not run: KVM gave up on an instruction, as without hardware support"
        if reason != expected:
            return f"a virtual CPU was made but does not run: exit reason {reason} instead of {expected}"
    return None


def _main() -> int:
    try:
        wrong = _trial()
    except OSError as error:
        wrong = f"a virtual CPU does not run: {error.strerror}"
    if wrong:
        sys.stdout.write(wrong + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(_main())
