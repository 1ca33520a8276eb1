"""Network filters: libvirt's filter documents, and the nftables rules they become on the host end of an interface."""
