"""What is not a device, in QEMU's words, a subject a file. Called by domain/machine_options."""
