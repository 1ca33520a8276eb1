"""A whole domain: what is not a device, the rules that span slices, addresses, completion and planning. Pure."""
