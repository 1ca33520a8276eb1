"""Giving out addresses: PCI, USB and virtio-serial. Called by domain/complete once all devices are there."""
