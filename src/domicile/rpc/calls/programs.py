"""The programs: libvirt's remote and QEMU programs, keepalive, and Domicile's own.

The sibling modules declare their procedures here; ``calls.load`` fills every table.
"""

from __future__ import annotations

from domicile.rpc.call import Program

remote = Program(0x20008086, 1, "remote")
qemu = Program(0x20008087, 1, "qemu")
domicile = Program(0x20444F4D, 1, "domicile")
keepalive = Program(0x6B656570, 1, "keepalive")

PROGRAMS: dict[int, Program] = {program.number: program for program in (remote, qemu, domicile, keepalive)}
