"""Virtual networks: libvirt's network documents, and the bridges, rules and name servers they become on the host."""
