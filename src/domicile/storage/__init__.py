"""Storage: pools and their volumes. Documents, what is known of each type of pool, and the drivers that do the work."""
