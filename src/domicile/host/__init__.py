"""What the machines need of the host, given and taken back; and what the host says of itself."""
