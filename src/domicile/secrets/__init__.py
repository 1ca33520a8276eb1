"""Secrets: passwords and keys by reference. Their documents, and the vault that keeps their values encrypted."""
