"""Devices and network interfaces of the host, as the kernel shows them, in libvirt's documents; and PCI devices' drivers."""
