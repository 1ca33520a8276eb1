"""What talks to QEMU: its capabilities, its command line, its start and its monitor."""
